r"""Replica exchange: chains on a ladder from a wide normal to the target, which trade places with their neighbors."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.hmc import hmc_step
from ebm_causal.sampling.kernels import Info, State, normal_like, square, uniform_like
from ebm_causal.sampling.lattice import RowEnergy
from ebm_causal.sampling.telling import Tell, round_of, silent
from ebm_causal.sampling.tuning import Averaging, Metric
from ebm_causal.sampling.verdicts import Goal, RowChains, Select, judge_chains

LEVELS, MOST_LEVELS = 8, 32
HIGHEST = 0.6  # mean rejection of trades, above which there are more levels
TUNINGS, TUNING = 4, 40  # the ladder is laid anew so often, after so many iterations
TARGET = 0.8  # acceptance
LENGTH, MOST_LEAPS = 1.0, 4
ROUNDS = 4  # each with twice the draws of the last
POINTS, MOST_SPLIT, SHORTEST = 8192, 16, 250


class Ladder:
    r"""Replicas ``[levels, chains, rows, dim]``, each at :math:`u_s = (1 - s)\,u_0 + s\,u` with an s of its level.

    The base :math:`u_0` is the normal of a metric; at s = 0 it is drawn from at each step. Even and odd
    pairs of neighbors trade places in turn, so that replicas travel rather than diffuse.

    References:
        Syed, Bouchard-Cote, Deligiannidis and Doucet (2022), Non-reversible parallel tempering, section 2.
    """

    def __init__(
        self,
        energy: RowEnergy,
        base: Metric,
        shares: Tensor,
        points: Tensor,
        generator: torch.Generator,
    ) -> None:
        self.inner, self.generator, self.turn = base.potential(energy), generator, 0
        self.shares = shares
        self._evaluate(points)

    def step(self, size: Tensor) -> tuple[Info, Tensor]:
        """A trajectory of each replica, then trades; also the rejections of pairs, NaN where it was not their turn."""
        longest = max(1, min(MOST_LEAPS, round(LENGTH / float(size[-1].median()))))
        leaps = int(torch.randint(1 + longest // 2, longest + 1, (1,), generator=self.generator))
        state, info = hmc_step(self.state, self._potential, size[:, None], leaps, self.generator)
        points = state.position.clone()
        points[0] = normal_like(points[0], self.generator)
        self._evaluate(points)
        return info, self._trade()

    def _potential(self, points: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = self.inner(points.flatten(0, 1))
        value = torch.where(value.isnan(), math.inf, value).reshape(points.shape[:-1])
        return self._level(points, value, gradient.reshape(points.shape))

    def _level(self, points: Tensor, value: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        share = self.shares[:, None]
        inner = torch.where(share > 0, share * value, 0.0)
        slope = torch.where(share[..., None] > 0, share[..., None] * gradient, 0.0)
        return inner + (1 - share) * 0.5 * square(points), slope + (1 - share)[..., None] * points

    def _evaluate(self, points: Tensor) -> None:
        value, gradient = self.inner(points.flatten(0, 1))
        value = torch.where(value.isnan(), math.inf, value).reshape(points.shape[:-1])
        self._place(points, value, gradient.reshape(points.shape))

    def _place(self, points: Tensor, value: Tensor, gradient: Tensor) -> None:
        self.value, self.gradient = value, gradient
        self.state = State(points, *self._level(points, value, gradient))

    def _trade(self) -> Tensor:
        points = self.state.position
        excess = self.value.clamp_max(1e30) - 0.5 * square(points)
        log_ratio = self.shares.diff(dim=0)[:, None] * excess.diff(dim=0)  # [levels - 1, chains, rows]
        tried = torch.arange(len(log_ratio), device=points.device) % 2 == self.turn % 2
        accepted = (uniform_like(log_ratio, self.generator).log() < log_ratio) & tried[:, None, None]
        none = torch.zeros_like(accepted[:1])
        level = torch.arange(len(points), device=points.device)[:, None, None]
        origin = level + torch.cat([accepted, none]).long() - torch.cat([none, accepted]).long()
        wide = origin[..., None].expand_as(points)
        self._place(points.gather(0, wide), self.value.gather(0, origin), self.gradient.gather(0, wide))
        self.turn += 1
        rejected = 1 - log_ratio.clamp_max(0.0).exp().mean(1)
        return torch.where(tried[:, None], rejected, torch.nan)


def run_tempered(
    select: Select, base: Metric, goal: Goal, generator: torch.Generator, *, tell: Tell = silent
) -> RowChains:
    """Replica exchange for every row, until each has enough effective draws and its chains agree.

    Each chain is the coldest replica of a ladder of its own. The base should cover all modes; the ladder is
    laid so that all neighbors refuse to trade equally often, with more levels where they refuse too often.

    Args:
        select: The energy of some rows, by their numbers.
        base: The wide normal that ladders begin from.
        goal: When a row is done.
        generator: Drives all randomness.
        tell: Told the share done.

    Returns:
        The draws of the coldest level.
    """
    left = torch.arange(len(base.center), device=base.center.device)
    rows = len(left)
    whole: RowChains | None = None
    for turn in range(ROUNDS):
        wanted = goal.draws * 2**turn
        split = max(1, min(POINTS // (len(left) * goal.chains * LEVELS), MOST_SPLIT, wanted // SHORTEST))
        plan = _Plan(
            goal, goal.chains * split, max(16, -(-wanted // split)),
            round_of(tell, (len(left), rows), (turn, ROUNDS)),
        )  # fmt: skip
        found = _round(select(left), base, plan, generator)
        whole = found if whole is None else whole.put(left, found)
        stay = found.unfinished
        if len(stay) == 0:
            break
        left, base = left[stay], base.rows(stay)
    assert whole is not None  # noqa: S101 -- there is a first round
    return whole


class _Plan(NamedTuple):
    goal: Goal
    chains: int
    iterations: int
    tell: Tell


def _round(energy: RowEnergy, base: Metric, plan: _Plan, generator: torch.Generator) -> RowChains:
    goal, chains, iterations, tell = plan
    every = TUNINGS * TUNING + iterations
    rows, dim = base.center.shape
    shares = torch.linspace(0, 1, LEVELS).to(base.center)[:, None].expand(-1, rows) ** 3
    points = normal_like(base.center.new_empty(LEVELS, chains, rows, dim), generator)
    ladder = Ladder(energy, base, shares, points, generator)
    size = torch.full_like(shares, 0.5)
    for tuning in range(TUNINGS):
        size, rejected = _tune(ladder, size)
        shares = _laid_anew(ladder.shares, rejected)
        points = ladder.state.position
        if float(rejected.mean(0).max()) > HIGHEST and 2 * len(shares) <= MOST_LEVELS:
            shares, points, size = _doubled(shares, points, size)
        ladder = Ladder(energy, base, shares, points, generator)
        tell((tuning + 1) * TUNING / every)
    positions, energies, infos = [], [], []
    for left in reversed(range(iterations)):
        info, _ = ladder.step(size)
        positions.append(ladder.state.position[-1])
        energies.append(ladder.state.potential[-1])
        infos.append(Info(*(part[-1] for part in info)))
        tell(1 - left / every)
    points = base.outward(torch.stack(positions, 1))
    return judge_chains(energies, infos, points, goal, size[-1])


def _tune(ladder: Ladder, size: Tensor) -> tuple[Tensor, Tensor]:
    """Step sizes of each level and row, and the mean rejections of each pair of neighbors."""
    averaging, seen = Averaging(size, TARGET), []
    for _ in range(TUNING):
        info, rejected = ladder.step(averaging.current)
        averaging.update(info.acceptance.mean(1))
        seen.append(rejected)
    return averaging.settled, torch.stack(seen[TUNING // 4 :]).nanmean(0)


def _laid_anew(shares: Tensor, rejected: Tensor) -> Tensor:
    """The shares at which all neighbors are refused equally often, by linear interpolation."""
    barrier = torch.cat([torch.zeros_like(rejected[:1]), (rejected + 1e-3).cumsum(0)])
    aims = torch.linspace(0, 1, len(shares)).to(shares)[:, None] * barrier[-1]
    right = torch.searchsorted(barrier.T.contiguous(), aims.T.contiguous()).T.clamp(1, len(shares) - 1)
    low, high = barrier.gather(0, right - 1), barrier.gather(0, right)
    part = ((aims - low) / (high - low)).clamp(0, 1)
    found = torch.lerp(shares.gather(0, right - 1), shares.gather(0, right), part)
    found[0], found[-1] = 0.0, 1.0
    return found


def _doubled(shares: Tensor, points: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A level more between each two neighbors, and one more below the coldest."""
    between = 0.5 * (shares[1:] + shares[:-1])
    extra = torch.cat([between, shares[-1:]])
    order = torch.stack([shares, extra], 1).flatten(0, 1)
    return order, points.repeat_interleave(2, 0), size.repeat_interleave(2, 0)
