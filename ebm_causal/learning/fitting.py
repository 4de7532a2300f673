"""Fitting a latent energy: by maximum marginal likelihood, by SVI, by MCMC."""

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, cast

import pandas as pd
from torch.distributions import Distribution, Normal
from torch.utils.data import Dataset

from ebm_causal.energies import Energy, Factor, as_energy, find_parameters, latents_of
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs import at_each, single_or_schedule
from ebm_causal.inference import Engine, Kernel, Kind, ParameterVector
from ebm_causal.learning.arguments import check_learned, check_numbers
from ebm_causal.learning.cooling import stages
from ebm_causal.learning.fits import Fit
from ebm_causal.learning.keeping import kept
from ebm_causal.learning.loops import Loop
from ebm_causal.learning.losses import Loss
from ebm_causal.learning.routes import Sampling, collapsed, sampled, variational
from ebm_causal.learning.rows import rows_of
from ebm_causal.learning.streaming import ParquetRows
from ebm_causal.learning.tasks import Progress, Task, unvalidated
from ebm_causal.learning.training import fit_by_loss
from ebm_causal.shapes import Betas, as_names
from ebm_causal.threads import one_thread

DEFAULT_PRIOR = Normal(0.0, 10.0, validate_args=False)


@one_thread()
def fit(
    energy: Energy | Factor,
    data: Mapping[str, object] | pd.DataFrame | Dataset | ParquetRows,
    latents: Iterable[str] = ("z",),
    method: Literal["svi", "mcmc", "map"] = "svi",
    priors: Mapping[str, Distribution] | None = None,
    *,
    fixed: Iterable[str] = (),
    guide: Literal["auto", "collapsed", "amortized", "flat"] = "auto",
    kernel: Literal["auto", "hmc", "pyro-nuts", "pyro-svi"] = "auto",
    steps: int | None = None,
    learning_rate: float = 0.01,
    chains: int = 16,
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
    bound is tight), else a normal guide, amortized (one network) or flat (each row its own). ``mcmc`` samples
    the parameters, every one under Normal(0, 10) unless ``priors`` says otherwise, by many chains of HMC that share
    a metric: with the latents integrated out where a lattice serves them, else together with them.

    A schedule of beta is deterministic annealing: the parameters are fitted at each inverse temperature in turn,
    each time from near where the last fit ended, and the result is that at the last beta. At a low one the
    likelihood is smooth and forgets its start; rising slowly, the fit often arrives at a better optimum than one
    that starts cold, though nothing warrants the best. It serves where scales are fixed: one that is learned takes
    up the temperature. For ``mcmc`` the earlier stages are maximizations, which give the start, and the chains run at
    the last beta.

    Args:
        energy: A sum of mechanisms and regularizers, or one of them. It is copied; the caller's is not changed.
        data: ``[rows]`` or ``[rows, dim]`` by variable, or a DataFrame.
        latents: What the data do not hold.
        method: As above.
        priors: A torch or Pyro distribution by parameter name, over each coordinate; for a scale, of its size.
        fixed: Names of parameters that stay as they are.
        guide: For ``svi``: ``collapsed``, ``amortized``, ``flat``, or whichever of the first two serves.
        kernel: For ``mcmc``: ``hmc``, or ``pyro-nuts`` as the reference. For ``svi`` with a guide: ``pyro-svi`` is
            the reference, Pyro's own.
        steps: The most iterations, at each beta (by default 500 for the collapsed objective, 3000 for the
            other guides).
        learning_rate: Of a guide's Adam.
        chains: Chains for ``mcmc``: 16 to 64 cost little more than 4 and learn their metric sooner.
        draws: Draws of each.
        warmup: Iterations of each before them.
        beta: The inverse temperature of mechanisms and regularizers alike, or a schedule to fit along.
        seed: The same seed gives the same numbers on the same machine.
        progress: Told the share done and what is being done.
        loss: Another principle than the likelihood, a member of ``ebm_causal.learning``; ``method``, ``guide``,
            ``kernel`` and priors have no part in it then.
        loop: How a loss is minimized: batches, optimizer, early stopping.
        checkpoint: A folder for states, kept at every twentieth of the steps at least; a fit that was killed and is
            started again with the same arguments goes on from there and ends at the same numbers.

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
    energy = as_energy(energy)
    latents, fixed = as_names(latents), as_names(fixed)
    counts = {"steps": steps, "chains": chains, "draws": draws, "warmup": warmup}
    check_numbers(counts, learning_rate, seed)
    check_learned(fixed, priors, progress)
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
    if checkpoint is not None:
        choices = {
            "method": method, "guide": guide, "kernel": kernel, "steps": steps, "betas": list(betas),
            "learning_rate": learning_rate, "counts": (chains, warmup, draws),
        }  # fmt: skip
        most = steps or (3000 if method == "svi" and not task.small else 500)
        task = kept(task, checkpoint, choices, min(most, warmup + draws) if method == "mcmc" else most)
    along = stages(task, betas)
    if method == "mcmc":
        by = cast(Kernel, "hmc" if kernel == "auto" else kernel)
        sampling = Sampling(chains=chains, warmup=warmup, draws=draws, kernel=by)
        return sampled(along, sampling, steps or 500, small=task.small)
    if method == "svi" and (guide in ("amortized", "flat") or (guide == "auto" and not task.small)):
        kind: Kind = "flat" if guide == "flat" else "amortized"
        engine = cast(Engine, "traced" if kernel == "auto" else kernel)
        return variational(along, kind, engine, steps or 3000, learning_rate)
    return collapsed(along, method, steps or 500)


KERNELS = {"map": ("auto",), "svi": ("auto", "pyro-svi"), "mcmc": ("auto", "hmc", "pyro-nuts")}


def _check_choices(method: str, guide: str, kernel: str, steps: int | None) -> None:
    if not isinstance(method, str) or method not in KERNELS:
        raise ArgumentError(f"method must be 'svi', 'mcmc' or 'map'; got {method!r}.")
    if guide not in ("auto", "collapsed", "amortized", "flat"):
        raise ArgumentError(f"guide must be 'auto', 'collapsed', 'amortized' or 'flat'; got {guide!r}.")
    if guide in ("amortized", "flat") and method != "svi":
        raise ArgumentError(f"guide={guide!r} serves method='svi'; got method={method!r}.")
    if kernel not in KERNELS[method]:
        raise ArgumentError(
            f"kernel must be one of {list(KERNELS[method])} for method={method!r}; got {kernel!r}."
        )
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
    given = {find_parameters(own, [name])[0]: unvalidated(law) for name, law in (priors or {}).items()}
    default = dict.fromkeys(parameters.names, DEFAULT_PRIOR) if method == "mcmc" else {}
    return Task(
        energy=own, rows=rows, latents=latents, parameters=parameters, priors={**default, **given},
        beta=beta, seed=seed, progress=progress,
    )  # fmt: skip
