"""What certifies a minimum: gradient and curvature in the variables themselves, minding closed bounds."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import constraints

from ebm_causal.gibbs.restriction import Restriction, values_of
from ebm_causal.sampling import PointEnergy, curvatures, judge, slopes

NEAR = 1e-6  # of an interval's width, or of one plus the bound: nearer, a point may belong on the bound
MOST_CURVED = 64  # dimensions up to which a certificate has the Hessian


class Columns(NamedTuple):
    """Which columns of points stand for real numbers, and between which closed bounds.

    Attributes:
        real: Columns of real variables.
        finite: Columns of finite ones.
        lower: The closed lower bound of each real column; minus infinity where there is none.
        upper: The closed upper bound.
        beyond: The open bound of each, infinite where there is none.
    """

    real: Tensor
    finite: Tensor
    lower: Tensor
    upper: Tensor
    beyond: Tensor


class Certified(NamedTuple):
    """Points within the supports, and what is known about each.

    Attributes:
        points: ``[points, dim]``, on a bound where that is as low and the slope leads there.
        energies: ``[points]``.
        gradient_norm: Of the gradient in the real coordinates, without what only presses against a bound.
        smallest_eigenvalue: Of the Hessian in those that are not on a bound; infinite where all are, NaN
            where it was not computed.
        stationary: Whether the point is a minimum to rounding.
        hessian: In the real coordinates, the unit matrix times its largest in those on a bound.
        inside: Whether no coordinate has gone to an open bound, where no minimum can be.
    """

    points: Tensor
    energies: Tensor
    gradient_norm: Tensor
    smallest_eigenvalue: Tensor
    stationary: Tensor
    hessian: Tensor
    inside: Tensor


def columns_of(restriction: Restriction) -> Columns:
    """Sort the columns of a restriction's points."""
    real: list[int] = []
    finite: list[int] = []
    bounds: list[tuple[float, float, float]] = []
    for variable in restriction.variables:
        size, start = math.prod(variable.shape or (1,)), len(real) + len(finite)
        if values_of(variable) is not None:
            finite += range(start, start + size)
            continue
        real += range(start, start + size)
        bounds += [(*_closed_bounds(variable.support), _open_bound(variable.support))] * size
    like = restriction.like
    lower, upper, beyond = like.new_tensor(bounds).reshape(-1, 3).unbind(-1)
    return Columns(
        torch.tensor(real, dtype=torch.long, device=like.device),
        torch.tensor(finite, dtype=torch.long, device=like.device),
        lower,
        upper,
        beyond,
    )


def certify_inside(restriction: Restriction, points: Tensor, *, differentiable: bool) -> Certified:
    """Certify one unconstrained point per row; one next to a closed bound moves onto it where that serves."""
    columns = columns_of(restriction)
    with torch.no_grad():
        inside = restriction.to_support(points[None])[0][0]
        energies = _numbers(restriction.at(inside[None])[0])
    if not len(columns.real) or not differentiable:
        return _without_slope(inside, energies, columns)
    energy = energy_of_reals(restriction, columns, inside)
    where, value, bound = _onto_bounds(energy, inside[:, columns.real], energies, columns)
    inside = inside.index_copy(1, columns.real, where)
    found = _judged(energy, inside, where, value, bound)
    return found._replace(inside=_is_inside(where, columns))


def _closed_bounds(support: constraints.Constraint) -> tuple[float, float]:
    lower, upper = -math.inf, math.inf
    if isinstance(
        support, constraints.interval | constraints.greater_than_eq | constraints.half_open_interval
    ):
        lower = float(support.lower_bound)
    if isinstance(support, constraints.interval):
        upper = float(support.upper_bound)
    return lower, upper


def _open_bound(support: constraints.Constraint) -> float:
    if isinstance(support, constraints.greater_than):
        return float(support.lower_bound)
    if isinstance(support, constraints.less_than | constraints.half_open_interval):
        return float(support.upper_bound)
    return math.inf


