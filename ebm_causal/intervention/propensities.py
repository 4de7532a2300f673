r"""The chance of treatment given the covariates: an unpenalized logit, fitted by Newton's method."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import expit, log_expit, logit

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.intervention.overlap import refuse_separated_columns, refuse_separation

ITERATIONS = 60
QUICK = 15  # of a resample: where the arms are separated each step adds one to the log odds, and none arrives
SUSPICIOUS = 25  # Newton's method converges within a dozen steps, unless coefficients run off to infinity


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Propensity:
    r"""A fitted chance of treatment, :math:`e(w) = 1 / (1 + e^{-\beta' w})`.

    Attributes:
        values: The chance of each row to be treated.
        complements: The chance not to be, to full precision where it is small.
        names: ``"intercept"`` and the columns of the design.
        coefficients: Their coefficients, log odds per unit.
        iterations: The steps that Newton's method took.
    """

    values: Float[np.ndarray, " rows"]
    complements: Float[np.ndarray, " rows"]
    names: tuple[str, ...]
    coefficients: Float[np.ndarray, " columns"]
    iterations: int


def propensity(table: CausalTable) -> Propensity:
    r"""Fit the chance of treatment given the covariates of a table, by maximum likelihood without a penalty.

    It exists only where the arms overlap: no column, and no combination of columns, may separate the treated
    from the untreated.

    Args:
        table: A table with a binary treatment.

    Returns:
        The chances.

    Raises:
        ArgumentError: If the treatment is continuous.
        TableError: If the arms are separated; the message names the column where a single one does it.
        ConvergenceError: If Newton's method does not arrive.

    Examples:
        >>> import ebm_causal as ec
        >>> from ebm_causal.intervention import propensity
        >>> round(float(propensity(ec.load_dataset("nhefs")).values.mean() * 1566))
        403
    """
    if table.treatment_kind != "binary":
        raise ArgumentError(
            f"A propensity is the chance of one of two levels, and {table.treatment!r} is continuous."
        )
    refuse_separated_columns(table)
    columns, location, scale = scaled_columns(table)
    fitted, iterations = fit_logit(columns, table.treatment_values)
    index = columns @ fitted
    slopes = fitted[1:] / scale
    return Propensity(
        values=expit(index),
        complements=expit(-index),
        names=("intercept", *table.design.names),
        coefficients=np.concatenate([[fitted[0] - slopes @ location], slopes]),
        iterations=iterations,
    )


def scaled_columns(
    table: CausalTable,
) -> tuple[Float[np.ndarray, "rows columns"], Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """An intercept and the design's columns with mean 0 and deviation 1, then the means and deviations."""
    matrix = table.design.matrix()
    location, scale = matrix.mean(axis=0), matrix.std(axis=0)
    return np.column_stack([np.ones(table.rows), (matrix - location) / scale]), location, scale


def fit_logit(
    columns: Float[np.ndarray, "rows columns"],
    treated: Float[np.ndarray, " rows"],
    *,
    counts: Float[np.ndarray, " rows"] | None = None,
    start: Float[np.ndarray, " columns"] | None = None,
) -> tuple[Float[np.ndarray, " columns"], int]:
    r"""Maximize the likelihood of a logit; the first column is the intercept.

    Newton's step :math:`(X'WX)^{-1} X'(t - p)` is halved until the likelihood does not fall.

    Args:
        columns: One column per coefficient.
        treated: 1 or 0.
        counts: How often each row is there, in a resample. Columns may then repeat others, and failing is
            quick: no reason is looked for.
        start: The coefficients to start from; by default no covariate matters.

    Returns:
        The coefficients and the number of steps.

    Raises:
        TableError: If a combination of columns separates the arms.
        ConvergenceError: If the steps do not get small.
    """
    weights = np.ones(len(treated)) if counts is None else counts
    coefficients = np.zeros(columns.shape[1])
    coefficients[0] = logit(weights @ treated / weights.sum())
    coefficients = coefficients if start is None else start
    for iteration in range(1, (ITERATIONS if counts is None else QUICK) + 1):
        chance = expit(columns @ coefficients)
        gradient = columns.T @ (weights * (treated - chance))
        curvature = columns.T @ (columns * (weights * chance * (1 - chance))[:, None])
        step = _newton_step(curvature, gradient, exact=counts is None)
        if step is None:
            break
        coefficients = _climb(columns, treated, weights, coefficients, step)
        if gradient @ step < 1e-18 * len(treated):
            if iteration > SUSPICIOUS:
                refuse_separation(columns, treated)
            return coefficients, iteration
    if counts is None:
        refuse_separation(columns, treated)
    raise ConvergenceError(
        f"The propensity did not converge in {ITERATIONS} steps of Newton's method, though the arms overlap: "
        "covariates may be near to a linear combination of each other."
    )


def _newton_step(curvature: np.ndarray, gradient: np.ndarray, *, exact: bool) -> np.ndarray | None:
    if not exact:
        return np.linalg.lstsq(curvature, gradient, rcond=1e-10)[0]
    try:
        return np.linalg.solve(curvature, gradient)
    except np.linalg.LinAlgError:
        return None


def _climb(
    columns: Float[np.ndarray, "rows columns"],
    treated: Float[np.ndarray, " rows"],
    weights: Float[np.ndarray, " rows"],
    start: Float[np.ndarray, " columns"],
    step: Float[np.ndarray, " columns"],
) -> Float[np.ndarray, " columns"]:
    sign = 2 * treated - 1
    height = weights @ log_expit(sign * (columns @ start))
    for halving in range(30):
        end = start + step * 0.5**halving
        if weights @ log_expit(sign * (columns @ end)) >= height - 1e-12 * abs(height):
            return end
    return start
