"""One column of a table: what kind it is, where it has no value, and its numbers or levels."""

from collections.abc import Hashable, Iterable
from difflib import get_close_matches

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from ebm_causal.errors import TableError


def require_columns(frame: pd.DataFrame, names: Iterable[str]) -> None:
    """Refuse names that are not columns, each with the names that come close.

    Raises:
        TableError: If a name is not a column.
    """
    for name in names:
        if name not in frame.columns:
            columns = [str(column) for column in frame.columns]
            close = get_close_matches(str(name), columns, n=3) or _same_but_for_case(str(name), columns)
            meant = f" Did you mean {shown(close)}?" if close else ""
            raise TableError(f"Column {name!r} is not in the table.{meant} Its columns are {shown(columns)}.")


def _same_but_for_case(name: str, columns: list[str]) -> list[str]:
    return [column for column in columns if column.strip().lower() == name.strip().lower()]


def shown(values: Iterable[object], most: int = 12) -> str:
    """Quote the first few of several values, and say how many more there are."""
    texts = [repr(value) for value in values]
    more = [f"and {len(texts) - most} more"] if len(texts) > most else []
    return ", ".join(texts[:most] + more)


def kind_of(column: pd.Series) -> str:
    """What a column holds: ``"number"``, ``"boolean"``, ``"levels"`` (text or categories) or ``"other"``."""
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return "levels"
    if pd.api.types.is_bool_dtype(kind):
        return "boolean"
    if pd.api.types.is_complex_dtype(kind):
        return "other"
    if pd.api.types.is_numeric_dtype(kind):
        return "number"
    return "levels" if pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind) else "other"


def missing_in(column: pd.Series) -> Bool[np.ndarray, " rows"]:
    """Where a column has no value."""
    return column.isna().to_numpy(dtype=bool)


def infinite_in(column: pd.Series) -> Bool[np.ndarray, " rows"]:
    """Where a column of numbers is infinite."""
    if kind_of(column) != "number" or pd.api.types.is_integer_dtype(column.dtype):
        return np.zeros(len(column), dtype=bool)
    return np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan))


def numbers_of(column: pd.Series) -> Float[np.ndarray, " rows"]:
    """The values of a column of numbers or booleans without missing ones, as float64."""
    return column.to_numpy(dtype=np.float64)


def levels_of(column: pd.Series) -> tuple[Int[np.ndarray, " rows"], tuple[str, ...]]:
    """The codes and the texts of a column's levels, sorted, or in the order of an ordered set of categories.

    Raises:
        TableError: If two levels read the same.
    """
    try:
        codes, found = pd.factorize(column, sort=True)
    except TypeError:  # levels of several types do not compare
        codes, found = pd.factorize(column.map(str), sort=True)
    levels = tuple(label(level) for level in found)
    if len(set(levels)) < len(levels):
        twice = next(level for level in levels if levels.count(level) > 1)
        raise TableError(f"Column {column.name!r} has two levels that both read {twice!r}: name them apart.")
    return codes.astype(np.int64), levels


def label(level: Hashable) -> str:
    """The text of a level; a whole number reads the same whether it is stored as integer or float."""
    if isinstance(level, float | np.floating) and float(level).is_integer():
        return str(int(level))
    return str(level)


def first_text(column: pd.Series) -> str:
    """Quote the first value of a column that does not read as a number, with its row."""
    read = pd.to_numeric(column.astype(object), errors="coerce").isna().to_numpy()
    row = int(np.flatnonzero(read)[0]) if read.any() else 0
    return f"{column.iloc[row]!r} in row {row} (counted from 0)"


def mostly_numbers(column: pd.Series) -> bool:
    """Whether a column of text reads as numbers in half of its rows or more, but not in all."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return False
    read = pd.to_numeric(column.astype(object), errors="coerce").notna().mean()
    return bool(0.5 <= read < 1)
