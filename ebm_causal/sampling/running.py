"""One loop for the kernels: warm-up with step size adaptation, then draws."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.hmc import hmc_step
from ebm_causal.sampling.kernels import Potential, begin

TARGET = 0.8


class Chains(NamedTuple):
    """Draws of a run.

    Attributes:
        draws: ``[chains, draws, dim]``.
        acceptance: The mean acceptance probability of each chain.
        moved: The share of draws in which each chain moved.
        divergences: How many proposals diverged after warm-up, in each chain.
        step_size: The adapted step size.
    """

    draws: Tensor
    acceptance: Tensor
    moved: Tensor
    divergences: Tensor
    step_size: float


def run_chains(
    potential: Potential,
    start: Tensor,
    counts: tuple[int, int],
    generator: torch.Generator,
    report: Callable[[int, int], None] | None = None,
) -> Chains:
    """Run HMC from ``start [chains, dim]``: the step size by dual averaging in the warm-up, jittered lengths.

    Args:
        potential: Minus the log density and its gradient, of a whitened target.
        start: Where the chains begin.
        counts: How many iterations of warm-up, and how many draws.
        generator: Drives all randomness.
        report: Told the iterations done and their number.

    Returns:
        The chains.

    References:
        Hoffman and Gelman (2014), The No-U-Turn sampler, section 3.2 (dual averaging).
    """
    warmup, draws = counts
    state, averaging, kept, infos = begin(potential, start), _Averaging(0.8), [], []
    for iteration in range(warmup + draws):
        warming = iteration < warmup
        size = averaging.current if warming else averaging.settled
        longest = max(1, min(12, round(2.2 / size)))
        leaps = 1 + int(torch.randint(longest, (1,), generator=generator))
        state, info = hmc_step(state, potential, size, leaps, generator)
        if warming:
            averaging.update(float(info.acceptance.mean()))
        else:
            kept.append(state.position)
            infos.append(info)
        if report is not None:
            report(iteration + 1, warmup + draws)
    return Chains(
        torch.stack(kept, 1),
        torch.stack([info.acceptance for info in infos]).mean(0),
        torch.stack([info.accepted for info in infos]).to(start.dtype).mean(0),
        torch.stack([info.divergent for info in infos]).sum(0),
        averaging.settled,
    )


class _Averaging:
    """Dual averaging of the log step size."""

    def __init__(self, start: float) -> None:
        self.center, self.log_size, self.log_mean = math.log(2 * start), math.log(start), math.log(start)
        self.error, self.count = 0.0, 0

    @property
    def current(self) -> float:
        return math.exp(self.log_size)

    @property
    def settled(self) -> float:
        return math.exp(self.log_mean)

    def update(self, acceptance: float) -> None:
        self.count += 1
        rate = 1 / (self.count + 10)
        self.error = (1 - rate) * self.error + rate * (TARGET - acceptance)
        self.log_size = self.center - math.sqrt(self.count) / 0.05 * self.error
        weight = self.count**-0.75
        self.log_mean = weight * self.log_size + (1 - weight) * self.log_mean
