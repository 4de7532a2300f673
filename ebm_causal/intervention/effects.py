"""An estimated effect: the number, its error, and how both came about."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy.special import ndtri, stdtrit

from ebm_causal.data import CausalTable
from ebm_causal.errors import TableError

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
        text = f"Effect of {self.treatment!r} on {self.outcome!r} by {self.method}: {number}, {interval}, "
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
) -> Effect:
    """Put an estimate and its error into an ``Effect`` with a t or normal interval.

    Raises:
        TableError: If one of them is not finite.
    """
    if not (math.isfinite(estimate) and math.isfinite(standard_error)):
        raise TableError(
            f"The effect of {table.treatment!r} by {method} is not finite ({estimate}, standard error "
            f"{standard_error}): rescale columns that hold very large numbers."
        )
    tail = (1 + LEVEL) / 2
    reach = float(ndtri(tail) if dof is None else stdtrit(dof, tail)) * standard_error
    return Effect(
        method=method,
        estimate=float(estimate),
        standard_error=float(standard_error),
        interval=(float(estimate - reach), float(estimate + reach)),
        level=LEVEL,
        interval_kind=f"normal, {kind}" if dof is None else f"t, {dof} dof, {kind}",
        dof=dof,
        rows=table.rows,
        treatment=table.treatment,
        outcome=table.outcome,
        warnings=tuple(warnings),
    )
