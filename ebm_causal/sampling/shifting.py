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
from ebm_causal.sampling.looking import Look, flat_places, placed, see, widened
from ebm_causal.sampling.selecting import Rows

SHIFTS = 8
COVERED = 3.0  # standard errors of the mean of the shifts, which the error is
GOAL = 1e-4  # an error at which no finer lattices are laid
FINER = 4.0  # times the points, where it is not met
MOST = {1: 60_000, 2: 250_000, 3: 700_000}  # points of a row
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
    """Lattices of all rows of a look, finer ones until their spread is small, with the rows' numbers."""
    region = widened(see(look, drop, 1.0).keep, look.shape)
    left, density, best = look, 1.0, None
    while len(left.rows):
        following = []
        for index, lattice in _laid(left, region, energy, density):
            counts = lattice.energies.isfinite().sum(0)
            done = (lattice.error <= GOAL) | (FINER * counts > MOST[look.dim])
            if bool(done.any()):
                yield left.rows[index[done]], lattice.rows(done.nonzero().flatten())
            following.append(index[~done])
        some = torch.cat(following)
        left, region, density = left.some(some), region[:, some], density * FINER


def _laid(look: Look, region: Tensor, energy: Rows, density: float) -> Iterator[tuple[Tensor, Lattice]]:
    """Lattices with so many points for each cell of the look, over the cells of a region ``[cells, rows]``."""
    places, shift = _places(look, density)
    cells = flat_places((places + 0.5).floor().long(), look.shape)
    frame = look.cell @ turn(look.dim, look.cell) * (SHIFTS / density) ** (1 / look.dim)
    for part in torch.arange(len(look.rows)).split(max(1, AT_ONCE // max(len(places), 1))):
        row, place = region[cells][:, part].T.nonzero().unbind(-1)
        counts = torch.bincount(row, minlength=len(part))
        for index in grouped(counts, energy.divisible):
            slots, valid = slots_of(counts, index)
            chosen, rows = place[slots.T], part[index]
            points = placed(look.base[rows], look.cell[rows], places[chosen])
            energies = energy.at(points, look.rows[rows]).nan_to_num(nan=math.inf)
            energies = torch.where(valid, energies, math.inf)
            yield rows, _judged(weighed(points, energies, frame[rows], log_cell=_log_cell(look, rows, density)), shift[chosen])


def _log_cell(look: Look, rows: Tensor, density: float) -> Tensor:
    return torch.linalg.det(look.cell[rows]).abs().log() - math.log(density)


def _judged(lattice: Lattice, shift: Tensor) -> Lattice:
    """The lattice with the error that the spread of its shifts tells, which are numbered ``[points, rows]``."""
    shares = lattice.masses.new_zeros(SHIFTS, lattice.masses.shape[1]).scatter_add_(0, shift, lattice.masses)
    error = shares.std(0) * (COVERED * math.sqrt(SHIFTS))
    enough = (lattice.masses**2).sum(0) * FEWEST <= 1
    return replace(lattice, error=error, resolved=enough & lattice.log_integral.isfinite())


def _places(look: Look, density: float) -> tuple[Tensor, Tensor]:
    """Places of the shifted lattices in units of the look's cells, ``[places, dim]``, and which shift each is of."""
    like, dim = look.base, look.dim
    frame = turn(dim, like) * (SHIFTS / density) ** (1 / dim)
    shape = torch.tensor(look.shape).to(like)
    backward = torch.linalg.inv(frame)
    middle, reach = backward @ (0.5 * (shape - 1)), 0.5 * backward.abs() @ shape
    axes = [torch.arange(math.floor(m - r) - 1, math.ceil(m + r) + 1).to(like) for m, r in zip(middle.tolist(), reach.tolist(), strict=True)]
    numbers = torch.cartesian_prod(*axes).reshape(-1, dim)
    draws = torch.rand(SHIFTS, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(like)
    found, shifts = [], []
    for shift, offset in enumerate(draws):
        places = (numbers + offset) @ frame.T
        places = places[((places >= -0.5) & (places < shape - 0.5)).all(-1)]
        found.append(places)
        shifts.append(torch.full((len(places),), shift, device=like.device))
    return torch.cat(found), torch.cat(shifts)
