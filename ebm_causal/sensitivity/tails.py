"""Which cost a table's outcome gets: squared error, or Student-t where that still asks for the mean."""

import math
from collections.abc import Callable

import numpy as np
from scipy.stats import kurtosis

from ebm_causal.data import CausalTable
from ebm_causal.energies import Tail
from ebm_causal.intervention import regress

HEAVY = 1.0  # excess kurtosis of the regression's residuals
LOPSIDED = (
    3.5  # over the root of the rows: one in a hundred symmetric samples leans so far between its deciles
)
MOVED = 1.0  # standard errors of the regression


def outcome_tail(
    table: CausalTable, least_squares: tuple[float, float], student_effect: Callable[[], float]
) -> tuple[Tail, str]:
    """Student-t where the residuals' tails are heavy, they lean to no side, and the effect stays that on the mean.

    The lean is taken between deciles, since heavy tails leave the usual skewness without a sampling error.

    Args:
        table: The table.
        least_squares: The regression's estimate and standard error.
        student_effect: Computes the effect with a Student-t cost and nothing hidden, on the same scale.

    Returns:
        The tail, and a word on it where there is something to say.
    """
    if table.outcome_kind == "binary":
        return "normal", ""
    noise = regress(table, table.design).noise
    low, middle, high = np.quantile(noise, [0.1, 0.5, 0.9])
    lean = float((high + low - 2 * middle) / (high - low)) if high > low else 0.0
    tails = float(kurtosis(noise))
    if tails <= HEAVY:
        return "normal", ""
    kept = f"The outcome keeps its squared error though its tails are heavy (excess kurtosis {tails:.2g})"
    if abs(lean) >= LOPSIDED / math.sqrt(table.rows):
        return (
            "normal",
            f"{kept}: its residuals lean by {lean:.2g} between their deciles, so the center is not the mean.",
        )
    moved = abs(student_effect() - least_squares[0]) / least_squares[1]
    if moved > MOVED:
        return "normal", (
            f"{kept}: a Student-t would move the effect by {moved:.2g} standard errors with nothing hidden, so it "
            "would answer another question than that of the mean."
        )
    return (
        "heavy",
        f"The outcome has a Student-t cost: its residuals have excess kurtosis {tails:.2g} and do not lean.",
    )
