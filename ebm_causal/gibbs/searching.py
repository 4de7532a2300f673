"""The lowest point of each row: where to start, which states to try, block of rows by block of rows."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import constraints

from ebm_causal.energies import regularizers_of
from ebm_causal.errors import ConvergenceError, EnergyError
from ebm_causal.gibbs.restriction import MOST_STATES, Restriction, values_of
from ebm_causal.sampling import PointEnergy, certify, minimize_rows

NEWTON_UP_TO = 32  # dimensions; above, a Hessian costs more than the steps that it saves
SCREENED = 32  # candidates, of which the best becomes a start
PER_POINT = 4  # what a point of a descent weighs in a block at least, against one of a lattice


class Found(NamedTuple):
    """The lowest point of each row, with what certifies it.

    Attributes:
        points: ``[rows, dim]``.
        energies: There, ``[rows]``.
        agreement: The share of starts that ended as low.
        gradient_norm: ``[rows]``.
        smallest_eigenvalue: Of the Hessian, ``[rows]``; NaN where there is none.
        stationary: Whether it is a minimum to rounding.
    """

    points: Tensor
    energies: Tensor
    agreement: Tensor
    gradient_norm: Tensor
    smallest_eigenvalue: Tensor
    stationary: Tensor


def search(
    restriction: Restriction, method: str, starts: int, generator: torch.Generator
) -> tuple[Found, str]:
    """The lowest points, within the supports, and the method that found them.

    What is finite is enumerated, and in each state there is a descent in what is real.

    Raises:
        EnergyError: If there are too many states.
        ConvergenceError: If a row's energy is not finite at any start.
    """
    real = replace(
        restriction, over=tuple(name for name in restriction.over if not _is_finite(restriction, name))
    )
    states, count = _states(restriction)
    begin = draw_starts(real, starts, generator)
    pool = draw_starts(real, SCREENED * ((starts + 1) // 2), generator)
    descent = "lbfgs" if method == "auto" and real.dim > NEWTON_UP_TO else method
    descent = "newton" if descent == "auto" else descent
    weight = max(PER_POINT, real.dim**2 // 4 if descent == "newton" else real.dim)
    found = []
    for block in restriction.blocks(count * (starts * weight if real.dim else 1)):
        held = _hold(block, real.over, states)
        first = _screened(held, begin, pool) if real.dim else begin
        lowest = _descend(held, first, descent, fallback=method == "auto") if real.dim else _evaluate(held)
        found.append(_best_state(block, held, lowest, count))
    whole = Found(*(torch.cat(parts) for parts in zip(*found, strict=True)))
    _check_finite(whole.energies, restriction.over)
    names = (["enumeration"] if count > 1 else []) + ([descent] if real.dim else [])
    return whole, " and ".join(names)


def draw_starts(restriction: Restriction, starts: int, generator: torch.Generator) -> Tensor:
    """Unconstrained starts ``[starts, dim]``: in each coordinate one in each of as many equally likely strata.

    Uniform over an interval, else normal, with the standard deviation of the regularizer where there is one;
    where that is above one, every other start is standard normal.
    """
    shape = (starts, restriction.dim)
    strata = torch.rand(shape, generator=generator, dtype=torch.float64).argsort(0)
    uniform = (strata + torch.rand(shape, generator=generator, dtype=torch.float64)) / starts
    regularizers, columns, start = regularizers_of(restriction.energy), [], 0
    for name, variable in zip(restriction.over, restriction.variables, strict=True):
        size = math.prod(variable.shape or (1,))
        part = uniform[:, start : start + size].clamp(1e-9, 1 - 1e-9)
        start += size
        if isinstance(variable.support, constraints.interval):
            columns.append(part.logit())
            continue
        known = regularizers.get(name)
        scale = torch.full_like(part, 1.0 if known is None else known.standard_deviation(1.0))
        scale[1::2].clamp_(max=1.0)
        columns.append(scale * torch.special.ndtri(part))
    return torch.cat(columns, -1).to(restriction.like) if columns else restriction.like.new_zeros(shape)


def _is_finite(restriction: Restriction, name: str) -> bool:
    return values_of(restriction.energy.variables[name]) is not None


def _states(restriction: Restriction) -> tuple[Mapping[str, Tensor], int]:
    """All states of the finite variables, ``[states, *shape]`` by name, and how many there are (one if none)."""
    names = [name for name in restriction.over if _is_finite(restriction, name)]
    shapes = {name: restriction.energy.variables[name].shape or (1,) for name in names}
    axes = [
        values_of(restriction.energy.variables[n]) or () for n in names for _ in range(math.prod(shapes[n]))
    ]
    count = math.prod(len(axis) for axis in axes)
    if count > MOST_STATES:
        raise EnergyError(f"{names} have {count} states: too many to enumerate (at most {MOST_STATES}).")
    table = restriction.like.new_tensor(list(itertools.product(*axes)))
    sizes = [math.prod(shape) for shape in shapes.values()]
    parts = table.split(sizes, -1) if names else []
    return {n: part.reshape(count, *shapes[n]) for n, part in zip(names, parts, strict=True)}, count


def _hold(block: Restriction, over: tuple[str, ...], states: Mapping[str, Tensor]) -> Restriction:
    """The block once for each state, state after state, with the states given."""
    count = len(next(iter(states.values()), ())) or 1
    given = {
        name: value if len(value) == 1 or count == 1 else value.repeat(count, *([1] * (value.ndim - 1)))
        for name, value in block.given.items()
    }
    given |= {name: value.repeat_interleave(block.rows, 0) for name, value in states.items()}
    return replace(block, over=over, given=given, rows=count * block.rows)


def _select(held: Restriction, rows: Tensor) -> PointEnergy:
    """The energy of one unconstrained point in each of some rows."""
    given = {k: (v if len(v) == 1 else v[rows]).detach() for k, v in held.given.items()}
    part = replace(held, given=given, rows=len(rows))
    return lambda points: part.at(part.to_support(points[None])[0])[0]


def _evaluate(held: Restriction) -> Found:
    """States without a descent."""
    with torch.no_grad():
        energies = held.at(held.like.new_zeros(1, held.rows, 0))[0]
    energies = torch.where(energies.isnan(), math.inf, energies)
    none, zero = torch.full_like(energies, math.nan), torch.zeros_like(energies)
    return Found(
        energies.new_zeros(held.rows, 0), energies, torch.ones_like(zero), zero, none, energies.isfinite()
    )


def _screened(held: Restriction, begin: Tensor, pool: Tensor) -> Tensor:
    """Starts ``[starts, rows, dim]``: half of them as drawn, half each the best of 32 others for its row."""
    with torch.no_grad():
        energies = held.at(held.to_support(pool[:, None])[0])
    groups = torch.where(energies.isnan(), math.inf, energies).reshape(SCREENED, -1, held.rows)
    best = groups.argmin(0)
    chosen = pool.reshape(SCREENED, -1, pool.shape[-1])[
        best, torch.arange(len(best), device=best.device)[:, None]
    ]
    return torch.cat([chosen, begin[len(best) :, None].expand(-1, held.rows, -1)])


def _descend(held: Restriction, begin: Tensor, method: str, *, fallback: bool) -> Found:
    """The lowest end of the descents of each row; those of Newton's that do not arrive go on by L-BFGS."""
    rows = torch.arange(held.rows, device=begin.device)
    found, ends = _lowest_end(held, rows, begin, method)
    late = ~found.stationary & found.energies.isfinite()
    if fallback and method == "newton" and bool(late.any()):
        again, _ = _lowest_end(held, rows[late], ends[:, late], "lbfgs")
        for old, new in zip(found, again, strict=True):
            old[late] = new
    return found


