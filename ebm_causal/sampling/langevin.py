r"""The unadjusted Langevin algorithm: every step is taken, so that the law it settles in is not the target's."""

import torch
from torch import Tensor

from ebm_causal.sampling.kernels import Info, Potential, State, along, begin, normal_like, take


def langevin_step(
    state: State, potential: Potential, step_size: float | Tensor, generator: torch.Generator
) -> tuple[State, Info]:
    r"""Go :math:`z' = z - h\nabla u + \sqrt{2h}\,\xi` and never look back.

    Biased to first order in h: on a normal of variance s it settles at :math:`s/(1 - h/2s)`. Steps that
    are not finite are not taken, and counted.

    Args:
        state: Where the chains are.
        potential: Minus the log density u and its gradient.
        step_size: h, a number, or what broadcasts to one for each chain.
        generator: Drives all randomness.

    References:
        Roberts and Tweedie (1996), Exponential convergence of Langevin distributions, section 1.4.
    """
    stride = along(step_size)
    moved = state.position - stride * state.gradient
    there = begin(potential, moved + (2 * stride) ** 0.5 * normal_like(moved, generator))
    finite = there.potential.isfinite() & there.gradient.isfinite().all(-1)
    info = Info(torch.ones_like(there.potential), finite, ~finite, ~finite)
    return take(finite, there, state), info
