r"""Laplace's approximation around a fit: a normal posterior of parameters, of latents row by row, or of both."""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from ebm_causal.calculus import parameter_jacobian
from ebm_causal.energies import normalized
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.gibbs import minimize, restrict
from ebm_causal.learning import Fit
from ebm_causal.shapes import check_choice
from ebm_causal.threads import one_thread
from ebm_causal.uncertainty.approximations import LaplaceApproximation, fitted_parameters
from ebm_causal.uncertainty.diagonals import Priors, diagonal_curvature
from ebm_causal.uncertainty.settings import Progress, check_damping, check_progress
from ebm_causal.uncertainty.values import check_fit

Over = Literal["parameters", "latents", "both"]
Structure = Literal["full", "diagonal"]
FLAT = 1e-7  # of the largest eigenvalue: below it a direction is not identified, as for fits


@one_thread()
def laplace_approximation(
    fit: Fit,
    over: Over = "both",
    *,
    structure: Structure = "full",
    priors: Priors = None,
    damping: float = 0.0,
    progress: Progress | None = None,
) -> LaplaceApproximation:
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
        structure: ``full``, for up to 400 parameters; or ``diagonal``, for any number of them in fits without latents:
            the Gauss-Newton curvature's diagonal and the priors', which takes parameters as independent.
        priors: For ``diagonal``: those of the fit once more, which keeps them in words alone.
        damping: Added to the curvatures' diagonals. Zero refuses what is singular or indefinite.
        progress: Told the share done and what is being done, where minimizing takes long.

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
    check_choice("over", over, get_args(Over))
    check_choice("structure", structure, get_args(Structure))
    check_progress(progress)
    damping = check_damping(damping)
    check_fit(fit)
    if structure == "diagonal" and over != "latents":
        return _of_diagonal(fit, over, priors, damping)
    if priors is not None:
        raise ArgumentError(
            "priors serve structure='diagonal'; elsewhere the fit's curvature holds them: leave them out."
        )
    curvature = _curvature(fit, damping) if over != "latents" else None
    covariance = None if curvature is None else torch.cholesky_inverse(torch.linalg.cholesky(curvature))
    blocks = (
        _blocks(fit, damping, progress, with_slopes=over == "both")
        if over != "parameters" and fit.latents
        else None
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
        variance=None if covariance is None else covariance.diagonal(),
        latents={} if blocks is None else blocks.modes,
        latent_covariance=latent_covariance,
        cross_covariance=cross,
        log_evidence=None
        if curvature is None
        else _log_evidence(fit, float(torch.linalg.slogdet(curvature).logabsdet)),
        damping=damping,
        fit=fit,
    )


class _Blocks(NamedTuple):
    modes: Mapping[str, Tensor]
    covariance: Tensor  # [rows, k, k]
    slopes: Tensor | None  # of the modes in the parameters, [rows, k, p]


def _of_diagonal(fit: Fit, over: str, priors: Priors, damping: float) -> LaplaceApproximation:
    """Parameters alone, each with the variance that its own curvature gives it."""
    if fit.latents:
        raise ArgumentError(
            f"structure='diagonal' serves fits without latents; this one has {list(fit.latents)}. Take 'full'."
        )
    curvature = diagonal_curvature(fit, priors) + damping
    bad = (curvature <= FLAT * curvature.max()).nonzero().flatten().tolist()
    if bad:
        raise ConvergenceError(
            f"the data and priors do not curve {[fit.labels[i] for i in bad[:5]]}: the smallest curvature is "
            f"{float(curvature.min()):.3g}. Give priors, or damping."
        )
    return LaplaceApproximation(
        over=over, names=fit.labels, mean=fit.mean, covariance=None, variance=1 / curvature, latents={},
        latent_covariance=None, cross_covariance=None,
        log_evidence=_log_evidence(fit, float(curvature.log().sum())), damping=damping, fit=fit,
    )  # fmt: skip


def _curvature(fit: Fit, damping: float) -> Tensor:
    if fit.curvature is None and fit.guide == "collapsed":
        instead = (
            "Name some in fixed=" if fit.latents else "Take structure='diagonal', or name some in fixed="
        )
        raise ArgumentError(
            f"the fit computed no curvature: {len(fit.labels)} parameters are too many for a whole one. {instead}."
        )
    if fit.curvature is None:
        raise ArgumentError(
            f"a fit by {fit.method!r} ({fit.guide}) computed no curvature: fit with method='map', or take its draws."
        )
    return _positive(fit.curvature, damping, "the curvature of the parameters' log posterior")


def _blocks(fit: Fit, damping: float, progress: Progress | None, *, with_slopes: bool) -> _Blocks:
    energy = normalized(fit.beta * fit.energy)
    held = {name: value for name, value in fit.data.items() if name in energy.variables}
    found = minimize(energy, fit.latents, held, progress=progress)
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
        mixed = (
            parameter_jacobian(gradient, fitted_parameters(fit, fit.energy).tensors) if with_slopes else None
        )
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


def _log_evidence(fit: Fit, log_det: float) -> float | None:
    if set(fitted_parameters(fit, fit.energy).names) - set(fit.priors):
        return None
    return fit.diagnostics.history[-1] + 0.5 * (len(fit.labels) * math.log(2 * math.pi) - log_det)
