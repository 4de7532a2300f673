"""The lowest point of each row: where to start, which states to try, block of rows by block of rows."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.errors import ConvergenceError, EnergyError
from ebm_causal.gibbs.modes import NEWTON_UP_TO, Modes, find_modes, only_rows
from ebm_causal.gibbs.restriction import MOST_STATES, Restriction, values_of
from ebm_causal.gibbs.starting import screen, screened_starts
from ebm_causal.sampling import PointEnergy, certify, minimize_rows

PER_POINT = 4  # what a point of a descent weighs in a block at least, against one of a lattice


__all__ = ["Found", "Modes", "find_modes", "search"]


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
    begin, pool = screened_starts(real, starts, generator)
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
    part = only_rows(held, rows)
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
    return screen(lambda points: held.at(held.to_support(points)[0]), begin, pool, held.rows)


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
