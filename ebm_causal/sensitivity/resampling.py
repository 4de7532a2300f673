"""Resampled rows, each with a propensity of its own."""

import numpy as np
from jaxtyping import Bool, Float

from ebm_causal.errors import ConvergenceError, TableError
from ebm_causal.intervention import fit_logit
from ebm_causal.sensitivity.weighted_arms import Arms, Target, arms_of

FEWEST = 0.5  # of the resamples


def resampled_arms(
    outcome: Float[np.ndarray, " rows"],
    treated: Bool[np.ndarray, " rows"],
    columns: Float[np.ndarray, "rows columns"],
    options: tuple[Target, bool, int, int],
) -> tuple[list[Arms], int]:
    """The weighted arms of resampled rows, and how many resamples have none since their arms do not overlap.

    Args:
        outcome: The outcomes.
        treated: Who was treated.
        columns: The intercept and the covariates' columns.
        options: The target, whether weights must balance, how many resamples, and the seed.

    Raises:
        TableError: If most resamples have none.
    """
    (target, sharp, resamples, seed), rows = options, len(outcome)
    generator, found = np.random.default_rng(seed), []
    if not resamples:
        return [], 0
    whole, _ = fit_logit(columns, treated.astype(np.float64))  # near to all others: Newton starts there
    for _ in range(resamples):
        at = generator.integers(rows, size=rows)
        own = columns[at]
        varied = _that_vary(own)
        try:
            coefficients, _ = fit_logit(own[:, varied], treated[at].astype(np.float64), start=whole[varied])
        except (TableError, ConvergenceError):
            continue
        index = own[:, varied] @ coefficients
        found.append(arms_of(outcome[at], treated[at], index, target, own if sharp else None))
    if len(found) < FEWEST * resamples:
        raise TableError(
            f"In {resamples - len(found)} of {resamples} resamples the arms do not overlap: the table is too small "
            "for its covariates. Leave rare levels out, or resamples."
        )
    return found, resamples - len(found)


def _that_vary(columns: Float[np.ndarray, "rows columns"]) -> Bool[np.ndarray, " columns"]:
    """The intercept and the columns that vary: a rare level may be missing from a resample."""
    keep = np.ptp(columns, axis=0) > 0
    keep[0] = True
    return keep
