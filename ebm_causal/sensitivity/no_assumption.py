r"""Bounds that trust no model at all."""

import math
from dataclasses import dataclass

import pandas as pd

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAssumptionBounds:
    """What the average effect can be if nothing is assumed but the range of the outcome.

    Attributes:
        lower: The smallest average effect that the data allow.
        upper: The largest; it lies one range of the outcome above the smallest, so zero is always between.
        low: The smallest outcome that can be.
        high: The largest.
        estimate: The difference of means.
        text: What it says.
    """

    lower: float
    upper: float
    low: float
    high: float
    estimate: float
    text: str

    def summary(self) -> pd.DataFrame:
        """The numbers, one below the other."""
        names = ("lower", "upper", "low", "high", "estimate")
        values = [getattr(self, name) for name in names]
        return pd.DataFrame({"value": values}, index=pd.Index(names, name="quantity"))

    def __repr__(self) -> str:
        return (
            f"NoAssumptionBounds([{self.lower:.3g}, {self.upper:.3g}] for outcomes in [{self.low:g}, "
            f"{self.high:g}], difference of means {self.estimate:.3g})"
        )


def no_assumption_bounds(
    table: CausalTable, low: float | None = None, high: float | None = None
) -> NoAssumptionBounds:
    r"""Bound the average effect by nothing but the range of the outcome.

    Every outcome that was not seen may lie anywhere in [low, high]. The bounds are as wide as the range,
    always hold zero, and are all that the data say without an assumption.

    Args:
        table: A table with a binary treatment.
        low: The smallest outcome that can be; for a binary outcome its lower value if left out.
        high: The largest.

    Returns:
        The bounds.

    Raises:
        ArgumentError: If the treatment is continuous, or the range does not hold the outcomes.

    Examples:
        >>> import ebm_causal as ec
        >>> table = ec.CausalTable(ec.load_dataset("nhefs").frame, "qsmk", "death")
        >>> bounds = ec.no_assumption_bounds(table, 0, 1)
        >>> round(bounds.lower, 4), round(bounds.upper, 4)
        (-0.3269, 0.6731)

    References:
        C. Manski 1990, "Nonparametric bounds on treatment effects".
    """
    if table.treatment_kind != "binary":
        raise ArgumentError(f"These bounds compare two arms, and {table.treatment!r} is continuous.")
    low, high = _range(table, low, high)
    treated = table.treatment_values == 1
    share, seen = (
        treated.mean(),
        (table.outcome_values[~treated].mean(), table.outcome_values[treated].mean()),
    )
    below = (share * high + (1 - share) * seen[0], share * seen[1] + (1 - share) * low)
    above = (share * low + (1 - share) * seen[0], share * seen[1] + (1 - share) * high)
    lower, upper = float(below[1] - below[0]), float(above[1] - above[0])
    return NoAssumptionBounds(
        lower=lower,
        upper=upper,
        low=low,
        high=high,
        estimate=float(seen[1] - seen[0]),
        text=(
            f"Without any assumption but outcomes in [{low:g}, {high:g}], the average effect lies between "
            f"{lower:.4g} and {upper:.4g}; such bounds always hold zero."
        ),
    )


def _range(table: CausalTable, low: float | None, high: float | None) -> tuple[float, float]:
    ends = float(table.outcome_values.min()), float(table.outcome_values.max())
    if table.outcome_kind == "binary":
        low, high = ends[0] if low is None else low, ends[1] if high is None else high
    if low is None or high is None:
        raise ArgumentError(f"{table.outcome!r} is continuous: give the low and high that it can take.")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ArgumentError(f"low must be below high, both finite; got {low:g} and {high:g}.")
    if ends[0] < low or ends[1] > high:
        raise ArgumentError(
            f"{table.outcome!r} runs from {ends[0]:g} to {ends[1]:g}, beyond [{low:g}, {high:g}]: "
            "widen the range."
        )
    return float(low), float(high)
