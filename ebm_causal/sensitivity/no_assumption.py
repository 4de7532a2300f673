r"""Bounds that trust no model at all."""

import math
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity.arguments import check_table
from ebm_causal.shapes import as_number

Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAssumptionBounds:
    """What the average effect can be if nothing is assumed but the range of the outcome.

    Attributes:
        lower: The smallest average effect that the data allow.
        upper: The largest. Without an assumption it lies one range of the outcome above the smallest, so zero is
            always between.
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
    table: CausalTable,
    low: float | None = None,
    high: float | None = None,
    *,
    response: Direction | None = None,
    selection: Direction | None = None,
) -> NoAssumptionBounds:
    r"""Bound the average effect by nothing but the range of the outcome.

    Every outcome that was not seen may lie anywhere in [low, high]. The bounds are as wide as the range,
    always hold zero, and are all that the data say without an assumption.

    Two assumptions of direction narrow them. Monotone treatment response: the treatment lowers nobody's outcome
    (``response="up"``) or raises nobody's (``"down"``), so zero is an end. Monotone treatment selection: under
    either treatment those who took it would have had outcomes at least as high on average (``selection="up"``) or at
    most as high (``"down"``), so the difference of means is an end.

    Args:
        table: A table with a binary treatment.
        low: The smallest outcome that can be; for a binary outcome its lower value if left out.
        high: The largest.
        response: The direction in which the treatment moves everyone, if it moves them.
        selection: The direction in which those who took the treatment differ from the others.

    Returns:
        The bounds.

    Raises:
        ArgumentError: If the treatment is continuous, or the range does not hold the outcomes, or the data
            contradict the two directions together.

    Examples:
        >>> import ebm_causal as ec
        >>> table = ec.CausalTable(ec.load_dataset("nhefs").frame, "qsmk", "death")
        >>> bounds = ec.no_assumption_bounds(table, 0, 1)
        >>> round(bounds.lower, 4), round(bounds.upper, 4)
        (-0.3269, 0.6731)

    References:
        C. Manski 1990, "Nonparametric bounds on treatment effects", American Economic Review 80; 1997, "Monotone
        treatment response", Econometrica 65; C. Manski and J. Pepper 2000, "Monotone instrumental variables",
        Econometrica 68.
    """
    check_table(table)
    for name, direction in (("response", response), ("selection", selection)):
        if not (direction is None or (isinstance(direction, str) and direction in ("up", "down"))):
            raise ArgumentError(f"{name} must be 'up', 'down' or None; got {direction!r}.")
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
    free = float(below[1] - below[0]), float(above[1] - above[0])
    estimate = float(seen[1] - seen[0])
    lower, upper = _directed(free, estimate, response, selection)
    return NoAssumptionBounds(
        lower=lower,
        upper=upper,
        low=low,
        high=high,
        estimate=estimate,
        text=f"{_assumed(low, high, response, selection)}, the average effect lies between {lower:.4g} and "
        f"{upper:.4g}{'; such bounds always hold zero' if response is None and selection is None else ''}.",
    )


def _directed(
    free: tuple[float, float], estimate: float, response: Direction | None, selection: Direction | None
) -> tuple[float, float]:
    """The bounds, cut at zero by the response and at the difference of means by the selection.

    Raises:
        ArgumentError: If nothing is left of them.
    """
    lower, upper = free
    if response is not None:
        lower, upper = (max(lower, 0.0), upper) if response == "up" else (lower, min(upper, 0.0))
    if selection is not None:
        lower, upper = (lower, min(upper, estimate)) if selection == "up" else (max(lower, estimate), upper)
    if lower > upper:
        raise ArgumentError(
            f"response={response!r} and selection={selection!r} cannot both hold: the difference of means is "
            f"{estimate:.4g}."
        )
    return lower, upper


def _assumed(low: float, high: float, response: Direction | None, selection: Direction | None) -> str:
    if response is None and selection is None:
        return f"Without any assumption but outcomes in [{low:g}, {high:g}]"
    said = []
    if response is not None:
        said.append(f"a treatment that {'lowers' if response == 'up' else 'raises'} nobody's outcome")
    if selection is not None:
        word = "high" if selection == "up" else "low"
        said.append(f"treated who would have had outcomes at least as {word} as the others either way")
    return f"With outcomes in [{low:g}, {high:g}] and {' and '.join(said)}"


def _range(table: CausalTable, low: float | None, high: float | None) -> tuple[float, float]:
    ends = float(table.outcome_values.min()), float(table.outcome_values.max())
    if table.outcome_kind == "binary":
        low, high = ends[0] if low is None else low, ends[1] if high is None else high
    if low is None or high is None:
        raise ArgumentError(f"{table.outcome!r} is continuous: give the low and high that it can take.")
    least, most = as_number(low), as_number(high)
    if least is None or most is None or not -math.inf < least < most < math.inf:
        raise ArgumentError(f"low must be below high, both finite; got {_shown(low)} and {_shown(high)}.")
    if ends[0] < least or ends[1] > most:
        raise ArgumentError(
            f"{table.outcome!r} runs from {ends[0]:g} to {ends[1]:g}, beyond [{least:g}, {most:g}]: "
            "widen the range."
        )
    return least, most


def _shown(end: object) -> str:
    number = as_number(end)
    return repr(end) if number is None else f"{number:g}"
