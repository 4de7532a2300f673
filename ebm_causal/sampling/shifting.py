r"""Randomly shifted lattices for densities with kinks and walls: their spread is an honest error.

The sum over a lattice that is shifted at random has the integral as its mean, whatever the density. So several
of them tell their own error, where the self-check of one takes the density to be smooth. They are turned such
that no point of the dual lattice, but for zero, comes near an axis plane: the product of its d coordinates is at
least the cell's volume to the power of minus one, times a constant. What kinks or jumps along coordinates then
errs in d dimensions no more than in one with as many points.

References:
    Frolov (1976), Upper error bounds for quadrature formulas on function classes.
    Cranley and Patterson (1976), Randomization of number theoretic methods for multiple integration.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ebm_causal.sampling.covering import grouped, slots_of
from ebm_causal.sampling.lattice import Lattice, weighed
from ebm_causal.sampling.looking import Look, placed, see, strides_of, widened
from ebm_causal.sampling.selecting import Rows

SHIFTS = 8
COVERED = 3.0  # standard errors of the mean of the shifts, which the error is
GOAL = 1e-4  # an error at which no finer lattices are laid
FINER = 4.236  # times the points, where it is not met; lattices of a whole multiple would share their errors
MOST = {1: 60_000, 2: 500_000, 3: 1_000_000}  # points of a row
IN_ALL = 10_000_000  # points of all rows
LEAST = 4_000  # points of a row that are spent if need be, however many rows there are
FEWEST = 50.0  # points that share the mass, below which the spread tells nothing
AT_ONCE = 4_000_000  # places times rows


def turn(dim: int, like: Tensor) -> Tensor:
    r"""An orthogonal matrix that keeps whole-number points off the axis planes, up to three dimensions.

    .. math:: T_{jk} = \tfrac{2}{\sqrt{2d+1}} \sin \tfrac{2\pi jk}{2d+1}

    The product of the coordinates of T n is the root of a norm of a whole algebraic number, as 2 d + 1 is prime.
    """
    numbers = torch.arange(1, dim + 1).to(like)
    order = 2 * dim + 1
    return (2 * math.pi / order * numbers[:, None] * numbers).sin() * (2 / math.sqrt(order))


def shifted(look: Look, energy: Rows, drop: float) -> Iterator[tuple[Tensor, Lattice]]:
    """Lattices of all rows of a look, finer ones until their spread is small, with the rows' numbers.

    Two at least, for few points may all agree by chance.
    """
    region, most = widened(see(look, drop, 1.0).keep, look.shape), _most(energy.count, look.dim)
    left, density = look, 1.0
    before = torch.full_like(look.base[:, 0], math.nan)
    while len(left.rows):
        following = []
        for index, lattice in _laid(left, region, energy, density):
            change = (lattice.log_integral - before[index]).abs()
            before[index] = lattice.log_integral
            done = (torch.maximum(lattice.error, change) <= GOAL) | (
                FINER * lattice.energies.isfinite().sum(0) > most
            )
            if bool(done.any()):
                yield left.rows[index[done]], lattice.rows(done.nonzero().flatten())
            following.append(index[~done])
        some = torch.cat(following)
        left, region, before, density = left.some(some), region[:, some], before[some], density * FINER


def _most(rows: int, dim: int) -> float:
    """How many points a row may have where there are so many."""
    return min(MOST[dim], max(LEAST, IN_ALL / rows))


def _laid(look: Look, region: Tensor, energy: Rows, density: float) -> Iterator[tuple[Tensor, Lattice]]:
    """Lattices with so many points for each cell of the look, over the cells of a region ``[cells, rows]``."""
    cells = region.any(1).nonzero().flatten()
    places, cell, shift = _places(look, cells, density)
    frame = look.cell @ _frame(look.dim, density, look.cell)
    log_cell = torch.linalg.det(look.cell).abs().log() - math.log(density)
    within = region[cells]
    for part in torch.arange(len(look.rows)).split(max(1, AT_ONCE // max(len(places), 1))):
        row, place = within[:, part][cell].T.nonzero().unbind(-1)
        counts = torch.bincount(row, minlength=len(part))
        for index in grouped(counts, energy.divisible):
            slots, valid = slots_of(counts, index)
            chosen, rows = place[slots.T], part[index]
            points = placed(look.base[rows], look.cell[rows], places[chosen])
            energies = energy.at(points, look.rows[rows]).nan_to_num(nan=math.inf)
            energies = torch.where(valid, energies, math.inf)
            yield (
                rows,
                _judged(weighed(points, energies, frame[rows], log_cell=log_cell[rows]), shift[chosen]),
            )


def _judged(lattice: Lattice, shift: Tensor) -> Lattice:
    """The lattice with the error that the spread of its shifts tells, which are numbered ``[points, rows]``."""
    shares = lattice.masses.new_zeros(SHIFTS, lattice.masses.shape[1]).scatter_add_(0, shift, lattice.masses)
    single = (lattice.masses**2).sum(
        0
    )  # by one over the points that share the mass: an edge may miss a point
    error = torch.maximum(shares.std(0) * (COVERED * math.sqrt(SHIFTS)), single)
    return replace(lattice, error=error, resolved=(single * FEWEST <= 1) & lattice.log_integral.isfinite())


def _frame(dim: int, density: float, like: Tensor) -> Tensor:
    """The edges of the cells of each shifted lattice, in units of the look's, where all have so many points for one."""
    return turn(dim, like) * (SHIFTS / density) ** (1 / dim)


def _places(look: Look, cells: Tensor, density: float) -> tuple[Tensor, Tensor, Tensor]:
    """Places of the shifted lattices within some of the look's cells, in units of these, ``[places, dim]``.

    Also the cell of each, counted among those, and which shift it is of.
    """
    dim, frame = look.dim, _frame(look.dim, density, look.base)
    center = torch.stack(
        [cells // stride % size for stride, size in zip(strides_of(look.shape), look.shape, strict=True)], -1
    ).to(frame)
    backward, near = torch.linalg.inv(frame), _near(frame)
    draws = torch.rand(SHIFTS, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(frame)
    found = []
    for shift, offset in enumerate(draws):
        first = (center @ backward.T - offset).round()
        offsets = (first + offset) @ frame.T - center
        inner = offsets[:, None] + near
        cell, which = ((inner >= -0.5) & (inner < 0.5)).all(-1).nonzero().unbind(-1)
        found.append((center[cell] + inner[cell, which], cell, torch.full_like(cell, shift)))
    places, cell, shifts = (torch.cat(parts) for parts in zip(*found, strict=True))
    return places, cell, shifts


def _near(frame: Tensor) -> Tensor:
    """The points of a lattice that may lie in a cell of the look about which another one is the closest."""
    reach = 0.5 * torch.linalg.inv(frame).abs().sum(-1) + 0.5
    axes = [torch.arange(-math.floor(r), math.floor(r) + 1).to(frame) for r in reach.tolist()]
    steps = torch.cartesian_prod(*axes).reshape(-1, len(frame)) @ frame.T
    return steps[(steps.abs() <= 0.5 + 0.5 * frame.abs().sum(-1) + 1e-9).all(-1)]
