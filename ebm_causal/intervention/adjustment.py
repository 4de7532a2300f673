r"""The effect of a treatment, adjusted for covariates in five ways that err differently."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from ebm_causal.data import CausalTable, Design
from ebm_causal.errors import ArgumentError
from ebm_causal.intervention.effects import Effect, effect_of
from ebm_causal.intervention.outcome_models import OutcomeModel, least_squares, outcome_model
from ebm_causal.intervention.overlap import heavy_rows, refuse_separated_columns, weights_of_arms
from ebm_causal.intervention.propensities import fit_logit, propensity, scaled_columns
from ebm_causal.intervention.regressions import regress

METHODS = ("naive", "regression", "weighting", "standardization", "doubly_robust")


def adjust(
    table: CausalTable,
    method: str = "regression",
    interactions: Sequence[str] | None = None,
    *,
    folds: int | None = None,
    seed: int = 0,
) -> Effect:
    r"""Estimate the effect of a table's treatment on its outcome.

    Every method but ``naive`` is right only if the covariates leave no confounding. Beyond that:

    - ``naive``: the difference of means, or the slope on a continuous treatment; classical standard error.
      Right if chance decided the treatment.
    - ``regression``: least squares, classical standard error, t interval. Right if outcome means are linear
      and the effect is the same for all.
    - ``weighting``: each row weighs one over the chance of its own arm, :math:`1/e` or :math:`1/(1-e)`, from
      an unpenalized logit; the difference of weighted means (Hajek), HC0 error with the weights taken as
      known. Right if the logit is; unsteady where a chance is near 0.
    - ``standardization``: a linear outcome model with interactions, averaged over all rows at both
      treatments (the average slope, for a continuous one); error by M-estimation. Right if the model is.
    - ``doubly_robust``: both models, :math:`m_1 - m_0 + t(y - m_1)/e - (1-t)(y - m_0)/(1-e)` averaged; error
      by the influence function. Right if one of the two models is.

    Args:
        table: The table.
        method: One of the five.
        interactions: For the last two, the covariates whose linear or indicator columns interact with the
            treatment; None for all columns of the design.
        folds: For ``doubly_robust``, fit both models outside of each of so many parts; None fits them on all.
        seed: Of the draw of the folds.

    Returns:
        The effect.

    Raises:
        ArgumentError: If the method is unknown, does not take an option, or needs a binary treatment.
        TableError: If the data do not carry the method; the message says which column is in the way.

    Examples:
        >>> import ebm_causal as ec
        >>> table = ec.load_dataset("nhefs")
        >>> [round(ec.adjust(table, method).estimate, 2) for method in ("naive", "regression", "weighting")]
        [2.54, 3.46, 3.44]

    References:
        M. Hernan and J. Robins 2020, chapters 12, 13 and 15; J. Robins, A. Rotnitzky and L. Zhao 1994.
    """
    _check_options(table, method, interactions, folds)
    if method == "naive":
        return _regression(table, Design(rows=table.rows, blocks=()), method)
    if method == "regression":
        return _regression(table, table.design, method)
    if method == "weighting":
        return _weighting(table)
    if method == "standardization":
        return _standardization(table, outcome_model(table, interactions))
    return _doubly_robust(table, outcome_model(table, interactions), folds, seed)


def _check_options(
    table: CausalTable, method: str, interactions: Sequence[str] | None, folds: int | None
) -> None:
    if method not in METHODS:
        raise ArgumentError(f"method must be one of {', '.join(map(repr, METHODS))}; got {method!r}.")
    if interactions is not None and method not in ("standardization", "doubly_robust"):
        raise ArgumentError(f"interactions serve standardization and doubly_robust, not {method}.")
    if folds is not None and method != "doubly_robust":
        raise ArgumentError(f"folds serve doubly_robust, not {method}.")
    if method in ("weighting", "doubly_robust") and table.treatment_kind != "binary":
        raise ArgumentError(
            f"{method} compares two arms, and {table.treatment!r} is continuous: use regression "
            "or standardization."
        )


def _regression(table: CausalTable, design: Design, method: str) -> Effect:
    fit = regress(table, design)
    return effect_of(table, method, fit.estimate, fit.standard_error, kind="classical", dof=fit.dof)


def _weighting(table: CausalTable) -> Effect:
    chance = propensity(table)
    weights = weights_of_arms(table, chance.values, chance.complements)
    means, variance = [], 0.0
    for arm in (0, 1):
        inside = table.treatment_values == arm
        own, outcome = weights[inside] / weights[inside].sum(), table.outcome_values[inside]
        means.append(own @ outcome)
        variance += (own**2) @ (outcome - means[-1]) ** 2
    return effect_of(
        table,
        "weighting",
        means[1] - means[0],
        np.sqrt(variance),
        kind="HC0, weights taken as known",
        warnings=heavy_rows(table, weights),
    )


def _standardization(table: CausalTable, model: OutcomeModel) -> Effect:
    columns = model.columns()
    coefficients, triangle = least_squares(columns, table.outcome_values, model.names)
    noise = table.outcome_values - columns @ coefficients
    slopes = model.slopes(coefficients)
    estimate = slopes.mean()
    # Each row moves the mean of the slopes by its own slope, and by what it does to the coefficients.
    gradient = np.concatenate([np.zeros(model.covariates.shape[1]), model.modifiers.mean(axis=0)])
    lever = np.linalg.solve(triangle, np.linalg.solve(triangle.T, gradient))
    influence = slopes - estimate + table.rows * (columns @ lever) * noise
    error = np.sqrt(influence @ influence) / table.rows
    return effect_of(table, "standardization", estimate, error, kind="M-estimation")


def _doubly_robust(table: CausalTable, model: OutcomeModel, folds: int | None, seed: int) -> Effect:
    refuse_separated_columns(table)
    treatment, outcome = table.treatment_values, table.outcome_values
    untreated, slopes, index = np.empty(table.rows), np.empty(table.rows), np.empty(table.rows)
    columns, (scaled, *_) = model.columns(), scaled_columns(table)
    for part, inside, text in _parts(table, folds, seed):
        coefficients, _ = least_squares(columns[part], outcome[part], model.names, text)
        logit, _ = fit_logit(scaled[part], treatment[part])
        untreated[inside] = model.untreated(coefficients)[inside]
        slopes[inside] = model.slopes(coefficients)[inside]
        index[inside] = scaled[inside] @ logit
    weights = weights_of_arms(table, expit(index), expit(-index))
    noise = outcome - untreated - treatment * slopes
    each = slopes + (2 * treatment - 1) * weights * noise
    crossed = f", cross-fitted in {folds} folds" if folds is not None else ""
    return effect_of(
        table,
        "doubly_robust",
        each.mean(),
        each.std() / np.sqrt(table.rows),
        kind=f"influence function{crossed}",
        warnings=heavy_rows(table, weights),
    )


def _parts(
    table: CausalTable, folds: int | None, seed: int
) -> list[tuple[np.ndarray | slice, np.ndarray | slice, str]]:
    """The rows to fit on, the rows to predict, and what to call the former in an error."""
    if folds is None:
        return [(slice(None), slice(None), "")]
    smallest = int(min(table.treatment_values.sum(), (1 - table.treatment_values).sum()))
    if not 2 <= folds <= smallest:
        raise ArgumentError(f"folds must be from 2 to the {smallest} rows of the smaller arm; got {folds}.")
    fold = _drawn_folds(table.treatment_values, folds, seed)
    return [
        (np.flatnonzero(fold != one), np.flatnonzero(fold == one), f" in the rows outside of fold {one + 1}")
        for one in range(folds)
    ]


def _drawn_folds(treatment: Float[np.ndarray, " rows"], folds: int, seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed)
    fold = np.empty(len(treatment), dtype=np.int64)
    for arm in (0, 1):  # each fold gets its share of both arms
        rows = draws.permutation(np.flatnonzero(treatment == arm))
        fold[rows] = np.arange(len(rows)) % folds
    return fold
