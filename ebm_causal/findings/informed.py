"""Part 9: the variance of the prediction by share, and what the data inform."""

from typing import Any

import numpy as np
import torch
from scipy.special import polygamma
from torch import Tensor

from ebm_causal.data import CausalTable
from ebm_causal.energies import BernoulliCost, Energy, StudentTCost, decoders_of, mechanisms_of
from ebm_causal.findings.linear_twin import linear_twin
from ebm_causal.findings.question import latent_name
from ebm_causal.sensitivity import Hidden
from ebm_causal.uncertainty import FisherInformation, fisher_information, propagate_variance

LATENT_DRAWS = 8
FEWEST_ROWS = 4000
VISIBLE = 0.005  # where a strength moves by one
NULL = 1e-7  # of the largest eigenvalue: far above rounding, far below what data inform
STRENGTHS = {
    "t.decoder.strengths.treatment": "strength toward",
    "t.decoder.strengths.outcome": "strength toward",
}


def variance_section(table: CausalTable, hidden: Hidden) -> dict[str, Any]:
    r"""The note's propagation, :math:`\mathrm{Var}(\hat y) = J\Sigma J'` over covariates, treatment and z."""
    fit, outcome = hidden.fit, mechanisms_of(hidden.fit.energy)["y"]
    inputs = _inputs(hidden)
    columns, scale = len(hidden.names), hidden.standardized.outcome_scale

    def prediction(u: Tensor) -> Tensor:
        parents = {"w": u[..., :columns], "t": u[..., columns : columns + 1], "z": u[..., columns + 1 :]}
        return scale * outcome.mean({name: parents[name] for name in outcome.parents}, fit.beta)

    found = propagate_variance(prediction, inputs.mean(0), torch.cov(inputs.T))
    labels = [*hidden.sources, table.treatment, *[latent_name(table)] * (inputs.shape[1] - columns - 1)]
    shares: dict[str, float] = {}
    for label, share in zip(labels, found.shares[0].tolist(), strict=True):
        shares[label] = shares.get(label, 0.0) + share
    return {
        "of": f"the prediction of {table.outcome}",
        "inputs": [{"name": name, "variance_share": share} for name, share in shares.items()],
        "standard_deviation": float(found.standard_deviation[0]),
        "noise_standard_deviation": _noise(hidden),
        "share_kind": "covariance",
        "text": "First order, with the covariances of covariates, treatment and the confounder's posterior over "
        f"the rows. The noise of {table.outcome} that none of them explains stands beside it.",
    }


def fisher_section(table: CausalTable, hidden: Hidden, seed: int) -> dict[str, Any]:
    """What means and covariances inform, the directions they leave open, and what the fitted form adds."""
    twin = _information(linear_twin(hidden), table, hidden, seed)
    names = [_readable(name, table, hidden) for name in twin.names]
    directions = _open_directions(twin)
    return {
        "kind": "expected, of means and covariances",
        "names": names,
        "rank": len(names) - len(directions),
        "size": len(names),
        "smallest_eigenvalue": twin.smallest_eigenvalue,
        "unidentified": [{"eigenvalue": value, "direction": _visible(names, d)} for value, d in directions],
        "text": _words(
            len(directions), _about_strengths(_information(hidden.fit.energy, table, hidden, seed)), hidden
        ),
    }


