"""Fitting a latent energy: by maximum marginal likelihood, by SVI, by MCMC."""

import copy
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from torch import Tensor
from torch.distributions import Distribution, Normal
from torch.utils.data import Dataset

from ebm_causal.energies import Energy, find_parameters, latents_of
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs import at_each, single_or_schedule
from ebm_causal.inference import (
    AmortizedGuide,
    ParameterVector,
    maximize,
    run_svi,
    sample_parameters,
)
from ebm_causal.learning.cooling import cool, stages
from ebm_causal.learning.fits import Fit, FitDiagnostics
from ebm_causal.learning.loops import Loop
from ebm_causal.learning.losses import Loss
from ebm_causal.learning.rows import rows_of
from ebm_causal.learning.streaming import ParquetRows
from ebm_causal.learning.tasks import Progress, Task, judged
from ebm_causal.learning.training import fit_by_loss
from ebm_causal.shapes import Betas
from ebm_causal.threads import one_thread

DEFAULT_PRIOR = Normal(0.0, 10.0)


@one_thread()
def fit(
    energy: Energy,
    data: Mapping[str, object] | pd.DataFrame | Dataset | ParquetRows,
    latents: Iterable[str] = ("z",),
    method: Literal["svi", "mcmc", "map"] = "svi",
    priors: Mapping[str, Distribution] | None = None,
    *,
    fixed: Iterable[str] = (),
    guide: Literal["auto", "collapsed", "amortized"] = "auto",
    kernel: Literal["hmc", "pyro-nuts"] = "hmc",
    steps: int | None = None,
    learning_rate: float = 0.01,
    chains: int = 4,
    draws: int = 250,
    warmup: int = 150,
    beta: Betas = 1.0,
    seed: int = 0,
    progress: Progress | None = None,
    loss: Loss | None = None,
    loop: Loop | None = None,
    checkpoint: str | Path | None = None,
) -> Fit:
    r"""Fit the parameters of a latent energy to data, its mechanisms locally normalized.

    ``map`` maximizes the marginal likelihood, times the priors where given; latents are integrated out,
    never maximized jointly with the parameters. ``svi`` gives point parameters and a guide on the latents:
    for one or two latent dimensions the collapsed one (a lattice per row, so that the evidence lower
    bound is tight), else Pyro's SVI with an amortized normal guide. ``mcmc`` samples the parameters with
    the latents integrated out, every parameter under Normal(0, 10) unless ``priors`` says otherwise.

    A schedule of beta is deterministic annealing: the parameters are fitted at each inverse temperature in turn,
    each time from near where the last fit ended, and the result is that at the last beta. At a low one the
    likelihood is smooth and forgets its start; rising slowly, the fit often arrives at a better optimum than one
    that starts cold, though nothing warrants the best. It serves where scales are fixed: one that is learned takes
    up the temperature. For ``mcmc`` the earlier stages are maximizations, which give the start, and the chains run at
    the last beta.

    Args:
        energy: A sum of mechanisms and regularizers. It is copied; the caller's is not changed.
        data: ``[rows]`` or ``[rows, dim]`` by variable, or a DataFrame.
        latents: What the data do not hold.
        method: As above.
        priors: A torch or Pyro distribution by parameter name, over each coordinate.
        fixed: Names of parameters that stay as they are.
        guide: For ``svi``: ``collapsed``, ``amortized``, or whichever serves.
        kernel: For ``mcmc``: ``hmc``, or ``pyro-nuts`` as the reference.
        steps: The most iterations, at each beta (by default 500 for the collapsed objective, 3000 for the
            amortized one).
        learning_rate: Of the amortized guide's Adam.
        chains: Chains for ``mcmc``.
        draws: Draws of each.
        warmup: Iterations of each before them.
        beta: The inverse temperature of mechanisms and regularizers alike, or a schedule to fit along.
        seed: The same seed gives the same numbers on the same machine.
        progress: Told the share done and what is being done.
        loss: Another principle than the likelihood, a member of ``ebm_causal.learning``; ``method``, ``guide``,
            ``kernel`` and priors have no part in it then.
        loop: How a loss is minimized: batches, optimizer, early stopping.
        checkpoint: A folder for states of a training by a loss; one that was killed goes on from there.

    Returns:
        The fit.

    Raises:
        EnergyError: If data and variables do not fit together, or are not finite.
        IdentificationError: If a factor's normalizer depends on the parameters.
        ArgumentError: If a name, a method, a count or beta is not valid.
        ConvergenceError: If the objective stops being finite.

    Example:
        >>> import ebm_causal as ec, torch
        >>> energy = ec.LinearGaussianEnergy(torch.ones(2, 1), scale=1.0)
        >>> rows = torch.randn(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> ec.fit(energy, {"y": rows}, method="map").diagnostics.converged
        True

    References:
        Hoffman, Blei, Wang and Paisley (2013), Stochastic variational inference; Neal (2011), MCMC using
        Hamiltonian dynamics; Rose (1998), Deterministic annealing for clustering, compression, classification,
        regression, and related optimization problems.
    """
    if loss is not None or loop is not None or not isinstance(data, Mapping | pd.DataFrame):
        return fit_by_loss(
            energy, data, loss, latents=_latents(energy, latents), fixed=tuple(fixed), loop=loop, steps=steps,
            learning_rate=learning_rate, beta=beta, seed=seed, checkpoint=checkpoint, progress=progress,
            priors=priors,
        )  # fmt: skip
    _check_choices(method, guide, kernel, steps)
    betas = at_each(single_or_schedule(beta))
    task = _task(
        energy, data, _latents(energy, latents), (fixed, priors, method), (betas[-1], seed, progress)
    )
    if guide == "amortized" or (guide == "auto" and method == "svi" and not _small(task)):
        if method != "svi":
            raise ArgumentError(f"guide='amortized' serves method='svi'; got method={method!r}.")
        return _amortized(stages(task, betas), steps or 3000, learning_rate)
    if method == "mcmc":
        return _sampled(stages(task, betas), (chains, warmup, draws), kernel, steps or 500)
    return _collapsed(stages(task, betas), method, steps or 500)


