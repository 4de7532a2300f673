"""Hamiltonian Monte Carlo on a batch of chains; the metric is the identity, so whiten the target first."""

import torch
from torch import Tensor

from ebm_causal.sampling.kernels import Info, Potential, State, along, begin, metropolis, normal_like, square


def hmc_step(
    state: State,
    potential: Potential,
    step_size: float | Tensor,
    leaps: int,
    generator: torch.Generator,
) -> tuple[State, Info]:
    """One trajectory of each chain, and the Metropolis decision.

    Args:
        state: Where the chains are.
        potential: Minus the log density and its gradient.
        step_size: A number, or what broadcasts to one for each chain.
        leaps: How many leapfrog steps; draw it anew each time, since a fixed length resonates.
        generator: Drives all randomness.

    References:
        Neal (2011), MCMC using Hamiltonian dynamics, figure 2.
    """
    stride, momentum = along(step_size), normal_like(state.position, generator)
    proposal, end = state, momentum - 0.5 * stride * state.gradient
    for leap in range(leaps):
        proposal = begin(potential, proposal.position + stride * end)
        end = end - (stride if leap < leaps - 1 else 0.5 * stride) * proposal.gradient
    kinetic = 0.5 * (square(end) - square(momentum))
    return metropolis(state, proposal, proposal.potential - state.potential + kinetic, generator)
