"""Part 9: the variance of the prediction by share, and what the data inform."""

from typing import Any

import numpy as np
import torch
from scipy.special import polygamma
from torch import Tensor

from ebm_causal.data import CausalTable
from ebm_causal.energies import BernoulliCost, SquaredError, mechanisms_of
from ebm_causal.findings.hidden import Hidden
from ebm_causal.findings.question import latent_name
from ebm_causal.uncertainty import fisher_information, propagate_variance

LATENT_DRAWS = 8
FEWEST_ROWS = 4000
VISIBLE = 0.01  # against the strengths' part of a direction, of length one
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
        "text": "First order, with the covariances of covariates, treatment and the confounder's posterior over the rows. "
        f"The noise of {table.outcome} that none of them explains stands beside it.",
    }


def fisher_section(table: CausalTable, hidden: Hidden, seed: int) -> dict[str, Any]:
    """The information about all parameters and both strengths, and the directions the prior knows better than the data."""
    fit = hidden.fit
    given = {name: rows for name, rows in fit.data.items() if name == "w"}
    draws = -(-FEWEST_ROWS // table.rows)
    if given:
        found = fisher_information(
            fit.energy, over=("t", "y"), given=given, beta=fit.beta, draws=draws, seed=seed
        )
    else:
        found = fisher_information(
            fit.energy, over=("t", "y"), kind="observed", data=dict(fit.data), beta=fit.beta
        )
    known, names = prior_precision(hidden), [_readable(name, table, hidden) for name in found.names]
    held = [i for i, name in enumerate(found.names) if name in STRENGTHS]
    blind = [d for d in _about_strengths(found.matrix, held) if d[0] < known]
    return {
        "kind": f"{found.kind}, simulated" if given else found.kind,
        "names": names,
        "rank": len(names) - len(blind),
        "size": len(names),
        "smallest_eigenvalue": found.smallest_eigenvalue,
        "unidentified": [
            {"eigenvalue": value, "direction": _visible(names, direction)} for value, direction in blind
        ],
        "text": _words(table, len(blind), known),
    }


def _about_strengths(matrix: Tensor, held: list[int]) -> list[tuple[float, Tensor]]:
    r"""What the data say of the two strengths once all else is fitted, :math:`I_{ss} - I_{so}I_{oo}^{-1}I_{os}`, by direction.

    Each direction is given in all parameters: how the others move along with the strengths where the
    likelihood falls least. The strengths' part has length one.
    """
    others = [i for i in range(len(matrix)) if i not in held]
    follow = -torch.linalg.solve(matrix[others][:, others], matrix[others][:, held])
    values, vectors = torch.linalg.eigh(matrix[held][:, held] + matrix[held][:, others] @ follow)
    found = []
    for value, vector in zip(values.tolist(), vectors.T, strict=True):
        direction = torch.zeros(len(matrix), dtype=matrix.dtype)
        direction[held], direction[others] = vector, follow @ vector
        found.append((value, direction))
    return found


def prior_precision(hidden: Hidden) -> float:
    r"""The smaller precision of the two strengths' priors, as log-odds of a Beta(1, b): :math:`1/(\psi_1(1)+\psi_1(b))`."""
    prior = hidden.fits.prior
    return min(
        1 / float(polygamma(1, 1) + polygamma(1, (1 - m) / m)) for m in (prior.treatment, prior.outcome)
    )


def _visible(names: list[str], direction: Tensor) -> dict[str, float]:
    return {
        name: weight for name, weight in zip(names, direction.tolist(), strict=True) if abs(weight) >= VISIBLE
    }


def _words(table: CausalTable, blind: int, known: float) -> str:
    if blind == 0:
        return (
            "Once all else is fitted, the data inform both strengths of the confounder more than their prior does, but only "
            "through the form of the mechanisms, which is an assumption: the strengths keep their prior."
        )
    which = (
        "neither strength of the confounder"
        if blind == 2
        else "one combination of the confounder's two strengths not"
    )
    return (
        f"Once all else is fitted, all {table.rows:,} rows together inform {which} as much as its prior does "
        f"(eigenvalue below {known:.2g}, strengths as log-odds of a partial R²). How strong the confounder is, is not "
        "identified; what little information there is comes from the form of the mechanisms. A direction shows what moves along."
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
        noise = scale * float(outcome.decoder.noise())
        if isinstance(outcome.cost, SquaredError):
            return noise
        tail = float(outcome.cost.degrees_of_freedom(torch.zeros(1, dtype=torch.float64)))
        return noise * (tail / (tail - 2)) ** 0.5 if tail > 2 else None
