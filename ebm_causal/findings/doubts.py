"""Parts 5 to 7: how strong a hidden confounder would have to be, bounds without a model, and refutations."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError, EbmCausalError, OverlapError, TableError
from ebm_causal.findings.plain import amount
from ebm_causal.graph import refute
from ebm_causal.intervention import Effect
from ebm_causal.sensitivity import (
    Hidden,
    MarginalSensitivity,
    OmittedVariableBias,
    bayesian_of_fits,
    e_value_of_effect,
    marginal_sensitivity,
    no_assumption_bounds,
)

LAMBDAS = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
GRID = 41
FURTHEST = 0.05  # the least far that the contour's axes reach
RESAMPLES = 100  # of the rows, each with a propensity of its own
RESAMPLED_UP_TO = 200_000  # cells of the covariates, beyond which resampling takes too long
WIDEST = 200  # columns beyond which the refuters take too long


def sensitivity_section(
    table: CausalTable, omitted: OmittedVariableBias, regression: Effect, hidden: Hidden, seed: int
) -> dict[str, Any]:
    """Robustness values, benchmarks, contour, E-value, Lambda, Manski's bounds and the posterior over strengths."""
    benchmarks = omitted.bounds_records()
    return {
        "of": "regression",
        "estimate": omitted.estimate,
        "standard_error": omitted.standard_error,
        "dof": omitted.dof,
        "q": omitted.q,
        "alpha": omitted.alpha,
        "robustness_value": omitted.robustness_value,
        "robustness_value_alpha": omitted.robustness_value_alpha,
        "partial_r2": omitted.partial_r2,
        "benchmarks": benchmarks,
        "contour": _contour(omitted, benchmarks),
        "e_value": _e_value(table, regression),
        "marginal": _marginal(table, seed),
        "no_assumption": _no_assumption(table),
        "bayesian": _bayesian(omitted, hidden, seed),
        "text": _words(table, omitted),
    }


def refutations_section(
    table: CausalTable, *, seed: int, progress: Callable[[float, str], None]
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Two of DoWhy's refuters on the regression estimate; a note instead where the table is too wide for them."""
    if table.design.columns > WIDEST:
        note = (
            f"The refutation tests are left out: {table.design.columns} covariate columns take them minutes."
        )
        return [], (note,)
    matrix = table.design.matrix()
    names = [f"w{i}" for i in range(matrix.shape[1])]
    frame = pd.DataFrame(matrix, columns=names).assign(t=table.treatment_values, y=table.outcome_values)

    def report(done: int, of: int) -> None:
        progress(done / of, f"refutation {done} of {of}")

    return [asdict(r) for r in refute(frame, "t", "y", names, seed=seed, progress=report)], ()


def _contour(omitted: OmittedVariableBias, benchmarks: list[dict[str, Any]]) -> dict[str, Any]:
    axes = []
    for key in ("r2_treatment", "r2_outcome"):
        strongest = max((row[key] for row in benchmarks if row[key] is not None), default=0.0)
        reach = min(max(1.3 * strongest, 2 * omitted.robustness_value, FURTHEST), 0.9)
        axes.append(np.linspace(0, np.sqrt(reach), GRID) ** 2)
    treatment, outcome = axes
    estimates = omitted.adjusted_estimate(treatment[None, :], outcome[:, None])
    return {"r2_treatment": treatment, "r2_outcome": outcome, "adjusted_estimate": estimates}


def _bayesian(omitted: OmittedVariableBias, hidden: Hidden, seed: int) -> dict[str, Any]:
    """The posterior of the effect over the prior of the strengths, from the fits of part 4."""
    found = bayesian_of_fits(omitted, hidden, seed=seed)
    return {
        "method": found.method, "mean": found.mean, "lower": found.interval[0], "upper": found.interval[1],
        "level": found.level, "probability_of_sign_change": found.probability_of_sign_change, "text": found.text,
    }  # fmt: skip


def _e_value(table: CausalTable, regression: Effect) -> dict[str, Any] | None:
    try:
        return asdict(e_value_of_effect(table, regression, "all"))
    except ArgumentError:
        return None


def _marginal(table: CausalTable, seed: int) -> dict[str, Any] | None:
    if table.treatment_kind != "binary":
        return None
    small = table.rows * table.design.columns <= RESAMPLED_UP_TO
    try:
        found = _bounds_and_interval(table, RESAMPLES if small else 0, seed)
    except OverlapError:
        return None
    return {
        "lambdas": list(LAMBDAS), "lower": found.lower, "upper": found.upper, "tipping_point": found.tipping_point,
        "interval_lower": found.interval_lower, "interval_upper": found.interval_upper,
        "tipping_point_of_interval": found.tipping_point_of_interval, "level": found.level,
        "benchmarks": {name: asdict(shift) for name, shift in found.benchmarks.items()},
        "text": f"Of the weighting estimate, {amount(found.lower[0])}, not of the regression's. {found.text}",
    }  # fmt: skip


def _bounds_and_interval(table: CausalTable, resamples: int, seed: int) -> MarginalSensitivity:
    """The bounds, with an interval where resamples overlap often enough."""
    benchmarks = table.covariates if resamples else ()
    try:
        return marginal_sensitivity(table, LAMBDAS, resamples=resamples, seed=seed, benchmarks=benchmarks)
    except OverlapError:
        raise
    except TableError:
        return marginal_sensitivity(table, LAMBDAS)


def _no_assumption(table: CausalTable) -> dict[str, Any] | None:
    if table.treatment_kind != "binary":
        return None
    values = table.outcome_values
    try:
        found = no_assumption_bounds(table, float(values.min()), float(values.max()))
    except EbmCausalError:
        return None
    text = (
        f"With outcomes anywhere from {amount(found.low)} to {amount(found.high)} and no assumption at all, the "
        f"average effect lies between {amount(found.lower)} and {amount(found.upper)}."
    )
    if table.outcome_kind != "binary":
        text += " The range is that which was observed; a wider one gives wider bounds."
    return {"lower": found.lower, "upper": found.upper, "low": found.low, "high": found.high, "text": text}


def _words(table: CausalTable, omitted: OmittedVariableBias) -> str:
    value, alpha = omitted.robustness_value, omitted.robustness_value_alpha
    interval = f"its {1 - omitted.alpha:.0%} interval"
    reach = f"one that explains {alpha:.2%} of both would make {interval} reach zero"
    if alpha == 0:
        reach = f"{interval} holds zero already, with no confounder at all"
    return (
        f"A hidden confounder that explains {value:.2%} of what the covariates leave of both {table.treatment} and "
        f"{table.outcome} would bring the regression estimate, {amount(omitted.estimate)}, to zero; {reach}."
    )
