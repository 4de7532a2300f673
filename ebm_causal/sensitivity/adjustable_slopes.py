r"""What a confounder of given strength does to the slope of a regression, from its numbers alone."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from ebm_causal.sensitivity.ranges import check_strengths


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustableSlope:
    """A slope with its classical standard error; abstract, for ``OmittedVariableBias`` has what goes with it.

    Attributes:
        estimate: The slope on the treatment.
        standard_error: Its standard error.
        dof: The degrees of freedom of the regression.
        q: The share of the estimate that a confounder would have to take away.
        alpha: The level of the test and of the intervals, 1 - alpha.
    """

    estimate: float
    standard_error: float
    dof: int
    q: float = 1.0
    alpha: float = 0.05

    @property
    def t(self) -> float:
        """The estimate over its standard error."""
        return self.estimate / self.standard_error

    @property
    def partial_r2(self) -> float:
        r"""The share of the outcome's residual variance that the treatment explains, t^2/(t^2 + dof).

        A confounder that explains all of the rest of the outcome must explain that much of the treatment.
        """
        return (self.t / math.hypot(self.t, math.sqrt(self.dof))) ** 2

    @property
    def robustness_value(self) -> float:
        r"""The partial R^2, with both, of a confounder that takes the share q of the estimate away.

        :math:`(\sqrt{f^4 + 4 f^2} - f^2)/2` with :math:`f = q |t| / \sqrt{\nu}`.
        """
        return _balanced(self._f)

    @property
    def robustness_value_alpha(self) -> float:
        """The same for one that lets the interval reach what the share q leaves; 0 if it does already."""
        critical = self.critical
        if self._f <= critical:
            return 0.0
        if self._f > 1 / critical:  # then less of the outcome does more harm: it leaves the error wide
            return self.extreme_robustness_value_alpha
        return _balanced(self._f - critical)

    @property
    def extreme_robustness_value(self) -> float:
        r"""The least partial R^2 with the treatment alone that could do it, the outcome explained wholly.

        :math:`f^2/(1 + f^2)`; for q = 1 it is ``partial_r2``.
        """
        return (self._f / math.hypot(1, self._f)) ** 2

    @property
    def extreme_robustness_value_alpha(self) -> float:
        """The same for one that lets the interval reach what the share q leaves; 0 if it does already."""
        f, critical, length = self._f, self.critical, math.hypot(1, self._f)
        return max(0.0, (f - critical) / length * ((f + critical) / length))

    @property
    def critical(self) -> float:
        """The critical t over the root of its degrees of freedom, one of which the confounder takes."""
        return -float(stdtrit(self.dof - 1, self.alpha / 2)) / math.sqrt(self.dof - 1)

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

    def adjusted_interval(self, r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> tuple[Any, Any]:
        """The interval of level 1 - alpha around the adjusted estimate, t with ``dof``; arrays broadcast.

        Raises:
            ArgumentError: If a partial R^2 is not in [0, 1).
        """
        estimate = self.adjusted_estimate(r2_treatment, r2_outcome)
        critical = -float(stdtrit(self.dof, self.alpha / 2))
        reach = critical * self.adjusted_standard_error(r2_treatment, r2_outcome)
        return estimate - reach, estimate + reach

    def adjusted_critical_value(self, r2_treatment: ArrayLike, r2_outcome: ArrayLike) -> Any:
        """How large |t| of the regression must be for the adjusted t, of ``dof`` - 1, to reach its critical value.

        Raises:
            ArgumentError: If a partial R^2 is not in [0, 1).
        """
        error = self.adjusted_standard_error(r2_treatment, r2_outcome) / self.standard_error
        moved = self.bias(r2_treatment, r2_outcome) / self.standard_error
        return error * self.critical * math.sqrt(self.dof - 1) + moved


def _balanced(f: float) -> float:
    return 2 * f / (f + math.hypot(f, 2))  # (sqrt(f^4 + 4 f^2) - f^2) / 2 without the difference


def _plain(values: Any) -> Any:
    return float(values) if np.ndim(values) == 0 else values
