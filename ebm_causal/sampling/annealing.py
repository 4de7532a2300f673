r"""Annealed importance sampling with resampling, there and back: the log integral of a density of any dimension.

A pilot finds the rungs of a path from a base to the target, by steps that hold the effective size, and what moves
serve at each. Then a population is carried along it, and moves at each rung until it has forgotten where it was,
and is carried back. The way there is low where it misses mass, the way back is high if it starts from the
target's own draws: where they disagree, or the population still widens at its target, neither can be trusted.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.errors import ConvergenceError
from ebm_causal.sampling.ladders import next_beta
from ebm_causal.sampling.paths import WALL, Path, Population
from ebm_causal.sampling.settling import Plan, explore, go_on, settle

ISLANDS = 8  # populations that are resampled apart, so that their spread is an honest error
SHARE = 0.97  # of the effective size that a step along the path keeps
EFFORT = 2500  # rounds of moves on either way, times the dimension; dealt evenly to the rungs
FEWEST_ROUNDS, MOST_ROUNDS = 1, 12
PILOT = 4  # the pilot has so many times fewer particles
EXPLORED = 3  # every so many rungs the pilot tries all kinds of moves, between them those that served last
RESAMPLED = 0.9  # the effective share below which an island is resampled
LAST = 3  # times as many at the target, from where the way back begins
RUNAWAY = 1e-8  # of the way left: a target that needs more rungs still is endlessly wide, and is given up
TINY = 1e-300

Report = Callable[[float], None]


class Annealed(NamedTuple):
    """The log integral, found on the way there and on the way back.

    Attributes:
        forward: ``[rows]``.
        backward: ``[rows]``.
        forward_error: Standard errors, from the spread between islands, ``[rows]``.
        backward_error: ``[rows]``.
        population: At the target, ``[particles, rows, dim]``.
        spreading: By how much the population still grew at the target, as a ratio of standard deviations, ``[rows]``.
        rungs: How many steps the path took.
    """

    forward: Tensor
    backward: Tensor
    forward_error: Tensor
    backward_error: Tensor
    population: Tensor
    spreading: Tensor
    rungs: int


def anneal(
    path: Path, rows: int, generator: torch.Generator, *, particles: int = 1024, report: Report | None = None
) -> Annealed:
    r"""Carry a population from the path's base to its target and back.

    .. math:: \hat Z = Z_0 \prod_k \frac1N \sum_i e^{-(s_{k+1} - s_k)(u(z_i) - u_0(z_i))}

    Unbiased for Z (not for its log), since the rungs come from a pilot. The error of the log is that of the
    variation between eight islands.

    Args:
        path: From a base to the target.
        rows: How many rows the target has.
        generator: Drives all randomness.
        particles: How many, in all islands together; a multiple of 16.
        report: Told the share of the work done, now and then.

    References:
        Del Moral, Doucet and Jasra (2006), Sequential Monte Carlo samplers; Neal (2001), Annealed importance
        sampling; Grosse, Ghahramani and Adams (2015), Sandwiching the marginal likelihood using
        bidirectional Monte Carlo.
    """
    tell = report or (lambda _: None)
    plans = _pilot(path, rows, generator, particles // PILOT)
    tell(0.1)
    rounds = min(max(EFFORT // (len(path.choices) * len(plans)), FEWEST_ROUNDS), MOST_ROUNDS)
    start = path.draw(particles, rows, generator)
    there = _climb(start, path, plans, generator, rounds=rounds, tell=lambda share: tell(0.1 + 0.45 * share))
    target = there.carried.population
    back = _descend(
        target, path, plans, generator, rounds=rounds, tell=lambda share: tell(0.55 + 0.45 * share)
    )
    (forward, forward_error), (backward, backward_error) = map(
        _combine, (there.carried.total(), back.total())
    )
    return Annealed(
        path.log_volume + forward, path.log_volume - backward, forward_error, backward_error,
        target.points, there.spreading, len(plans),
    )  # fmt: skip


class _Climbed(NamedTuple):
    carried: "_Carried"
    spreading: Tensor  # [rows]


class _Carried(NamedTuple):
    population: Population
    log_weights: Tensor  # [particles, rows], since the last resampling
    gained: Tensor  # [islands, rows], the log mean weights until then

    def total(self) -> Tensor:
        """The log mean weights of all the way, ``[islands, rows]``."""
        count, rows = self.log_weights.shape
        islands = self.log_weights.reshape(ISLANDS, count // ISLANDS, rows)
        return self.gained + islands.logsumexp(1) - math.log(islands.shape[1])


def _climb(
    start: Population, path: Path, plans: list[Plan], generator: torch.Generator, *, rounds: int, tell: Report
) -> _Climbed:
    """From the base to the target."""
    carried, share, before = _begin(start), plans[0].share * 0, start.points.std(0)
    for place, plan in enumerate(plans):
        last = place == len(plans) - 1
        carried = _step(carried, plan.share - share, generator, least=1.0 if last else RESAMPLED)
        share, before = plan.share, carried.population.points.std(0)
        longer = rounds * (LAST if last else 1)
        moved = settle(carried.population, path, plan, generator, rounds=longer, turn=place)
        carried = carried._replace(population=moved)
        tell((place + 1) / len(plans))
    spreading = (carried.population.points.std(0) / before.clamp_min(TINY)).amax(-1)
    return _Climbed(carried, spreading)


def _descend(
    start: Population, path: Path, plans: list[Plan], generator: torch.Generator, *, rounds: int, tell: Report
) -> _Carried:
    """From the target to the base."""
    carried = _begin(start)
    for place in range(len(plans) - 1, -1, -1):
        lower = plans[place - 1].share if place else plans[0].share * 0
        carried = _step(carried, lower - plans[place].share, generator)
        if place:
            moved = settle(carried.population, path, plans[place - 1], generator, rounds=rounds, turn=place)
            carried = carried._replace(population=moved)
        tell((len(plans) - place) / len(plans))
    return carried


def _begin(population: Population) -> _Carried:
    zero = torch.zeros_like(population.target)
    return _Carried(population, zero, zero.new_zeros(ISLANDS, zero.shape[1]))


def _pilot(path: Path, rows: int, generator: torch.Generator, particles: int) -> list[Plan]:
    """Find the rungs, the step sizes and the moves that serve at each."""
    carried, plans = _begin(path.draw(particles, rows, generator)), list[Plan]()
    share = carried.population.target.new_zeros(rows)
    log_step = torch.zeros_like(share)
    while bool((share < 1).any()):
        new = next_beta(_gaps(carried.population), share, share=SHARE, log_weights=carried.log_weights)
        new = torch.where(share > 1 - RUNAWAY, 1.0, new)
        carried, share = _step(carried, new - share, generator), new
        if len(plans) % EXPLORED == 0:
            moved, plan = explore(carried.population, path, share, log_step, generator)
        else:
            last = plans[-1]._replace(share=share)
            moved, plan = go_on(carried.population, path, last, generator, turn=len(plans))
        carried, log_step = carried._replace(population=moved), plan.pace.log_step
        plans.append(plan)
    return plans


def _gaps(population: Population) -> Tensor:
    """Target over base; where the target is a wall, the largest of the others, which the ladder has not to mind.

    Raises:
        ConvergenceError: If in some row no particle has a finite energy.
    """
    gap, walled = population.target - population.base, population.target >= WALL
    if bool(walled.all(0).any()):
        rows = walled.all(0).nonzero().flatten().tolist()
        raise ConvergenceError(
            f"no particle of a population has a finite energy in {len(rows)} rows, the first of them {rows[:5]}: "
            "state the variables' supports, or scale them so that a standard normal reaches the density."
        )
    return torch.where(walled, torch.where(walled, -torch.inf, gap).amax(0), gap)


def _step(
    carried: _Carried, change: Tensor, generator: torch.Generator, *, least: float = RESAMPLED
) -> _Carried:
    """Go on by a share of the path: reweigh, and resample the islands whose effective share is below the least."""
    population = carried.population
    log_weights = carried.log_weights - change * (population.target - population.base)
    count, rows = log_weights.shape
    islands = log_weights.reshape(ISLANDS, count // ISLANDS, rows)
    weights = torch.softmax(islands, 1)
    poor = 1 / (weights**2).sum(1) < least * islands.shape[1]
    index = torch.where(poor[:, None], _systematic(weights, generator), _themselves(islands))
    gained = torch.where(poor, islands.logsumexp(1) - math.log(islands.shape[1]), 0.0)
    kept = torch.where(poor[:, None], 0.0, islands).reshape(count, rows)
    return _Carried(population.take(index.reshape(count, rows)), kept, carried.gained + gained)


def _systematic(weights: Tensor, generator: torch.Generator) -> Tensor:
    """Places drawn by weight within each island, ``[islands, particles, rows]``, counted through all islands."""
    count, rows = weights.shape[1:]
    cumulative = weights.cumsum(1).transpose(1, 2).contiguous()
    offset = torch.rand((ISLANDS, rows, 1), generator=generator, dtype=weights.dtype)
    places = ((torch.arange(count) + offset) / count).to(cumulative)
    index = torch.searchsorted(cumulative, (places * cumulative[..., -1:]).contiguous()).clamp_max(count - 1)
    return index.transpose(1, 2) + _first(weights)


def _themselves(islands: Tensor) -> Tensor:
    return torch.arange(islands.shape[1], device=islands.device)[:, None] + _first(islands)


def _first(islands: Tensor) -> Tensor:
    """The place of each island's first particle, ``[islands, 1, 1]``."""
    return (torch.arange(len(islands), device=islands.device) * islands.shape[1])[:, None, None]


def _combine(islands: Tensor) -> tuple[Tensor, Tensor]:
    """The log of the islands' mean, and its standard error from their spread."""
    value = islands.logsumexp(0) - math.log(len(islands))
    return value, (islands - value).exp().std(0) / math.sqrt(len(islands))
