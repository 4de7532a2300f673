"""Draws of latents given rows, with their diagnostics, for ArviZ."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs import Restriction, restrict_at, single_or_schedule
from ebm_causal.inference.arviz import inference_data
from ebm_causal.shapes import Betas


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """What can be trusted of a posterior.

    Attributes:
        method: ``lattice`` or ``enumeration``; independent draws, so that R-hat is one and each draw counts.
        failed: Rows whose lattice did not pass its self-check; for a schedule pairs, of the place in the schedule
            and the row.
        warnings: The same in words.
    """

    method: str
    failed: tuple[int, ...] | tuple[tuple[int, int], ...]
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every row passed."""
        return not self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """Draws of variables, row by row.

    Attributes:
        values: ``[chains, draws, rows, dim]`` by name; ``[betas, chains, draws, rows, dim]`` for a schedule.
        diagnostics: What can be trusted.
        beta: The inverse temperature, or the schedule, ``[betas]``.
    """

    values: Mapping[str, Tensor]
    diagnostics: Diagnostics
    beta: float | Tensor

    def to_arviz(self) -> Any:
        """The draws as ArviZ's data; a schedule is the dimension ``beta``, after chain and draw."""
        dims, coords = ["row"], {}
        values = dict(self.values)
        if isinstance(self.beta, Tensor):
            values = {name: value.movedim(0, 2) for name, value in values.items()}
            dims, coords = ["beta", "row"], {"beta": self.beta.cpu().numpy()}
        arrays = {name: value.cpu().numpy() for name, value in values.items()}
        named = {name: [*dims, f"{name}_dim"] for name in arrays}
        return inference_data({"posterior": arrays}, named, coords)

    def summary(self) -> pd.DataFrame:
        """Mean and standard deviation of each coordinate in each row; rows are called ``name[row, coordinate]``.

        For a schedule they come once for each beta, which the first column tells.
        """
        if not isinstance(self.beta, Tensor):
            return pd.concat([_moments(name, value) for name, value in self.values.items()])
        frames = []
        for place, beta in enumerate(self.beta.tolist()):
            frames += [_moments(name, value[place], beta) for name, value in self.values.items()]
        return pd.concat(frames)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {list(value.shape)}" for name, value in self.values.items())
        return f"Posterior({shapes}, method={self.diagnostics.method!r}, ok={self.diagnostics.ok})"


def _moments(name: str, value: Tensor, beta: float | None = None) -> pd.DataFrame:
    """Mean and standard deviation of draws ``[chains, draws, rows, *shape]`` of one variable."""
    flat = value.flatten(0, 1).flatten(2)
    labels = [f"{name}[{i}, {j}]" for i in range(flat.shape[1]) for j in range(flat.shape[2])]
    columns = {"mean": flat.mean(0).flatten().numpy(), "sd": flat.std(0).flatten().numpy()}
    return pd.DataFrame(columns if beta is None else {"beta": beta, **columns}, index=labels)


def sample(
    energy: Energy,
    over: str | Iterable[str] = "z",
    given: Mapping[str, object] | pd.DataFrame | None = None,
    beta: Betas = 1.0,
    *,
    draws: int = 1000,
    chains: int = 4,
    method: Literal["auto", "lattice", "enumeration"] = "auto",
    seed: int = 0,
) -> Posterior:
    r"""Draw from :math:`p(z \mid \text{given}) \propto e^{-\beta E}`, every row at once.

    Independent stratified draws from a lattice that is adapted to each row, for one to three real
    dimensions, and exact draws for finite variables: no chain that could miss a mode. A lattice that does
    not pass its self-check, as where the density cannot be normalized, is warned about.

    Args:
        energy: The energy, taken as the raw sum of its factors.
        over: What to draw; every other variable is given.
        given: Rows of the others, by name or as a frame; None means one row.
        beta: The inverse temperature; a schedule of them draws at each.
        draws: Draws per chain.
        chains: Kept for comparison with chains; draws are independent between and within them.
        method: ``lattice``, ``enumeration``, or whichever serves.
        seed: The same seed gives the same draws.

    Returns:
        The posterior.

    Raises:
        EnergyError: If names or shapes do not fit, or neither method serves the variables.
        ArgumentError: If beta or the counts are not positive, or the method does not serve.

    Example:
        >>> import ebm_causal as ec, torch
        >>> energy = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError()) + ec.GaussianRegularizer(1)
        >>> ec.sample(energy, over="z", given={"y": [[2.0]]}, draws=500).summary().round(1).loc[
        ...     "z[0, 0]", "mean"
        ... ]
        np.float64(1.0)
    """
    if draws < 1 or chains < 1:
        raise ArgumentError(f"draws and chains must be positive; got {draws} and {chains}.")
    restriction, shape = restrict_at(energy, over, given, beta)
    served = "enumeration" if restriction.finite else "lattice"
    if method not in ("auto", served):
        raise ArgumentError(
            f"method={method!r} does not serve {list(restriction.over)}; use {served!r} or 'auto'."
        )
    generator = torch.Generator().manual_seed(seed)
    points, failed = draw_rows(restriction, draws * chains, generator)
    values = {}
    for name, value in restriction.split(points).items():
        shuffled = value[torch.randperm(draws * chains, generator=generator)]
        shaped = shuffled.reshape(chains, draws, *(shape or value.shape[1:2]), *value.shape[2:])
        values[name] = shaped.movedim(2, 0) if shape else shaped
    told = tuple(divmod(row, shape[1]) for row in failed) if shape else failed
    notes = _notes(restriction.over, told)
    for note in notes:
        warnings.warn(note, stacklevel=2)
    diagnostics = Diagnostics(method=served, failed=told, warnings=notes)
    return Posterior(values=values, diagnostics=diagnostics, beta=single_or_schedule(beta))


def _notes(over: tuple[str, ...], failed: tuple[int, ...] | tuple[tuple[int, int], ...]) -> tuple[str, ...]:
    if not failed:
        return ()
    what = "rows" if isinstance(failed[0], int) else "pairs of a beta and a row (by their numbers)"
    note = (
        f"the lattice over {list(over)} did not pass its self-check in {len(failed)} {what}, the first "
        f"{list(failed[:5])}: the density there is not normalizable, or has modes too narrow to resolve, and "
        "the draws of these rows are not to be trusted."
    )
    return (note,)


def draw_rows(
    restriction: Restriction, draws: int, generator: torch.Generator
) -> tuple[Tensor, tuple[int, ...]]:
    """Draws ``[draws, rows, dim]`` of a restriction, and the rows whose lattice failed its check."""
    parts, failed, start = [], [], 0
    with torch.no_grad():
        for block in restriction.blocks(max(draws, 33**restriction.dim)):
            lattice = block.quadrature()
            if block.finite:
                parts.append(lattice.choose(draws, generator))
            else:
                parts.append(block.to_support(lattice.draw(block, draws, generator))[0])
            bad = (~lattice.resolved).nonzero().flatten() + start
            failed += bad.tolist()
            start += block.rows
    return torch.cat(parts, 1), tuple(failed)
