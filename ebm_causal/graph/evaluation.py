r"""The number that an expression gives: on a table of probabilities, or on the counts of a frame."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.graph.expressions import Probability, Product, Quotient, Term, probabilities, written

MOST_CELLS = 5_000_000
"""Of a table of probabilities: 40 MB."""

Axes = Mapping[str, int]
Levels = Mapping[str, Sequence[object]]


def value_of(
    term: Term, joint: Float[np.ndarray, "*levels"], axes: Axes
) -> Float[np.ndarray, "*levels_or_one"]:
    """The values of a term, with an axis for each of the joint's; those it does not depend on have length 1.

    What is conditioned on but has probability zero is NaN, unless zero multiplies it.
    """
    if isinstance(term, Probability):
        given = marginal(joint, [axes[name] for name in term.given])
        both = marginal(joint, [axes[name] for name in (*term.variables, *term.given)])
        return _over(both, given)
    if isinstance(term, Product):
        result = np.ones((1,) * joint.ndim)
        for part in term.terms:
            result = times(result, value_of(part, joint, axes))
        return result
    if isinstance(term, Quotient):
        return _over(value_of(term.numerator, joint, axes), value_of(term.denominator, joint, axes))
    inner = value_of(term.term, joint, axes)
    bound = [axes[name] for name in term.over]
    shape = [joint.shape[i] if i in bound else size for i, size in enumerate(inner.shape)]
    return np.broadcast_to(inner, shape).sum(axis=tuple(bound), keepdims=True)


def marginal(joint: Float[np.ndarray, "*levels"], kept: Sequence[int]) -> Float[np.ndarray, "*levels_or_one"]:
    """Sum a joint over all axes but some; the others keep length 1."""
    return joint.sum(axis=tuple(axis for axis in range(joint.ndim) if axis not in kept), keepdims=True)


def times(a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """A product in which zero times anything is zero: what never happens needs no effect."""
    return np.where((a == 0) | (b == 0), 0.0, a * b)


def _over(a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.divide(a, b, out=np.full(np.broadcast_shapes(a.shape, b.shape), np.nan), where=b > 0)


def check_joint(joint: Float[np.ndarray, "*levels"], names: Sequence[str], needed: Sequence[str]) -> Axes:
    """The axis of each variable of a joint distribution.

    Raises:
        ArgumentError: If an axis or a name is missing, or these are no probabilities.
    """
    if not isinstance(joint, np.ndarray):
        raise ArgumentError(f"a joint distribution is an array; got {type(joint).__name__}.")
    if len(names) != joint.ndim or len(set(names)) != len(names):
        raise ArgumentError(f"the joint has {joint.ndim} axes, which need as many names; got {list(names)}.")
    absent = [name for name in needed if name not in names]
    if absent:
        raise ArgumentError(f"the expression needs {absent}, for which the joint has no axis.")
    if not (np.isfinite(joint).all() and (joint >= 0).all() and abs(joint.sum() - 1) < 1e-6):
        raise ArgumentError(
            f"a joint distribution is not negative and sums to one; this one sums to {joint.sum():.6g}, "
            f"and its least entry is {joint.min():.3g}."
        )
    return {name: axis for axis, name in enumerate(names)}


def undefined(term: Term, joint: Float[np.ndarray, "*levels"], axes: Axes, levels: Levels) -> str:
    """Say which probability of a term has nothing to condition on, and where."""
    for found in probabilities(term):
        given = marginal(joint, [axes[name] for name in found.given])
        if (given > 0).all():
            continue
        place = np.argwhere(given == 0)[0]
        where = ", ".join(f"{name} = {levels[name][place[axes[name]]]}" for name in found.given)
        return (
            f"{written(found, False, {})} is not defined where {where}: that never occurs. There is no overlap; "
            "merge levels, or ask a model."
        )
    return "the expression is not defined: a denominator is zero."


def count_levels(
    frame: pd.DataFrame, names: Sequence[str]
) -> tuple[Float[np.ndarray, "*levels"], dict[str, list[object]]]:
    """The shares of rows with each combination of levels, and the levels of each column.

    Raises:
        TableError: If a column is not there once, has missing values, or all have too many levels together.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TableError(f"the data must be a DataFrame; got {type(frame).__name__}.")
    for name in names:
        if list(frame.columns).count(name) != 1:
            raise TableError(f"the column {name!r} must stand once in the table.")
        if frame[name].isna().any():
            raise TableError(f"the column {name!r} has missing values: drop these rows.")
    if not len(frame):
        raise TableError("the table has no rows.")
    coded = {name: pd.factorize(frame[name], sort=True) for name in names}
    shape = tuple(len(levels) for _, levels in coded.values())
    if math.prod(shape) > MOST_CELLS:
        sizes = ", ".join(f"{name!r} {size}" for name, size in zip(names, shape, strict=True))
        raise TableError(
            f"the combinations of levels are {math.prod(shape):,}, more than {MOST_CELLS:,} ({sizes}): "
            "this is for discrete columns; cut continuous ones into classes."
        )
    cells = np.ravel_multi_index([codes for codes, _ in coded.values()], shape)
    counts = np.bincount(cells, minlength=math.prod(shape)).reshape(shape)
    return counts / len(frame), {name: list(levels) for name, (_, levels) in coded.items()}
