"""What all kernels share: where chains are, what diagnostics need, and the Metropolis decision."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Potential = Callable[[Tensor], tuple[Tensor, Tensor]]
DIVERGENT = 1000.0


class State(NamedTuple):
    """What the next step needs.

    Attributes:
        position: ``[*batch, dim]``.
        potential: Minus the log density, ``[*batch]``.
        gradient: Of the potential, ``[*batch, dim]``.
    """

    position: Tensor
    potential: Tensor
    gradient: Tensor


class Info(NamedTuple):
    """What diagnostics need, ``[*batch]`` each.

    Attributes:
        acceptance: The Metropolis acceptance probability.
        accepted: Whether the proposal was taken.
        divergent: Whether the proposal's energy error was not finite or enormous.
        non_finite: Whether the proposal's energy or gradient was infinite or NaN.
    """

    acceptance: Tensor
    accepted: Tensor
    divergent: Tensor
    non_finite: Tensor


def begin(potential: Potential, position: Tensor) -> State:
    """A state at a position."""
    return State(position, *potential(position))


def metropolis(
    state: State, proposal: State, error: Tensor, generator: torch.Generator
) -> tuple[State, Info]:
    """Take the proposal with probability exp(-error); never one that is not finite."""
    finite = error.isfinite() & proposal.gradient.isfinite().all(-1)
    acceptance = torch.where(finite, (-error).clamp_max(0.0).exp(), torch.zeros_like(error))
    accepted = uniform_like(acceptance, generator) < acceptance
    info = Info(acceptance, accepted, ~finite | (error > DIVERGENT), ~finite)
    return take(accepted, proposal, state), info


def take(accepted: Tensor, proposal: State, state: State) -> State:
    """The proposal where accepted, else the state."""
    row = accepted[..., None]
    return State(
        torch.where(row, proposal.position, state.position),
        torch.where(accepted, proposal.potential, state.potential),
        torch.where(row, proposal.gradient, state.gradient),
    )


def along(step_size: float | Tensor) -> float | Tensor:
    """A step size, a number or one for each of the batch, to go with positions."""
    return step_size[..., None] if isinstance(step_size, Tensor) else step_size


def normal_like(like: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal numbers in the shape, dtype and on the device of a tensor."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)


def uniform_like(like: Tensor, generator: torch.Generator) -> Tensor:
    """Numbers between zero and one in the shape, dtype and on the device of a tensor."""
    return torch.rand(like.shape, generator=generator, dtype=like.dtype).to(like.device)


def square(vectors: Tensor) -> Tensor:
    """Squared lengths ``[*batch]``; a product with ones is three times as fast as a sum over so few numbers."""
    return (vectors * vectors) @ vectors.new_ones(vectors.shape[-1])
