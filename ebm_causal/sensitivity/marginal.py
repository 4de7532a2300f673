r"""Bounds that trust a propensity only up to a factor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError
from ebm_causal.intervention import propensity

LARGEST = 1e12  # no tipping point is looked for beyond this Lambda


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginalSensitivity:
    r"""Bounds on the average effect if a hidden confounder may shift the odds of treatment by a factor.

    They are bounds on the point estimate; chance is not in them.

    Attributes:
        lambdas: The largest factors :math:`\Lambda`.
        lower: The smallest average effect at each.
        upper: The largest.
        estimate: The weighted estimate, at :math:`\Lambda = 1`.
        tipping_point: The factor at which the bound next to zero is zero, or None if no factor does it.
        text: What it says.
    """

    lambdas: Float[np.ndarray, " factors"]
    lower: Float[np.ndarray, " factors"]
    upper: Float[np.ndarray, " factors"]
    estimate: float
    tipping_point: float | None
    text: str

    def summary(self) -> pd.DataFrame:
        """The bounds at each factor."""
        return pd.DataFrame(
            {"lower": self.lower, "upper": self.upper}, index=pd.Index(self.lambdas, name="Lambda")
        )

    def plot(self, ax: Any = None) -> Any:
        """Draw the bounds at each factor, one below the other; returns the axes."""
        from ebm_causal.figures import forest_picture  # drawing loads matplotlib

        bounds = zip(self.lambdas, self.lower, self.upper, strict=True)
        rows = [(f"Λ = {factor:g}", self.estimate, float(a), float(b), "adjusted") for factor, a, b in bounds]
        return forest_picture(rows, ax=ax)

    def __repr__(self) -> str:
        bounds = zip(self.lambdas, self.lower, self.upper, strict=True)
        rows = [f"Lambda {factor:g}: [{a:.4g}, {b:.4g}]" for factor, a, b in bounds]
        tipping = "none" if self.tipping_point is None else f"{self.tipping_point:.6g}"
        return (
            f"MarginalSensitivity(estimate {self.estimate:.6g}, tipping point {tipping}, {', '.join(rows)})"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Arm:
    """Outcomes of one arm, ascending, and the odds of the other arm: sums up to each row.

    A row weighs 1 + lambda odds, lambda in [1/Lambda, Lambda]: a linear fractional program, whose best corner
    splits the sorted rows in two. All corners are looked at, from sums that were made once.
    """

    outcome: Float[np.ndarray, " rows"]
    odds: Float[np.ndarray, " corners"]
    weighted: Float[np.ndarray, " corners"]

    @classmethod
    def of(cls, outcome: Float[np.ndarray, " rows"], odds: Float[np.ndarray, " rows"]) -> "_Arm":
        order = np.argsort(outcome, kind="stable")
        outcome, odds = outcome[order], odds[order]
        sums = [np.concatenate([[0.0], np.cumsum(values)]) for values in (odds, odds * outcome)]
        return cls(outcome, sums[0], sums[1])

    def means(self, below: Any, above: Any) -> Float[np.ndarray, "*factors corners"]:
        """The weighted means if the odds count ``below`` times up to a corner, ``above`` times beyond it."""
        total, top = self.odds[-1], self.weighted[-1]
        numerator = self.outcome.sum() + below * self.weighted + above * (top - self.weighted)
        return numerator / (len(self.outcome) + below * self.odds + above * (total - self.odds))

    def lowest(self, factors: Any) -> Any:
        return self.means(factors, 1 / factors).min(axis=-1)

    def highest(self, factors: Any) -> Any:
        return self.means(1 / factors, factors).max(axis=-1)


def marginal_sensitivity(
    table: CausalTable, lambdas: Sequence[float] | Float[np.ndarray, " n"] | float
) -> MarginalSensitivity:
    r"""Bound the weighted average effect if the odds of treatment may be off by a factor.

    A hidden confounder may move the odds of each row, :math:`e/(1-e)`, by any factor in
    :math:`[1/\Lambda, \Lambda]`. Over all such propensities, the largest and smallest Hajek estimate are
    found exactly, from the same logit that ``adjust(table, "weighting")`` fits. The bounds hold for the
    sample, arm by arm; they do not ask that the propensities balance the covariates, so they may be wider
    than need be.

    Args:
        table: A table with a binary treatment.
        lambdas: One or more factors, 1 or more each.

    Returns:
        The bounds, and the factor at which zero comes within them.

    Raises:
        ArgumentError: If a factor is below 1, or the treatment is continuous.
        TableError: If the arms do not overlap.

    Examples:
        >>> import ebm_causal as ec
        >>> found = ec.marginal_sensitivity(ec.load_dataset("nhefs"), [1.5])
        >>> round(float(found.lower[0]), 3), round(found.tipping_point, 3)
        (1.006, 1.778)

    References:
        Z. Tan 2006; Q. Zhao, D. Small and B. Bhattacharya 2019, "Sensitivity analysis for inverse probability
        weighting estimators via the percentile bootstrap", section 4.
    """
    factors = np.atleast_1d(np.asarray(lambdas, dtype=np.float64))
    wrong = ~(np.isfinite(factors) & (factors >= 1))
    if wrong.any():
        raise ArgumentError(f"lambdas must be finite and 1 or more; got {factors[wrong][0]:g}.")
    chance = propensity(table)
    treated = table.treatment_values == 1
    center = table.outcome_values.mean()
    outcome = table.outcome_values - center  # sums of small numbers keep their digits
    arms = (
        _Arm.of(outcome[treated], (chance.complements / chance.values)[treated]),
        _Arm.of(outcome[~treated], (chance.values / chance.complements)[~treated]),
    )
    one, column = np.array(1.0), factors[:, None]
    estimate = float(arms[0].lowest(one) - arms[1].highest(one))
    tipping = _tipping_point(arms, estimate)
    return MarginalSensitivity(
        lambdas=factors,
        lower=arms[0].lowest(column) - arms[1].highest(column),
        upper=arms[0].highest(column) - arms[1].lowest(column),
        estimate=estimate,
        tipping_point=tipping,
        text=_tipping_text(tipping),
    )


def _tipping_point(arms: tuple[_Arm, _Arm], estimate: float) -> float | None:
    scale = max(np.abs(arm.outcome).max() for arm in arms)
    if abs(estimate) <= 1e-13 * scale:
        return 1.0
    upward, downward = arms if estimate > 0 else arms[::-1]

    def bound(factor: float) -> float:
        one = np.array(factor)
        return float(upward.lowest(one) - downward.highest(one))

    # As the factor grows, each mean goes to the end of its arm's range.
    if upward.outcome[0] >= downward.outcome[-1]:
        return None
    high = 2.0
    while bound(high) > 0:
        high *= 2
        if high > LARGEST:
            return None
    from scipy.optimize import brentq

    return float(brentq(bound, max(1.0, high / 2), high, xtol=1e-12, rtol=1e-14))


def _tipping_text(tipping: float | None) -> str:
    if tipping is None:
        return "no Lambda, however large, brings the bound to zero: the outcomes of the two arms do not meet."
    return (
        f"A hidden confounder that shifts the odds of treatment by a factor of up to {tipping:.4g}, "
        "either way, could bring the weighted estimate to zero; one that shifts them less could not."
    )
