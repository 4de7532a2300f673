r"""How strong a hidden confounder would have to be to overturn a regression (Cinelli and Hazlett 2020)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity.adjustable_slopes import AdjustableSlope
from ebm_causal.sensitivity.arguments import as_multiples
from ebm_causal.sensitivity.ranges import (
    check_count,
    check_fraction,
    check_number,
    check_positive,
)
from ebm_causal.sensitivity.scenarios import Contour, Extremes, axis_of, extremes_of, words_of
from ebm_causal.sensitivity.strengths import Bounds, bound_strengths, checked_benchmarks
from ebm_causal.shapes import as_number, check_choice, is_whole

MOST = 10**15  # degrees of freedom, which a float still counts one by one
Errors = Literal["classical", "robust"]
ROBUST = (
    "The standard error is robust, and the theory is for independent errors of one variance: the estimate's bias "
    "holds, adjusted standard errors, t, intervals and the robustness value at alpha do not."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OmittedVariableBias(AdjustableSlope):
    r"""What a hidden confounder of given strength would do to the slope of a least-squares regression.

    With the partial R^2 of the confounder with the treatment, :math:`R_D`, and with the outcome, :math:`R_Y`,
    both given the covariates (and the treatment, for the latter), the regression that includes it differs by

    .. math::
        |\mathrm{bias}| = \mathrm{se}\,\sqrt{\nu}\,\sqrt{\frac{R_Y R_D}{1 - R_D}}.

    This is exact in the sample, for any linear confounder or group of them. The sign of the bias is not
    known; numbers here move the estimate toward zero, and past it. Standard errors are classical: they hold
    for independent errors of one variance, and the theory has no robust ones.

    Attributes:
        estimate: The slope on the treatment.
        standard_error: Its standard error.
        dof: The degrees of freedom of the regression.
        q: The share of the estimate that a confounder would have to take away.
        alpha: The level of the test and of the intervals, 1 - alpha.
        benchmarks: For each benchmark covariate, its own partial R^2 with treatment and outcome.
        multiples: How many times as strong as a benchmark the confounder may be.
        errors: ``classical``, or ``robust`` for a regression whose standard error is: a warning then says that
            the theory is for independent errors of one variance.
        notes: Further warnings on the regression.
        warnings: All of these, and the benchmarks that cannot be multiplied so far.

    Examples:
        >>> import ebm_causal as ec
        >>> darfur = ec.OmittedVariableBias.from_statistics(0.0973158193, 0.0232565378, 783)
        >>> round(darfur.robustness_value, 4), round(darfur.robustness_value_alpha, 4)
        (0.1388, 0.0763)

    References:
        C. Cinelli and C. Hazlett 2020, "Making sense of sensitivity: extending omitted variable bias",
        Journal of the Royal Statistical Society B 82, sections 3 and 4.
    """

    benchmarks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    multiples: tuple[float, ...] = (1, 2, 3)
    errors: Errors = "classical"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        found = {
            "estimate": check_number("estimate", self.estimate),
            "standard_error": check_positive("standard_error", self.standard_error),
            "dof": _whole_dof(self.dof),
            "q": check_positive("q", self.q),
            "alpha": check_fraction("alpha", self.alpha),
            "multiples": as_multiples(self.multiples),
            "benchmarks": checked_benchmarks(self.benchmarks),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)
        if not math.isfinite(self.q * self.t):
            raise ArgumentError(
                f"q times estimate over standard_error is too large for a computer: {self.q:g} times "
                f"{self.estimate:g} over {self.standard_error:g}."
            )
        if not isinstance(self.errors, str) or self.errors not in ("classical", "robust"):
            raise ArgumentError(f"errors must be 'classical' or 'robust'; got {self.errors!r}.")

    @classmethod
    def from_statistics(
        cls,
        estimate: float,
        standard_error: float,
        dof: float,
        *,
        q: float = 1.0,
        alpha: float = 0.05,
        benchmarks: Mapping[str, tuple[float, float]] | None = None,
        multiples: Sequence[float] = (1, 2, 3),
        errors: Errors = "classical",
    ) -> "OmittedVariableBias":
        """Analyze a regression of which only the numbers are known.

        Args:
            estimate: The slope on the treatment.
            standard_error: Its standard error.
            dof: Rows less coefficients, a whole number.
            q: The share of the estimate that a confounder would have to take away.
            alpha: The level of the test.
            benchmarks: For each covariate, its partial R^2 with the treatment and with the outcome.
            multiples: How many times as strong as a benchmark the confounder may be.
            errors: ``robust`` if the standard error is robust or clustered.

        Raises:
            ArgumentError: If a number is out of its range.
        """
        return cls(
            estimate=estimate,
            standard_error=standard_error,
            dof=_whole_dof(dof),
            q=q,
            alpha=alpha,
            benchmarks={} if benchmarks is None else benchmarks,
            multiples=as_multiples(multiples),
            errors=errors,
        )

    @property
    def strengths(self) -> Bounds:
        """The strengths of confounders as strong as each benchmark, or a multiple of it."""
        return bound_strengths(self.benchmarks, self.multiples)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the theory does not cover, and the benchmarks that cannot be multiplied so far."""
        return (*((ROBUST,) if self.errors == "robust" else ()), *self.notes, *self.strengths.warnings)

    @property
    def text(self) -> str:
        """What it says, in one sentence."""
        return words_of(self, self.strengths)

    @property
    def bounds(self) -> pd.DataFrame:
        """For each benchmark and multiple, a confounder that many times as strong, and what it would do.

        The interval is of level 1 - alpha. A strength of 1 or more cannot be: there the numbers are missing
        (``pandas.NA``), and ``warnings`` says so.
        """
        strengths = self.strengths
        table = pd.DataFrame({"benchmark": strengths.benchmarks, "multiple": strengths.multiples})
        for name, values in self._bound_columns(strengths).items():
            known = np.isfinite(values)
            table[name] = values if known.all() else pd.array(values, dtype="Float64")
        return table

    def _bound_columns(self, strengths: Bounds) -> dict[str, Float[np.ndarray, " bounds"]]:
        d, y = strengths.r2_treatment, strengths.r2_outcome
        known = np.isfinite(d) & np.isfinite(y)
        columns = np.full((5, len(d)), np.nan)
        at = d[known], y[known]
        adjusted = self.adjusted_estimate(*at), self.adjusted_standard_error(*at), self.adjusted_t(*at)
        columns[:, known] = *adjusted, *self.adjusted_interval(*at)
        names = ("adjusted_estimate", "adjusted_standard_error", "adjusted_t", "lower", "upper")
        return {"r2_treatment": d, "r2_outcome": y, **dict(zip(names, columns, strict=True))}

    def bounds_records(self) -> list[dict[str, Any]]:
        """The rows of ``bounds`` as plain values, None where there is no number."""
        columns = self.bounds.to_dict("list")
        rows = zip(*columns.values(), strict=True)
        return [
            {name: None if value is pd.NA else value for name, value in zip(columns, row, strict=True)}
            for row in rows
        ]

    def contour(self, points: int = 100) -> Contour:
        """Adjusted estimates over a grid from 0 to past the robustness value and the benchmarks.

        Args:
            points: How many strengths on either side.

        Raises:
            ArgumentError: If there are fewer than two.
        """
        check_count("points", points)
        strengths = self.strengths
        treatment, outcome = (
            axis_of(self.robustness_value, values, points)
            for values in (strengths.r2_treatment, strengths.r2_outcome)
        )
        at = treatment, outcome[:, None]
        return Contour(
            r2_treatment=treatment, r2_outcome=outcome, adjusted_estimate=self.adjusted_estimate(*at),
            adjusted_t=self.adjusted_t(*at),
        )  # fmt: skip

    def extremes(self, r2_outcome: Sequence[float] = (1.0, 0.75, 0.5), points: int = 100) -> Extremes:
        """Adjusted estimates if the confounder explains that much of the rest of the outcome: all, or a share.

        Args:
            r2_outcome: The shares, in (0, 1].
            points: How many strengths toward the treatment.

        Raises:
            ArgumentError: If a share is out of range, or there are fewer than two points.
        """
        check_count("points", points)
        return extremes_of(self, self.strengths, r2_outcome, points)

    def summary(self) -> pd.DataFrame:
        """The numbers that hold without a benchmark."""
        names = ["estimate", "standard_error", "t", "dof", "partial_r2", "robustness_value"]
        names += ["robustness_value_alpha", "extreme_robustness_value", "extreme_robustness_value_alpha"]
        values = [getattr(self, name) for name in names]
        return pd.DataFrame({"value": values}, index=pd.Index(names, name="quantity"))

    def plot(self, ax: Any = None, of: Literal["estimate", "t"] = "estimate") -> Any:
        """Draw the contour of adjusted estimates, or of their t, with the benchmarks on it; returns the axes.

        Raises:
            ArgumentError: If ``of`` is neither.
        """
        from ebm_causal.figures import contour_picture  # drawing loads matplotlib

        check_choice("of", of, ("estimate", "t"))
        grid, points = self.contour(), self.strengths.points()
        if of == "estimate":
            heights, middle, level = grid.adjusted_estimate, self.estimate, 0.0
        else:
            heights, middle = grid.adjusted_t, self.t
            level = math.copysign(self.critical * math.sqrt(self.dof - 1), self.t)
        return contour_picture(
            grid.r2_treatment, grid.r2_outcome, heights, points, estimate=middle, level=level, ax=ax
        )

    def __repr__(self) -> str:
        return (
            f"OmittedVariableBias(estimate {self.estimate:.6g}, standard error {self.standard_error:.6g}, "
            f"{self.dof} dof: robustness value {self.robustness_value:.1%} at q = {self.q:g}, "
            f"{self.robustness_value_alpha:.1%} at alpha = {self.alpha:g}, partial R^2 "
            f"{self.partial_r2:.1%}, {len(self.benchmarks)} benchmarks)"
        ).replace("%", " %")


def _whole_dof(dof: object) -> int:
    """Degrees of freedom as a whole number; 783.0, as statsmodels has it, is one.

    Raises:
        ArgumentError: If they are not whole, below 2, or beyond counting.
    """
    number = as_number(dof) if not is_whole(dof) else dof
    whole = check_count("dof", int(number) if isinstance(number, float) and number.is_integer() else dof)
    if whole > MOST:
        raise ArgumentError(f"dof must be at most {MOST:g}; got a number of {len(str(whole))} digits.")
    return whole
