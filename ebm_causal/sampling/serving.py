"""Rows that are served by the grid of the first look itself, on points that all rows share."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from ebm_causal.sampling.aims import Aim
from ebm_causal.sampling.covering import error_of
from ebm_causal.sampling.lattice import Lattice, weighed
from ebm_causal.sampling.looking import Look, coordinates, placed, strides_of

SMOOTH = 1.1  # times the bend that the step allows


def served(look: Look, aim: Aim) -> tuple[Tensor, Lattice]:
    """Which rows pass every check on the look's own grid, and the lattices of all rows there.

    No mass at the edges, no bend anywhere that asks for a finer step, no imbalance of halves and thirds.
    """
    places = coordinates(look.shape, look.base)
    points = placed(look.base[:1], look.cell[:1], places[:, None]).expand(-1, len(look.rows), -1)
    lattice = weighed(points, look.energies, look.cell)
    edge = ((places == 0) | (places == places.amax(0))).any(-1).nonzero().flatten()
    empty = lattice.masses.index_select(0, edge).amax(0) <= math.exp(-aim.drop)
    smooth = bends_of(look) <= SMOOTH / aim.step**2
    halves, thirds = (_imbalance(lattice.masses, places, every) for every in (2, 3))
    even = (halves <= aim.allowed[0]) & (thirds <= aim.allowed[1])
    good = empty & smooth & even & lattice.log_integral.isfinite()
    error = error_of(halves[:, None], thirds[:, None], aim.allowed) * look.dim
    return good, replace(lattice, error=error, resolved=good)


def bends_of(look: Look) -> Tensor:
    """The largest bend along any axis anywhere, per step squared and row."""
    found = []
    for axis, (size, stride) in enumerate(zip(look.shape, strides_of(look.shape), strict=True)):
        grid = look.energies.reshape(math.prod(look.shape[:axis]), size, stride, -1)
        bend = (grid[:, 2:] + grid[:, :-2]).sub_(grid[:, 1:-1], alpha=2)
        found.append(bend.reshape(-1, bend.shape[-1]).amax(0))
    return torch.stack(found).amax(0)


def _imbalance(masses: Tensor, places: Tensor, every: int) -> Tensor:
    """The largest modulus of the masses' Fourier transform at multiples of a part of the lattice's frequencies."""
    dim = places.shape[-1]
    modes = torch.cartesian_prod(*[torch.arange(every)] * dim).reshape(-1, dim)
    radix = torch.tensor(strides_of((every,) * dim))
    number, conjugate = (modes * radix).sum(-1), (-modes % every * radix).sum(-1)
    modes = modes[(number > 0) & (number <= conjugate)].to(places)  # one of each pair of conjugates
    phases = (places @ modes.T * (2 * math.pi / every)).T
    squares = (phases.cos() @ masses) ** 2
    return (squares if every == 2 else squares + (phases.sin() @ masses) ** 2).amax(0).sqrt()
