"""How a population forgets where it was: by rounds of whichever moves carry its slowest coordinate farthest."""

from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.moves import (
    Pace,
    move_along_differences,
    move_along_gradient,
    move_among_values,
    move_to_marginals,
)
from ebm_causal.sampling.paths import Path, Population

TRAJECTORIES = 2  # in a round of moves along the gradient
TRIALS = (4, 16)  # in a round of moves without a gradient: as many as there are dimensions, within these
KINDS = ("gradient", "differences", "marginals")
TARGET = 0.75  # acceptance
FORGOTTEN = 0.5  # the correlation with where a population was, below which it has moved enough
OTHERS = 2  # every so many rounds, one of the other kinds


class Plan(NamedTuple):
    """What a pilot has learned of a rung.

    Attributes:
        share: How much of the path is gone, ``[rows]``.
        pace: Of moves along the gradient.
        best: The kind of moves that carries the slowest coordinate farthest.
    """

    share: Tensor
    pace: Pace
    best: str


def explore(
    population: Population, path: Path, share: Tensor, log_step: Tensor, generator: torch.Generator
) -> tuple[Population, Plan]:
    """A round of each kind, and which of them carries the slowest coordinate farthest."""
    pace, reached = Pace(log_step, population.points.std(0)), {}
    for kind in KINDS:
        start = population.points
        population, pace = play(population, path, Plan(share, pace, kind), generator)
        reached[kind] = float(_mobility(start, population.points, path.continuous))
    return population, Plan(share, pace, max(reached, key=reached.__getitem__))


def go_on(
    population: Population, path: Path, plan: Plan, generator: torch.Generator, *, turn: int
) -> tuple[Population, Plan]:
    """A round of the moves that an earlier rung has chosen, at the widths of this one."""
    plan = plan._replace(pace=plan.pace._replace(scale=population.points.std(0)))
    moved, pace = play(population, path, plan._replace(best=_kind_of(plan, turn)), generator)
    return moved, plan._replace(pace=pace)


def settle(
    population: Population, path: Path, plan: Plan, generator: torch.Generator, *, rounds: int, turn: int = 0
) -> Population:
    """Move a population until it has forgotten where it was, or the rounds are over."""
    start = population.points
    for done in range(rounds):
        population, _ = play(population, path, plan._replace(best=_kind_of(plan, turn + done)), generator)
        if float(_correlation(start, population.points)) < FORGOTTEN:
            break
    return population


def play(
    population: Population, path: Path, plan: Plan, generator: torch.Generator
) -> tuple[Population, Pace]:
    """One round of moves; also the pace, its step sizes adapted."""
    pace, continuous = plan.pace, bool(path.continuous.any())
    if not bool(path.continuous.all()):
        for _ in path.choices:
            population = move_among_values(population, path, plan.share, generator)
    trials = min(max(len(path.choices), TRIALS[0]), TRIALS[1])
    for _ in range(trials if continuous and plan.best != "gradient" else 0):
        move = move_along_differences if plan.best == "differences" else move_to_marginals
        population = move(population, path, plan.share, generator)
    for _ in range(TRAJECTORIES if continuous and plan.best == "gradient" else 0):
        population, acceptance = move_along_gradient(population, path, plan.share, pace, generator)
        pace = pace._replace(log_step=pace.log_step + 0.3 * (acceptance - TARGET))
    return population, pace


def _kind_of(plan: Plan, turn: int) -> str:
    """The best kind every other turn, the others in between."""
    others = [kind for kind in KINDS if kind != plan.best]
    return plan.best if turn % OTHERS == 0 else others[turn // OTHERS % len(others)]


def _mobility(before: Tensor, after: Tensor, continuous: Tensor) -> Tensor:
    """The mean squared jump in standard deviations, of the coordinate that jumps least; over rows, the median."""
    jump = ((after - before) ** 2).mean(0) / before.var(0).clamp_min(1e-300)
    return torch.where(continuous > 0, jump, torch.inf).amin(-1).median()


def _correlation(before: Tensor, after: Tensor) -> Tensor:
    """The largest over rows and coordinates of the correlation over particles."""
    first, second = before - before.mean(0), after - after.mean(0)
    spread = first.norm(dim=0) * second.norm(dim=0)
    return torch.where(spread > 0, (first * second).sum(0).abs() / spread, 0.0).max()
