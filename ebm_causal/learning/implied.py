"""What a confounded energy implies: the effect of the treatment, and the confounder's linear partial R^2."""

from collections.abc import Mapping

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import expit, logit
from torch import Tensor

from ebm_causal.energies import BernoulliCost, Energy, StudentTCost, decoders_of, mechanisms_of

NODES = 24


def average_effect(energy: Energy, rows: Mapping[str, Tensor]) -> Tensor:
    r"""The effect of t on the mean of y under do(t), averaged over the covariates' rows and the prior of z.

    For a continuous outcome it is the decoder's coefficient; for a binary one the average difference of
    probabilities between t = 1 and t = 0, or the average slope for a continuous treatment.
    """
    outcome = mechanisms_of(energy)["y"]
    if not isinstance(outcome.cost, BernoulliCost):
        return decoders_of(energy)[1].effect
    nodes, weights = prior_nodes(rows["y"])
    parents = {name: rows[name] for name in outcome.parents if name not in ("t", "z")} | {"z": nodes}
    if isinstance(mechanisms_of(energy)["t"].cost, BernoulliCost):
        treated, untreated = (
            outcome.mean({**parents, "t": torch.full_like(rows["t"], level)}) for level in (1.0, 0.0)
        )
        difference = treated - untreated
    else:
        chance = outcome.mean({**parents, "t": rows["t"]})
        difference = chance * (1 - chance) * decoders_of(energy)[1].effect
    return (weights * difference.mean(1)[..., 0]).sum()


def implied_strength(energy: Energy, rows: Mapping[str, Tensor]) -> tuple[float, float]:
    r"""The partial :math:`R^2` of z in the linear regressions of t on (w, z) and of y on (w, t, z).

    The scale on which benchmarks and robustness values are stated (for a binary outcome, the second is that of
    the log-odds index). The first is
    :math:`\mathrm{Cov}(z, t \mid w)^2 / \mathrm{Var}(t \mid w)`, the variance being what a linear regression on w
    leaves.
    """
    outcome = decoders_of(energy)[1]
    toward_treatment = treatment_covariance(energy, rows) ** 2 / residual_variance(rows)
    with torch.no_grad():
        left = 1 - toward_treatment * float(outcome.strengths.alignment) ** 2
        explained = float(outcome.loading()) ** 2 * left
        return toward_treatment, explained / (explained + _noise_variance(energy))


def index_strength(chances: np.ndarray | None, left: float, target: float, *, most: float) -> float:
    r"""The partial :math:`R^2` of z with a log-odds index that gives a linear partial :math:`R^2` with the treatment.

    The chances are kept by stretching the index with the loading. A binary treatment that is rare bounds the
    linear partial :math:`R^2` far below one, so that a target may be out of reach.

    Args:
        chances: The propensities; None where there are none, and then all are taken alike.
        left: The variance of the treatment that a linear regression on the covariates leaves.
        target: The linear partial :math:`R^2` that is wanted.
        most: The largest answer.

    Returns:
        The index's partial :math:`R^2`, at most ``most``.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    index = logit(chances) if chances is not None else np.full(1, logit(0.5 - np.sqrt(max(0.25 - left, 0.0))))

    def excess(share: float) -> float:
        loading = np.pi / np.sqrt(3) * np.sqrt(share / (1 - share))
        stretched = index / np.sqrt(1 - share)
        together = (expit(stretched[:, None] + loading * nodes) @ (weights * nodes)).mean()
        return float(together**2 / left - target)

    return most if excess(most) <= 0 else float(brentq(excess, 0.0, most))


def treatment_covariance(energy: Energy, rows: Mapping[str, Tensor]) -> float:
    """The covariance of the treatment and the first coordinate of z given the covariates, averaged over the rows."""
    treatment = mechanisms_of(energy)["t"]
    with torch.no_grad():
        if not isinstance(treatment.cost, BernoulliCost):
            return float(decoders_of(energy)[0].loading())
        nodes, weights = prior_nodes(rows["t"])
        parents = {name: rows[name] for name in treatment.parents if name != "z"} | {"z": nodes}
        chance = treatment.mean(parents)[..., 0]
        return float((weights[:, None] * nodes[..., 0] * chance).sum(0).mean())


def residual_variance(rows: Mapping[str, Tensor]) -> float:
    """The variance of the treatment that a linear regression on the covariates leaves."""
    treatment = rows["t"]
    columns = torch.cat([torch.ones_like(treatment), *([rows["w"]] if "w" in rows else [])], -1)
    left = treatment - columns @ torch.linalg.lstsq(columns, treatment).solution
    return float((left**2).mean())


def _noise_variance(energy: Energy) -> float:
    """The variance of the outcome given its causes; the square of the scale where a Student-t has none."""
    scale, cost = float(decoders_of(energy)[1].noise()), mechanisms_of(energy)["y"].cost
    if not isinstance(cost, StudentTCost):
        return scale**2
    tail = float(cost.degrees_of_freedom(torch.zeros(1, dtype=torch.float64)))
    return scale**2 * tail / (tail - 2) if tail > 2 else scale**2


def prior_nodes(like: Tensor) -> tuple[Tensor, Tensor]:
    """Gauss-Hermite nodes ``[nodes, 1, 1]`` and weights of a standard normal latent."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return like.new_tensor(nodes)[:, None, None], like.new_tensor(weights / weights.sum())
