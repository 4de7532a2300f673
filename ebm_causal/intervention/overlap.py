"""Whether treated and untreated rows overlap: without overlap there is no propensity to fit."""

import numpy as np
from jaxtyping import Float

from ebm_causal.data import CausalTable, Factor
from ebm_causal.errors import OverlapError, TableError
from ebm_causal.intervention.samples import Sample

HEAVY = 0.1  # of an arm's weight on one row


def refuse_separated_columns(table: CausalTable) -> None:
    """Refuse a table in which one column, or one level, has the arms apart.

    Raises:
        TableError: With the column.
    """
    treated = table.treatment_values == 1
    for block in table.design.blocks:
        if isinstance(block, Factor):
            _refuse_levels(block, treated)
            continue
        for name, column in zip(block.names, block.values.T, strict=True):
            high, low = column[treated], column[~treated]
            if high.min() >= low.max() or high.max() <= low.min():
                raise TableError(
                    f"{name!r} separates the treated from the untreated: it runs from {high.min():g} to "
                    f"{high.max():g} among the former and from {low.min():g} to {low.max():g} among the "
                    "latter. The propensity is 0 or 1; leave it out, or keep the rows that overlap."
                )


def _refuse_levels(factor: Factor, treated: np.ndarray) -> None:
    size = np.bincount(factor.codes, minlength=len(factor.levels))
    inside = np.bincount(factor.codes, weights=treated, minlength=len(factor.levels))
    alone = np.flatnonzero((inside == 0) | (inside == size))
    if not alone.size:
        return
    arm = "treated" if inside[alone[0]] else "untreated"
    more = f" (as {alone.size - 1} other levels have one arm alone)" if alone.size > 1 else ""
    raise OverlapError(
        f"The level {factor.levels[alone[0]]!r} of {factor.source!r} has only {arm} rows{more}: the "
        "propensity there is 0 or 1. Merge levels, leave the column out, or keep the rows that overlap."
    )


def refuse_separation(
    columns: Float[np.ndarray, "rows columns"], treated: Float[np.ndarray, " rows"]
) -> None:
    r"""Refuse columns of which a combination has the arms apart.

    A linear program finds :math:`\beta` with :math:`\pm x_i'\beta \ge 0` on the side of each row and not all
    of them zero; if there is one, the likelihood grows without end along it.

    Raises:
        TableError: If there is such a combination.

    References:
        A. Albert and J. Anderson 1984, "On the existence of maximum likelihood estimates in logistic
        regression models".
    """
    from scipy.optimize import linprog  # needed only where a fit looks suspicious

    sided = columns * (2 * treated - 1)[:, None]
    found = linprog(
        -sided.mean(axis=0), A_ub=-sided, b_ub=np.zeros(len(sided)), bounds=(-1, 1), method="highs"
    )
    if found.status == 0 and -found.fun > 1e-9:
        raise TableError(
            "a combination of the covariates separates the treated from the untreated: the propensity is "
            "0 or 1. Leave covariates out, or keep the rows that overlap."
        )


def weights_of_arms(
    sample: Sample,
    chance: Float[np.ndarray, " rows"],
    complement: Float[np.ndarray, " rows"],
    inside: np.ndarray,
) -> Float[np.ndarray, " inside"]:
    """One over the chance of the arm that each row is in, for the rows that are asked about.

    Raises:
        TableError: If such a chance is zero to rounding.
    """
    own = np.where(sample.treatment == 1, chance, complement)[inside]
    if own.size and own.min() < np.finfo(float).eps:
        place = int(np.flatnonzero(inside)[own.argmin()])
        raise TableError(
            f"Row {sample.rows[place]} (counted from 0) has a propensity of {chance[place]:.3g}, which is 0 or 1 "
            f"to rounding, against what {sample.table.treatment!r} is there: keep the rows that overlap."
        )
    return 1 / own


def heavy_rows(treatment: Float[np.ndarray, " rows"], weights: Float[np.ndarray, " rows"]) -> tuple[str, ...]:
    """Warn where one row carries more than a tenth of the weight of its arm."""
    warnings = []
    for arm, called in ((1, "treated"), (0, "untreated")):
        inside = np.flatnonzero((treatment == arm) & (weights > 0))
        share = weights[inside] / weights[inside].sum()
        if share.max() > max(HEAVY, 2 / len(inside)):
            row, worth = int(inside[share.argmax()]), 1 / (share @ share)
            warnings.append(
                f"Row {row} (counted from 0) carries {share.max():.0%} of the weight of the {called} arm, "
                f"whose {len(inside)} rows are worth {worth:.1f} of equal weight: the arms hardly overlap."
            )
    return tuple(warnings)
