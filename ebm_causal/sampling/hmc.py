"""Hamiltonian Monte Carlo on a batch of chains; the metric is the identity, so whiten the target first."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Potential = Callable[[Tensor], tuple[Tensor, Tensor]]
DIVERGENT = 1000.0


class State(NamedTuple):
    """What the next step needs.

    Attributes:
        position: ``[chains, dim]``.
        potential: Minus the log density, ``[chains]``.
        gradient: Of the potential, ``[chains, dim]``.
    """

    position: Tensor
    potential: Tensor
    gradient: Tensor


class Info(NamedTuple):
    """What diagnostics need.

    Attributes:
        acceptance: The Metropolis acceptance probability, ``[chains]``.
        accepted: Whether the proposal was taken.
        divergent: Whether the proposal's energy error was not finite or enormous.
    """

    acceptance: Tensor
    accepted: Tensor
    divergent: Tensor


def hmc_init(potential: Potential, position: Tensor) -> State:
    """A state at a position."""
    return State(position, *potential(position))


def hmc_step(
    state: State, potential: Potential, step_size: float, leaps: int, generator: torch.Generator
) -> tuple[State, Info]:
    """One trajectory of each chain, and the Metropolis decision.

    References:
        Neal (2011), MCMC using Hamiltonian dynamics, figure 2.
    """
    momentum = torch.randn(state.position.shape, generator=generator, dtype=state.position.dtype)
    proposal, end = state, momentum
    for _ in range(leaps):
        half = end - 0.5 * step_size * proposal.gradient
        proposal = hmc_init(potential, proposal.position + step_size * half)
        end = half - 0.5 * step_size * proposal.gradient
    error = proposal.potential - state.potential + 0.5 * ((end * end).sum(-1) - (momentum * momentum).sum(-1))
    finite = error.isfinite() & proposal.gradient.isfinite().all(-1)
    acceptance = torch.where(finite, (-error).clamp_max(0.0).exp(), torch.zeros_like(error))
    uniform = torch.rand(acceptance.shape, generator=generator, dtype=acceptance.dtype)
    accepted = uniform < acceptance
    row = accepted[:, None]
    chosen = State(
        torch.where(row, proposal.position, state.position),
        torch.where(accepted, proposal.potential, state.potential),
        torch.where(row, proposal.gradient, state.gradient),
    )
    return chosen, Info(acceptance, accepted, ~finite | (error > DIVERGENT))
