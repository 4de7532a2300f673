"""Rows without a value in a column that an analysis needs: dropped and counted, or refused."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool

from ebm_causal.data.columns import infinite_in, missing_in
from ebm_causal.errors import ArgumentError, TableError


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedRows:
    """Rows that were left out because of one column.

    A row that lacks a value in two columns is counted in both, so the counts may add up to more than the
    number of rows that were left out.

    Attributes:
        column: The column.
        rows: How many rows.
        reason: Why, ``"missing"`` or ``"infinite"``.
    """

    column: str
    rows: int
    reason: str


def complete_rows(
    frame: pd.DataFrame, columns: Sequence[str], missing: str
) -> tuple[Bool[np.ndarray, " rows"], tuple[DroppedRows, ...]]:
    """Find the rows with a finite value in every column.

    Args:
        frame: The table.
        columns: The columns that need a value.
        missing: ``"drop"`` leaves other rows out; ``"refuse"`` raises if there is one.

    Returns:
        Which rows to keep, and why the others go.

    Raises:
        ArgumentError: If ``missing`` is neither of the two.
        TableError: If a row is incomplete and that is refused, or if no row is complete.
    """
    if missing not in ("drop", "refuse"):
        raise ArgumentError(f"missing must be 'drop' or 'refuse'; got {missing!r}.")
    keep = np.ones(len(frame), dtype=bool)
    dropped = []
    for name in columns:
        for reason, bad in (("missing", missing_in(frame[name])), ("infinite", infinite_in(frame[name]))):
            if bad.any():
                keep &= ~bad
                dropped.append(DroppedRows(column=name, rows=int(bad.sum()), reason=reason))
                _refuse(name, bad, reason, missing)
    if not keep.any():
        worst = max(dropped, key=lambda one: one.rows)
        raise TableError(
            f"No row is left: all {len(frame)} rows have a missing or infinite value in a column that is "
            f"needed; {worst.column!r} alone in {worst.rows} rows. Leave this column out, or fill its values."
        )
    return keep, tuple(dropped)


def _refuse(name: str, bad: Bool[np.ndarray, " rows"], reason: str, missing: str) -> None:
    if missing == "refuse":
        raise TableError(
            f"Column {name!r} has {reason} values in {int(bad.sum())} rows, first in rows "
            f"{np.flatnonzero(bad)[:5].tolist()} (counted from 0). Mend them, or pass missing='drop'."
        )
