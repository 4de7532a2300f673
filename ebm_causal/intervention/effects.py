"""An estimated effect: the number, its error, and how both came about."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import ndtri, stdtrit

from ebm_causal.data import CausalTable
from ebm_causal.errors import TableError
from ebm_causal.intervention.options import Bootstrap, Options

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The effect of one unit of treatment on the outcome, from low to high if the treatment is binary.

    It is the effect only if the covariates that were adjusted for leave no confounding; the interval
    knows of chance, not of what is hidden.

    Attributes:
        method: How it was estimated, for example ``"regression"``.
        estimate: The effect, in the outcome's units.
        standard_error: Its standard error.
        interval: A confidence interval, lower and upper end.
        level: The coverage that the interval aims at.
        interval_kind: The distribution and the standard error that it rests on.
        dof: Degrees of freedom of a t interval, or None for a normal one.
        rows: The number of rows.
        treatment: The name of the treatment.
        outcome: The name of the outcome.
        warnings: What to know before the number is used.
        target: Whose mean effect it is: ``"ate"``, ``"att"`` or ``"atc"``.
        contrast: ``"difference"`` or ``"ratio"`` of the two means.
        diagnostics: Numbers that say how far to trust it, such as effective rows or a first-stage F.
        replicates: The estimates of a bootstrap's resamples.
    """

    method: str
    estimate: float
    standard_error: float
    interval: tuple[float, float]
    level: float
    interval_kind: str
    dof: int | None
    rows: int
    treatment: str
    outcome: str
    warnings: tuple[str, ...] = ()
    target: str = "ate"
    contrast: str = "difference"
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    replicates: tuple[float, ...] = ()

    def summary(self) -> pd.DataFrame:
        """One row: the estimate, its standard error and interval."""
        row = {
            "estimate": self.estimate,
            "standard_error": self.standard_error,
            "lower": self.interval[0],
            "upper": self.interval[1],
            "interval": f"{self.level:.0%}, {self.interval_kind}",
        }
        return pd.DataFrame([row], index=pd.Index([self.method], name="method"))

    def plot(self, ax: Any = None) -> Any:
        """Draw the estimate and its interval; returns the axes."""
        from ebm_causal.figures import forest_picture  # drawing loads matplotlib

        lower, upper = self.interval
        kind = "unadjusted" if self.method == "naive" else "adjusted"
        row = (self.method, self.estimate, lower, upper, kind)
        return forest_picture([row], ax=ax)

    def __repr__(self) -> str:
        lower, upper = self.interval
        number = f"{self.estimate:.6g}, standard error {self.standard_error:.6g}"
        interval = f"{self.level * 100:g} % interval [{lower:.6g}, {upper:.6g}] ({self.interval_kind})"
        name = {"att": " among the treated", "atc": " among the untreated"}.get(self.target, "")
        what = "Ratio" if self.contrast == "ratio" else "Effect"
        text = (
            f"{what} of {self.treatment!r} on {self.outcome!r} by {self.method}{name}: {number}, {interval}, "
        )
        return "\n".join([f"{text}{self.rows} rows.", *(f"Warning: {warning}" for warning in self.warnings)])


def effect_of(
    table: CausalTable,
    method: str,
    estimate: float,
    standard_error: float,
    *,
    kind: str,
    dof: int | None = None,
    warnings: Sequence[str] = (),
    options: Options | None = None,
    diagnostics: Mapping[str, float] | None = None,
) -> Effect:
    """Put an estimate and its error into an ``Effect`` with a t or normal interval.

    The estimate of a ratio, and its error, come as logarithms.

    Raises:
        TableError: If one of them is not finite.
    """
    _refuse_infinite(table, method, estimate, standard_error)
    tail = (1 + LEVEL) / 2
    reach = float(ndtri(tail) if dof is None else stdtrit(dof, tail)) * standard_error
    form = f"normal, {kind}" if dof is None else f"t, {dof} dof, {kind}"
    return _effect(
        table,
        options or Options(method=method),
        (estimate, standard_error, estimate - reach, estimate + reach),
        interval_kind=form,
        dof=dof,
        warnings=tuple(warnings),
        diagnostics=dict(diagnostics or {}),
    )


def bootstrapped_effect(
    table: CausalTable,
    estimate: float,
    values: Float[np.ndarray, " kept"],
    *,
    options: Options,
    bootstrap: Bootstrap,
    warnings: Sequence[str] = (),
    diagnostics: Mapping[str, float] | None = None,
) -> Effect:
    """Put an estimate and those of its resamples into an ``Effect``; of a ratio they come as logarithms."""
    error = float(values.std(ddof=1))
    _refuse_infinite(table, options.method, estimate, error)
    lower, upper = interval_of(estimate, values, bootstrap.interval, LEVEL)
    shown = np.exp(values) if options.contrast == "ratio" else values
    return _effect(
        table,
        options,
        (estimate, error, lower, upper),
        interval_kind=f"{bootstrap.interval}, {len(values)} bootstraps",
        dof=None,
        warnings=tuple(warnings),
        diagnostics=dict(diagnostics or {}),
        replicates=tuple(float(value) for value in shown),
    )


def _effect(
    table: CausalTable, options: Options, numbers: tuple[float, float, float, float], **fields: Any
) -> Effect:
    estimate, error, lower, upper = (float(number) for number in numbers)
    if options.contrast == "ratio":
        estimate, lower, upper = math.exp(estimate), math.exp(lower), math.exp(upper)
        error = estimate * error
    return Effect(
        method=options.method,
        estimate=estimate,
        standard_error=error,
        interval=(lower, upper),
        level=LEVEL,
        rows=table.rows,
        treatment=table.treatment,
        outcome=table.outcome,
        target=options.target,
        contrast=options.contrast,
        **fields,
    )


def _refuse_infinite(table: CausalTable, method: str, estimate: float, standard_error: float) -> None:
    if not (math.isfinite(estimate) and math.isfinite(standard_error)):
        raise TableError(
            f"The effect of {table.treatment!r} by {method} is not finite ({estimate}, standard error "
            f"{standard_error}): rescale columns that hold very large numbers."
        )


def interval_of(
    estimate: float, values: Float[np.ndarray, " kept"], kind: str, level: float
) -> tuple[float, float]:
    """The interval of an estimate from its resamples."""
    tails = [(1 - level) / 2, (1 + level) / 2]
    if kind == "normal":
        reach = float(ndtri(tails[1]) * values.std(ddof=1))
        return estimate - reach, estimate + reach
    low, high = (float(value) for value in np.quantile(values, tails))
    return (low, high) if kind == "percentile" else (2 * estimate - high, 2 * estimate - low)
