"""Which method serves which row: each row goes from one to the next until one passes its own check."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.gibbs import Modes, Restriction, count_states, numbered_blocks, values_of
from ebm_causal.inference.around_modes import around_modes, beginning, modes_of, rows_of
from ebm_causal.inference.attempts import Attempt, Counts, joined, of_chains
from ebm_causal.inference.exactly import enumerable, from_lattice
from ebm_causal.sampling import (
    RAN_AWAY,
    REASONS,
    Goal,
    RowEnergy,
    Tell,
    part_of,
    run_rows,
    run_sweeps,
    run_tempered,
    silent,
)

Method = Literal[
    "auto", "lattice", "importance", "hmc", "mala", "langevin", "tempering", "enumeration", "gibbs"
]
LATTICE_UP_TO = 3
BLOCK = 200_000  # of numbered_blocks
Progress = Callable[[float, str], None]
CHAINS_AT_ONCE = 16_384  # rows times chains, so that a step stays in cache


def draw(
    restriction: Restriction,
    method: Method,
    counts: Counts,
    generator: torch.Generator,
    progress: Progress | None = None,
) -> tuple[Attempt, list[tuple[str, ...]]]:
    """Draws of every row, and which methods had failed each row before the one that served.

    Raises:
        ArgumentError: If the method does not serve the variables.
        EnergyError: If no method does.
        ConvergenceError: If a row has no finite energy anywhere.
    """
    chain = methods_for(restriction, method)
    every = torch.arange(restriction.rows, device=restriction.like.device)
    tell = _stage(progress, chain[0], (restriction.rows, restriction.rows), (0, len(chain)))
    found = _try(_Part(restriction, every, None, tell), chain[0], counts, generator)
    before: list[tuple[str, ...]] = [()] * restriction.rows
    modes: Modes | None = None
    for place, name in enumerate(chain[1:], 1):
        left = found.failed_but(REASONS[RAN_AWAY]).to(restriction.like.device)
        if len(left) == 0:
            break
        rest = restriction.select(left)
        if modes is None:
            modes, numbered = modes_of(rest, generator), left
        known = rows_of(modes, torch.isin(numbered, left).nonzero().flatten())
        tell = _stage(progress, name, (len(left), restriction.rows), (place, len(chain)))
        part = _try(_Part(rest, left, known, tell), name, counts, generator)
        for row in left.tolist():
            before[row] = (*before[row], found.methods[row])
        found = found.put(left, part)
    if progress is not None:
        progress(1.0, "drawn")
    return found, before


def _stage(
    progress: Progress | None, method: Method, rows: tuple[int, int], methods: tuple[int, int]
) -> Tell:
    """What a method tells: rows that are served are done, the others by the share of the methods to try."""
    if progress is None:
        return silent
    (left, every), (place, most) = rows, methods
    text = f"{method}, {left} of {every} rows"
    start, size = 1 - left / every * (1 - place / most), left / every / most
    return lambda share: progress(start + size * share, text)


class _Part(NamedTuple):
    """Some rows, their numbers among all, their modes where they are known, and who is told how far they are."""

    restriction: Restriction
    rows: Tensor
    modes: Modes | None
    tell: Tell


def methods_for(restriction: Restriction, method: Method) -> list[Method]:
    """The methods to try, in order.

    Raises:
        ArgumentError: If the method that was asked for does not serve the variables.
    """
    if method not in get_args(Method):
        raise ArgumentError(f"method must be one of {list(get_args(Method))}; got {method!r}.")
    chain = _all_methods(restriction)
    served = {"enumeration", "gibbs"} if restriction.finite else {*chain, "importance", "hmc", "mala"}
    if not restriction.finite and count_states(restriction) == 1:
        served |= {"langevin", "tempering"}
    if count_states(restriction) > 1 and not restriction.finite:
        served = {"lattice"}
    if method != "auto" and method not in served:
        names = ", ".join(repr(name) for name in [*sorted(served), "auto"])
        raise ArgumentError(
            f"method={method!r} does not serve {list(restriction.over)} (dimension {restriction.dim}); use one of "
            f"{names}."
        )
    return chain if method == "auto" else [method]


def _all_methods(restriction: Restriction) -> list[Method]:
    if restriction.finite:
        return ["enumeration"] if enumerable(restriction) else ["gibbs"]
    if count_states(restriction) > 1:
        return ["lattice"]
    rest: list[Method] = ["importance", "hmc", "tempering"]
    return ["lattice", *rest] if restriction.dim <= LATTICE_UP_TO else rest


def _try(part: _Part, method: Method, counts: Counts, generator: torch.Generator) -> Attempt:
    restriction, _, modes, tell = part
    if method in ("lattice", "enumeration"):
        return from_lattice(restriction, counts, generator, tell)
    if method == "gibbs":
        return _swept(restriction, counts, generator, tell)
    if method in ("importance", "tempering") or restriction.dim > LATTICE_UP_TO:
        modes = modes_of(restriction, generator) if modes is None else modes
    if method == "importance" and modes is not None:
        return around_modes(restriction, modes, counts, generator, tell)
    parts = []
    for start, block in numbered_blocks(restriction, -(-BLOCK * counts.chains // CHAINS_AT_ONCE)):
        rows = torch.arange(start, start + block.rows, device=restriction.like.device)
        known = None if modes is None else rows_of(modes, rows)
        told = part_of(tell, start / restriction.rows, block.rows / restriction.rows)
        parts.append(_by_chains(_Part(block, part.rows[rows], known, told), method, counts, generator))
    return joined(parts)


def _by_chains(part: _Part, method: Method, counts: Counts, generator: torch.Generator) -> Attempt:
    block, rows, modes, tell = part
    begin = beginning(block, modes, generator)
    _refuse_nowhere_finite(block, rows[~begin.finite])

    def select(index: Tensor) -> RowEnergy:
        return _without_wells(block if len(index) == block.rows else block.select(index))

    goal = Goal(chains=counts.chains, draws=counts.draws, enough=counts.enough)
    if method == "tempering":
        return of_chains(method, run_tempered(select, begin.wide, goal, generator, tell=tell), block)
    if method == "mala" or method == "langevin":
        goal = replace(goal, kernel=method)
    found = run_rows(select, begin.points, begin.metric, goal, generator, tell=tell)
    return of_chains(method, found, block)


def _without_wells(part: Restriction) -> RowEnergy:
    """The energy, where minus infinity is no more to be entered than NaN."""

    def energy(points: Tensor) -> Tensor:
        value = part(points)
        return torch.where(value == -math.inf, math.nan, value)

    return energy


def _swept(restriction: Restriction, counts: Counts, generator: torch.Generator, tell: Tell) -> Attempt:
    choices = []
    for variable in restriction.variables:
        values = restriction.like.new_tensor(values_of(variable))
        choices += [values] * math.prod(variable.shape or (1,))
    parts = []
    for first, block in numbered_blocks(restriction, 100 * counts.chains):
        told = part_of(tell, first / restriction.rows, block.rows / restriction.rows)
        start = torch.stack(
            [
                values[torch.randint(len(values), (counts.chains, block.rows), generator=generator)]
                for values in choices
            ],
            -1,
        )
        goal = Goal(chains=counts.chains, draws=counts.draws, enough=counts.enough)

        def select(rows: Tensor, block: Restriction = block):
            return block.select(rows).at

        found = run_sweeps(select, start, choices, goal, generator, tell=told)
        parts.append(of_chains("gibbs", found, block))
    return joined(parts)


def _refuse_nowhere_finite(block: Restriction, rows: Tensor) -> None:
    if len(rows):
        raise ConvergenceError(
            f"the energy over {list(block.over)} is infinite or NaN wherever it was evaluated in rows "
            f"{rows[:5].tolist()}: no chain can begin there. Mend the energy, or scale its variables."
        )
