"""The roles of columns: what a treatment, an outcome and covariates must be, and what they become."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.data.columns import (
    first_text,
    kind_of,
    label,
    levels_of,
    mostly_numbers,
    numbers_of,
    require_columns,
    shown,
)
from ebm_causal.data.designs import Design, Factor, Numbers
from ebm_causal.errors import TableError


def check_names(frame: pd.DataFrame, treatment: str, outcome: str, covariates: Sequence[str]) -> None:
    """Refuse roles that the columns of a table cannot take.

    Raises:
        TableError: If the table is empty, a name is not a column, is there twice or has two roles.
    """
    twice = frame.columns[frame.columns.duplicated()].unique()
    if len(twice):
        raise TableError(
            f"Column names must differ; {shown(twice)} stand for more than one column. Rename them."
        )
    require_columns(frame, (treatment, outcome, *covariates))
    if treatment == outcome:
        raise TableError(f"Column {treatment!r} cannot be both treatment and outcome.")
    for name, role in ((treatment, "treatment"), (outcome, "outcome")):
        if name in covariates:
            raise TableError(f"Column {name!r} is the {role} and cannot be a covariate as well.")
    for name in covariates:
        if list(covariates).count(name) > 1:
            raise TableError(f"Covariate {name!r} is named twice.")
    if frame.empty:
        raise TableError(f"The table has no rows, so there are no values of {treatment!r} and {outcome!r}.")


def check_listed(names: Sequence[str], covariates: Sequence[str], option: str) -> None:
    """Refuse names in an option that are not covariates.

    Raises:
        TableError: With the option and the name.
    """
    for name in names:
        if name not in covariates:
            raise TableError(
                f"{option} names {name!r}, which is not among the covariates {shown(covariates)}."
            )


def treatment_of(column: pd.Series) -> tuple[Float[np.ndarray, " rows"], tuple[str, str] | None]:
    """The values of a treatment, and its two levels where it is binary (coded 0 and 1).

    Raises:
        TableError: If the column has one value, more than two levels of text, or dates.
    """
    kind, name = kind_of(column), column.name
    if kind == "other":
        raise TableError(
            f"Treatment {name!r} holds {column.dtype} values; a treatment is numeric, or has two levels."
        )
    if kind == "levels":
        values, levels = levels_of(column)
        if len(levels) > 2:
            raise TableError(
                f"Treatment {name!r} is text with {len(levels)} levels ({shown(levels, 5)}); a treatment "
                "is numeric, or has two levels. Keep the rows of two levels, or give it as numbers."
            )
        found: Sequence[object] = levels
        coded = values.astype(np.float64)
    else:
        coded = numbers_of(column)
        found = np.unique(coded[: 3 * 1024]).tolist()
        found = np.unique(coded).tolist() if len(found) < 3 else found
    if len(found) < 2:
        one = label(found[0]) if found else "none"
        raise TableError(
            f"Treatment {name!r} has one value, {one}, in all {len(column)} rows: nothing to compare."
        )
    if len(found) > 2:
        return coded, None
    low, high = (label(level) for level in found)
    if kind == "boolean":
        low, high = "False", "True"
    return (coded == coded.max()).astype(np.float64), (low, high)


def outcome_of(column: pd.Series) -> Float[np.ndarray, " rows"]:
    """The values of an outcome.

    Raises:
        TableError: If the column is not numeric, or has one value.
    """
    kind, name = kind_of(column), column.name
    if kind == "levels":
        raise TableError(
            f"Outcome {name!r} is not numeric: it holds {first_text(column)}. Give it as numbers."
        )
    if kind == "other":
        raise TableError(
            f"Outcome {name!r} is not numeric: it holds {column.dtype} values. Give it as numbers."
        )
    values = numbers_of(column)
    if values.min() == values.max():
        raise TableError(f"Outcome {name!r} has one value, {values[0]:g}, in all {len(values)} rows.")
    return values


def block_of(column: pd.Series, categorical: Collection[str], squares: Collection[str]) -> Numbers | Factor:
    """The columns that a covariate gives to the design.

    Raises:
        TableError: If the covariate is constant, holds dates or text among numbers, or is to be squared
            without being numeric.
    """
    kind, name = kind_of(column), str(column.name)
    if kind == "other":
        raise TableError(f"Covariate {name!r} holds {column.dtype} values; give numbers, text or booleans.")
    if kind == "levels" and name not in categorical and mostly_numbers(column):
        raise TableError(
            f"Covariate {name!r} holds numbers, but also {first_text(column)}. Mend the value, or name the "
            "column in categorical to make each of its values a level."
        )
    levels = kind != "number" or name in categorical
    if levels and name in squares:
        raise TableError(f"squares names {name!r}, which enters as levels and has no square.")
    block = _factor(column) if levels else _numbers(column, name in squares)
    if isinstance(block, Factor) and len(block.levels) == 1:
        raise TableError(
            f"Covariate {name!r} is constant: {block.levels[0]!r} in all {len(column)} rows. Leave it out."
        )
    return block


def _factor(column: pd.Series) -> Factor:
    codes, levels = levels_of(column)
    return Factor(source=str(column.name), levels=levels, codes=codes)


def _numbers(column: pd.Series, squared: bool) -> Numbers:
    name, values = str(column.name), numbers_of(column)
    if values.min() == values.max():
        raise TableError(
            f"Covariate {name!r} is constant: {values[0]:g} in all {len(values)} rows. Leave it out."
        )
    if squared:
        return Numbers(source=name, names=(name, f"{name}^2"), values=np.stack([values, values**2], axis=1))
    return Numbers(source=name, names=(name,), values=values[:, None])


def check_design(design: Design, roles: dict[str, Float[np.ndarray, " rows"]]) -> None:
    """Refuse a design with more columns than rows can tell apart, or with columns that repeat others.

    Args:
        design: The covariates.
        roles: The values of treatment and outcome, by a text that names role and column.

    Raises:
        TableError: With the column.
    """
    for block in design.blocks:
        columns = block.matrix() if len(block.names) <= 2 else np.zeros((design.rows, 0))
        for role, values in roles.items():
            if any(_same(column, values) for column in columns.T):
                raise TableError(
                    f"Covariate {block.source!r} carries the same values as the {role}. Leave it out."
                )
    if design.columns >= design.rows:
        largest = max(design.blocks, key=lambda block: len(block.names))
        raise TableError(
            f"{design.rows} rows are too few for the {design.columns} columns of the covariates; "
            f"{largest.source!r} alone gives {len(largest.names)}. Leave covariates out, or bring more rows."
        )
    dependent = design.first_dependent()
    if dependent is not None:
        name, others = dependent
        raise TableError(
            f"Column {name!r} is a linear combination of other covariates ({shown(others)}): leave one out."
        )


def _same(column: Float[np.ndarray, " rows"], values: Float[np.ndarray, " rows"]) -> bool:
    # The same up to an affine map: the correlation is one to rounding.
    a, b = column - column.mean(), values - values.mean()
    return bool(abs(a @ b) >= (1 - 1e-12) * np.sqrt((a @ a) * (b @ b)))
