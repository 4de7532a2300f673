"""What a fit hands on: the fitted energy, its parameters with their uncertainty, and how the fit went."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.distributions import Distribution

from ebm_causal.calculus import spectrum
from ebm_causal.energies import Energy, named_parameters, normalized
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs import restrict
from ebm_causal.inference import Bounds, NormalGuide, draw_rows
from ebm_causal.learning.exporting import export, prior_draws
from ebm_causal.learning.predicting import predictive_draws
from ebm_causal.learning.records import TrainingRecord
from ebm_causal.learning.replicating import Replicas, predict_rows, replicate

CHAIN_COLUMNS = ("r_hat", "ess_bulk", "ess_tail")
NO_SPREAD = "a point: this method computes no standard deviation"
FLAT = 1e-7  # of the largest curvature: below it the data do not identify a direction
CHEAP = 2_000_000  # rows times draws for which replicas are drawn without being asked


@dataclass(frozen=True, slots=True, kw_only=True)
class FitDiagnostics:
    """How a fit went.

    Attributes:
        converged: Whether it arrived, by the measure that ``text`` states.
        text: That measure and its value.
        warnings: What cannot be trusted, in words.
        history: The objective as it rose: the log likelihood, or the evidence lower bound.
        evaluations: How many values and gradients it took.
        chains: For ``mcmc``, by chain: the mean ``acceptance``, ``moved`` (the share of draws in which it moved) and
            ``divergences``.
    """

    converged: bool
    text: str
    warnings: tuple[str, ...]
    history: tuple[float, ...] = field(repr=False)
    evaluations: int
    chains: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the fit arrived and nothing is warned about."""
        return self.converged and not self.warnings


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted latent energy.

    Attributes:
        energy: A copy of the energy at the fitted parameters (for ``mcmc`` at the posterior mean).
        method: ``map``, ``svi`` or ``mcmc``, or the name of the loss.
        guide: What stands for the posterior of the latents: ``collapsed`` (a lattice per row), ``amortized`` or
            ``flat`` (a normal for each row, by a network or of its own), or ``joint`` (drawn along with parameters);
            ``none`` for a training by a loss.
        labels: One per parameter coordinate.
        mean: The parameters, flat, in the order of ``labels``.
        curvature: The observed information of the parameters, latents integrated out, prior included;
            None where a guide or draws stand for the latents, and for more than 400 parameters.
        draws: ``[chains, draws, parameters]`` for ``mcmc``, else None.
        chain_statistics: R-hat and effective sample sizes per parameter, for ``mcmc``.
        log_likelihood: Of each row, latents integrated out; by importance sampling where a guide stands for them.
        bounds: For ``svi``, the evidence lower bound and the importance weighted one, and the gap between them.
        diagnostics: How the fit went.
        priors: The priors on parameters, in words, by name.
        laws: The same as distributions.
        draw_statistics: For ``mcmc``, ``lp``, ``acceptance_rate`` and ``diverging`` of each draw.
        latent_chains: ``[chains, draws, rows, dim]`` of the latents in unconstrained coordinates, where they were drawn
            along.
        data: The rows.
        latents: The latents' names.
        beta: The inverse temperature.
        seed: The seed.
        resumed_from: The step from which a killed fit went on; None for a fit in one go.
        training: How a training by a ``loss`` went; None for the other methods.
    """

    energy: Energy
    method: str
    guide: str
    labels: tuple[str, ...]
    mean: Tensor
    curvature: Tensor | None
    draws: Tensor | None
    chain_statistics: Mapping[str, np.ndarray]
    log_likelihood: Tensor | None
    diagnostics: FitDiagnostics
    priors: Mapping[str, str]
    data: Mapping[str, Tensor]
    latents: tuple[str, ...]
    beta: float
    seed: int
    resumed_from: int | None = None
    training: TrainingRecord | None = field(default=None, repr=False)
    network: NormalGuide | None = field(default=None, repr=False)
    bounds: Bounds | None = None
    laws: Mapping[str, Distribution] = field(default_factory=dict, repr=False)
    draw_statistics: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    latent_chains: Tensor | None = field(default=None, repr=False)

    @property
    def covariance(self) -> Tensor | None:
        """The covariance of the parameters; None where it is not known or the information is singular."""
        if self.draws is not None:
            return torch.cov(self.draws.flatten(0, 1).T)
        if self.curvature is None:
            return None
        values, vectors, rank = spectrum(self.curvature, FLAT)
        return (vectors / values) @ vectors.mT if rank == len(values) else None

    def summary(self) -> pd.DataFrame:
        """Mean and standard deviation of each parameter, R-hat and effective sample sizes where there are chains.

        With chains the column ``prior`` says which prior each parameter had.
        A parameter that the data do not identify has standard deviation ``inf``. Where none was computed it is
        missing, and the column ``note`` says why.
        """
        spread = self._standard_deviations()
        frame = pd.DataFrame({"mean": self.mean.numpy(), "sd": spread}, index=list(self.labels))
        if np.isnan(spread).any():
            frame["note"] = NO_SPREAD
        elif np.isinf(spread).any():
            frame["note"] = np.where(np.isinf(spread), "not identified by the data", "")
        for column in CHAIN_COLUMNS:
            if column in self.chain_statistics:
                frame[column] = self.chain_statistics[column]
        if self.draws is not None and self.priors:
            frame["prior"] = [
                self.priors.get(label.split("[")[0], self.priors.get(label, "")) for label in self.labels
            ]
        return frame

    def to_arviz(self, draws: int = 200) -> Any:
        """Parameters, latents, replicas and the log likelihood of each row for ArviZ, dimensions named.

        For ``mcmc`` latents, ``posterior_predictive`` and ``log_likelihood`` (latents integrated out, so that leaving
        one row out means something) go with each draw of the parameters, ``sample_stats`` and ``prior`` are there; the
        replicas are left out where rows times draws exceed two millions. For the other methods latents and replicas are
        drawn at the fitted parameters.

        Args:
            draws: Draws of the latents, where there are no chains that say how many.
        """
        rows = next(iter(self.data.values())).shape[0]
        groups: dict[str, Mapping[str, Tensor]] = {"observed_data": self.data}
        if self.draws is None:
            latents = self.latent_draws(draws)
            groups |= {"posterior": latents, "posterior_predictive": self._predicted(latents, draws)}
            if self.log_likelihood is not None:
                groups["log_likelihood"] = {"rows": self.log_likelihood.expand(1, draws, -1)}
        else:
            named = self._named(self.draws)
            groups |= {"posterior": named, "sample_stats": self.draw_statistics}
            groups["prior"] = prior_draws(self.laws, {k: v.shape[2:] for k, v in named.items()}, self.seed)
            if self.draws[..., 0].numel() * rows <= CHEAP:
                found = self.replicas()
                groups["posterior"] = {**named, **found.latents}
                groups["posterior_predictive"] = found.predicted
                groups["log_likelihood"] = {"rows": found.log_likelihood}
        shapes = {name: variable.shape or (1,) for name, variable in self.energy.variables.items()}
        return export(groups, shapes, rows)

    def replicas(self) -> Replicas:
        """Latents, rows drawn anew and log likelihoods of the rows, at each draw of the parameters.

        Raises:
            ArgumentError: If the fit has no draws of the parameters.
        """
        if self.draws is None:
            raise ArgumentError(f"method={self.method!r} has no draws of the parameters: fit by 'mcmc'.")
        return replicate(
            self.energy, self.labels, self.data, (self.latents, self.beta, self.seed), self.draws,
            drawn_along=self.latent_chains,
        )  # fmt: skip

    def latent_draws(self, draws: int = 200, chains: int = 1) -> dict[str, Tensor]:
        """Draws ``[chains, draws, rows, dim]`` of the latents given each row, at the fitted parameters."""
        if not self.latents:
            return {}
        generator = torch.Generator().manual_seed(self.seed)
        restriction = restrict(normalized(self.energy), self.latents, self.data, self.beta)
        if self.network is not None:
            points = restriction.to_support(_guide_draws(self.network, self.data, draws * chains, generator))[
                0
            ]
        elif self.latent_chains is not None:
            known = self.latent_chains.flatten(0, 1)
            chosen = torch.randint(len(known), (draws * chains,), generator=generator)
            points = restriction.to_support(known[chosen])[0]
        else:
            points, _ = draw_rows(restriction, draws * chains, generator)
        shuffled = points[torch.randperm(draws * chains, generator=generator)]
        return {k: v.reshape(chains, draws, *v.shape[1:]) for k, v in restriction.split(shuffled).items()}

    def predict(
        self, query: str = "y", *, given: Mapping[str, object], draws: int = 1000, seed: int = 0
    ) -> Tensor:
        """Draws ``[draws, rows, dim]`` of one variable where others are seen, latents integrated out.

        Args:
            query: What to predict.
            given: Everything else that is not latent, ``[rows, dim]`` by name.
            draws: How many draws for each row.
            seed: The same seed gives the same draws.

        Raises:
            ArgumentError: If the query is among what is given.
            EnergyError: If names or shapes do not fit, or no lattice serves what is hidden.
        """
        if query in given:
            raise ArgumentError(f"{query!r} is given; ask for a variable that is not.")
        generator = torch.Generator().manual_seed(seed)
        return predictive_draws(self.energy, query, given, self.beta, generator, draws=draws)

    def save(self, path: str | Path) -> None:
        """Write the fit into a folder, as safetensors and JSON; ``ec.load_fit(path, energy)`` reads it.

        The data's rows are part of it. Nothing is pickled: callables are not kept, the energy given to ``load_fit``
        brings them.

        Args:
            path: A folder; an earlier fit in it is replaced, by rename.

        Raises:
            ArgumentError: If the path is a file.
        """
        from ebm_causal.learning.saving import save_fit  # which needs this class

        save_fit(self, path)

    def __repr__(self) -> str:
        state = "converged" if self.diagnostics.converged else "NOT converged"
        rows = next(iter(self.data.values())).shape[0]
        size = f"rows={rows}, parameters={len(self.labels)}"
        return f"Fit(method={self.method!r}, {size}, {state}: {self.diagnostics.text})"

    def _predicted(self, latents: Mapping[str, Tensor], draws: int) -> dict[str, Tensor]:
        """Rows drawn anew, ``[1, draws, rows, *shape]``, at the fitted parameters."""
        generator = torch.Generator().manual_seed(self.seed)
        seen = {name: value.expand(1, draws, *value.shape) for name, value in self.data.items()}
        with torch.no_grad():
            return predict_rows(self.energy, {**seen, **latents}, self.beta, generator)

    def _named(self, flat: Tensor) -> dict[str, Tensor]:
        named, found, start = named_parameters(self.energy), {}, 0
        sizes: dict[str, int] = {}
        for label in self.labels:
            name = label if label in named else label[: label.rindex("[")]
            sizes[name] = sizes.get(name, 0) + 1
        for name, size in sizes.items():
            part = flat[..., start : start + size]
            found[name], start = part.reshape(*flat.shape[:-1], *named[name].shape), start + size
        return found

    def _standard_deviations(self) -> np.ndarray:
        if self.draws is not None:
            return self.draws.flatten(0, 1).std(0).numpy()
        if self.curvature is None:
            return np.full(len(self.labels), np.nan)
        values, vectors, _ = spectrum(self.curvature, FLAT)
        null = values <= FLAT * values.abs().max()
        variances = (vectors[:, ~null] ** 2 / values[~null]).sum(-1)
        touched = (vectors[:, null] ** 2).sum(-1) > 1e-8
        return torch.where(touched, torch.inf, variances.sqrt()).numpy()


def _guide_draws(
    network: NormalGuide, data: Mapping[str, Tensor], count: int, generator: torch.Generator
) -> Tensor:
    """Draws ``[count, rows, dim]`` of all latents in unconstrained coordinates."""
    with torch.no_grad():
        mean, scale = network.flat(data)
    return mean + scale * torch.randn((count, *mean.shape), generator=generator, dtype=mean.dtype)