def _check_choices(method: str, guide: str, kernel: str, steps: int | None) -> None:
    if method not in ("svi", "mcmc", "map"):
        raise ArgumentError(f"method must be 'svi', 'mcmc' or 'map'; got {method!r}.")
    if guide not in ("auto", "collapsed", "amortized"):
        raise ArgumentError(f"guide must be 'auto', 'collapsed' or 'amortized'; got {guide!r}.")
    if kernel not in ("hmc", "pyro-nuts"):
        raise ArgumentError(f"kernel must be 'hmc' or 'pyro-nuts'; got {kernel!r}.")
    if steps is not None and steps < 1:
        raise ArgumentError(f"steps must be positive; got {steps}.")


def _latents(energy: Energy, latents: Iterable[str]) -> tuple[str, ...]:
    names = tuple(latents) if not isinstance(latents, str) else (latents,)
    if names == ("z",) and "z" not in energy.variables:
        return latents_of(energy)
    for name in names:
        if name not in energy.variables:
            raise EnergyError(
                f"unknown latent {name!r}; the energy's variables are {list(energy.variables)}."
            )
    return names


def _task(
    energy: Energy,
    data: Mapping[str, object] | pd.DataFrame,
    latents: tuple[str, ...],
    learned: tuple[Iterable[str], Mapping[str, Distribution] | None, str],
    setting: tuple[float, int, Progress | None],
) -> Task:
    (fixed, priors, method), (beta, seed, progress) = learned, setting
    own = copy.deepcopy(energy)
    rows = rows_of(own, data, latents)
    parameters = ParameterVector(own, fixed)
    if not len(parameters):
        raise ArgumentError(
            "the energy has no parameter to learn: its callables are not nn.Modules, or all is fixed."
        )
    given = {find_parameters(own, [name])[0]: law for name, law in (priors or {}).items()}
    default = dict.fromkeys(parameters.names, DEFAULT_PRIOR) if method == "mcmc" else {}
    return Task(
        energy=own, rows=rows, latents=latents, parameters=parameters, priors={**default, **given},
        beta=beta, seed=seed, progress=progress,
    )  # fmt: skip


def _small(task: Task) -> bool:
    dims = [math.prod(task.energy.variables[name].shape or (1,)) for name in task.latents]
    return sum(dims) <= 2


