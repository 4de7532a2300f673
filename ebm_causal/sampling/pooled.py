"""HMC of many chains that share one step size and one metric, both learned from all of them in the warm-up."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.hmc import hmc_step
from ebm_causal.sampling.kernels import Info, Potential, State, begin

TARGET = 0.8
RELEARNED = (0.2, 0.45, 0.75)  # of the warm-up: where the metric is learned anew
FEWEST = 40  # draws of all chains together from which a metric is learned
QUARTER_TURN = math.pi / 2  # where a trajectory of a whitened normal forgets its start
LENGTHS = (0.6, 1.4)  # of a quarter turn: cosines average to zero over them, and nothing resonates
MOST_LEAPS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """An affine map that makes a target round: dense on the leading coordinates, a scale for each of the rest.

    Attributes:
        center: Where zero goes, ``[dim]``.
        block: The map of the leading coordinates, ``[k, k]``.
        scales: Of the others, ``[dim - k]``.
    """

    center: Tensor
    block: Tensor
    scales: Tensor

    def out(self, position: Tensor) -> Tensor:
        """From round coordinates to the target's."""
        return self.center + self._times(position)

    def back(self, position: Tensor) -> Tensor:
        """From the target's coordinates to round ones."""
        lead, rest = self._cut(position - self.center)
        return torch.cat([torch.linalg.solve(self.block, lead.mT).mT, rest / self.scales], -1)

    def pull(self, gradient: Tensor) -> Tensor:
        """A gradient in round coordinates."""
        lead, rest = self._cut(gradient)
        return torch.cat([lead @ self.block, rest * self.scales], -1)

    def relearned(self, positions: Tensor) -> "Frame":
        """The frame in which draws ``[chains, draws, dim]``, given in this one's coordinates, would be round.

        Each chain is measured from its own mean, so that chains at different modes do not stretch it. Correlations
        shrink by as much as so many draws leave them uncertain; variances stand.
        """
        centered = positions - positions.mean(1, keepdim=True)
        lead, rest = self._cut(centered.flatten(0, 1))
        count, size = positions.shape[0] * (positions.shape[1] - 1), len(self.block)
        covariance = lead.mT @ lead / count
        trust = count / (count + 5 * size)
        shrunk = trust * covariance + (1 - trust) * covariance.diagonal().diag()
        floor = torch.finfo(shrunk.dtype).eps
        shape = torch.linalg.cholesky(
            shrunk + floor * (1 + shrunk.diagonal().mean()) * torch.eye(size).to(shrunk)
        )
        variances = (rest * rest).sum(0) / count
        return Frame(
            center=self.center, block=self.block @ shape, scales=self.scales * (variances + floor).sqrt()
        )

    def _times(self, position: Tensor) -> Tensor:
        lead, rest = self._cut(position)
        return torch.cat([lead @ self.block.mT, rest * self.scales], -1)

    def _cut(self, position: Tensor) -> tuple[Tensor, Tensor]:
        return position[..., : len(self.block)], position[..., len(self.block) :]


class PooledChains(NamedTuple):
    """Draws of a run, and what diagnostics need, ``[chains, draws]`` each.

    Attributes:
        draws: ``[chains, draws, dim]``.
        log_density: The log density of each draw.
        acceptance: The acceptance probability of each proposal.
        accepted: Whether it was taken.
        divergent: Whether its energy error was infinite, NaN or enormous.
        non_finite: Whether its density was infinite or NaN.
        step_size: The adapted step size.
        frame: The learned frame.
    """

    draws: Tensor
    log_density: Tensor
    acceptance: Tensor
    accepted: Tensor
    divergent: Tensor
    non_finite: Tensor
    step_size: float
    frame: Frame


