r"""Laplace's approximation around a fit: a normal posterior of parameters, of latents row by row, or of both."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.calculus import parameter_jacobian
from ebm_causal.energies import named_parameters, normalized
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.gibbs import minimize, restrict
from ebm_causal.inference import ParameterVector
from ebm_causal.learning import Fit
from ebm_causal.threads import one_thread

Over = Literal["parameters", "latents", "both"]
FLAT = 1e-7  # of the largest eigenvalue: below it a direction is not identified, as for fits


@dataclass(frozen=True, kw_only=True)
class LaplaceApproximation:
    """A normal approximation around a fit.

    Attributes:
        over: ``parameters``, ``latents`` or ``both``.
        names: Of the parameters; empty for ``latents``.
        mean: Of the parameters, ``[parameters]``.
        covariance: Of the parameters; None for ``latents``.
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
    latents: Mapping[str, Tensor]
    latent_covariance: Tensor | None
    cross_covariance: Tensor | None
    log_evidence: float | None
    damping: float
    fit: Fit

    def summary(self) -> pd.DataFrame:
        """Mean and standard deviation of every parameter, and of every latent as ``name[row, coordinate]``."""
        labels, means, spread = list(self.names), self.mean.tolist(), []
        if self.covariance is not None:
            spread = self.covariance.diagonal().sqrt().tolist()
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
        """Joint draws: ``parameters`` as ``[draws, parameters]``, latents by name as ``[draws, rows, dim]``."""
        generator = torch.Generator().manual_seed(seed)
        found: dict[str, Tensor] = {}
        shift: Tensor | float = 0.0
        if self.covariance is not None:
            noise = torch.randn(draws, len(self.mean), generator=generator, dtype=self.mean.dtype)
            apart = noise @ _root(self.covariance).mT
            found["parameters"] = self.mean + apart
            if self.cross_covariance is not None:
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
    ) -> Tensor:
        """Draws ``[draws, rows, dim]`` of the posterior predictive: new latents, and parameters from the approximation.

        Args:
            query: What to predict.
            given: Everything else that is not latent.
            draws: How many for each row, a multiple of ``parameter_draws`` at least.
            parameter_draws: How many parameters are drawn.
            seed: Of all draws.

        Raises:
            ArgumentError: If a count is not positive.
        """
        if self.covariance is None:
            return self.fit.predict(query, given=given, draws=draws, seed=seed)
        if not 0 < parameter_draws <= draws:
            raise ArgumentError(f"parameter_draws must be from 1 to draws={draws}; got {parameter_draws}.")
        energy = copy.deepcopy(self.fit.energy)
        vector, at = _vector(self.fit, energy), replace(self.fit, energy=energy)
        each, parts = -(-draws // parameter_draws), []
        for number, flat in enumerate(self.sample(parameter_draws, seed)["parameters"]):
            vector.set(vector.with_positive_scales(flat))
            parts.append(at.predict(query, given=given, draws=each, seed=seed + number))
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


@one_thread()
def laplace_approximation(fit: Fit, over: Over = "both", *, damping: float = 0.0) -> LaplaceApproximation:
    r"""Approximate the posterior around a fit by a normal one.

    .. math::
        \theta \sim N(\hat\theta, H_\theta^{-1}), \qquad
        z_i \mid \theta \sim N\big(\hat z_i + D_i(\theta - \hat\theta), H_i^{-1}\big), \qquad
        D_i = -H_i^{-1}\,\partial_\theta\nabla_z E_i

    with :math:`H_\theta` the curvature of the log posterior, latents integrated out, and one block :math:`H_i` for each
    row: rows are independent given the parameters, so the joint matrix is never formed. The evidence is
    :math:`\log p(\text{data}, \hat\theta) + \tfrac p2\log 2\pi - \tfrac12\log\det H_\theta`. Exact for linear-Gaussian
    energies with normal priors; misleads where a posterior is skewed or has several modes.

    Args:
        fit: A fit that computed a curvature (``map`` or collapsed ``svi``), with priors for the evidence.
        over: ``parameters``, ``latents`` (at the fitted parameters) or ``both``.
        damping: Added to the curvatures' diagonals. Zero refuses what is singular or indefinite.

    Returns:
        The approximation: ``summary``, ``sample``, ``predict``.

    Raises:
        ArgumentError: If the fit has no curvature, or an option is unknown.
        ConvergenceError: If the fit or a row's minimum did not arrive, or a curvature is not positive definite.

    Example:
        >>> import ebm_causal as ec, torch
        >>> energy = ec.LinearGaussianEnergy(torch.ones(1, 1), torch.ones(1, 1))
        >>> rows = torch.randn(50, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        >>> fit = ec.fit(energy, {"x": rows, "y": 2 * rows}, fixed=("latent_weight", "scale"), method="map")
        >>> laplace_approximation(fit)
        LaplaceApproximation(over='both', 1 parameters, latents of 50 rows, damping=0)

    References:
        MacKay (1992), A practical Bayesian framework for backpropagation networks; Daxberger et al. (2021), Laplace
        redux.
    """
    if over not in get_args(Over):
        raise ArgumentError(f"over must be one of {list(get_args(Over))}; got {over!r}.")
    if damping < 0:
        raise ArgumentError(f"damping must not be negative; got {damping}.")
    if not fit.diagnostics.converged:
        raise ConvergenceError(
            f"the fit has not converged ({fit.diagnostics.text}): fit again with more steps."
        )
    curvature = _curvature(fit, damping) if over != "latents" else None
    covariance = None if curvature is None else torch.cholesky_inverse(torch.linalg.cholesky(curvature))
    blocks = (
        _blocks(fit, damping, with_slopes=over == "both") if over != "parameters" and fit.latents else None
    )
    latent_covariance = None if blocks is None else blocks.covariance
    cross = None
    if blocks is not None and blocks.slopes is not None and covariance is not None:
        cross = blocks.slopes @ covariance
        latent_covariance = blocks.covariance + cross @ blocks.slopes.mT
    return LaplaceApproximation(
        over=over,
        names=fit.labels if covariance is not None else (),
        mean=fit.mean if covariance is not None else fit.mean[:0],
        covariance=covariance,
        latents={} if blocks is None else blocks.modes,
        latent_covariance=latent_covariance,
        cross_covariance=cross,
        log_evidence=None if curvature is None else _log_evidence(fit, curvature),
        damping=damping,
        fit=fit,
    )


class _Blocks(NamedTuple):
    modes: Mapping[str, Tensor]
    covariance: Tensor  # [rows, k, k]
    slopes: Tensor | None  # of the modes in the parameters, [rows, k, p]


def _curvature(fit: Fit, damping: float) -> Tensor:
    if fit.curvature is None:
        raise ArgumentError(
            f"a fit by {fit.method!r} ({fit.guide}) computed no curvature: fit with method='map', or take its draws."
        )
    return _positive(fit.curvature, damping, "the curvature of the parameters' log posterior")


def _blocks(fit: Fit, damping: float, *, with_slopes: bool) -> _Blocks:
    energy = normalized(fit.beta * fit.energy)
    held = {name: value for name, value in fit.data.items() if name in energy.variables}
    found = minimize(energy, fit.latents, held)
    bad = (~found.converged).nonzero().flatten().tolist()
    if bad:
        raise ConvergenceError(
            f"the latents of rows {bad[:5]} did not reach a minimum: there is no mode to expand at."
        )
    restriction = restrict(energy, fit.latents, held, 1.0)
    joined = torch.cat([found.values[name].flatten(1) for name in fit.latents], -1)
    with torch.enable_grad():
        z = joined.detach().to(next(iter(fit.energy.parameters()), restriction.like)).requires_grad_()
        (gradient,) = torch.autograd.grad(restriction.at(z[None]).sum(), z, create_graph=True)
        columns = [torch.autograd.grad(g.sum(), z, retain_graph=True)[0] for g in gradient.unbind(-1)]
        mixed = parameter_jacobian(gradient, _vector(fit, fit.energy).tensors) if with_slopes else None
    hessian = torch.stack(columns, -2).detach().to(torch.float64)
    hessian = _positive(0.5 * (hessian + hessian.mT), damping, f"the curvature over {list(fit.latents)}")
    factor = torch.linalg.cholesky(hessian)
    modes = {name: value.detach() for name, value in found.values.items()}
    slopes = None if mixed is None else -torch.cholesky_solve(mixed.to(hessian), factor)
    return _Blocks(modes, torch.cholesky_inverse(factor), slopes)


def _positive(matrix: Tensor, damping: float, what: str) -> Tensor:
    """A damped matrix, if it is positive definite.

    Raises:
        ConvergenceError: With its smallest eigenvalue, and the rows.
    """
    damped = matrix + damping * torch.eye(matrix.shape[-1]).to(matrix)
    values = torch.linalg.eigvalsh(damped)
    bad = values[..., 0] <= FLAT * values.abs().max()
    if bool(bad.any()):
        rows = f" in rows {bad.nonzero().flatten()[:5].tolist()}" if bad.ndim else ""
        raise ConvergenceError(
            f"{what} is not positive definite{rows}: its smallest eigenvalue is {float(values[..., 0].min()):.3g}. The "
            "data do not identify that direction, or the point is no maximum. Give priors, or damping."
        )
    return damped


def _log_evidence(fit: Fit, curvature: Tensor) -> float | None:
    named = named_parameters(fit.energy)
    fitted = {
        name for name in named if any(label == name or label.startswith(f"{name}[") for label in fit.labels)
    }
    if fitted - set(fit.priors):
        return None
    volume = len(curvature) * math.log(2 * math.pi) - float(torch.linalg.slogdet(curvature).logabsdet)
    return fit.diagnostics.history[-1] + 0.5 * volume


def _vector(fit: Fit, energy: Any) -> ParameterVector:
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