def _lowest_end(held: Restriction, rows: Tensor, begin: Tensor, method: str) -> tuple[Found, Tensor]:
    minima = minimize_rows(lambda chosen: _select(held, rows[chosen]), begin, method=method)
    energies, best = minima.energies.min(0)
    points = minima.points[best, torch.arange(len(rows), device=best.device)]
    near = torch.finfo(begin.dtype).eps ** 0.4 * (1 + energies.abs())
    agreement = (minima.energies <= energies + near).to(begin.dtype).mean(0)
    norm, smallest, stationary = certify(_select(held, rows), points)
    smallest = torch.full_like(norm, math.nan) if smallest is None else smallest
    return Found(points, energies, agreement, norm, smallest, stationary), minima.points


def _best_state(block: Restriction, held: Restriction, lowest: Found, count: int) -> Found:
    """The best of the states of each row, its point within the supports and in the order of ``over``."""
    best = lowest.energies.reshape(count, block.rows).argmin(0)
    index = best * block.rows + torch.arange(block.rows, device=best.device)
    chosen = Found(*(part[index] for part in lowest))
    inside = held.split(held.to_support(chosen.points[None])[0]) if held.over else {}
    parts = [
        inside[name][0]
        if name in inside
        else held.given[name].expand(held.rows, *held.given[name].shape[1:])[index]
        for name in block.over
    ]
    return chosen._replace(points=torch.cat([part.flatten(1) for part in parts], -1))


def _check_finite(energies: Tensor, over: tuple[str, ...]) -> None:
    bad = (~energies.isfinite()).nonzero().flatten().tolist()
    if bad:
        raise ConvergenceError(
            f"the energy is not finite at any start over {list(over)} in {len(bad)} rows, the first of them {bad[:5]}: "
            "take more starts, or state the variables' supports."
        )
