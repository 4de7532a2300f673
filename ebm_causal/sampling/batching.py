r"""Chains of many rows in one batch, each row with a step size and a metric of its own; rows that are done leave."""

from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.lattice import RowEnergy
from ebm_causal.sampling.telling import Tell, round_of, silent
from ebm_causal.sampling.tracing import LENGTH, MOST_LEAPS, Trace
from ebm_causal.sampling.tuning import Metric, metric_of
from ebm_causal.sampling.verdicts import DIVERGED, Goal, RowChains, Select, judge_chains

TARGETS = {
    "hmc": 0.8,
    "mala": 0.574,
    "langevin": 0.95,
}  # acceptances; the last of MALA at Langevin's step size
WINDOWS: tuple[int, ...] = (
    15,
    25,
    40,
)  # iterations of the warm-up, after each of which the metric is found anew
AGAIN = (25,)  # those of rows that go on, which know their metric
SETTLING = 20  # iterations for the step size alone
BOLD = 0.45  # a step size to try where the one that has settled makes trajectories short
WORTH, LEAST = 0.3, 0.1  # mean acceptance, and that of the worst chain, at which it is kept
ROUNDS = 4  # each with twice the draws of the last
POINTS = 4096  # in a batch, below which a step costs the same: few rows have more chains, that are shorter
FEWEST = 16  # iterations, below which nothing can be said of them
MOST_SPLIT, SHORTEST = 16, 60  # chains in the place of one, and how many draws each has at least


def run_rows(
    select: Select,
    start: Tensor,
    metric: Metric,
    goal: Goal,
    generator: torch.Generator,
    *,
    tell: Tell = silent,
) -> RowChains:
    """Run chains of every row until each has enough effective draws and its chains agree, or the rounds are over.

    A row that is not done begins anew with what it has learned, for twice as long, and of its draws every
    other is kept, every fourth, and so on. Where rows are few, several shorter chains stand for each.

    Args:
        select: The energy of some rows, by their numbers.
        start: Where chains may begin, ``[starts, rows, dim]``, with finite energies.
        metric: What is known of the scale of each row.
        goal: When a row is done.
        generator: Drives all randomness.
        tell: Told the share done.

    Returns:
        The draws.
    """
    left = torch.arange(start.shape[1], device=start.device)
    energy = select(left)
    rows, windows = len(left), WINDOWS
    target = start.new_full(start.shape[1:2], TARGETS[goal.kernel])
    whole: RowChains | None = None
    for turn in range(ROUNDS):
        wanted = goal.draws * 2**turn
        split = max(1, min(POINTS // (len(left) * goal.chains), MOST_SPLIT, wanted // SHORTEST))
        begin = _spread(start, goal.chains * split, generator)
        told = round_of(tell, (len(left), rows), (turn, ROUNDS))
        plan = _Plan(goal, max(FEWEST, -(-wanted // split)), windows, target, told)
        found, metric, start = _round(energy, begin, metric, plan, generator)
        whole = found if whole is None else whole.put(left, found)
        stay = found.unfinished if turn else found.doubted  # at first, a scale may only not be found yet
        if len(stay) == 0:
            break
        target = torch.where(found.reason == DIVERGED, 1 - (1 - target) / 3, target)[stay]
        left, metric, start, windows = left[stay], metric.rows(stay), start[:, stay], AGAIN
        energy = select(left)
    assert whole is not None  # noqa: S101 -- there is a first round
    return whole


class _Plan(NamedTuple):
    goal: Goal
    iterations: int
    windows: tuple[int, ...]
    target: Tensor
    tell: Tell


def _spread(start: Tensor, chains: int, generator: torch.Generator) -> Tensor:
    """As many starts as there are chains, each as often as the others."""
    order = torch.randperm(len(start), generator=generator)
    return start[order.repeat(-(-chains // len(start)))[:chains].to(start.device)]


def _round(
    energy: RowEnergy,
    start: Tensor,
    metric: Metric,
    plan: _Plan,
    generator: torch.Generator,
) -> tuple[RowChains, Metric, Tensor]:
    """One warm-up and its draws; also the metric of the draws, and places to begin from."""
    goal, iterations, windows, target, tell = plan
    every = sum(windows) + SETTLING + iterations
    warm = "mala" if goal.kernel == "langevin" else goal.kernel
    size = torch.full_like(target, 0.8)
    for place, length in enumerate(windows):
        trace = Trace(energy, start, metric)
        size = trace.adapt(warm, target, (size, length), generator)
        points = metric.outward(torch.stack(trace.positions[length // 3 :]))
        start, metric = points[-1], metric_of(points.flatten(0, 1), metric)
        tell(sum(windows[: place + 1]) / every)
    trace = Trace(energy, start, metric)
    size = trace.adapt(warm, target, (size, SETTLING), generator)
    if warm == "hmc":
        size = _bolder(trace, size, generator)
    trace.forget()
    for left in reversed(range(iterations)):
        trace.step(goal.kernel, size, generator)
        tell(1 - left / every)
    points = metric.outward(torch.stack(trace.positions, 1))
    found = judge_chains(trace.energies, trace.infos, points, goal, size)
    places = torch.linspace(0, iterations - 1, min(16, iterations), device=points.device).long()
    return found, metric_of(points.flatten(0, 1), metric), points[:, places].flatten(0, 1)


def _bolder(trace: Trace, size: Tensor, generator: torch.Generator) -> Tensor:
    """Larger steps for rows in which they are accepted too: where a density jumps, small ones are refused as often."""
    small = size < LENGTH / MOST_LEAPS
    if not bool(small.any()):
        return size
    bold = torch.where(small, BOLD, size)
    tried = [trace.step("hmc", bold, generator).acceptance for _ in range(SETTLING)]
    acceptance = torch.stack(tried).mean(0)
    kept = small & (acceptance.mean(0) > WORTH) & (acceptance.amin(0) > LEAST)
    return torch.where(kept, bold, size)
