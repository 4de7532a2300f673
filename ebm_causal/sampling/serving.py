"""Rows that are served by the grid of the first look itself, on points that all rows share."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from ebm_causal.sampling.aims import Aim
from ebm_causal.sampling.checking import PERIOD, checked, imbalances_of
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
    check = checked(imbalances_of(_binned(lattice.masses, look.shape)), aim.allowed, kinks=aim.kinks)
    good = empty & smooth & ~check.coarse.any(-1) & lattice.log_integral.isfinite()
    return good, replace(lattice, error=check.error, resolved=good, shape=look.shape)


def _binned(masses: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Masses ``[points, rows]`` summed over places alike modulo the check's period, ``[rows, period, ...]``."""
    for axis, size in enumerate(shape):
        parts = masses.reshape(PERIOD**axis, size, -1)
        whole = size // PERIOD * PERIOD
        masses = parts[:, :whole].reshape(PERIOD**axis, size // PERIOD, PERIOD, parts.shape[-1]).sum(1)
        masses[:, : size - whole] += parts[:, whole:]
    return masses.reshape(PERIOD ** len(shape), -1).T.reshape(-1, *[PERIOD] * len(shape))


def bends_of(look: Look) -> Tensor:
    """The largest bend along any axis anywhere, per step squared and row."""
    found = []
    for axis, (size, stride) in enumerate(zip(look.shape, strides_of(look.shape), strict=True)):
        grid = look.energies.reshape(math.prod(look.shape[:axis]), size, stride, -1)
        bend = (grid[:, 2:] + grid[:, :-2]).sub_(grid[:, 1:-1], alpha=2)
        found.append(bend.reshape(-1, bend.shape[-1]).amax(0))
    return torch.stack(found).amax(0)