def _is_inside(reals: Tensor, columns: Columns) -> Tensor:
    reach = torch.finfo(reals.dtype).eps * (1 + columns.beyond.abs())
    return (((reals - columns.beyond).abs() > reach) | columns.beyond.isinf()).all(-1)


def _numbers(value: Tensor) -> Tensor:
    return torch.where(value.isnan(), torch.inf, value)


def _without_slope(points: Tensor, energies: Tensor, columns: Columns) -> Certified:
    reals, none = len(columns.real), torch.full_like(energies, math.nan)
    norm, held = (none if reals else torch.zeros_like(energies)), energies.isfinite() & (reals == 0)
    flat, inside = points.new_zeros(len(points), reals, reals), _is_inside(points[:, columns.real], columns)
    return Certified(points, energies, norm, none, held, flat, inside)


def energy_of_reals(restriction: Restriction, columns: Columns, inside: Tensor) -> PointEnergy:
    """The energy of real coordinates within the supports, the finite ones held."""

    def energy(reals: Tensor) -> Tensor:
        return restriction.at(inside.index_copy(1, columns.real, reals)[None])[0]

    return energy


def _onto_bounds(
    energy: PointEnergy, reals: Tensor, energies: Tensor, columns: Columns
) -> tuple[Tensor, Tensor, Tensor]:
    """Points with coordinates put on bounds, their energies, and the side: -1 below, 1 above, 0 inside."""
    lower, upper = columns.lower, columns.upper
    bound = torch.zeros_like(reals)
    if not bool((lower.isfinite() | upper.isfinite()).any()):
        return reals, energies, bound
    width = torch.where((upper - lower).isfinite(), upper - lower, 1 + lower.abs())
    _, gradient = slopes(energy, reals)
    bound = torch.where((reals - lower <= NEAR * width) & (gradient >= 0), -1.0, bound)
    bound = torch.where((upper - reals <= NEAR * width) & (gradient <= 0), 1.0, bound)
    put = torch.where(bound < 0, lower, torch.where(bound > 0, upper, reals))
    with torch.no_grad():
        value = _numbers(energy(put))
    slack = 4 * torch.finfo(value.dtype).eps * (1 + energies.abs())
    serves = value <= energies + slack
    bound = torch.where(serves[:, None], bound, 0.0)
    return torch.where(serves[:, None], put, reals), torch.where(serves, value, energies), bound


def _judged(energy: PointEnergy, inside: Tensor, where: Tensor, value: Tensor, bound: Tensor) -> Certified:
    reals, free = where.shape[-1], bound == 0
    none = torch.full_like(value, math.nan)
    if reals > MOST_CURVED:
        _, gradient = slopes(energy, where)
        gradient = _free_part(gradient, bound)
        norm = gradient.norm(dim=-1)
        small = norm**2 <= 0.01 * torch.finfo(value.dtype).eps ** 0.5 * (1 + value.abs())
        flat = value.new_zeros(len(where), 0, 0)
        return Certified(inside, value, norm, none, small, flat, small)
    _, gradient, hessian = curvatures(energy, where)
    gradient = _free_part(gradient, bound)
    both = free[:, :, None] & free[:, None, :]
    stiff = hessian.abs().sum(-1).amax(-1).clamp_min(1.0)
    hessian = torch.where(both, hessian, 0.0) + torch.diag_embed(torch.where(free, 0.0, stiff[:, None]))
    found = judge(value, gradient, hessian)
    smallest = found.smallest_eigenvalue if found.smallest_eigenvalue is not None else none
    smallest = torch.where(free.any(-1), smallest, torch.inf)
    return Certified(
        inside, value, found.gradient_norm, smallest, found.stationary, hessian, found.stationary
    )


def _free_part(gradient: Tensor, bound: Tensor) -> Tensor:
    """The gradient without what presses against a bound: at a lower one a positive slope does."""
    presses = (bound != 0) & (gradient * bound <= 0)
    return torch.where(presses, 0.0, gradient)
