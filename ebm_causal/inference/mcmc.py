"""MCMC over the parameters, latents integrated out: HMC whitened by the curvature at the mode, or Pyro's NUTS."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ebm_causal.inference.arviz import chain_statistics
from ebm_causal.inference.collapsed import Objective, Optimum, maximize, whiten
from ebm_causal.sampling import run_chains

Kernel = Literal["hmc", "pyro-nuts"]
WIDEST = (0.6, 28.0)  # step and drop of the lattices that serve all of the posterior


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterDraws:
    """Draws of the flat parameters and how well the chains mixed.

    Attributes:
        draws: ``[chains, draws, parameters]``.
        r_hat: Rank-normalized, per parameter.
        ess_bulk: Bulk effective sample size, per parameter.
        ess_tail: Tail effective sample size, per parameter.
        divergences: How many proposals diverged after warm-up.
        moved: The share of draws in which each chain moved.
        lattice_error: By how many nats the log likelihood at some draws changes when the lattices are laid anew.
        optimum: The mode that the chains started around.
    """

    draws: Tensor
    r_hat: np.ndarray
    ess_bulk: np.ndarray
    ess_tail: np.ndarray
    divergences: int
    moved: Tensor
    lattice_error: float
    optimum: Optimum


def sample_parameters(
    objective: Objective,
    *,
    counts: tuple[int, int, int],
    seed: int,
    kernel: Kernel = "hmc",
    steps: int = 500,
    report: Callable[[int, int], None] | None = None,
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
    whitening = whiten(curvature, 1e-6)
    objective.likelihood.adapt(step=WIDEST[0], drop=WIDEST[1])
    generator = torch.Generator().manual_seed(seed)

    def potential(moved: Tensor) -> tuple[Tensor, Tensor]:
        values, gradients = [], []
        for row in moved:
            value, gradient = objective.value_and_gradient(optimum.flat + whitening @ row)
            values.append(-value)
            gradients.append(-(whitening.mT @ gradient))
        return torch.tensor(values, dtype=moved.dtype), torch.stack(gradients)

    run = _run_hmc if kernel == "hmc" else _run_nuts
    whitened, divergences, moved = run(potential, len(optimum.flat), counts, generator, report)
    draws = objective.parameters.with_positive_scales(optimum.flat + whitened @ whitening.mT)
    error = _lattice_error(objective, draws)
    objective.parameters.set(draws.mean((0, 1)))
    return ParameterDraws(
        draws=draws, **chain_statistics(draws.numpy()), divergences=divergences, moved=moved,
        lattice_error=error, optimum=optimum,
    )  # fmt: skip


def _run_hmc(
    potential: Callable[[Tensor], tuple[Tensor, Tensor]],
    size: int,
    counts: tuple[int, int, int],
    generator: torch.Generator,
    report: Callable[[int, int], None] | None,
) -> tuple[Tensor, int, Tensor]:
    chains, warmup, draws = counts
    start = 1.5 * torch.randn((chains, size), generator=generator, dtype=torch.float64)
    ran = run_chains(potential, start, (warmup, draws), generator, report)
    return ran.draws, int(ran.divergences.sum()), ran.moved


def _run_nuts(
    potential: Callable[[Tensor], tuple[Tensor, Tensor]],
    size: int,
    counts: tuple[int, int, int],
    generator: torch.Generator,
    report: Callable[[int, int], None] | None,
) -> tuple[Tensor, int, Tensor]:
    from pyro.infer import MCMC, NUTS
    from pyro.util import set_rng_seed

    chains, warmup, draws = counts
    found, divergences = [], 0
    for chain in range(chains):
        set_rng_seed(int(torch.randint(2**31, (1,), generator=generator)))
        kernel = NUTS(potential_fn=lambda values: _Bridge.apply(values["theta"], potential))
        start = 1.5 * torch.randn(size, generator=generator, dtype=torch.float64)
        run = MCMC(
            kernel,
            num_samples=draws,
            warmup_steps=warmup,
            initial_params={"theta": start},
            disable_progbar=True,
        )
        run.run()
        found.append(run.get_samples()["theta"])
        divergences += sum(len(rows) for rows in run.diagnostics()["divergences"].values())
        if report is not None:
            report((chain + 1) * (warmup + draws), chains * (warmup + draws))
    stacked = torch.stack(found)
    moved = (stacked.diff(dim=1).abs().sum(-1) > 0).to(stacked.dtype).mean(1)
    return stacked, divergences, moved


class _Bridge(torch.autograd.Function):
    """A potential that brings its own gradient, for Pyro's autograd."""

    @staticmethod
    def forward(ctx, theta: Tensor, potential: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
        with torch.enable_grad():
            value, gradient = potential(theta.detach()[None])
        ctx.save_for_backward(gradient[0])
        return value[0]

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None


def _lattice_error(objective: Objective, draws: Tensor) -> float:
    """The largest change of the log likelihood, at the last draw of each of a few chains, on fresh lattices."""
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
