"""MCMC over the parameters, latents integrated out or drawn along: many chains of HMC, or Pyro's NUTS."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ebm_causal.errors import ConvergenceError
from ebm_causal.inference.batching import BatchedPotential
from ebm_causal.inference.collapsed import Objective, maximize, whiten
from ebm_causal.inference.nuts import run_nuts
from ebm_causal.sampling import Frame, PooledChains, mixing, run_pooled

Kernel = Literal["hmc", "pyro-nuts"]
Report = Callable[[int, int], None]

WIDEST = (0.6, 28.0)  # step and drop of the lattices that serve all of the posterior
DISPERSED = 1.5  # posterior standard deviations from the mode, where chains start
TRIES = 20  # times that a start without density is drawn anew


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterDraws:
    """Draws of the flat parameters and how well the chains mixed.

    Attributes:
        draws: ``[chains, draws, parameters]``.
        latents: ``[chains, draws, rows, dim]`` of the latents in unconstrained coordinates, where they were drawn
            along; None where they were integrated out.
        r_hat: Rank-normalized, per parameter.
        ess_bulk: Bulk effective sample size, per parameter.
        ess_tail: Tail effective sample size, per parameter.
        latent_r_hat: The largest R-hat of the latents that were drawn along; one where there are none.
        chains: What the kernel tells of each draw, ``[chains, draws]``.
        lattice_error: By how many nats the log likelihood at some draws changes when the lattices are laid anew.
        evaluations: How many log densities with gradients it took, warm-up included.
        history: The objective as the start was found.
        curvature: Minus the Hessian of the log density at the mode, where it was computed.
    """

    draws: Tensor
    latents: Tensor | None
    r_hat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray
    latent_r_hat: float
    chains: PooledChains
    lattice_error: float
    evaluations: int
    history: tuple[float, ...]
    curvature: Tensor | None


def sample_parameters(
    objective: Objective,
    *,
    counts: tuple[int, int, int],
    seed: int,
    kernel: Kernel = "hmc",
    steps: int = 500,
    report: Report | None = None,
) -> ParameterDraws:
    """Draw parameters from their posterior, latents integrated out on lattices laid at the mode.

    Args:
        objective: The log likelihood plus the log prior.
        counts: Chains, warm-up iterations and draws of each chain.
        seed: Drives all randomness.
        kernel: ``hmc`` (all chains start around the mode, whitened by its curvature), or ``pyro-nuts``.
        steps: The most iterations for finding the mode.
        report: Told the iterations done and their number.

    Returns:
        The draws; the energy's parameters are left at the posterior mean.
    """
    optimum = maximize(objective, steps=steps)
    curvature = objective.curvature() if optimum.curvature is None else optimum.curvature
    size = len(optimum.flat)
    frame = Frame(center=optimum.flat, block=whiten(curvature, 1e-6), scales=optimum.flat.new_zeros(0))
    objective.likelihood.adapt(step=WIDEST[0], drop=WIDEST[1])
    potential = BatchedPotential(
        objective.at, objective.value_and_gradient, cost=objective.likelihood.size, dtype=objective.dtype,
        keeper=objective.keeper,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)

    def offsets(count: int) -> Tensor:
        noise = torch.randn((count, size), generator=generator, dtype=torch.float64)
        return frame.out(DISPERSED * noise)

    chains = draw_chains(
        potential, offsets, frame, counts=counts, kernel=kernel, generator=generator, report=report
    )
    draws = objective.parameters.with_positive_scales(chains.draws)
    error = _lattice_error(objective, draws)
    objective.parameters.set(draws.mean((0, 1)))
    return ParameterDraws(
        draws=draws, latents=None, latent_r_hat=1.0, **statistics_of(draws), chains=chains, lattice_error=error,
        evaluations=potential.evaluations + optimum.evaluations, history=optimum.history, curvature=optimum.curvature,
    )  # fmt: skip


def draw_chains(
    potential: BatchedPotential,
    starts: Callable[[int], Tensor],
    frame: Frame,
    *,
    counts: tuple[int, int, int],
    kernel: Kernel,
    generator: torch.Generator,
    report: Report | None,
) -> PooledChains:
    """Run a kernel from starts that have a density.

    Args:
        potential: Minus the log density of flat vectors, and its gradient.
        starts: Draws so many starts.
        frame: What is known of the target's shape.
        counts: Chains, warm-up iterations and draws of each chain.
        kernel: ``hmc``, or ``pyro-nuts``.
        generator: Drives all randomness.
        report: Told the iterations done and their number.

    Raises:
        ConvergenceError: If starts with a finite density are not found.
    """
    chains, warmup, draws = counts
    start = _finite_starts(potential, starts, chains)
    run = run_pooled if kernel == "hmc" else run_nuts
    return run(potential, start, (warmup, draws), generator, frame=frame, report=report)


def statistics_of(draws: Tensor) -> dict[str, np.ndarray]:
    """R-hat and effective sample sizes of ``[chains, draws, quantities]``."""
    found = mixing(draws)
    return {name: getattr(found, name).numpy() for name in ("r_hat", "ess_bulk", "ess_tail")}


def _finite_starts(potential: BatchedPotential, starts: Callable[[int], Tensor], chains: int) -> Tensor:
    start = starts(chains)
    for _ in range(TRIES):
        bad = ~potential(start)[0].isfinite()
        if not bool(bad.any()):
            return start
        start = torch.where(bad[:, None], starts(chains), start)
    raise ConvergenceError(
        f"{int(bad.sum())} of {chains} chains found no start with a finite density in {TRIES} tries: the priors "
        "exclude where the likelihood is large, or the energy is not finite around its minimum."
    )


def _lattice_error(objective: Objective, draws: Tensor) -> float:
    """The largest change of the log likelihood, at the last draw of each of a few chains, on fresh lattices."""
    if not objective.likelihood.latents:
        return 0.0
    worst = 0.0
    checked = draws[:4, -1]
    for flat in checked:
        objective.parameters.set(flat)
        worst = max(worst, abs(float(objective.value().detach()) - _on_fresh_lattices(objective)))
    return worst


def _on_fresh_lattices(objective: Objective) -> float:
    likelihood = objective.likelihood
    kept = likelihood.swap(None)
    likelihood.adapt()
    value = float(objective.value().detach())
    likelihood.swap(kept)
    return value
