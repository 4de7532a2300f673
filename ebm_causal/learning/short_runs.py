"""Langevin chains of a few steps, all rows in one batch: unadjusted, or with a Metropolis decision."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.learning.losses import normal_like

Sampler = Literal["ula", "mala"]
Potential = Callable[[Tensor], Tensor]


class ShortRun(NamedTuple):
    """Where chains ended.

    Attributes:
        points: ``[rows, dim]``.
        acceptance: The share of proposals that were taken, one for ``ula``.
    """

    points: Tensor
    acceptance: Tensor


def check_sampler(sampler: str, steps: int, step_size: float | None) -> None:
    """Refuse a run that is none.

    Raises:
        ArgumentError: If the sampler is unknown or a count or size is not positive.
    """
    if sampler not in ("ula", "mala"):
        raise ArgumentError(f"sampler must be 'ula' or 'mala'; got {sampler!r}.")
    if steps < 1:
        raise ArgumentError(f"steps must be at least 1; got {steps}.")
    if step_size is not None and not 0 < step_size < math.inf:
        raise ArgumentError(f"step_size must be positive and finite; got {step_size}.")


def run_short(
    potential: Potential,
    start: Tensor,
    setting: tuple[Sampler, int, float],
    generator: torch.Generator,
) -> ShortRun:
    r"""Run Langevin steps, :math:`y' = y - h \nabla U(y) + \sqrt{2h}\,\xi`, from ``start [rows, dim]``.

    Unadjusted steps draw from a density that is wrong by an amount of order h; with the Metropolis decision each
    step leaves exp(-U) as it is.

    Args:
        potential: Minus the log weight of each row, differentiable in the points.
        start: Where the chains begin.
        setting: The sampler, the number of steps, and h.
        generator: Drives all randomness.

    References:
        Roberts and Tweedie (1996), Exponential convergence of Langevin distributions, sections 1.4.1 and 1.4.2.
    """
    sampler, steps, size = setting
    points = start.detach()
    value, slope = _value_and_slope(potential, points)
    accepted = []
    for _ in range(steps):
        noise = normal_like(points, generator)
        proposal = points - size * slope + math.sqrt(2 * size) * noise
        new_value, new_slope = _value_and_slope(potential, proposal)
        if sampler == "mala":
            back = points - proposal + size * new_slope
            log_ratio = value - new_value + 0.5 * (noise**2).sum(-1) - (back**2).sum(-1) / (4 * size)
            uniform = torch.rand(value.shape, generator=generator, dtype=value.dtype).to(value.device)
            taken = log_ratio.isfinite() & (uniform.log() < log_ratio)
            proposal = torch.where(taken[:, None], proposal, points)
            new_value, new_slope = (
                torch.where(taken, new_value, value),
                torch.where(taken[:, None], new_slope, slope),
            )
            accepted.append(taken.to(value.dtype).mean())
        points, value, slope = proposal, new_value, new_slope
    share = torch.stack(accepted).mean() if accepted else value.new_ones(())
    return ShortRun(points, share)


def _value_and_slope(potential: Potential, points: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        leaf = points.detach().requires_grad_()
        value = potential(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), slope
