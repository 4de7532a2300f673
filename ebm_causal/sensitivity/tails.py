r"""Which cost a table's outcome gets: squared error, or Student-t where that still asks for the mean."""

import math

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.special import digamma, gammaln
from scipy.stats import kurtosis

from ebm_causal.data import CausalTable
from ebm_causal.energies import Tail
from ebm_causal.intervention import regress

HEAVY = 1.0  # excess kurtosis of the regression's residuals
LOPSIDED = (
    3.5  # over the root of the rows: one in a hundred symmetric samples leans so far between its deciles
)
MOVED = 1.0  # standard errors of the regression
TAILS = (-10.0, 12.0)  # log(nu - 1): from hardly a mean to normal


def outcome_tail(
    table: CausalTable,
    columns: Float[np.ndarray, "rows columns"],
    outcome: Float[np.ndarray, " rows"],
    least_squares: tuple[float, float],
) -> tuple[Tail, str]:
    """Student-t where the residuals' tails are heavy, they lean to no side, and the effect stays that on the mean.

    The lean is taken between deciles, since heavy tails leave the usual skewness without a sampling error.

    Args:
        table: The table.
        columns: The treatment, and the covariates that the energy sees, on the scale of the fits.
        outcome: The outcome on that scale.
        least_squares: The regression's estimate and standard error, on that scale.

    Returns:
        The tail, and a word on it where there is something to say.
    """
    if table.outcome_kind == "binary":
        return "normal", ""
    noise = regress(table, table.design).noise
    low, middle, high = np.quantile(noise, [0.1, 0.5, 0.9])
    lean = float((high + low - 2 * middle) / (high - low)) if high > low else 0.0
    tails = float(kurtosis(noise / np.abs(noise).max()))
    if tails <= HEAVY:
        return "normal", ""
    kept = f"The outcome keeps its squared error though its tails are heavy (excess kurtosis {tails:.2g})"
    if abs(lean) >= LOPSIDED / math.sqrt(table.rows):
        return (
            "normal",
            f"{kept}: its residuals lean by {lean:.2g} between their deciles, so the center is not the mean.",
        )
    moved = abs(student_slope(columns, outcome) - least_squares[0]) / least_squares[1]
    if moved > MOVED:
        return "normal", (
            f"{kept}: a Student-t would move the effect by {moved:.2g} standard errors with nothing hidden, so it "
            "would answer another question than that of the mean."
        )
    return (
        "heavy",
        f"The outcome has a Student-t cost: its residuals have excess kurtosis {tails:.2g} and do not lean.",
    )


def student_slope(columns: Float[np.ndarray, "rows columns"], outcome: Float[np.ndarray, " rows"]) -> float:
    r"""The slope on the first column where the noise is Student-t, its scale and tail index fitted too.

    .. math::
        \sum_i \frac{\nu + 1}2 \log\Big(1 + \frac{r_i^2}{\nu \sigma^2}\Big) + n \log \sigma
        + n \log \frac{\Gamma(\nu/2) \sqrt{\nu}}{\Gamma((\nu + 1)/2)}, \qquad \nu > 1.

    It is the effect under the energy with a Student-t cost and nothing hidden, for which no latent is integrated.
    """
    design = np.column_stack([columns, np.ones(len(outcome))])
    orthogonal, triangle = np.linalg.qr(design)  # well-conditioned steps
    start = np.concatenate([orthogonal.T @ outcome, [math.log(outcome.std()), math.log(4.0)]])
    free: list[tuple[float | None, float | None]] = [(None, None)] * (len(start) - 1)
    found = minimize(
        _student_cost, start, args=(orthogonal, outcome), jac=True, method="L-BFGS-B",
        bounds=[*free, TAILS], options={"ftol": 1e-14},
    )  # fmt: skip
    return float(np.linalg.solve(triangle, found.x[:-2])[0])


def _student_cost(at: np.ndarray, orthogonal: np.ndarray, outcome: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the log likelihood, and its gradient in coefficients, log sigma and log(nu - 1)."""
    left, scale, tail = outcome - orthogonal @ at[:-2], math.exp(at[-2]), 1 + math.exp(at[-1])
    squares = (left / scale) ** 2 / tail
    pull = (tail + 1) * squares / (1 + squares)
    rows = len(outcome)
    cost = (tail + 1) / 2 * np.log1p(squares).sum() + rows * (
        at[-2] + gammaln(tail / 2) - gammaln((tail + 1) / 2) + 0.5 * math.log(tail)
    )
    along_tail = 0.5 * np.log1p(squares).sum() - 0.5 * pull.sum() / tail
    along_tail += 0.5 * rows * (digamma(tail / 2) - digamma((tail + 1) / 2) + 1 / tail)
    weights = (tail + 1) * left / scale**2 / tail / (1 + squares)
    return float(cost), np.concatenate(
        [-orthogonal.T @ weights, [rows - pull.sum(), along_tail * (tail - 1)]]
    )
