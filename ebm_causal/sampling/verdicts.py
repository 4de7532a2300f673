r"""Chains of many rows, and why those of a row are not to be trusted."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.diagnostics import indicate_modes, mixing
from ebm_causal.sampling.kernels import Info
from ebm_causal.sampling.lattice import RowEnergy
from ebm_causal.sampling.tracing import Kernel

Select = Callable[[Tensor], RowEnergy]  # the energy of some rows, by their numbers

R_HAT = 1.01
CHANCE = 3.09  # standard normal: one row in a thousand has an R-hat above its bound by chance
TAIL = 0.25  # of the effective draws that are enough, in the tails
RUNAWAY = 3.0  # times the variance of the first half of the draws, in the second
DIVERGING = 0.01  # the share of divergent proposals above which a row has failed
ENDLESS = 3.5  # standard deviations: a step size that only a flat density allows
UNMOVED = 0.01  # the share of iterations in which each chain must have moved
DIVERGED, RAN_AWAY = 3, 5  # of the reasons
REASONS = (
    "",
    "chains disagree (R-hat)",
    "too few effective draws",
    "trajectories diverge",
    "a chain hardly moves",
    "chains run away: the density may not be normalizable",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """When a row is done.

    Attributes:
        chains: How many.
        draws: Of each chain, that are kept.
        enough: Effective draws of all chains together.
        kernel: What moves them.
    """

    chains: int
    draws: int
    enough: float
    kernel: Kernel = "hmc"


class RowChains(NamedTuple):
    """Draws of every row, with what they say of themselves.

    Attributes:
        draws: ``[chains, draws, rows, dim]``.
        energies: There, ``[chains, draws, rows]``.
        acceptances: The acceptance probability of each draw.
        divergent: Whether the proposal of each draw diverged.
        acceptance: The mean over all iterations, ``[chains, rows]``.
        moved: The share of iterations in which a chain moved, ``[chains, rows]``.
        stuck: That of the chain that moved least, among those that may stand for one, ``[rows]``.
        divergences: Proposals whose energy error was enormous, ``[rows]``.
        non_finite: Proposals that were infinite or NaN, ``[rows]``.
        r_hat: The largest over coordinates, ``[rows]``.
        r_hat_modes: That of which of two modes, or halves, a draw is in.
        ess_bulk: The smallest over coordinates and modes.
        ess_tail: The smallest over coordinates.
        step_size: In standard deviations.
        reason: Which of ``REASONS`` a row has not to be trusted; zero where it has none.
    """

    draws: Tensor
    energies: Tensor
    acceptances: Tensor
    divergent: Tensor
    acceptance: Tensor
    moved: Tensor
    stuck: Tensor
    divergences: Tensor
    non_finite: Tensor
    r_hat: Tensor
    r_hat_modes: Tensor
    ess_bulk: Tensor
    ess_tail: Tensor
    step_size: Tensor
    reason: Tensor

    @property
    def unfinished(self) -> Tensor:
        """The rows that more draws may mend."""
        return ((self.reason > 0) & (self.reason != RAN_AWAY)).nonzero().flatten()

    @property
    def doubted(self) -> Tensor:
        """The rows that are not to be trusted, those that ran away too."""
        return (self.reason > 0).nonzero().flatten()

    def put(self, rows: Tensor, part: "RowChains") -> "RowChains":
        """These with some rows replaced."""
        axes = {1: 0, 2: 1, 3: 2, 4: 2}
        pairs = zip(self, part, strict=True)
        return RowChains(*(old.index_copy(axes[old.ndim], rows, new) for old, new in pairs))


def judge_chains(
    energies: list[Tensor], infos: list[Info], points: Tensor, goal: Goal, size: Tensor
) -> RowChains:
    """The draws that are kept, and what all of them say.

    Args:
        energies: Of each iteration, ``[chains, rows]``.
        infos: What the kernel has said of each.
        points: All draws, ``[chains, draws, rows, dim]``; several chains may stand for one of the goal.
        goal: How many draws are kept.
        size: Step sizes in standard deviations, ``[rows]``.
    """
    acceptance, accepted, divergent, bad = (torch.stack(part, 1) for part in zip(*infos, strict=True))

    def kept(entry: Tensor) -> Tensor:
        joined = entry.reshape(goal.chains, -1, *entry.shape[2:])
        places = torch.linspace(0, joined.shape[1] - 1, goal.draws, device=points.device, dtype=torch.float64)
        return joined[:, places.round().long()]

    def of_chains(entry: Tensor) -> Tensor:
        return entry.to(points.dtype).reshape(goal.chains, -1, entry.shape[-1]).mean(1)

    found = mixing(torch.cat([points, indicate_modes(points)[..., None]], -1))
    every, some = points.shape[0] * points.shape[1], goal.chains * goal.draws
    left_out = 1 / some - 1 / every

    def of_kept(effective: Tensor) -> Tensor:
        return 1 / (1 / effective.nan_to_num(nan=math.inf).amin(-1) + left_out)

    chains = RowChains(
        draws=kept(points),
        energies=kept(torch.stack(energies, 1)),
        acceptances=kept(acceptance),
        divergent=kept(divergent),
        acceptance=of_chains(acceptance),
        moved=of_chains(accepted),
        stuck=accepted.to(points.dtype).mean(1).amin(0),
        divergences=(divergent & ~bad).sum((0, 1)),
        non_finite=bad.sum((0, 1)),
        r_hat=found.r_hat[:, :-1].nan_to_num(nan=1.0).amax(-1),  # stuck chains are told by moved
        r_hat_modes=found.r_hat[:, -1].nan_to_num(nan=1.0),
        ess_bulk=of_kept(found.ess_bulk),
        ess_tail=of_kept(found.ess_tail[:, :-1]),
        step_size=size,
        reason=torch.zeros_like(size, dtype=torch.long),
    )
    return chains._replace(reason=_reasons(chains, points, goal.enough))


def _reasons(chains: RowChains, points: Tensor, enough: float) -> Tensor:
    """Why a row is not done, by its place among the reasons; the weightiest that applies.

    Args:
        chains: What was found.
        points: All draws, ``[chains, draws, rows, dim]``.
        enough: Effective draws.
    """
    count, half = points.shape[0], points.shape[1] // 2
    first, second = (part.flatten(0, 1).var(0) for part in (points[:, :half], points[:, half:]))
    bound = r_hat_bound(2 * count, enough)
    disagree = ~(chains.r_hat <= bound) | (chains.r_hat_modes > bound)
    running = (disagree & (second > RUNAWAY * first).any(-1)) | (chains.step_size > ENDLESS)
    few = ~(chains.ess_bulk >= enough) | ~(chains.ess_tail >= TAIL * enough)
    diverging = chains.divergences > DIVERGING * count * points.shape[1]
    reason = torch.zeros_like(chains.reason)
    for place, check in (
        (2, few),
        (1, disagree),
        (DIVERGED, diverging),
        (4, chains.stuck < UNMOVED),
        (RAN_AWAY, running),
    ):
        reason = torch.where(check, place, reason)
    return reason


def r_hat_bound(chains: int, effective: float) -> float:
    r"""The R-hat that chains of one law stay under, or 1.01 where that is more.

    The variance of m chain means is :math:`\chi^2_{m-1}/(m-1)` times what the effective draws n/m of each
    make it, so :math:`\hat R^2 < 1 + (q_{m-1}/(m-1) - 1)\,m/n` in all but one of a thousand, q being the
    quantile after Wilson and Hilferty.
    """
    free = chains - 1
    quantile = (1 - 2 / (9 * free) + CHANCE * math.sqrt(2 / (9 * free))) ** 3
    return max(R_HAT, math.sqrt(1 + (quantile - 1) * chains / effective))
