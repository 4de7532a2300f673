r"""Least squares of the outcome on the treatment and a design, by residuals (Frisch, Waugh, Lovell)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ebm_causal.data import CausalTable, Design
from ebm_causal.errors import TableError

ROUNDING = 1e-14  # a share of variance below this is rounding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResidualRegression:
    r"""The slope of y on t given X, from their residuals after X.

    Attributes:
        estimate: The slope.
        standard_error: Its classical standard error.
        dof: Rows less coefficients.
        treatment: The residuals of t after the intercept and X.
        noise: The residuals of y after the intercept, X and t.
    """

    estimate: float
    standard_error: float
    dof: int
    treatment: Float[np.ndarray, " rows"]
    noise: Float[np.ndarray, " rows"]


def regress(table: CausalTable, design: Design) -> ResidualRegression:
    r"""Regress the outcome of a table on its treatment and a design.

    .. math::
        \hat\delta = \frac{\tilde t' \tilde y}{\tilde t' \tilde t}, \qquad
        \mathrm{se}^2 = \frac{|\tilde y - \hat\delta \tilde t|^2}{\nu\, \tilde t' \tilde t}.

    The standard error holds for independent errors of one variance.

    Raises:
        TableError: If no degree of freedom is left, or treatment or outcome have no variance left.
    """
    dof = table.rows - design.rank - 2
    if dof < 1:
        raise TableError(too_few(table, design.rank + 2))
    treatment, outcome = design.residualize(np.column_stack([table.treatment_values, table.outcome_values])).T
    spread = treatment @ treatment
    _refuse_fixed(spread, table.treatment_values, f"Treatment {table.treatment!r}", "the covariates")
    estimate = float(treatment @ outcome / spread)
    noise = outcome - estimate * treatment
    given = f"{table.treatment!r} and the covariates"
    _refuse_fixed(noise @ noise, table.outcome_values, f"Outcome {table.outcome!r}", given)
    error = float(np.sqrt(noise @ noise / dof / spread))
    return ResidualRegression(
        estimate=estimate, standard_error=error, dof=dof, treatment=treatment, noise=noise
    )


def too_few(table: CausalTable, coefficients: int) -> str:
    """Say that a regression is saturated."""
    return (
        f"{table.rows} rows are too few for a regression of {table.outcome!r} on {table.treatment!r} with "
        f"{coefficients} coefficients: {table.rows - coefficients} degrees of freedom are left. "
        "Leave covariates out, or bring more rows."
    )


def _refuse_fixed(left: float, values: Float[np.ndarray, " rows"], called: str, given: str) -> None:
    share = left / ((values - values.mean()) ** 2).sum()
    if share < ROUNDING:
        raise TableError(
            f"{called} has no variance left given {given}: the share that they leave is {share:.1e}. "
            "Leave out the covariates that fix it."
        )
