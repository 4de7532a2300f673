"""A normal posterior around a fit: what it says, what it draws, what it predicts."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import named_parameters
from ebm_causal.errors import ArgumentError
from ebm_causal.inference import ParameterVector
from ebm_causal.learning import Fit
from ebm_causal.shapes import check_count, check_seed
from ebm_causal.uncertainty.settings import Progress, check_progress
from ebm_causal.uncertainty.values import in_one_precision, values_by_name


@dataclass(frozen=True, kw_only=True)
class LaplaceApproximation:
    """A normal approximation around a fit.

    Attributes:
        over: ``parameters``, ``latents`` or ``both``.
        names: Of the parameters; empty for ``latents``.
        mean: Of the parameters, ``[parameters]``.
        covariance: Of the parameters; None for ``latents``, and where only its diagonal was asked for.
        variance: Its diagonal; None for ``latents``.
        latents: The modes, ``[rows, dim]`` by name; empty for ``parameters``.
        latent_covariance: Of each row's latents joined, ``[rows, k, k]``: at the fitted parameters for ``latents``,
            with the parameters' uncertainty for ``both``.
        cross_covariance: Of each row's latents with the parameters, ``[rows, k, parameters]``, for ``both``.
        log_evidence: The log of the data's density with parameters and latents integrated out; None where a parameter
            has no prior.
        damping: What was added to the curvatures.
        fit: What it is around.
    """

    over: str
    names: tuple[str, ...]
    mean: Tensor
    covariance: Tensor | None
    variance: Tensor | None
    latents: Mapping[str, Tensor]
    latent_covariance: Tensor | None
    cross_covariance: Tensor | None
    log_evidence: float | None
    damping: float
    fit: Fit

    def summary(self) -> pd.DataFrame:
        """Mean and standard deviation of every parameter, and of every latent as ``name[row, coordinate]``."""
        labels, means, spread = list(self.names), self.mean.tolist(), []
        if self.variance is not None:
            spread = self.variance.sqrt().tolist()
        if self.latent_covariance is not None:
            deviations = self.latent_covariance.diagonal(dim1=-2, dim2=-1).sqrt()
            sizes = [value.flatten(1).shape[-1] for value in self.latents.values()]
            for (name, value), sd in zip(self.latents.items(), deviations.split(sizes, -1), strict=True):
                rows, dim = sd.shape
                labels += [f"{name}[{i}, {j}]" for i in range(rows) for j in range(dim)]
                means += value.flatten().tolist()
                spread += sd.flatten().tolist()
        return pd.DataFrame({"mean": means, "sd": spread}, index=labels)

    def sample(self, draws: int = 1000, seed: int = 0) -> dict[str, Tensor]:
        """Joint draws: ``parameters`` as ``[draws, parameters]``, latents by name as ``[draws, rows, dim]``.

        Raises:
            ArgumentError: If draws is not a positive number, or the seed is none.
        """
        check_count("draws", draws)
        generator = torch.Generator().manual_seed(check_seed(seed))
        found: dict[str, Tensor] = {}
        shift: Tensor | float = 0.0
        if self.variance is not None:
            noise = torch.randn(draws, len(self.mean), generator=generator, dtype=self.mean.dtype)
            apart = (
                noise * self.variance.sqrt() if self.covariance is None else noise @ _root(self.covariance).mT
            )
            found["parameters"] = self.mean + apart
            if self.cross_covariance is not None and self.covariance is not None:
                slopes = self.cross_covariance @ torch.linalg.inv(self.covariance)
                shift = torch.einsum("rkp,sp->srk", slopes, apart)
        if self.latent_covariance is None:
            return found
        alone = self.latent_covariance
        if self.cross_covariance is not None and self.covariance is not None:
            alone = alone - self.cross_covariance @ torch.linalg.solve(
                self.covariance, self.cross_covariance.mT
            )
        noise = torch.randn(draws, *alone.shape[:2], generator=generator, dtype=alone.dtype)
        moved = torch.einsum("rij,srj->sri", _root(alone), noise) + shift
        sizes = [value.flatten(1).shape[-1] for value in self.latents.values()]
        for (name, value), part in zip(self.latents.items(), moved.split(sizes, -1), strict=True):
            found[name] = value + part.reshape(draws, *value.shape)
        return found

    def predict(
        self,
        query: str = "y",
        *,
        given: Mapping[str, object],
        draws: int = 1000,
        parameter_draws: int = 50,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Tensor:
        """Draws ``[draws, rows, dim]`` of the posterior predictive: new latents, and parameters from the approximation.

        Args:
            query: What to predict.
            given: Everything else that is not latent.
            draws: How many for each row, a multiple of ``parameter_draws`` at least.
            parameter_draws: How many parameters are drawn.
            seed: Of all draws.
            progress: Told the share done.

        Raises:
            ArgumentError: If a count is not positive, or values are not given by name.
        """
        for name, count in (("draws", draws), ("parameter_draws", parameter_draws)):
            check_count(name, count)
        check_seed(seed)
        check_progress(progress)
        (given,) = in_one_precision(self.fit.energy, values_by_name("given", given))
        if self.variance is None:
            return self.fit.predict(query, given=given, draws=draws, seed=seed)
        if parameter_draws > draws:
            raise ArgumentError(f"parameter_draws must be from 1 to draws={draws}; got {parameter_draws}.")
        energy = copy.deepcopy(self.fit.energy)
        vector, at = fitted_parameters(self.fit, energy), replace(self.fit, energy=energy)
        each, parts = -(-draws // parameter_draws), []
        for number, flat in enumerate(self.sample(parameter_draws, seed)["parameters"]):
            vector.set(vector.with_positive_scales(flat))
            parts.append(at.predict(query, given=given, draws=each, seed=seed + number))
            if progress is not None:
                progress((number + 1) / parameter_draws, f"predicting {query} at draws of the parameters")
        return torch.cat(parts)[:draws]

    def __repr__(self) -> str:
        told = "" if self.log_evidence is None else f", log evidence {self.log_evidence:.6g}"
        rows = next((len(value) for value in self.latents.values()), 0)
        return (
            f"LaplaceApproximation(over={self.over!r}, {len(self.names)} parameters, latents of {rows} rows{told}, "
            f"damping={self.damping:g})"
        )

    def plot(self, ax: Any = None) -> Any:
        """Each with an interval of two standard deviations; the first twenty."""
        from ebm_causal.figures import forest_picture

        rows = [
            (str(name), row["mean"], row["mean"] - 2 * row["sd"], row["mean"] + 2 * row["sd"], "model")
            for name, row in self.summary().head(20).iterrows()
        ]
        return forest_picture(rows, ax)


def fitted_parameters(fit: Fit, energy: Any) -> ParameterVector:
    """The fitted parameters of an energy, in the order of the fit's labels."""
    everything = named_parameters(energy)
    left = [
        name
        for name in everything
        if not any(label == name or label.startswith(f"{name}[") for label in fit.labels)
    ]
    return ParameterVector(energy, left)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0.0).sqrt()[..., None, :]
