r"""Independences tested on data: by partial correlation, by G, or by a regression on indicators."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import chdtrc, fdtrc

from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.graph.graphs import CausalGraph, required_graph
from ebm_causal.graph.implications import Independence, testable_implications

FEW_LEVELS = 10
"""A numeric column of integers with at most so many values is taken as discrete."""


class _Tested(NamedTuple):
    test: str
    statistic: float
    dof: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ImplicationTests:
    """The independences that a graph implies, each tested on data.

    Attributes:
        table: A row for each: what is independent given what, the test, its statistic, dof and p value, the p
            value adjusted for their number, and whether the independence is rejected.
        alpha: The chance, under the graph, that any at all is rejected (Holm's adjustment).
        warnings: What could not be tested, or is tested under an assumption.
    """

    table: pd.DataFrame
    alpha: float
    warnings: tuple[str, ...] = ()

    @property
    def rejected(self) -> tuple[str, ...]:
        """The independences that the data contradict."""
        return tuple(self.table.index[self.table["rejected"]])

    def summary(self) -> pd.DataFrame:
        """The table."""
        return self.table.copy()

    def __repr__(self) -> str:
        count = len(self.table)
        said = f"{len(self.rejected)} of {count} independences rejected at {self.alpha:g} over all (Holm)"
        named = f": {'; '.join(self.rejected)}" if self.rejected else ""
        lines = [f"ImplicationTests({said}{named})", *(f"Warning: {warning}" for warning in self.warnings)]
        return "\n".join(lines)


def check_implications(
    graph: CausalGraph, frame: pd.DataFrame, *, discrete: Sequence[str] = (), alpha: float = 0.05
) -> ImplicationTests:
    r"""Test on data every independence that a graph implies.

    Between discrete variables given discrete ones by G (the likelihood ratio of the table in each stratum,
    :math:`2 \sum o \log(o/e)`); otherwise by partial correlation, a t test that is exact for Gaussian
    variables with linear means and else sees only what is linear. A discrete variable enters that as
    indicators, and the test is the F of a regression. A rejection contradicts the graph; that nothing is
    rejected confirms nothing. P values are adjusted for their number by Holm's method.

    Args:
        graph: The causal graph.
        frame: The data, with a column for each observed variable; it is not changed.
        discrete: Columns to take as discrete; text, boolean and categorical ones are, and integers of up to
            ten values.
        alpha: The chance to reject anything at all where the graph is right.

    Returns:
        The tests.

    Raises:
        ArgumentError: If alpha is not a chance, or a name in ``discrete`` is no observed variable.
        TableError: If a column is missing, has missing values, is constant, or rows are too few.

    Examples:
        >>> import numpy as np, pandas as pd
        >>> import ebm_causal as ec
        >>> from ebm_causal.graph import check_implications
        >>> noise = np.random.default_rng(0).normal(size=(3, 500))
        >>> frame = pd.DataFrame({"a": noise[0], "b": noise[0] + noise[1], "c": noise[0] + noise[2]})
        >>> check_implications(ec.CausalGraph(["a -> b", "a -> c"]), frame).rejected
        ()
        >>> check_implications(ec.CausalGraph(["b -> a <- c"]), frame).rejected
        ('b _||_ c',)

    References:
        S. Holm 1979; A. Ankan, I. Wortel and J. Textor 2021, Testing graphical causal models.
    """
    required_graph(graph)
    if not isinstance(frame, pd.DataFrame):
        raise TableError(f"the data must be a DataFrame; got {type(frame).__name__}.")
    if not 0 < alpha < 1:
        raise ArgumentError(f"alpha must be between 0 and 1; got {alpha}.")
    absent = [name for name in discrete if name not in graph.observed]
    if absent:
        raise ArgumentError(f"discrete names {absent}, which are not among the observed variables.")
    claims = testable_implications(graph)
    used = dict.fromkeys(name for c in claims for name in (c.first, c.second, *c.given))
    columns = {name: _column(frame, name) for name in used}
    levels = {name for name, column in columns.items() if name in discrete or _is_discrete(column)}
    rows = [_test(claim, columns, levels) for claim in claims]
    table = pd.DataFrame(rows, columns=list(_Tested._fields), index=pd.Index(map(repr, claims), name="claim"))
    table["adjusted_p_value"] = _holm(table["p_value"].to_numpy(dtype=np.float64))
    table["rejected"] = table["adjusted_p_value"] <= alpha
    return ImplicationTests(table=table, alpha=alpha, warnings=_warnings(claims, table))


def _warnings(claims: Sequence[Independence], table: pd.DataFrame) -> tuple[str, ...]:
    if not claims:
        return ("the graph implies no independence among what is observed: no data can contradict it.",)
    linear = int((table["test"] != "G").sum())
    text = f"{linear} tests see linear dependence alone, and are exact for Gaussian noise."
    return (text,) if linear else ()


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    if list(frame.columns).count(name) != 1:
        raise TableError(f"the column {name!r} must stand once in the table: the graph says it is observed.")
    column = frame[name]
    if column.isna().any():
        raise TableError(f"the column {name!r} has missing values: drop these rows.")
    if pd.api.types.is_float_dtype(column) and not np.isfinite(column.to_numpy(dtype=np.float64)).all():
        raise TableError(f"the column {name!r} has infinite values: drop these rows.")
    if column.nunique() < 2:
        raise TableError(f"the column {name!r} is constant, which nothing can depend on.")
    return column


def _is_discrete(column: pd.Series) -> bool:
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return True
    return bool(column.nunique() <= FEW_LEVELS and (column == column.round()).all())


def _test(claim: Independence, columns: dict[str, pd.Series], levels: set[str]) -> _Tested:
    if {claim.first, claim.second, *claim.given} <= levels:
        codes = {name: pd.factorize(columns[name])[0] for name in (claim.first, claim.second, *claim.given)}
        strata = (
            pd.factorize(pd.MultiIndex.from_arrays([codes[name] for name in claim.given]))[0]
            if claim.given
            else None
        )
        return _g(codes[claim.first], codes[claim.second], strata)
    first, second = (_written_out(columns[name], name in levels) for name in (claim.first, claim.second))
    if min(first.shape[1], second.shape[1]) > 1:
        raise TableError(
            f"{claim!r} is not tested: both have several levels and what is given is continuous. Cut it into "
            "classes and name it in discrete."
        )
    if second.shape[1] > 1:
        first, second = second, first
    given = [_written_out(columns[name], name in levels) for name in claim.given]
    return _nested(second[:, 0], first, np.hstack([np.ones((len(first), 1)), *given]), claim)


def _written_out(column: pd.Series, discrete: bool) -> Float[np.ndarray, "rows columns"]:
    if discrete:
        codes, found = pd.factorize(column)
        return (codes[:, None] == np.arange(1, len(found))).astype(np.float64)
    values = column.to_numpy(dtype=np.float64)
    return ((values - values.mean()) / values.std())[:, None]


def _nested(
    target: Float[np.ndarray, " rows"],
    extra: Float[np.ndarray, "rows extra"],
    given: Float[np.ndarray, "rows given"],
    claim: Independence,
) -> _Tested:
    """The F of further columns in a regression; with one column, its root is the t of a partial correlation."""
    dof = len(target) - given.shape[1] - extra.shape[1]
    if dof < 1:
        raise TableError(
            f"{len(target)} rows are too few to test {claim!r}: {dof} degrees of freedom are left."
        )
    short = _unexplained(target, given)
    full = _unexplained(target, np.hstack([given, extra]))
    statistic = max(short - full, 0.0) / extra.shape[1] / max(full / dof, np.finfo(float).tiny)
    p = float(fdtrc(extra.shape[1], dof, statistic))
    if extra.shape[1] > 1:
        return _Tested("F", float(statistic), float(extra.shape[1]), p)
    correlation = np.sqrt(max(short - full, 0.0) / max(short, np.finfo(float).tiny))
    return _Tested("partial correlation", float(correlation), float(dof), p)


def _unexplained(target: np.ndarray, columns: np.ndarray) -> float:
    left = target - columns @ np.linalg.lstsq(columns, target, rcond=None)[0]
    return float(left @ left)


def _g(first: np.ndarray, second: np.ndarray, strata: np.ndarray | None) -> _Tested:
    """The likelihood ratio of independence in each stratum; levels that a stratum lacks give no dof."""
    statistic, dof = 0.0, 0
    for stratum in [None] if strata is None else range(int(strata.max()) + 1):
        inside = slice(None) if stratum is None else strata == stratum
        seen = pd.crosstab(first[inside], second[inside]).to_numpy(dtype=np.float64)
        expected = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / seen.sum()
        some = seen > 0
        statistic += 2 * float((seen[some] * np.log(seen[some] / expected[some])).sum())
        dof += (seen.shape[0] - 1) * (seen.shape[1] - 1)
    return _Tested("G", statistic, float(dof), float(chdtrc(dof, statistic)) if dof else 1.0)


def _holm(p: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
