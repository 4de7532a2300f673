"""Which ends of several descents are one mode: those that the curvature cannot tell apart."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.errors import EnergyError
from ebm_causal.gibbs.restriction import Restriction, values_of
from ebm_causal.gibbs.starting import screen, screened_starts
from ebm_causal.gibbs.widths import precision_at
from ebm_causal.sampling import PointEnergy, curvatures, judge, minimize_rows

PLACES = 7  # between two ends, where the energy is looked at
Surface = Callable[[Tensor], Tensor]
NEWTON_UP_TO = 32  # dimensions; above, a Hessian costs more than the steps that it saves


class Groups(NamedTuple):
    """Ends of descents, grouped by mode, the lowest mode first.

    Attributes:
        first: Which end stands for the mode, ``[modes, rows]``; that of the lowest mode where there is none.
        found: Whether there is a mode, ``[modes, rows]``.
        ends: How many starts ended in it, ``[modes, rows]``.
    """

    first: Tensor
    found: Tensor
    ends: Tensor


class Modes(NamedTuple):
    """Local minima of a reduced energy in unconstrained coordinates, the lowest first.

    Attributes:
        points: ``[modes, rows, dim]``; the lowest mode's again where there are fewer.
        energies: There, the volume of the supports included, ``[modes, rows]``; infinite where there are fewer.
        precision: The Hessian, the signs of its negative eigenvalues turned; where there is no curvature, that of
            how far the energy takes to rise (``precision_at``), ``[modes, rows, dim, dim]``.
        found: Whether there is a mode, ``[modes, rows]``; none in a row without a finite energy.
        stationary: Whether it is a minimum to rounding; where no descent arrived, the lowest end stands in.
        ends: How many starts ended in it, ``[modes, rows]``.
    """

    points: Tensor
    energies: Tensor
    precision: Tensor
    found: Tensor
    stationary: Tensor
    ends: Tensor


def find_modes(restriction: Restriction, starts: int, generator: torch.Generator, *, most: int = 8) -> Modes:
    r"""The modes of the density :math:`e^{-u}`, u the restriction with its Jacobian, up to ``most`` per row.

    Descents from several starts, by Newton up to 32 dimensions. A mode between the starts is missed.

    Args:
        restriction: Over continuous variables.
        starts: How many per row.
        generator: Draws them.
        most: How many modes are kept.

    Raises:
        EnergyError: If a variable is finite, or the energy not differentiable.
    """
    finite = [n for n, v in zip(restriction.over, restriction.variables, strict=True) if values_of(v)]
    if finite:
        raise EnergyError(f"{finite} have finite support: they have states, not modes.")
    begin, pool = screened_starts(restriction, starts, generator)
    weight = max(4, restriction.dim**2)
    parts = [_modes_of(block, begin, pool, most) for block in restriction.blocks(starts * weight)]
    return Modes(*(torch.cat(part, 1) for part in zip(*parts, strict=True)))


def _modes_of(block: Restriction, begin: Tensor, pool: Tensor, most: int) -> Modes:
    def select(rows: Tensor) -> PointEnergy:
        part = only_rows(block, rows)
        return lambda points: part(points[None])[0]

    first = screen(block, begin, pool, block.rows)
    method = "newton" if block.dim <= NEWTON_UP_TO else "lbfgs"
    ends = minimize_rows(select, first, method=method)
    owner = torch.arange(block.rows, device=first.device).expand(len(first), -1).reshape(-1)
    value, gradient, hessian = curvatures(select(owner), ends.points.flatten(0, 1))
    stationary = judge(value, gradient, hessian).stationary.reshape(ends.energies.shape)
    hessian = hessian.reshape(*ends.energies.shape, block.dim, block.dim)
    lowest = torch.where(ends.energies == ends.energies.amin(0), ends.energies.isfinite(), False)
    usable = torch.where(stationary.any(0), stationary, lowest)
    groups = group_ends(block, ends.points, ends.energies, Shape(hessian, usable), most=most)
    rows = torch.arange(block.rows, device=first.device)
    at = (groups.first, rows)
    precision = precision_at(block, ends.points[at], hessian[at])
    energies = torch.where(groups.found, ends.energies[at], torch.inf)
    return Modes(
        ends.points[at], energies, precision, groups.found, stationary[at] & groups.found, groups.ends
    )


class Shape(NamedTuple):
    """What is known of ends beside their energies.

    Attributes:
        hessian: ``[ends, rows, dim, dim]``, or its diagonal ``[ends, rows, dim]``.
        usable: Which ends may be a mode, ``[ends, rows]``.
    """

    hessian: Tensor
    usable: Tensor


def group_ends(surface: Surface, points: Tensor, energies: Tensor, shape: Shape, *, most: int) -> Groups:
    r"""Group the ends of descents: a and b are one mode if :math:`(a - b)'H(a - b)` is rounding, with no rise between.

    H is the mean of both Hessians, so that a straight valley is one mode. Modes of equal energy stand in
    the order of their coordinates.

    Args:
        surface: The energy of points ``[points, rows, dim]``.
        points: Ends, ``[ends, rows, dim]``.
        energies: There, ``[ends, rows]``.
        shape: Their Hessians, and which may be a mode.
        most: How many modes are kept.
    """
    near = torch.finfo(points.dtype).eps ** 0.6 * (1 + energies.abs().nan_to_num(posinf=0.0))
    order = points @ (0.5 ** torch.arange(points.shape[-1]).to(points))
    left, rows = shape.usable & energies.isfinite(), torch.arange(points.shape[1], device=points.device)
    first: list[Tensor] = []
    found: list[Tensor] = []
    ends: list[Tensor] = []
    for _ in range(most):
        lowest = torch.where(left, energies, torch.inf).amin(0)
        level = left & (energies <= lowest + near)
        chosen = torch.where(level, order, torch.inf).argmin(0)
        chosen = torch.where(left.any(0), chosen, first[0] if first else chosen)
        apart = points - points[chosen, rows]
        alike = left & (_length(apart, 0.5 * (shape.hessian + shape.hessian[chosen, rows])) <= near)
        between = _highest(surface, points, torch.where(alike[..., None], apart, 0.0))
        same = alike & (between <= energies.maximum(energies[chosen, rows]) + near)
        same[chosen, rows] |= left[chosen, rows]
        first.append(chosen)
        found.append(left.any(0))
        ends.append(same.sum(0))
        left = left & ~same
    return Groups(torch.stack(first), torch.stack(found), torch.stack(ends))


def _highest(surface: Surface, points: Tensor, apart: Tensor) -> Tensor:
    """The highest energy at some places on the straight way."""
    shares = torch.arange(1, PLACES + 1).to(points) / (PLACES + 1)
    with torch.no_grad():
        way = surface((points - shares[:, None, None, None] * apart).flatten(0, 1))
    return way.reshape(PLACES, *points.shape[:2]).amax(0)


def _length(apart: Tensor, bend: Tensor) -> Tensor:
    """The squared length by a metric."""
    if bend.ndim == apart.ndim:
        return (bend * apart**2).sum(-1).abs()
    return (apart[..., None, :] @ bend @ apart[..., None])[..., 0, 0].abs()


def only_rows(restriction: Restriction, rows: Tensor) -> Restriction:
    """The restriction of some rows, or of rows several times; what is given is detached."""
    given = {k: (v if len(v) == 1 else v[rows]).detach() for k, v in restriction.given.items()}
    beta = restriction.beta[rows] if isinstance(restriction.beta, Tensor) else restriction.beta
    return replace(restriction, given=given, rows=len(rows), beta=beta)
