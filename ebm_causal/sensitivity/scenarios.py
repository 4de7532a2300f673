"""Many strengths at once: contours, extreme scenarios, and the tipping points in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity.adjustable_slopes import AdjustableSlope
from ebm_causal.sensitivity.ranges import check_numbers
from ebm_causal.sensitivity.strengths import Bounds


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contour:
    """Adjusted estimates and their t over a grid of strengths.

    Attributes:
        r2_treatment: Partial R^2 of the confounder with the treatment, the columns.
        r2_outcome: Partial R^2 with the outcome, the rows.
        adjusted_estimate: The estimates.
        adjusted_t: The estimates over their standard errors.
    """

    r2_treatment: Float[np.ndarray, " points"]
    r2_outcome: Float[np.ndarray, " points"]
    adjusted_estimate: Float[np.ndarray, "points points"]
    adjusted_t: Float[np.ndarray, "points points"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extremes:
    """Adjusted estimates if a confounder explains a given share of what is left of the outcome, all of it at worst.

    Attributes:
        r2_treatment: Its partial R^2 with the treatment.
        r2_outcome: Those shares.
        adjusted_estimate: The estimate at each share, one row for each.
        benchmarks: Benchmarks' partial R^2 with the treatment, by label.
    """

    r2_treatment: Float[np.ndarray, " points"]
    r2_outcome: tuple[float, ...]
    adjusted_estimate: Float[np.ndarray, "shares points"]
    benchmarks: dict[str, float]

    def plot(self, ax: Any = None) -> Any:
        """Draw one curve for each share, a line at zero, and the benchmarks below; returns the axes."""
        from ebm_causal.figures import extremes_picture  # drawing loads matplotlib

        shares = [f"{share:.0%} of the rest of the outcome" for share in self.r2_outcome]
        curves = dict(zip(shares, self.adjusted_estimate, strict=True))
        return extremes_picture(self.r2_treatment, curves, self.benchmarks, ax=ax)


def extremes_of(
    slope: AdjustableSlope, strengths: Bounds, r2_outcome: Sequence[float], points: int
) -> Extremes:
    """The scenarios of a slope.

    Raises:
        ArgumentError: If a share is not in (0, 1], or there is none.
    """
    shares = np.atleast_1d(check_numbers("r2_outcome", r2_outcome)).ravel()
    for share in shares:
        if not 0 < share <= 1:
            raise ArgumentError(f"r2_outcome must be in (0, 1]; got {share:g}.")
    if not shares.size:
        raise ArgumentError("r2_outcome must hold one share or more; got none.")
    treatment = axis_of(slope.robustness_value, strengths.r2_treatment, points)
    shared = np.sqrt(shares[:, None] * treatment / (1 - treatment))
    bias = slope.standard_error * math.sqrt(slope.dof) * shared
    return Extremes(
        r2_treatment=treatment,
        r2_outcome=tuple(shares.tolist()),
        adjusted_estimate=math.copysign(1.0, slope.estimate) * (abs(slope.estimate) - bias),
        benchmarks={label: d for label, d, _ in strengths.points()},
    )


def words_of(slope: AdjustableSlope, strengths: Bounds) -> str:
    """The two tipping points of a slope in one sentence, beside the benchmark that would bias it most."""
    if slope.estimate == 0:
        return "The estimate is zero without any hidden confounder."
    value, at_level = slope.robustness_value, slope.robustness_value_alpha
    interval = f"its {1 - slope.alpha:.0%} interval"
    goal, end = f"take {slope.q:.0%} of the estimate {slope.estimate:.4g} away", f"{1 - slope.q:.0%} of it"
    if slope.q == 1:
        goal, end = f"bring the estimate {slope.estimate:.4g} to zero", "zero"
    reach = f"one that explains {at_level:.2%} of both would make {interval} hold {end}"
    if at_level == 0:
        reach = f"{interval} holds {end} without any"
    return (
        f"A hidden confounder that explains {value:.2%} of what the covariates leave of both treatment and outcome "
        f"would {goal}, and {reach}{_beside(slope, strengths)}."
    )


def _beside(slope: AdjustableSlope, strengths: Bounds) -> str:
    rows = zip(
        strengths.benchmarks, strengths.multiples, strengths.r2_treatment, strengths.r2_outcome, strict=True
    )
    once = [(name, float(d), float(y)) for name, k, d, y in rows if k == 1 and np.isfinite(d + y)]
    if not once:
        return ""
    name, d, y = max(once, key=lambda row: slope.bias(row[1], row[2]))
    enough = slope.bias(d, y) >= slope.q * abs(slope.estimate)
    return (
        f"; one like {name}, the covariate that would bias it most, explains {d:.2%} of the treatment and {y:.2%} of "
        f"the outcome, which would {'' if enough else 'not '}do for the estimate"
    )


def axis_of(
    robustness: float, strengths: Float[np.ndarray, " bounds"], points: int
) -> Float[np.ndarray, " points"]:
    """Strengths from 0 to past a robustness value and the strengths that are known."""
    known = strengths[np.isfinite(strengths)]
    return np.linspace(0, min(0.99, 1.25 * max(0.02, robustness, *known)), points)
