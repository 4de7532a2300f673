"""Least squares with counts: on a whole table it names what is in the way, on a resample it is quick."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ebm_causal.errors import ConvergenceError
from ebm_causal.intervention.outcome_models import least_squares
from ebm_causal.intervention.samples import Sample

Rows = np.ndarray | slice


def fitted_model(
    sample: Sample, rows: Rows = slice(None), called: str = ""
) -> tuple[Float[np.ndarray, " coefficients"], Float[np.ndarray, "coefficients coefficients"]]:
    """Fit the outcome model of a sample to some of its rows, called so in an error."""
    model = sample.model
    columns = model.columns()
    if not sample.resampled:
        return least_squares(columns[rows], sample.outcome[rows], model.names, called)
    levers = np.hstack([model.covariates, model.modifiers])
    nothing = np.hstack([model.covariates, np.zeros_like(model.modifiers)])
    asked = np.column_stack([sample.counts @ levers, sample.counts @ nothing])
    return quick_fit(columns[rows], sample.outcome[rows], sample.counts[rows], asked)


def counted_fit(
    sample: Sample, columns: Float[np.ndarray, "rows coefficients"], target: np.ndarray, names: Sequence[str]
) -> tuple[Float[np.ndarray, " coefficients"], Float[np.ndarray, "coefficients coefficients"]]:
    """Fit any columns to any target on the rows of a sample."""
    if not sample.resampled:
        return least_squares(columns, target, names)
    return quick_fit(columns, target, sample.counts, np.eye(columns.shape[1])[:, -1:])


def quick_fit(
    columns: Float[np.ndarray, "rows coefficients"],
    target: Float[np.ndarray, " rows"],
    counts: Float[np.ndarray, " rows"],
    asked: Float[np.ndarray, "coefficients combinations"],
) -> tuple[Float[np.ndarray, " coefficients"], Float[np.ndarray, "coefficients coefficients"]]:
    """Solve the normal equations, whose columns may depend on each other as long as what is asked does not care.

    Raises:
        ConvergenceError: If a combination of coefficients that is asked for is not determined.
    """
    weighted = columns * counts[:, None]
    curvature = columns.T @ weighted
    found = np.linalg.lstsq(curvature, np.column_stack([weighted.T @ target, asked]), rcond=1e-12)
    solved, rank = found[0], int(found[2])
    if rank < len(curvature):
        missed = np.abs(curvature @ solved[:, 1:] - asked).max()
        if missed > 1e-6 * np.abs(asked).max():
            raise ConvergenceError(
                "the resample does not determine the effect: an arm lacks rows of a level."
            )
    return solved[:, 0], curvature


def influence_of_fit(
    columns: Float[np.ndarray, "rows coefficients"],
    triangle: Float[np.ndarray, "coefficients coefficients"],
    noise: Float[np.ndarray, " rows"],
) -> Float[np.ndarray, "rows coefficients"]:
    r"""What each row does to each coefficient: :math:`n (X'X)^{-1} x_i e_i`, with X'X = R'R of a triangle R."""
    inverse = np.linalg.solve(triangle, np.linalg.solve(triangle.T, columns.T)).T
    return len(noise) * inverse * noise[:, None]