def _collapsed(tasks: list[Task], method: str, steps: int) -> Fit:
    before, task = cool(tasks[:-1], steps), tasks[-1]
    objective = task.objective()
    optimum = maximize(objective, steps=steps, report=task.reporter(steps))
    diagnostics = judged(replace(optimum, evaluations=before + optimum.evaluations))
    return _fit(task, method, "collapsed", diagnostics=diagnostics, mean=optimum.flat, curvature=optimum.curvature,
                log_likelihood=objective.likelihood.log_likelihood().detach())  # fmt: skip


def _sampled(
    tasks: list[Task], counts: tuple[int, int, int], kernel: Literal["hmc", "pyro-nuts"], steps: int
) -> Fit:
    if min(counts) < 1 or counts[2] < 4:
        raise ArgumentError(f"chains and warmup must be positive and draws at least 4; got {counts}.")
    before, task = cool(tasks[:-1], steps), tasks[-1]
    objective = task.objective()

    def report(done: int, of: int) -> None:
        if task.progress is not None:
            task.progress(done / of, "sampling parameters")

    found = sample_parameters(
        objective, counts=counts, seed=task.seed, kernel=kernel, steps=steps, report=report
    )
    notes = []
    if found.divergences:
        notes.append(f"{found.divergences} trajectories diverged")
    if bool((found.moved < 0.1).any()):
        notes.append("a chain hardly moved")
    if found.lattice_error > 0.1:
        notes.append(f"the lattices of the latents were off by {found.lattice_error:.2g} nats at some draws")
    mixed = float(np.nanmax(found.r_hat)) < 1.05 and float(np.nanmin(found.ess_bulk)) > 100
    if not mixed:
        notes.append(
            f"the chains have not mixed: largest R-hat {found.r_hat.max():.3f}, least ESS {found.ess_bulk.min():.0f}"
        )
    diagnostics = FitDiagnostics(
        converged=mixed, text=f"largest R-hat {found.r_hat.max():.3f}, least bulk ESS {found.ess_bulk.min():.0f}",
        warnings=tuple(notes), history=found.optimum.history,
        evaluations=before + found.optimum.evaluations,
    )  # fmt: skip
    objective.likelihood.adapt()
    statistics = {"r_hat": found.r_hat, "ess_bulk": found.ess_bulk, "ess_tail": found.ess_tail}
    return _fit(task, "mcmc", "collapsed", diagnostics=diagnostics, mean=found.draws.mean((0, 1)), draws=found.draws,
                curvature=found.optimum.curvature, chain_statistics=statistics,
                log_likelihood=objective.likelihood.log_likelihood().detach())  # fmt: skip


def _amortized(tasks: list[Task], steps: int, rate: float) -> Fit:
    sizes = {name: math.prod(tasks[-1].energy.variables[name].shape or (1,)) for name in tasks[-1].latents}
    if tasks[-1].priors:
        raise ArgumentError(
            "the amortized guide has point parameters without priors; use method='map' or 'mcmc'."
        )
    guide = None
    for place, task in enumerate(tasks):
        run = run_svi(
            task.energy, task.rows, sizes, setting=(steps, rate, task.beta), seed=task.seed + place, guide=guide,
            report=task.reporter(steps, "evidence lower bound"),
        )  # fmt: skip
        guide = run.guide
    notes = () if run.converged else ("the evidence lower bound was still changing: allow more steps",)
    diagnostics = FitDiagnostics(
        converged=run.converged, text=f"evidence lower bound {run.elbo[-1]:.6g}", warnings=notes, history=run.elbo,
        evaluations=steps * len(tasks),
    )  # fmt: skip
    return _fit(
        task, "svi", "amortized", diagnostics=diagnostics, mean=task.parameters.get(), network=run.guide
    )


def _fit(
    task: Task,
    method: str,
    guide: str,
    *,
    diagnostics: FitDiagnostics,
    mean: Tensor,
    curvature: Tensor | None = None,
    draws: Tensor | None = None,
    chain_statistics: Mapping[str, np.ndarray] | None = None,
    log_likelihood: Tensor | None = None,
    network: AmortizedGuide | None = None,
) -> Fit:
    return Fit(
        energy=task.energy, method=method, guide=guide, labels=task.parameters.labels, data=task.rows,
        latents=task.latents, beta=task.beta, seed=task.seed,
        priors={name: str(law) for name, law in task.priors.items()}, diagnostics=diagnostics, mean=mean,
        curvature=curvature, draws=draws, chain_statistics=chain_statistics or {}, network=network,
        log_likelihood=log_likelihood,
    )  # fmt: skip
