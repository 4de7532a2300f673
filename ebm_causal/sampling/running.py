"""One loop for the kernels: warm-up with step size adaptation, then draws."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.hmc import hmc_step
from ebm_causal.sampling.kernels import Potential, begin
from ebm_causal.sampling.tuning import Averaging

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
    state, averaging, kept, infos = (
        begin(potential, start),
        Averaging(torch.tensor(0.8, dtype=start.dtype), TARGET),
        [],
        [],
    )
    for iteration in range(warmup + draws):
        warming = iteration < warmup
        size = float(averaging.current if warming else averaging.settled)
        longest = max(1, min(12, round(2.2 / size)))
        leaps = 1 + int(torch.randint(longest, (1,), generator=generator))
        state, info = hmc_step(state, potential, size, leaps, generator)
        if warming:
            averaging.update(info.acceptance.mean())
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
        float(averaging.settled),
    )
