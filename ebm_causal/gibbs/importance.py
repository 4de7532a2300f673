r"""Log integrals by importance sampling: around the modes (Laplace, corrected), from a prior, from a proposal."""

import math

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs.modes import Modes, find_modes
from ebm_causal.gibbs.quadrature import LogIntegral
from ebm_causal.gibbs.restriction import BLOCK, Restriction
from ebm_causal.sampling import LogMean, Mixture, log_mean_weight, mixture_around

STARTS = 16  # of the descents to the modes
MOST_MODES = 8
UNSEEN = 0.01  # mass in modes that one start alone has found, above which others may have been missed
REFITS = 2
BROADER = 1.2  # times the weighted standard deviations: a proposal should be wider than its target
POWERS = (1.0, 0.5, 0.25, 0.1)  # of the weights that a refit follows
SPARED = 0.1  # the least share of draws that must count in a refit
ROUGH = 0.1  # a standard error of the log, above which an estimate is said to be rough


def laplace_log_integral(restriction: Restriction, draws: int, generator: torch.Generator) -> LogIntegral:
    r"""Laplace's approximation at every mode found, corrected by importance sampling.

    .. math:: \hat Z = \frac1N\sum_i \frac{e^{-u(z_i)}}{q(z_i)}, \qquad
        q = \tfrac12\sum_m w_m N(z_m, H_m^{-1}) + \tfrac12\sum_m w_m t_4(z_m, H_m^{-1}), \quad
        w_m \propto e^{-u(z_m)} |H_m|^{-1/2}

    with the normal half as control variate, so that a Gaussian is exact. Trusted where Pareto's k is below its
    bound (see :func:`trusted_k`) and modes that a single start found have less than a hundredth of the mass:
    else there would be others.

    Raises:
        EnergyError: If the energy is not differentiable, or a variable finite.
    """
    modes = find_modes(restriction, STARTS, generator, most=MOST_MODES)
    parts = []
    for start, block in numbered_blocks(restriction, draws):
        rows = slice(start, start + block.rows)
        part = Modes(*(entry[:, rows] for entry in modes))
        parts.append(_around(block, part, draws, generator))
    return _joined(parts)


def prior_log_integral(restriction: Restriction, draws: int, generator: torch.Generator) -> LogIntegral:
    r"""The importance weighted bound with draws from the prior, refitted twice to the weighted draws.

    .. math:: \hat Z = \frac1K\sum_{k=1}^K \frac{e^{-u(z_k)}}{q(z_k)}, \qquad
        \mathbb E[\log\hat Z] \le \log Z

    The first proposal is half the regularizer's normal (or a standard normal), half a Student-t as wide; each next one
    has the mean and covariance of the weighted draws before. Only the last draws are averaged.

    References:
        Burda, Grosse and Salakhutdinov (2016), Importance weighted autoencoders; Oh and Berger (1992), Adaptive
        importance sampling in Monte Carlo integration.
    """
    return _joined([_refitted(block, draws, generator) for _, block in numbered_blocks(restriction, draws)])


