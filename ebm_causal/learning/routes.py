"""The routes of a fit, one for each way to serve the latents: task in, fit out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.inference import (
    Bounds,
    CompleteLikelihood,
    Engine,
    JointDensity,
    Kernel,
    Kind,
    ParameterDraws,
    bounds_of,
    maximize,
    run_svi,
    sample_jointly,
    sample_parameters,
)
from ebm_causal.learning.cooling import cool
from ebm_causal.learning.fits import Fit, FitDiagnostics
from ebm_causal.learning.tasks import Task, judged

MIXED = (1.05, 100.0)  # the largest R-hat and the least effective sample size of chains that have mixed
MOVES = 0.1  # of the draws in which a chain that moves does
WIDE = 1.0  # nats per row: a gap between bounds above which a guide is said not to be the posterior


def collapsed(tasks: list[Task], method: str, steps: int) -> Fit:
    """The maximum of the marginal likelihood, times priors where there are any."""
    before, task = cool(tasks[:-1], steps), tasks[-1]
    objective = task.objective()
    optimum = maximize(objective, steps=steps, report=task.reporter(steps))
    rows = objective.likelihood.log_likelihood().detach()
    total = float(rows.sum())
    bounds = Bounds(elbo=total, iwae=total, standard_error=0.0, draws=None) if method == "svi" else None
    return _fit(
        task, method, "collapsed", diagnostics=judged(replace(optimum, evaluations=before + optimum.evaluations)),
        mean=optimum.flat, curvature=optimum.curvature, log_likelihood=rows, bounds=bounds,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How chains are run: how many, how long, and by which kernel."""

    chains: int
    warmup: int
    draws: int
    kernel: Kernel

    def __post_init__(self) -> None:
        if min(self.chains, self.warmup) < 1 or self.draws < 4:
            found = (self.chains, self.warmup, self.draws)
            raise ArgumentError(f"chains and warmup must be positive and draws at least 4; got {found}.")

    @property
    def counts(self) -> tuple[int, int, int]:
        """Chains, warm-up and draws."""
        return self.chains, self.warmup, self.draws


def sampled(tasks: list[Task], sampling: Sampling, steps: int, *, small: bool) -> Fit:
    """Draws of the parameters, latents integrated out where a lattice serves them, else drawn along."""
    task = tasks[-1]

    def report(done: int, of: int) -> None:
        if task.progress is not None:
            task.progress(done / of, "sampling parameters")

    options: dict[str, Any] = {
        "counts": sampling.counts, "seed": task.seed, "kernel": sampling.kernel, "report": report
    }  # fmt: skip
    if not small:
        complete = CompleteLikelihood(task.energy, task.rows, task.latents, task.beta)
        density = JointDensity(complete=complete, parameters=task.parameters, log_prior=task.log_prior)
        options["keeper"] = task.keeper
        found, rows, before = sample_jointly(density, task.rows, task.sizes, **options), None, 0
    else:
        before, objective = cool(tasks[:-1], steps), task.objective()
        found = sample_parameters(objective, steps=steps, **options)
        objective.likelihood.adapt()
        rows = objective.likelihood.log_likelihood().detach()
    chains = found.chains
    told = {"lp": chains.log_density, "acceptance_rate": chains.acceptance, "diverging": chains.divergent}
    return _fit(
        task, "mcmc", "collapsed" if small else "joint", diagnostics=_chains_judged(found, before),
        mean=found.draws.mean((0, 1)), draws=found.draws, curvature=found.curvature, log_likelihood=rows,
        chain_statistics={"r_hat": found.r_hat, "ess_bulk": found.ess_bulk, "ess_tail": found.ess_tail},
        draw_statistics=told, latent_chains=found.latents, laws=dict(task.priors),
    )  # fmt: skip


