r"""A linear model of the outcome in which the treatment may interact with covariates."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ebm_causal.data import CausalTable, Factor
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.intervention.regressions import too_few

DEPENDENT = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OutcomeModel:
    r"""The columns of :math:`m(t, w) = \alpha + \gamma' w + t (\delta + \eta' v)`, v some columns of w.

    w and v have mean 0, so that :math:`\delta` is the average effect of a unit of treatment.

    Attributes:
        names: The name of each column.
        covariates: The intercept and w.
        modifiers: A column of ones and v: what the treatment multiplies.
        treatment: The treatment.
    """

    names: tuple[str, ...]
    covariates: Float[np.ndarray, "rows columns"]
    modifiers: Float[np.ndarray, "rows modifiers"]
    treatment: Float[np.ndarray, " rows"]

    def columns(self) -> Float[np.ndarray, "rows coefficients"]:
        """All columns at the treatments that were seen."""
        return np.column_stack([self.covariates, self.treatment[:, None] * self.modifiers])

    def slopes(self, coefficients: Float[np.ndarray, " coefficients"]) -> Float[np.ndarray, " rows"]:
        """What one unit of treatment does in each row."""
        return self.modifiers @ coefficients[self.covariates.shape[1] :]

    def untreated(self, coefficients: Float[np.ndarray, " coefficients"]) -> Float[np.ndarray, " rows"]:
        """The mean of the outcome in each row with a treatment of 0."""
        return self.covariates @ coefficients[: self.covariates.shape[1]]


def outcome_model(
    table: CausalTable, interactions: Sequence[str] | None, *, check: bool = True
) -> OutcomeModel:
    """Build the columns: interactions with all, or with the linear and indicator columns of some covariates.

    Args:
        table: The table.
        interactions: The covariates that interact with the treatment, None for all columns.
        check: Whether to refuse a model without a degree of freedom.

    Raises:
        ArgumentError: If an interaction is not a covariate.
        TableError: If the columns leave no degree of freedom.
    """
    matrix = table.design.matrix()
    location, scale = matrix.mean(axis=0), matrix.std(axis=0)
    scaled = (matrix - location) / scale
    chosen = _chosen(table, interactions)
    coefficients = 2 + scaled.shape[1] + len(chosen)
    if check and coefficients >= table.rows:
        raise TableError(too_few(table, coefficients))
    ones = np.ones((table.rows, 1))
    interacted = [f"{table.treatment} x {table.design.names[column]}" for column in chosen]
    return OutcomeModel(
        names=("intercept", *table.design.names, table.treatment, *interacted),
        covariates=np.hstack([ones, scaled]),
        modifiers=np.hstack([ones, scaled[:, chosen]]),
        treatment=table.treatment_values,
    )


def _chosen(table: CausalTable, interactions: Sequence[str] | None) -> list[int]:
    if interactions is None:
        return list(range(table.design.columns))
    if isinstance(interactions, str) or not isinstance(interactions, Sequence):
        what = "the text " if isinstance(interactions, str) else ""
        raise ArgumentError(f"interactions must be a list of names; got {what}{interactions!r}.")
    for name in interactions:
        if name not in table.covariates:
            raise ArgumentError(f"interactions name {name!r}, which is not among the covariates.")
    blocks = [block for block in table.design.blocks if block.source in interactions]
    names = {
        name for block in blocks for name in (block.names if isinstance(block, Factor) else block.names[:1])
    }
    return [column for column, name in enumerate(table.design.names) if name in names]


def least_squares(
    columns: Float[np.ndarray, "rows coefficients"],
    outcome: Float[np.ndarray, " rows"],
    names: Sequence[str],
    part: str = "",
) -> tuple[Float[np.ndarray, " coefficients"], Float[np.ndarray, "coefficients coefficients"]]:
    """Fit by an orthogonal triangle.

    Args:
        columns: One column per coefficient.
        outcome: What to fit.
        names: The columns, for the error.
        part: Which rows these are, for the error.

    Returns:
        The coefficients and the triangle R, with R'R the columns' products.

    Raises:
        TableError: If a column is a combination of those before it.
    """
    length = np.linalg.norm(columns, axis=0)
    basis, triangle = np.linalg.qr(columns / np.where(length > 0, length, 1.0))
    short = np.flatnonzero(np.abs(np.diagonal(triangle)) < DEPENDENT)
    if short.size or len(columns) < columns.shape[1]:
        name = names[int(short[0])] if short.size else names[-1]
        raise TableError(
            f"The outcome model's column {name!r} is a combination of its other columns{part}: an arm lacks "
            "variation in a covariate. Leave the covariate out, or name fewer interactions."
        )
    return np.linalg.solve(triangle, basis.T @ outcome) / length, triangle * length