def proposed_log_integral(
    restriction: Restriction, draws: int, proposal: TorchDistributionMixin, seed: int
) -> LogIntegral:
    """The importance weighted bound with draws from a given proposal over the variables, within their supports.

    Raises:
        ArgumentError: If the proposal's draws are not ``[draws, rows, dim]`` of the joined variables.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        points = proposal.sample((draws,))
        log_density = proposal.log_prob(points)
    if points.ndim == 2:
        points, log_density = points[:, None], log_density[:, None]
    wanted = (draws, restriction.rows, restriction.dim)
    if (
        points.shape[1] not in (1, restriction.rows)
        or points.shape[2:] != wanted[2:]
        or log_density.ndim != 2
    ):
        raise ArgumentError(
            f"a proposal over {list(restriction.over)} must draw [{restriction.dim}] numbers as one event, for one or "
            f"for each of {restriction.rows} rows; its draws are {list(points.shape[1:])} with log densities "
            f"{list(log_density.shape[1:])}."
        )
    points, log_density = points.expand(wanted).to(restriction.like), log_density.expand(wanted[:2])
    log_weights = -restriction.at(points) - log_density.to(restriction.like)
    return as_integral(log_mean_weight(log_weights.detach()), log_weights)


def trusted_k(draws: int) -> float:
    r"""The Pareto k up to which so many draws serve: :math:`\min(1 - 1/\log_{10} n, .7)` (Vehtari et al. 2024)."""
    return min(1 - 1 / math.log10(draws), 0.7)


def as_integral(found: LogMean, log_weights: Tensor) -> LogIntegral:
    """A log mean weight as a log integral, with the gradient of the self-normalized draws."""
    value = found.value
    if log_weights.requires_grad:
        surrogate = log_weights.logsumexp(0)
        value = value + (surrogate - surrogate.detach())
    good = (found.pareto_k <= trusted_k(len(log_weights))) & (found.standard_error < ROUGH)
    return LogIntegral(value=value, error=found.standard_error, trusted=good & value.detach().isfinite())


def numbered_blocks(restriction: Restriction, points_each: int) -> list[tuple[int, Restriction]]:
    """Blocks of rows, small enough for so many points each, with the number of their first row."""
    size = max(1, BLOCK // points_each)
    starts = range(0, restriction.rows, size)
    return [(start, _rows_from(restriction, start, size)) for start in starts]


def _rows_from(restriction: Restriction, start: int, size: int) -> Restriction:
    rows = torch.arange(start, min(start + size, restriction.rows), device=restriction.like.device)
    return restriction if len(rows) == restriction.rows else restriction.select(rows)


def _around(block: Restriction, modes: Modes, draws: int, generator: torch.Generator) -> LogIntegral:
    """The importance estimate of a block around its modes."""
    mixture, log_mass = mixture_around(modes.points, modes.precision, modes.energies)
    found = _weighed(block, mixture, draws, generator)
    share = torch.softmax(log_mass, 0)
    alone = torch.where(modes.found & (modes.ends <= 1), share, 0.0).sum(0)
    trusted = found.trusted & (alone <= UNSEEN) & modes.found[0]
    return LogIntegral(value=found.value, error=found.error, trusted=trusted)


def _weighed(block: Restriction, mixture: Mixture, draws: int, generator: torch.Generator) -> LogIntegral:
    with torch.no_grad():
        points = mixture.draw(draws, generator)
        normal, student = mixture.log_densities(points)
        log_density = mixture.log_density(normal, student)
    log_weights = -_walled(block(points)) - log_density
    control = (normal - log_density).exp() - 1
    return as_integral(log_mean_weight(log_weights.detach(), control), log_weights)


def _refitted(block: Restriction, draws: int, generator: torch.Generator) -> LogIntegral:
    scale = block.first_scale().expand(1, block.rows, -1)
    center, factor = torch.zeros_like(scale), torch.diag_embed(scale)
    mixture = Mixture(centers=center, factors=factor, log_weights=scale.new_zeros(1, block.rows))
    for _ in range(REFITS):
        with torch.no_grad():
            points = mixture.draw(draws, generator)
            log_weights = -_walled(block(points)) - mixture.log_density(*mixture.log_densities(points))
        mixture = _fitted(points, log_weights, mixture)
    return _weighed(block, mixture, draws, generator)


def _fitted(points: Tensor, log_weights: Tensor, old: Mixture) -> Mixture:
    """The mixture of the weighted mean and covariance, as before where that fails.

    Weights are tempered until enough draws count.
    """
    weights = torch.softmax(POWERS[-1] * log_weights, 0)
    for power in reversed(POWERS[:-1]):
        sharper = torch.softmax(power * log_weights, 0)
        enough = 1 / (sharper**2).sum(0) >= SPARED * len(points)
        weights = torch.where(enough, sharper, weights)
    mean = (weights[..., None] * points).sum(0)
    centered = (points - mean) * weights.sqrt()[..., None]
    covariance = BROADER**2 * torch.einsum("pri,prj->rij", centered, centered)
    factor, failed = torch.linalg.cholesky_ex(covariance)
    bad = (failed > 0) | ~factor.isfinite().flatten(1).all(-1)
    centers = torch.where(bad[:, None], old.centers[0], mean)
    factors = torch.where(bad[:, None, None], old.factors[0], factor)
    return Mixture(centers=centers[None], factors=factors[None], log_weights=old.log_weights)


def _walled(energies: Tensor) -> Tensor:
    """Energies where NaN is as infinity: no weight."""
    return torch.where(energies.isnan(), math.inf, energies)


def _joined(parts: list[LogIntegral]) -> LogIntegral:
    return LogIntegral(
        value=torch.cat([part.value for part in parts]),
        error=torch.cat([part.error for part in parts]),
        trusted=torch.cat([part.trusted for part in parts]),
    )
