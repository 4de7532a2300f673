r"""How strong a hidden confounder would have to be to overturn a regression (Cinelli and Hazlett 2020)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from ebm_causal.sensitivity.ranges import (
    check_count,
    check_fraction,
    check_number,
    check_positive,
    check_strengths,
)
from ebm_causal.sensitivity.strengths import Bounds, Contour, axis_of, bound_strengths, refuse_bad_benchmarks


@dataclass(frozen=True, slots=True, kw_only=True)
class OmittedVariableBias:
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
        warnings: Benchmarks that cannot be multiplied so far.

    Examples:
        >>> import ebm_causal as ec
        >>> darfur = ec.OmittedVariableBias.from_statistics(0.0973158193, 0.0232565378, 783)
        >>> round(darfur.robustness_value, 4), round(darfur.robustness_value_alpha, 4)
        (0.1388, 0.0763)

    References:
        C. Cinelli and C. Hazlett 2020, "Making sense of sensitivity: extending omitted variable bias",
        Journal of the Royal Statistical Society B 82, sections 3 and 4.
    """

    estimate: float
    standard_error: float
    dof: int
    q: float = 1.0
    alpha: float = 0.05
    benchmarks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    multiples: tuple[float, ...] = (1, 2, 3)

    def __post_init__(self) -> None:
        check_number("estimate", self.estimate)
        check_positive("standard_error", self.standard_error)
        check_count("dof", self.dof)
        check_positive("q", self.q)
        check_fraction("alpha", self.alpha)
        for multiple in self.multiples:
            check_positive("multiples", multiple)
        refuse_bad_benchmarks(self.benchmarks)

    @classmethod
    def from_statistics(
        cls,
        estimate: float,
        standard_error: float,
        dof: int,
        *,
        q: float = 1.0,
        alpha: float = 0.05,
        benchmarks: Mapping[str, tuple[float, float]] | None = None,
        multiples: Sequence[float] = (1, 2, 3),
    ) -> "OmittedVariableBias":
        """Analyze a regression of which only the numbers are known.

        Args:
            estimate: The slope on the treatment.
            standard_error: Its standard error.
            dof: Rows less coefficients.
            q: The share of the estimate that a confounder would have to take away.
            alpha: The level of the test.
            benchmarks: For each covariate, its partial R^2 with the treatment and with the outcome.
            multiples: How many times as strong as a benchmark the confounder may be.

        Raises:
            ArgumentError: If a number is out of its range.
        """
        return cls(
            estimate=float(estimate),
            standard_error=float(standard_error),
            dof=dof,
            q=float(q),
            alpha=float(alpha),
            benchmarks=dict(benchmarks or {}),
            multiples=tuple(multiples),
        )

    @property
    def t(self) -> float:
        """The estimate over its standard error."""
        return self.estimate / self.standard_error

    @property
    def partial_r2(self) -> float:
        r"""The share of the outcome's residual variance that the treatment explains, t^2/(t^2 + dof).

        A confounder that explains all of the rest of the outcome must explain that much of the treatment.
        """
        return self.t**2 / (self.t**2 + self.dof)

    @property
    def robustness_value(self) -> float:
        r"""The partial R^2, with both, of a confounder that takes the share q of the estimate away.

        :math:`(\sqrt{f^4 + 4 f^2} - f^2)/2` with :math:`f = q |t| / \sqrt{\nu}`.
        """
        return _balanced(self._f)

    @property
    def robustness_value_alpha(self) -> float:
        """The same for one that lets the interval reach what the share q leaves; 0 if it does already."""
        critical = float(stdtrit(self.dof - 1, 1 - self.alpha / 2)) / math.sqrt(self.dof - 1)
        if self._f <= critical:
            return 0.0
        if self._f > 1 / critical:  # then less of the outcome does more harm: it leaves the error wide
            return (self._f**2 - critical**2) / (1 + self._f**2)
        return _balanced(self._f - critical)

    @property
    def _f(self) -> float:
        return self.q * abs(self.t) / math.sqrt(self.dof)

    def bias(self, r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> Any:
        """How far such a confounder moves the estimate; arrays broadcast.

        Raises:
            ArgumentError: If a partial R^2 is not in [0, 1).
        """
        d, y = check_strengths(r2_treatment, r2_outcome)
        return _plain(self.standard_error * math.sqrt(self.dof) * np.sqrt(y * d / (1 - d)))

    def adjusted_estimate(self, r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> Any:
        """The estimate with such a confounder included, if it had pulled away from zero; arrays broadcast.

        Raises:
            ArgumentError: If a partial R^2 is not in [0, 1).
        """
        bias = self.bias(r2_treatment, r2_outcome)
        return math.copysign(1.0, self.estimate) * (abs(self.estimate) - bias)

    def adjusted_standard_error(self, r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> Any:
        r"""Its standard error, :math:`\mathrm{se} \sqrt{(1 - R_Y)/(1 - R_D)}\sqrt{\nu/(\nu - 1)}`.

        Raises:
            ArgumentError: If a partial R^2 is not in [0, 1).
        """
        d, y = check_strengths(r2_treatment, r2_outcome)
        lost = math.sqrt(self.dof / (self.dof - 1))
        return _plain(self.standard_error * lost * np.sqrt((1 - y) / (1 - d)))

    def adjusted_t(self, r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> Any:
        """The adjusted estimate over its adjusted standard error.

        Raises:
            ArgumentError: If a partial R^2 is not in [0, 1).
        """
        error = self.adjusted_standard_error(r2_treatment, r2_outcome)
        return self.adjusted_estimate(r2_treatment, r2_outcome) / error

    @property
    def _strengths(self) -> Bounds:
        return bound_strengths(self.benchmarks, self.multiples)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The benchmarks that cannot be multiplied so far, each with what would follow."""
        return self._strengths.warnings

    @property
    def bounds(self) -> pd.DataFrame:
        """For each benchmark and multiple, a confounder that many times as strong, and what it would do.

        The interval is of level 1 - alpha. A strength of 1 or more cannot be: there the numbers are missing
        (``pandas.NA``), and ``warnings`` says so.
        """
        strengths = self._strengths
        table = pd.DataFrame({"benchmark": strengths.benchmarks, "multiple": strengths.multiples})
        for name, values in self._bound_columns(strengths).items():
            known = np.isfinite(values)
            table[name] = values if known.all() else pd.array(values, dtype="Float64")
        return table

    def _bound_columns(self, strengths: Bounds) -> dict[str, Float[np.ndarray, " bounds"]]:
        d, y = strengths.r2_treatment, strengths.r2_outcome
        known = np.isfinite(d) & np.isfinite(y)
        estimate, error = np.full(len(d), np.nan), np.full(len(d), np.nan)
        estimate[known] = self.adjusted_estimate(d[known], y[known])
        error[known] = self.adjusted_standard_error(d[known], y[known])
        reach = float(stdtrit(self.dof, 1 - self.alpha / 2)) * error
        return {
            "r2_treatment": d,
            "r2_outcome": y,
            "adjusted_estimate": estimate,
            "adjusted_standard_error": error,
            "adjusted_t": estimate / error,
            "lower": estimate - reach,
            "upper": estimate + reach,
        }

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
        strengths = self._strengths
        treatment, outcome = (
            axis_of(self.robustness_value, values, points)
            for values in (strengths.r2_treatment, strengths.r2_outcome)
        )
        grid = self.adjusted_estimate(treatment, outcome[:, None])
        return Contour(r2_treatment=treatment, r2_outcome=outcome, adjusted_estimate=grid)

    def summary(self) -> pd.DataFrame:
        """The numbers that hold without a benchmark."""
        names = ("estimate", "standard_error", "t", "dof", "partial_r2", "robustness_value")
        values = [getattr(self, name) for name in (*names, "robustness_value_alpha")]
        index = pd.Index([*names, "robustness_value_alpha"], name="quantity")
        return pd.DataFrame({"value": values}, index=index)

    def plot(self, ax: Any = None) -> Any:
        """Draw the contour of adjusted estimates with the benchmarks on it; returns the axes."""
        from ebm_causal.figures import contour_picture  # drawing loads matplotlib

        grid, strengths = self.contour(), self._strengths
        found = zip(
            *(strengths.benchmarks, strengths.multiples, strengths.r2_treatment, strengths.r2_outcome),
            strict=True,
        )
        points = [(f"{k:g} x {name}", float(d), float(y)) for name, k, d, y in found if np.isfinite(d + y)]
        return contour_picture(
            grid.r2_treatment, grid.r2_outcome, grid.adjusted_estimate, points, estimate=self.estimate, ax=ax
        )

    def __repr__(self) -> str:
        return (
            f"OmittedVariableBias(estimate {self.estimate:.6g}, standard error {self.standard_error:.6g}, "
            f"{self.dof} dof: robustness value {self.robustness_value:.1%} at q = {self.q:g}, "
            f"{self.robustness_value_alpha:.1%} at alpha = {self.alpha:g}, partial R^2 "
            f"{self.partial_r2:.1%}, {len(self.benchmarks)} benchmarks)"
        ).replace("%", " %")


def _balanced(f: float) -> float:
    return (math.sqrt(f**4 + 4 * f**2) - f**2) / 2


def _plain(values: Any) -> Any:
    return float(values) if np.ndim(values) == 0 else values
