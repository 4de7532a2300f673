"""Columns of a table's frame in further roles: mediators, instruments, clusters, groups."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError, TableError


def named_column(table: CausalTable, name: str, role: str) -> pd.Series:
    """A column of the rows that the table kept.

    Raises:
        ArgumentError: If it is not there, is the treatment or the outcome, or stands twice.
        TableError: If it has missing values.
    """
    if list(table.frame.columns).count(name) != 1:
        raise ArgumentError(f"the {role} {name!r} must be one column of the table's frame.")
    if name in (table.treatment, table.outcome):
        raise ArgumentError(f"the {role} {name!r} is the treatment or the outcome of the table.")
    column = table.frame[name]
    if column.isna().any():
        raise TableError(
            f"the {role} {name!r} has {int(column.isna().sum())} missing values: drop these rows first."
        )
    return column


def numeric_columns(table: CausalTable, names: Sequence[str], role: str) -> Float[np.ndarray, "rows columns"]:
    """Numeric columns that are not covariates, as floats.

    Raises:
        ArgumentError: If a column is not there or has another role.
        TableError: If it is not numeric or not finite.
    """
    columns = []
    for name in names:
        if name in table.covariates:
            raise ArgumentError(f"the {role} {name!r} is a covariate of the table too; give it one role.")
        try:
            columns.append(named_column(table, name, role).to_numpy(dtype=np.float64))
        except (TypeError, ValueError) as error:
            if isinstance(error, ArgumentError | TableError):
                raise
            raise TableError(f"the {role} {name!r} is not numeric: pass indicators of its levels.") from error
        if not np.isfinite(columns[-1]).all():
            raise TableError(f"the {role} {name!r} has values that are not finite.")
    if len(set(names)) < len(names):
        raise ArgumentError(f"a {role} is named twice in {list(names)}.")
    return np.column_stack(columns)


def cluster_codes(table: CausalTable, name: str | None) -> np.ndarray | None:
    """The cluster of each row, as numbers from 0.

    Raises:
        ArgumentError: If there are fewer than two clusters.
    """
    if name is None:
        return None
    codes, levels = pd.factorize(named_column(table, name, "cluster"))
    if len(levels) < 2:
        raise ArgumentError(f"clustered errors need two clusters or more; {name!r} has {len(levels)}.")
    return np.asarray(codes)
