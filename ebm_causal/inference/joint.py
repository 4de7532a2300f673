"""MCMC over parameters and latents together, for latents that are too large for a lattice."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.calculus import hessian
from ebm_causal.inference.batching import BatchedPotential
from ebm_causal.inference.bounds import CompleteLikelihood
from ebm_causal.inference.collapsed import LogPrior, whiten
from ebm_causal.inference.keeping import Keeper
from ebm_causal.inference.mcmc import Kernel, ParameterDraws, Report, draw_chains, statistics_of
from ebm_causal.inference.parameters import ParameterVector
from ebm_causal.inference.svi import VariationalRun, run_svi
from ebm_causal.sampling import Frame, mixing

DENSE = 400  # coordinates up to which the metric of parameters and latents is one matrix
RATE, START_STEPS = 0.03, 600  # of the variational fit that finds the start
DISPERSED = 1.5  # posterior standard deviations from there


@dataclass(frozen=True, slots=True, kw_only=True)
class JointDensity:
    """The log density of data, latents and parameters, as a function of one flat vector: parameters first."""

    complete: CompleteLikelihood
    parameters: ParameterVector
    log_prior: LogPrior

    @property
    def size(self) -> int:
        """The length of the flat vector."""
        return len(self.parameters) + self.complete.rows * self.complete.dim

    def at(self, flat: Tensor) -> Tensor:
        """At a flat vector, with a graph and whatever it is, infinite or NaN: what ``vmap`` can run."""
        first, points = flat[: len(self.parameters)], flat[len(self.parameters) :]
        with self.parameters.standing_at(first) as values:
            shaped = points.reshape(1, self.complete.rows, self.complete.dim).to(self.complete.whole.like)
            return self.complete(shaped).sum() + self.log_prior(values)

    def value_and_gradient(self, flat: Tensor) -> tuple[float, Tensor]:
        """The same one vector at a time, parameters written in place."""
        first, points = flat[: len(self.parameters)], flat[len(self.parameters) :].detach().requires_grad_()
        self.parameters.set(first)
        shaped = points.reshape(1, self.complete.rows, self.complete.dim).to(self.complete.whole.like)
        value = self.complete(shaped).sum() + self.log_prior(self.parameters.tensors)
        inputs = [*self.parameters.tensors, points]
        slopes = torch.autograd.grad(value, inputs, allow_unused=True)
        whole = [torch.zeros_like(t) if g is None else g for g, t in zip(slopes, inputs, strict=True)]
        return float(value.detach()), torch.cat(
            [part.detach().reshape(-1).to(torch.float64) for part in whole]
        )


def sample_jointly(
    density: JointDensity,
    data: Mapping[str, Tensor],
    sizes: Mapping[str, int],
    *,
    counts: tuple[int, int, int],
    seed: int,
    kernel: Kernel = "hmc",
    report: Report | None = None,
    keeper: Keeper | None = None,
) -> ParameterDraws:
    """Draw parameters and latents from their joint posterior.

    A joint maximum would be no start: with a scale to learn, it may lie at infinite density. Chains start around a
    short variational fit instead, at draws of its guide, and learn their metric from all chains together.

    Args:
        density: The joint log density.
        data: Rows of every variable that is not latent.
        sizes: The latents and their dimensions.
        counts: Chains, warm-up iterations and draws of each chain.
        seed: Drives all randomness.
        kernel: ``hmc``, or ``pyro-nuts``.
        report: Told the iterations done and their number.
        keeper: Keeps what was computed, for a run that is started again.

    Returns:
        The draws; the energy's parameters are left at the posterior mean.
    """
    complete, parameters = density.complete, density.parameters
    setting = (START_STEPS, RATE, complete.beta)
    run = run_svi(
        complete.energy, data, sizes, setting=setting, seed=seed, parameters=parameters, kind="flat"
    )
    frame = _frame(density, run, data)
    dtype = complete.whole.like.dtype
    potential = BatchedPotential(
        density.at, density.value_and_gradient, cost=complete.rows * complete.dim, dtype=dtype, keeper=keeper
    )
    generator = torch.Generator().manual_seed(seed)

    def starts(count: int) -> Tensor:
        noise = torch.randn((count, density.size), generator=generator, dtype=torch.float64)
        return frame.out(
            torch.cat([DISPERSED * noise[:, : len(parameters)], noise[:, len(parameters) :]], -1)
        )

    chains = draw_chains(
        potential, starts, frame, counts=counts, kernel=kernel, generator=generator, report=report
    )
    draws = parameters.with_positive_scales(chains.draws[..., : len(parameters)])
    latents = chains.draws[..., len(parameters) :].unflatten(-1, (complete.rows, complete.dim))
    mixed = mixing(latents.flatten(2)).r_hat
    parameters.set(draws.mean((0, 1)))
    return ParameterDraws(
        draws=draws, latents=latents, latent_r_hat=float(mixed.nan_to_num(nan=math.inf).max()), **statistics_of(draws),
        chains=chains, lattice_error=0.0, evaluations=potential.evaluations, history=run.elbo, curvature=None,
    )  # fmt: skip


def _frame(density: JointDensity, run: VariationalRun, data: Mapping[str, Tensor]) -> Frame:
    """The variational fit as coordinates: scales of the guide, and the curvature of the parameters given its means."""
    parameters, guide = density.parameters, run.guide
    with torch.no_grad():
        mean, scale = (part.detach().to(torch.float64) for part in guide.flat(data))
    center = torch.cat([parameters.get(), mean.reshape(-1)])
    value = density.complete(mean.to(density.complete.whole.like)[None]).sum() + density.log_prior(
        parameters.tensors
    )
    block = whiten(-hessian(value, parameters.tensors).to(torch.float64), 1e-4)
    scales = scale.reshape(-1)
    if density.size <= DENSE:
        block, scales = torch.block_diag(block, scales.diag()), scales[:0]
    return Frame(center=center, block=block, scales=scales)
