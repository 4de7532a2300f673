"""Part 3: estimates side by side."""

import math
from typing import Any

from scipy.special import ndtri

from ebm_causal.data import CausalTable, Experiment
from ebm_causal.errors import ArgumentError, OverlapError, TableError
from ebm_causal.intervention import Effect, adjust
from ebm_causal.sensitivity import Hidden

LABELS = {
    "naive": "difference of means",
    "regression": "regression",
    "standardization": "standardization",
    "weighting": "weighting",
    "doubly_robust": "doubly robust",
    "latent_do": "do() under the latent energy",
    "experiment": "experiment",
}
NOTES = {
    "naive": "Adjusts for nothing.",
    "regression": "Adjusts for the covariates, assuming one effect for all.",
    "standardization": "Lets the effect vary with each covariate; extrapolates to where an arm has no rows.",
    "weighting": "Weighs each row by one over the chance of its own treatment.",
    "doubly_robust": "Right if the outcome model or the propensity is.",
    "experiment": "What a randomized experiment found; no method above has seen it.",
}
LEVEL = 0.95


def adjusted_estimates(table: CausalTable) -> tuple[dict[str, Effect], tuple[str, ...]]:
    """The adjusted estimates by method, and why a method is missing.

    Raises:
        TableError: If a column has the arms apart or the regression is saturated. Levels with one arm alone
            leave out what needs weights, and the regression stands.
    """
    found, missing = {}, []
    for method in ("naive", "regression", "standardization", "weighting", "doubly_robust"):
        try:
            found[method] = adjust(table, method)
        except ArgumentError as error:
            missing.append(f"{LABELS[method]} is left out: {error}")
        except TableError as error:
            if method != "standardization" and not isinstance(error, OverlapError):
                raise
            missing.append(f"{LABELS[method]} is left out: {error}")
    return found, tuple(missing)


def effects_section(table: CausalTable, found: dict[str, Effect], hidden: Hidden) -> list[dict[str, Any]]:
    """All estimates, what the latent energy implies, and what an experiment found."""
    rows = [_row(method, effect, table) for method, effect in found.items()]
    rows.append(_latent_do(hidden))
    if table.experiment is not None:
        rows.append(_experiment(table.experiment))
    return rows


def _row(method: str, effect: Effect, table: CausalTable) -> dict[str, Any]:
    label = (
        "slope on the treatment alone"
        if method == "naive" and table.treatment_kind == "continuous"
        else LABELS[method]
    )
    return {
        "method": method,
        "label": label,
        "estimate": effect.estimate,
        "standard_error": effect.standard_error,
        "lower": effect.interval[0],
        "upper": effect.interval[1],
        "level": effect.level,
        "interval": effect.interval_kind,
        "note": " ".join([NOTES[method], *effect.warnings]),
    }


def _latent_do(hidden: Hidden) -> dict[str, Any]:
    fits, units = hidden.fits, hidden.standardized.effect_in_units
    tail = (1 - LEVEL) / 2
    return {
        "method": "latent_do",
        "label": LABELS["latent_do"],
        "estimate": units(fits.mean),
        "standard_error": units(fits.standard_deviation),
        "lower": units(fits.quantile(tail)),
        "upper": units(fits.quantile(1 - tail)),
        "level": LEVEL,
        "interval": "credible, over the prior of the strength",
        "note": "Implied by the model: the data do not say how strong the confounder is, so its prior sets the width.",
    }


def _experiment(found: Experiment) -> dict[str, Any]:
    error, estimate = found.standard_error, found.estimate
    reach = None if error is None else float(ndtri(0.5 + LEVEL / 2)) * error
    return {
        "method": "experiment",
        "label": LABELS["experiment"],
        "estimate": estimate,
        "standard_error": error,
        "lower": None if reach is None else estimate - reach,
        "upper": None if reach is None else estimate + reach,
        "level": LEVEL,
        "interval": "normal" if error is not None else "not stated",
        "note": NOTES["experiment"],
    }


def holds_zero(row: dict[str, Any]) -> bool:
    """Whether an interval holds zero."""
    return math.copysign(1, row["lower"]) != math.copysign(1, row["upper"])


def on_side(row: dict[str, Any], sign: float) -> bool:
    """Whether an interval is known and wholly on one side of zero."""
    ends = (row["lower"], row["upper"])
    return None not in ends and min(sign * end for end in ends) > 0
