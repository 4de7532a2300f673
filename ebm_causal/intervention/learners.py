"""A caller's own estimators: anything with ``fit`` and ``predict`` as scikit-learn has them."""

from copy import deepcopy
from typing import Any

import numpy as np
from jaxtyping import Float

from ebm_causal.errors import ArgumentError, ConvergenceError, OverlapError
from ebm_causal.intervention.parts import Part
from ebm_causal.intervention.samples import Sample


def check_learner(estimator: Any, role: str, methods: tuple[str, ...]) -> None:
    """Refuse what cannot be fitted and asked.

    Raises:
        ArgumentError: If a method is missing, or a class was given in place of an instance.
    """
    missing = [name for name in methods if not callable(getattr(estimator, name, None))]
    if missing or isinstance(estimator, type):
        found = f"the class {estimator.__name__}" if isinstance(estimator, type) else repr(estimator)
        raise ArgumentError(f"{role} must be an estimator with {' and '.join(methods)}; got {found}.")


def learned_propensity(sample: Sample, estimator: Any, part: Part) -> Float[np.ndarray, " asked"]:
    """The chance of treatment of the rows asked about, by a classifier fitted on the others.

    Raises:
        ArgumentError: If it cannot be fitted, or gives no chance of two arms.
        OverlapError: If a chance is 0 or 1.
    """
    check_learner(estimator, "propensity_model", ("fit", "predict_proba"))
    design = sample.model.covariates[:, 1:]
    fitted = _fitted(sample, estimator, design, sample.treatment.astype(np.int64), part.fitted)
    chances = np.asarray(fitted.predict_proba(design[part.inside]), dtype=np.float64)
    if chances.ndim != 2 or chances.shape[1] != 2:
        raise ArgumentError(
            f"propensity_model gives chances of shape {list(chances.shape)}; predict_proba must give [rows, 2]: of 0, "
            "and of 1."
        )
    chance = chances[:, 1]
    _check(chance, "propensity_model", design[part.inside])
    extreme = int(((chance <= 0) | (chance >= 1)).sum())
    if extreme:
        raise OverlapError(
            f"propensity_model gives {extreme} rows a chance of 0 or 1: calibrate it, or make its leaves larger."
        )
    return chance


def learned_means(sample: Sample, estimator: Any, part: Part) -> Float[np.ndarray, "asked 2"]:
    """The mean outcome without and with treatment of the rows asked about, by a copy fitted on each arm."""
    check_learner(estimator, "outcome_model", ("fit", "predict"))
    design = sample.model.covariates[:, 1:]
    binary = hasattr(estimator, "predict_proba")
    if binary and sample.table.outcome_kind != "binary":
        raise ArgumentError(
            f"outcome_model is a classifier (it has predict_proba), and the outcome {sample.table.outcome!r} is "
            "continuous: give an estimator of means, a regressor."
        )
    rows = np.arange(len(sample.rows))[part.fitted]
    means = []
    for arm in (0, 1):
        own = rows[sample.treatment[rows] == arm]
        fitted = _fitted(sample, estimator, design, sample.outcome, own)
        asked = design[part.inside]
        if binary:
            levels = np.asarray(fitted.classes_, dtype=np.float64)
            means.append(np.asarray(fitted.predict_proba(asked), dtype=np.float64) @ levels)
        else:
            means.append(np.asarray(fitted.predict(asked), dtype=np.float64).reshape(-1))
        _check(means[-1], "outcome_model", asked)
    return np.column_stack(means)


def _fitted(
    sample: Sample, estimator: Any, design: np.ndarray, target: np.ndarray, rows: np.ndarray | slice
) -> Any:
    """A fitted copy; the caller's own estimator stays as it was."""
    rows = np.arange(len(sample.rows))[rows]
    rows = np.repeat(rows, sample.counts[rows].astype(np.int64))
    try:
        return deepcopy(estimator).fit(design[rows], target[rows])
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{type(estimator).__name__} cannot be fitted to {len(rows)} rows of {design.shape[1]} columns: {error}"
        ) from error


def _check(values: np.ndarray, role: str, asked: np.ndarray) -> None:
    if len(values) != len(asked):
        raise ArgumentError(
            f"{role} predicts {len(values)} values for {len(asked)} rows; one for each is needed."
        )
    if not np.isfinite(values).all():
        raise ConvergenceError(
            f"{role} predicts {int((~np.isfinite(values)).sum())} values that are not finite."
        )
