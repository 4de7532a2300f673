"""Where a lattice should lie: a coarse look finds the mass of each row, its cells are divided as finely as needed."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.sampling.aims import Aim
from ebm_causal.sampling.following import Search
from ebm_causal.sampling.framing import box_of
from ebm_causal.sampling.lattice import Lattice, RowEnergy, joined
from ebm_causal.sampling.selecting import Rows

DROP = 32.0
COARSE = {1: 33, 2: 17, 3: 11}


def coarse_points(dim: int) -> int:
    """How many points a first look has."""
    return COARSE.get(dim, 1) ** dim


def lay_lattices(
    energy: RowEnergy,
    rows: int,
    dim: int,
    *,
    like: Tensor,
    center: Tensor | float = 0.0,
    scale: Tensor | float = 1.0,
    step: float = 1 / 3,
    fine: float | None = None,
    levels: int = 40,
    drop: float = DROP,
    coarse: int | None = None,
    kinks: bool = True,
) -> Iterator[tuple[Tensor, Lattice]]:
    r"""Find where :math:`e^{-u}` has its mass in each row, and lay a lattice there, a few rows at a time.

    Each row comes once, with others that have about as many points. Where the energy can be narrowed to rows
    (``select``), rows that are done cost no more; where part of it depends on the points alone (``tabulate``),
    that part is computed once for all rows.

    Args:
        energy: The reduced energy, ``[points, rows, dim] -> [points, rows]``.
        rows: How many rows it has.
        dim: One to three.
        like: Gives dtype and device.
        center: Where to look first: a number, ``[dim]`` or ``[rows, dim]``.
        scale: How widely: the first box reaches seven of these to each side.
        step: The lattice's step in local standard deviations, to begin with.
        fine: The step for which a normal density would pass the self-check; ``step`` where it is None.
        levels: How often a row may be looked at before it is given up (``resolved`` is then False).
        drop: Energies so far above the minimum are left out: a relative mass of exp(-drop).
        coarse: Points per axis of a look; fewer serve where the center and scale are known well.
        kinks: Whether the self-check looks for kinks, which it meets with many points.

    Raises:
        ArgumentError: If the dimension is not one, two or three.
    """
    if dim not in COARSE:
        raise ArgumentError(f"a lattice serves one to three dimensions; got {dim}: use a sampler instead.")
    aim = Aim(
        step=step, drop=drop, coarse=coarse or COARSE[dim], levels=levels, fine=fine or step, kinks=kinks
    )
    search = Search(energy=Rows(energy=energy, count=rows), aim=aim, pending=[])
    steps = search.run(box_of(center, scale, (rows, dim), like), dim, like)
    while True:
        with torch.no_grad():  # while lattices are laid, not while they are used
            step_done = next(steps, None)
        if step_done is None:
            return
        yield step_done


def adapt_lattice(
    energy: RowEnergy, rows: int, dim: int, *, like: Tensor, **options: Tensor | float | None
) -> Lattice:
    r"""Find where :math:`e^{-u}` has its mass in each row, and lay a lattice there.

    Holds for densities that are smooth at the scale of their narrowest mode. A mode narrower than
    the first look's step and far from all its points' slopes can be missed; that step is about .4, .9 and 1.4
    of ``scale`` in one, two and three dimensions, and half of it where rows share what is costly.

    Args:
        energy: The reduced energy, ``[points, rows, dim] -> [points, rows]``.
        rows: How many rows it has.
        dim: One to three.
        like: Gives dtype and device.
        **options: As for :func:`lay_lattices`.

    Returns:
        The lattice of all rows; those with fewer points than others are filled up.

    Raises:
        ArgumentError: If the dimension is not one, two or three.
    """
    return joined(list(lay_lattices(energy, rows, dim, like=like, **options)))  # type: ignore[arg-type]