def run_pooled(
    potential: Potential,
    start: Tensor,
    counts: tuple[int, int],
    generator: torch.Generator,
    *,
    frame: Frame,
    report: Callable[[int, int], None] | None = None,
) -> PooledChains:
    r"""Run HMC from ``start [chains, dim]``, all chains in one batch.

    The metric is that of ``frame`` at first and learned anew three times in the warm-up, from all chains together:
    with sixteen of them a few dozen iterations tell a covariance that one chain needs a thousand for. Trajectories
    have a jittered length of about a quarter turn, :math:`\pi/2` posterior standard deviations.

    Args:
        potential: Minus the log density and its gradient, of positions ``[chains, dim]``.
        start: Where the chains begin, at finite densities.
        counts: How many iterations of warm-up, and how many draws.
        generator: Drives all randomness.
        frame: What is known of the target's shape.
        report: Told the iterations done and their number.

    Returns:
        The chains.

    References:
        Neal (2011), MCMC using Hamiltonian dynamics, section 4.1 (the metric); Hoffman and Gelman (2014), The
        No-U-Turn sampler, section 3.2 (dual averaging); Hoffman, Radul and Sountsov (2021), An adaptive-MCMC scheme
        for setting trajectory lengths in HMC (many chains).
    """
    warmup, draws = counts
    run = _Run(potential, start, frame, generator)
    learned_at, since = {int(share * warmup) for share in RELEARNED}, 0
    for iteration in range(warmup):
        run.step(adapt=True)
        if iteration + 1 in learned_at and run.relearn(iteration + 1 - since):
            since = iteration + 1
        if report is not None:
            report(iteration + 1, warmup + draws)
    run.settle()
    for iteration in range(draws):
        run.step()
        if report is not None:
            report(warmup + iteration + 1, warmup + draws)
    return run.result()


class _Run:
    """Chains on their way: their state, their frame and their step size."""

    def __init__(self, potential: Potential, start: Tensor, frame: Frame, generator: torch.Generator) -> None:
        self.potential, self.frame, self.generator = potential, frame, generator
        self.state = begin(self._round, frame.back(start))
        self.size = StepSize(start.shape[-1])
        self.kept: list[Tensor] = []
        self.densities: list[Tensor] = []
        self.infos: list[Info] = []

    def step(self, *, adapt: bool = False) -> None:
        """One trajectory of all chains."""
        low, high = LENGTHS
        share = low + (high - low) * float(torch.rand(1, generator=self.generator, dtype=torch.float64))
        length, longest = share * QUARTER_TURN, self.size.current if adapt else self.size.settled
        leaps = max(1, min(round(length / longest), MOST_LEAPS))
        stride = length / leaps if leaps < MOST_LEAPS else longest
        self.state, info = hmc_step(self.state, self._round, stride, leaps, self.generator)
        self.kept.append(self.state.position)
        self.densities.append(-self.state.potential)
        self.infos.append(info)
        if adapt:
            self.size.update(float(info.acceptance.mean()))

    def relearn(self, window: int) -> bool:
        """Learn the frame from the last so many draws; whether there were enough of them."""
        positions = torch.stack(self.kept[-window:], 1)
        if positions.shape[0] * (window - 1) < FEWEST:
            return False
        old, self.frame = self.frame, self.frame.relearned(positions)
        change = Frame(
            center=torch.zeros_like(old.center),
            block=torch.linalg.solve(old.block, self.frame.block),
            scales=self.frame.scales / old.scales,
        )
        self.state = State(
            change.back(self.state.position), self.state.potential, change.pull(self.state.gradient)
        )
        self.settle()
        self.size = StepSize(positions.shape[-1])
        return True

    def settle(self) -> None:
        """What was drawn so far does not count."""
        self.kept, self.densities, self.infos = [], [], []

    def result(self) -> PooledChains:
        """What came of it."""
        told = Info(*[torch.stack(values, 1) for values in zip(*self.infos, strict=True)])
        positions, densities = torch.stack(self.kept, 1), torch.stack(self.densities, 1)
        return PooledChains(
            self.frame.out(positions), densities, told.acceptance, told.accepted, told.divergent, told.non_finite,
            self.size.settled, self.frame,
        )  # fmt: skip

    def _round(self, position: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = self.potential(self.frame.out(position))
        return value, self.frame.pull(gradient)


class StepSize:
    """Dual averaging of the log step size toward an acceptance of .8.

    Args:
        dim: The target's dimension; it sets the first guess, which scales as its inverse fourth root.
    """

    def __init__(self, dim: int) -> None:
        guess = math.log(1.4 * dim**-0.25)
        self.center, self.log_size, self.log_mean = guess + 0.2, guess, guess
        self.error, self.count = 0.0, 0

    @property
    def current(self) -> float:
        """The size to try next."""
        return math.exp(self.log_size)

    @property
    def settled(self) -> float:
        """The average of those tried, late ones weighing more."""
        return math.exp(self.log_mean)

    def update(self, acceptance: float) -> None:
        """Take notice of how many of all chains' proposals would be accepted."""
        self.count += 1
        rate = 1 / (self.count + 5)
        self.error = (1 - rate) * self.error + rate * (TARGET - acceptance)
        self.log_size = self.center - math.sqrt(self.count) / 0.2 * self.error
        weight = self.count**-0.75
        self.log_mean = weight * self.log_size + (1 - weight) * self.log_mean