def _chains_judged(found: ParameterDraws, before: int) -> FitDiagnostics:
    chains, notes = found.chains, []
    moved = chains.accepted.to(torch.float64).mean(1)
    if bool(chains.divergent.any()):
        notes.append(f"{int(chains.divergent.sum())} trajectories diverged")
    if bool((moved < MOVES).any()):
        notes.append(f"{int((moved < MOVES).sum())} of {len(moved)} chains hardly moved")
    if found.lattice_error > 0.1:
        notes.append(f"the lattices of the latents were off by {found.lattice_error:.2g} nats at some draws")
    worst, least = _worst(found.r_hat, math.inf), -_worst(-found.ess_bulk, 0.0)
    text = f"largest R-hat {worst:.3f}, least bulk ESS {least:.0f}"
    mixed = worst < MIXED[0] and least > MIXED[1]
    if not mixed:
        notes.append(f"the chains have not mixed: {text}")
    if found.latent_r_hat > MIXED[0]:
        notes.append(f"the latents have not mixed: largest R-hat {found.latent_r_hat:.3f}")
    return FitDiagnostics(
        converged=mixed, text=text, warnings=tuple(notes), history=found.history,
        evaluations=before + found.evaluations,
        chains={
            "acceptance": chains.acceptance.mean(1).numpy(), "moved": moved.numpy(),
            "divergences": chains.divergent.sum(1).numpy(),
        },
    )  # fmt: skip


def _worst(values: np.ndarray, unknown: float) -> float:
    """The largest; the unknown where one of them is not known, as for a parameter that never moved."""
    return unknown if np.isnan(values).any() else float(values.max())


def variational(tasks: list[Task], kind: Kind, engine: Engine, steps: int, rate: float) -> Fit:
    """Point parameters and a normal guide, stage by stage."""
    if tasks[-1].priors:
        raise ArgumentError("a guide has point parameters without priors; use method='map' or 'mcmc'.")
    guide = None
    for place, task in enumerate(tasks):
        run = run_svi(
            task.energy, task.rows, task.sizes, setting=(steps, rate, task.beta), seed=task.seed + place,
            parameters=task.parameters, kind=kind, engine=engine, guide=guide,
            report=task.reporter(steps, "evidence lower bound"), keeper=task.keeper,
        )  # fmt: skip
        guide = run.guide
    complete = CompleteLikelihood(task.energy, task.rows, task.latents, task.beta)
    bounds, rows = bounds_of(complete, run.guide, task.rows, torch.Generator().manual_seed(task.seed))
    notes = []
    if not run.converged:
        notes.append("the evidence lower bound was still changing: allow more steps")
    if bounds.gap > WIDE * complete.rows:
        notes.append(
            f"the bounds are {bounds.gap / complete.rows:.2g} nats per row apart: the latents' posterior is not "
            "normal as the guide is, and what it says of them is not to be trusted"
        )
    diagnostics = FitDiagnostics(
        converged=run.converged,
        text=f"evidence lower bound {bounds.elbo:.6g}, importance weighted {bounds.iwae:.6g}",
        warnings=tuple(notes), history=run.elbo, evaluations=steps * len(tasks),
    )  # fmt: skip
    return _fit(
        task, "svi", kind, diagnostics=diagnostics, mean=task.parameters.get(), network=run.guide, bounds=bounds,
        log_likelihood=rows,
    )  # fmt: skip


def _fit(
    task: Task, method: str, guide: str, *, diagnostics: FitDiagnostics, mean: Tensor, **rest: Any
) -> Fit:
    if task.keeper is not None:
        task.keeper.finish()
    statistics: Mapping[str, np.ndarray] = rest.pop("chain_statistics", {})
    settled = {"curvature": None, "draws": None, **rest}
    return Fit(
        energy=task.energy, method=method, guide=guide, labels=task.parameters.labels, data=task.rows,
        latents=task.latents, beta=task.beta, seed=task.seed,
        priors={name: str(law) for name, law in task.priors.items()}, diagnostics=diagnostics, mean=mean,
        chain_statistics=statistics, resumed_from=None if task.keeper is None else task.keeper.resumed_from,
        **settled,
    )  # fmt: skip
