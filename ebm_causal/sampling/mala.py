r"""The Metropolis-adjusted Langevin algorithm: one step down the gradient with noise, taken or not."""

import torch
from torch import Tensor

from ebm_causal.sampling.kernels import Info, Potential, State, along, begin, metropolis, normal_like, square


def mala_step(
    state: State, potential: Potential, step_size: float | Tensor, generator: torch.Generator
) -> tuple[State, Info]:
    r"""Propose :math:`z' = z - h\nabla u + \sqrt{2h}\,\xi`, and decide by the Metropolis ratio.

    Args:
        state: Where the chains are.
        potential: Minus the log density u and its gradient.
        step_size: h, a number, or what broadcasts to one for each chain.
        generator: Drives all randomness.

    References:
        Roberts and Tweedie (1996), Exponential convergence of Langevin distributions, section 1.4.
    """
    noise = normal_like(state.position, generator)
    stride = along(step_size)
    proposal = begin(potential, state.position - stride * state.gradient + (2 * stride) ** 0.5 * noise)
    forward, backward = (
        _log_proposal(proposal, state, step_size),
        _log_proposal(state, proposal, step_size),
    )
    error = proposal.potential - state.potential + forward - backward
    return metropolis(state, proposal, error, generator)


def _log_proposal(to: State, start: State, step_size: float | Tensor) -> Tensor:
    drift = start.position - along(step_size) * start.gradient
    return -square(to.position - drift) / (4 * step_size)