def _information(energy: Energy, table: CausalTable, hidden: Hidden, seed: int) -> FisherInformation:
    """The expected information of all parameters, strengths included, by data drawn from the energy."""
    fit, draws = hidden.fit, -(-FEWEST_ROWS // table.rows)
    if "w" in fit.data:
        given = {"w": fit.data["w"]}
        return fisher_information(energy, over=("t", "y"), given=given, beta=fit.beta, draws=draws, seed=seed)
    return fisher_information(energy, over=("t", "y"), beta=fit.beta, draws=draws, rows=table.rows, seed=seed)


def _open_directions(found: FisherInformation) -> list[tuple[float, Tensor]]:
    """The null directions, turned so that each moves one strength by one and shows what follows."""
    values, vectors = torch.linalg.eigh(found.matrix)
    null = vectors[:, values < NULL * values.max()]
    held = [i for i, name in enumerate(found.names) if name in STRENGTHS]
    if null.shape[1] != len(held):
        return [(float(value), vector) for value, vector in zip(values, vectors.T, strict=True)][
            : null.shape[1]
        ]
    turned = null @ torch.linalg.inv(null[held])
    return [(float(d @ found.matrix @ d / (d @ d)), d) for d in turned.T]


def _about_strengths(found: FisherInformation) -> list[float]:
    r"""Information on both strengths, all else fitted: eigenvalues of :math:`I_{ss} - I_{so}I_{oo}^{-1}I_{os}`."""
    matrix, held = found.matrix, [i for i, name in enumerate(found.names) if name in STRENGTHS]
    others = [i for i in range(len(matrix)) if i not in held]
    follow = torch.linalg.solve(matrix[others][:, others], matrix[others][:, held])
    return torch.linalg.eigvalsh(matrix[held][:, held] - matrix[held][:, others] @ follow).tolist()


def prior_precision(hidden: Hidden) -> tuple[float, ...]:
    r"""The precisions of the two strengths' priors, as log-odds of a Beta(1, b): :math:`1/(\psi_1(1)+\psi_1(b))`."""
    prior = hidden.fits.prior
    return tuple(
        1 / float(polygamma(1, 1) + polygamma(1, (1 - m) / m)) for m in (prior.treatment, prior.outcome)
    )


def _visible(names: list[str], direction: Tensor) -> dict[str, float]:
    return {
        name: weight for name, weight in zip(names, direction.tolist(), strict=True) if abs(weight) >= VISIBLE
    }


def _words(directions: int, formal: list[float], hidden: Hidden) -> str:
    prior = " and ".join(f"{value:.2g}" for value in prior_precision(hidden))
    own = " and ".join(f"{value:.2g}" for value in formal)
    return (
        f"Means and covariances leave {directions} directions wholly open: along each the confounder grows stronger, "
        "the other parameters follow, the effect among them, and the data fit as well as before. (Parameters are "
        "standardized, strengths log-odds of a partial R².) The form of the fitted mechanisms adds information about "
        f"the strengths, {own} by direction where their prior has {prior}; that is what the form assumes, not what "
        "the data show, so the strengths keep their prior."
    )


def _readable(name: str, table: CausalTable, hidden: Hidden) -> str:
    side = table.treatment if name.startswith("t.") else table.outcome
    if name in STRENGTHS:
        return f"strength of z toward {table.treatment if name.endswith('treatment') else table.outcome}"
    if ".covariates[" in name:
        return f"{hidden.names[int(name[name.index('[') + 1 : -1])]} on {side}"
    known = {
        "effect": f"{table.treatment} on {table.outcome}",
        "offset": f"intercept of {side}",
        "log_excess": f"tail of {side}",
    }
    return next((text for key, text in known.items() if key in name), f"noise of {side}")


def _inputs(hidden: Hidden) -> Tensor:
    """Covariates, treatment and posterior draws of the confounder, row below row."""
    fit = hidden.fit
    latents = fit.latent_draws(LATENT_DRAWS)["z"][0]
    rows = torch.cat([hidden.covariates, fit.data["t"]], -1).expand(LATENT_DRAWS, -1, -1)
    return torch.cat([rows, latents], -1).flatten(0, 1)


def _noise(hidden: Hidden) -> float | None:
    """The standard deviation of the outcome given all its causes, in its units; None where it has none."""
    outcome, scale = mechanisms_of(hidden.fit.energy)["y"], hidden.standardized.outcome_scale
    with torch.no_grad():
        if isinstance(outcome.cost, BernoulliCost):
            latents = hidden.fit.latent_draws(1)["z"][0, 0]
            chance = outcome.mean({**hidden.fit.data, "z": latents})
            return float(scale * np.sqrt(float((chance * (1 - chance)).mean())))
        noise = scale * float(decoders_of(hidden.fit.energy)[1].noise())
        if not isinstance(outcome.cost, StudentTCost):
            return noise
        tail = float(outcome.cost.degrees_of_freedom(torch.zeros(1, dtype=torch.float64)))
        return noise * (tail / (tail - 2)) ** 0.5 if tail > 2 else None
