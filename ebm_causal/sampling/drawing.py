r"""Stratified draws from a whole grid of energies, without another evaluation of the energy.

A cell is chosen by its mass, a place within it by the slope of the log density there: the density is taken as
:math:`e^{-E - s u}` along each edge, s by central differences, and the cell's mass as the integral of that, times
:math:`1 - c/24` for the bend c. For a normal density and cells of one standard deviation the variance of such draws
is right to 1e-8; cells taken as flat would inflate it by 8 %.
"""

import math

import torch
from torch import Tensor

from ebm_causal.sampling.lattice import Lattice
from ebm_causal.sampling.looking import strides_of

STEEPEST = 30.0  # a change of energy over a cell beyond which the place within it is its lower end anyway


def draw_within(lattice: Lattice, draws: int, generator: torch.Generator) -> Tensor:
    """Draws ``[draws, rows, dim]`` of rows whose lattice is a whole grid, each row in an order of its own."""
    rows = lattice.points.shape[1]
    slopes, masses = _within(lattice)
    cumulative = masses.cumsum(0).T.contiguous()
    places = (_strata(draws, rows, generator) + _uniform((rows, draws), generator, masses)) / draws
    cells = torch.searchsorted(cumulative, places * cumulative[:, -1:]).clamp_max(len(masses) - 1).T
    chosen = lattice.points.gather(0, cells[..., None].expand(-1, -1, lattice.dim))
    for axis, slope in enumerate(slopes):
        place = _tilted(slope.gather(0, cells), _uniform((draws, rows), generator, masses))
        chosen = chosen + place[..., None] * lattice.frame[..., axis]
    return chosen


def _within(lattice: Lattice) -> tuple[list[Tensor], Tensor]:
    """The change of the energy over each cell along each edge, and the cells' masses."""
    slopes, masses, shape = [], lattice.masses, lattice.shape
    for axis, (size, stride) in enumerate(zip(shape, strides_of(shape), strict=True)):
        grid = lattice.energies.reshape(math.prod(shape[:axis]), size, stride, -1)
        slope, bend = torch.zeros_like(grid), torch.zeros_like(grid)
        slope[:, 1:-1] = 0.5 * (grid[:, 2:] - grid[:, :-2])
        bend[:, 1:-1] = grid[:, 2:] + grid[:, :-2] - 2 * grid[:, 1:-1]
        slope = slope.nan_to_num_(nan=0.0).clamp_(-STEEPEST, STEEPEST).reshape(masses.shape)
        half = 0.5 * slope
        swell = torch.where(half.abs() < 1e-3, 1.0, torch.sinh(half) / half)
        bent = 1 - bend.nan_to_num_(nan=0.0).clamp_(-12.0, 12.0).reshape(masses.shape) / 24
        masses = masses * swell * bent
        slopes.append(slope)
    return slopes, masses


def _tilted(slope: Tensor, uniform: Tensor) -> Tensor:
    """Places in (-1/2, 1/2) with a density proportional to exp(-slope u), by inversion."""
    safe = torch.where(slope.abs() < 1e-3, torch.ones_like(slope), slope)
    steep = -torch.log1p(uniform * torch.expm1(-safe)) / safe
    return torch.where(slope.abs() < 1e-3, uniform, steep) - 0.5


def _strata(draws: int, rows: int, generator: torch.Generator) -> Tensor:
    """A random order of the strata for each row, ``[rows, draws]``: one permutation, multiplied and shifted modulo."""
    order = torch.randperm(draws, generator=generator)
    prime_to = torch.tensor([k for k in range(1, draws + 1) if math.gcd(k, draws) == 1])
    factor = prime_to[torch.randint(len(prime_to), (rows, 1), generator=generator)]
    shift = torch.randint(draws, (rows, 1), generator=generator)
    return (order * factor + shift) % draws


def _uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=like.dtype).to(like.device)
