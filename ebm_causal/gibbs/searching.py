"""The search for the lowest points of each row: by what method, and block of rows by block of rows."""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ebm_causal.errors import ConvergenceError
from ebm_causal.gibbs.certificates import columns_of
from ebm_causal.gibbs.choosing import Found, choose
from ebm_causal.gibbs.descending import Ends, Plan, Report, descend, has_slopes
from ebm_causal.gibbs.judging import check_energy
from ebm_causal.gibbs.modes import NEWTON_UP_TO, Modes, find_modes
from ebm_causal.gibbs.restriction import MOST_STATES, Restriction, values_of
from ebm_causal.gibbs.starting import screen, screened_starts
from ebm_causal.gibbs.states import count_of, count_states, hold, joined, states_of

__all__ = ["Found", "Modes", "find_modes", "search"]

PER_POINT = 4  # what a point of a descent weighs in a block at least, against one of a lattice


def search(
    restriction: Restriction,
    method: str,
    starts: int,
    generator: torch.Generator,
    *,
    most: int = 1,
    schedule: Tensor | None = None,
    report: Report | None = None,
) -> tuple[Found, str]:
    """The lowest points, within the supports, and the method that found them.

    Finite variables are enumerated, with a descent in what is real in each state, unless the method is one
    by values, which takes all variables together.

    Raises:
        EnergyError: If there are too many states, the energy is NaN at some places and a number at others, or it
            mixes rows.
        ConvergenceError: If a row's energy is not finite at any start.
    """
    check_energy(restriction)
    count, real = count_states(restriction), _real(restriction)
    crowded = count > 1 and count * (starts if real else 1) > MOST_STATES
    together = method in ("coordinate", "annealing") or (method == "auto" and crowded)
    states = {} if together else states_of(restriction, count)
    searched = restriction if together else replace(restriction, over=real)
    begin, pool = screened_starts(searched, starts, generator)
    smooth = _is_smooth(restriction, searched, begin, states)
    plan = Plan(
        method=_decide(method, searched.dim, crowded=crowded, smooth=smooth), starts=starts,
        differentiable=smooth, fallback=method == "auto", every=most > 1, schedule=schedule,
    )  # fmt: skip
    size = max(PER_POINT, searched.dim**2 // 4 if plan.method == "newton" else searched.dim)
    blocks = list(restriction.blocks(count_of(states) * (starts * size if searched.dim else 1)))
    found, late = [], 0
    for done, block in enumerate(blocks):
        held, told = hold(block, searched.over, states), _within(report, done, len(blocks))
        ends, behind = _search_block(held, begin, pool, replace(plan, report=told), generator)
        found.append(choose(block, joined(block, ends, states), plan, most=most, per_state=not together))
        late += behind
    whole = Found(*(torch.cat(parts, 1) for parts in zip(*found, strict=True)))
    _check_finite(whole.energies[0], restriction.over)
    return whole, _named(plan, late, enumerated=bool(states), descended=searched.dim > 0)


def _real(restriction: Restriction) -> tuple[str, ...]:
    named = zip(restriction.over, restriction.variables, strict=True)
    return tuple(name for name, variable in named if values_of(variable) is None)


def _is_smooth(
    restriction: Restriction, searched: Restriction, begin: Tensor, states: Mapping[str, Tensor]
) -> bool:
    if not columns_of(searched).real.numel():
        return True
    held = hold(restriction, searched.over, {name: value[:1] for name, value in states.items()})
    return has_slopes(held, begin[:, None].expand(-1, held.rows, -1))


def _decide(method: str, dim: int, *, crowded: bool, smooth: bool) -> str:
    """What serves: annealing where there are too many states, else slopes where there are any."""
    if method not in ("auto", "enumeration"):
        return method
    if crowded:
        return "annealing"
    if not smooth:
        return "coordinate"
    return "newton" if dim <= NEWTON_UP_TO else "lbfgs"


def _within(report: Report | None, done: int, of: int) -> Report | None:
    """Reports of one block of rows as shares of all."""
    return None if report is None else lambda share, what: report((done + share) / of, what)


def _named(plan: Plan, late: int, *, enumerated: bool, descended: bool) -> str:
    names = (["enumeration"] if enumerated else []) + ([plan.method] if descended else [])
    name = " and ".join(names)
    if plan.fallback and plan.method == "coordinate":
        return f"{name}, as the energy has no gradient"
    if descended and plan.method in ("annealing", "cmaes"):
        return f"{name}, then coordinate"
    return f"{name}, then others in {late} rows" if late else name


def _search_block(
    held: Restriction, begin: Tensor, pool: Tensor, plan: Plan, generator: torch.Generator
) -> tuple[Ends, int]:
    if held.dim:
        first = screen(lambda points: held.at(held.to_support(points)[0]), begin, pool, held.rows)
        return descend(held, first, plan, generator)
    with torch.no_grad():
        energies = held.at(held.like.new_zeros(1, held.rows, 0))
    energies = torch.where(energies.isnan(), math.inf, energies)
    return Ends(energies.new_zeros(1, held.rows, 0), energies, energies.isfinite()), 0


def _check_finite(energies: Tensor, over: tuple[str, ...]) -> None:
    endless = (energies == -math.inf).nonzero().flatten().tolist()
    if endless:
        raise ConvergenceError(
            f"the energy falls to minus infinity over {list(over)} in {len(endless)} rows, the first of them "
            f"{endless[:5]}: there is no minimum. Add a regularizer, or state the variables' supports."
        )
    bad = (~energies.isfinite()).nonzero().flatten().tolist()
    if bad:
        raise ConvergenceError(
            f"the energy is not finite at any start over {list(over)} in {len(bad)} rows, the first of them {bad[:5]}: "
            "take more starts, or state the variables' supports."
        )
