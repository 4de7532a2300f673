r"""Bounds that trust a propensity only up to a factor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError
from ebm_causal.intervention import propensity, scaled_columns
from ebm_causal.sensitivity.arguments import check_natural_seed, check_switch, check_table
from ebm_causal.sensitivity.groups import Groups, chosen_groups
from ebm_causal.sensitivity.odds_shifts import OddsShift, odds_shifts, shifts_beside
from ebm_causal.sensitivity.ranges import check_factors, check_fraction
from ebm_causal.sensitivity.resampling import resampled_arms
from ebm_causal.sensitivity.tipping import tipping_lambda
from ebm_causal.sensitivity.weighted_arms import Arms, Target, arms_of, lower_bounds, upper_bounds
from ebm_causal.shapes import is_whole


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarginalSensitivity:
    r"""Bounds on the average effect if a hidden confounder may shift the odds of treatment by a factor.

    They are bounds on the point estimate; chance is in ``interval_lower`` and ``interval_upper`` alone.

    Attributes:
        lambdas: The largest factors :math:`\Lambda`.
        lower: The smallest average effect at each.
        upper: The largest.
        estimate: The weighted estimate, at :math:`\Lambda = 1`.
        tipping_point: The factor at which the bound next to zero is zero, or None if no factor does it.
        interval_lower: The lower end of a percentile-bootstrap interval for the bounds, or None.
        interval_upper: Its upper end.
        tipping_point_of_interval: The factor at which that interval holds zero; None without one, or if no factor
            does it.
        target: ``ate``, or ``att`` for the effect on the treated.
        sharp: Whether the weights had to balance quantiles of the outcome.
        level: Of the interval.
        warnings: What to know before the numbers are used.
        text: What it says.
        benchmarks: How far covariates, left out of the propensity, move the odds; of those that were asked for.
    """

    lambdas: Float[np.ndarray, " factors"]
    lower: Float[np.ndarray, " factors"]
    upper: Float[np.ndarray, " factors"]
    estimate: float
    tipping_point: float | None
    interval_lower: Float[np.ndarray, " factors"] | None
    interval_upper: Float[np.ndarray, " factors"] | None
    tipping_point_of_interval: float | None
    target: str
    sharp: bool
    level: float
    warnings: tuple[str, ...]
    text: str
    benchmarks: dict[str, OddsShift]

    def summary(self) -> pd.DataFrame:
        """The bounds at each factor, and the interval's ends where there is one."""
        columns = {"lower": self.lower, "upper": self.upper}
        if self.interval_lower is not None and self.interval_upper is not None:
            columns |= {"interval_lower": self.interval_lower, "interval_upper": self.interval_upper}
        return pd.DataFrame(columns, index=pd.Index(self.lambdas, name="Lambda"))

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


def marginal_sensitivity(
    table: CausalTable,
    lambdas: Sequence[float] | Float[np.ndarray, " n"] | float,
    *,
    target: Target = "ate",
    sharp: bool = False,
    resamples: int = 0,
    level: float = 0.95,
    seed: int = 0,
    benchmarks: Groups = (),
) -> MarginalSensitivity:
    r"""Bound the weighted average effect if the odds of treatment may be off by a factor.

    A hidden confounder may move the odds of each row, :math:`e/(1-e)`, by any factor in
    :math:`[1/\Lambda, \Lambda]`. Over all such propensities, the largest and smallest Hajek estimate are
    found exactly, from the same logit that ``adjust(table, "weighting")`` fits. The bounds hold for the
    sample, arm by arm. Those propensities need not balance the covariates, so the bounds may be wider than need
    be; ``sharp`` asks that they balance the covariates' columns, by which a quantile regression of the outcome
    takes part. Such bounds lie within the others, are the narrowest possible where the outcome's quantiles are
    linear in the columns, and hold where they are not.

    Args:
        table: A table with a binary treatment.
        lambdas: One or more factors, 1 or more each.
        target: The average effect on all (``ate``) or on the treated (``att``).
        sharp: Whether the weights must balance (one linear program for each bound: seconds, not milliseconds).
        resamples: How many times the rows are resampled, propensity and all, for an interval that has chance in
            it; 0 for none, and a few hundred for one that can be used.
        level: Of that interval.
        seed: The same seed resamples the same rows.
        benchmarks: Covariates to compare with, ``"all"``, or groups of them by a name of your own; each costs one
            more fit of the propensity.

    Returns:
        The bounds, and the factor at which zero comes within them.

    Raises:
        ArgumentError: If a factor is below 1, the treatment is continuous, or a benchmark is not a covariate.
        TableError: If the arms do not overlap.

    Examples:
        >>> import ebm_causal as ec
        >>> found = ec.marginal_sensitivity(ec.load_dataset("nhefs"), [1.5])
        >>> round(float(found.lower[0]), 3), round(found.tipping_point, 3)
        (1.006, 1.778)

    References:
        Z. Tan 2006; Q. Zhao, D. Small and B. Bhattacharya 2019, "Sensitivity analysis for inverse probability
        weighting estimators via the percentile bootstrap", sections 4 and 6; J. Dorn and K. Guo 2023.
    """
    check_table(table)
    check_switch("sharp", sharp)
    factors, groups = check_factors("lambdas", lambdas), chosen_groups(table, benchmarks)
    _check(target, resamples, level, seed)
    chance = propensity(table)
    treated = table.treatment_values == 1
    outcome = table.outcome_values - table.outcome_values.mean()  # sums of small numbers keep their digits
    columns, _, _ = scaled_columns(table)
    index = np.log(chance.values) - np.log(chance.complements)
    arms = arms_of(outcome, treated, index, target, columns if sharp else None)
    drawn, missed = resampled_arms(outcome, treated, columns, (target, sharp, resamples, seed))
    lower, upper = lower_bounds(arms, factors), upper_bounds(arms, factors)
    ends, tipping = _ends(drawn, factors, level), tipping_lambda([arms], table.outcome_values)
    of_interval = tipping_lambda(drawn, table.outcome_values, level) if drawn else None
    shifts = odds_shifts(table, groups)
    return MarginalSensitivity(
        lambdas=factors,
        lower=lower,
        upper=upper,
        estimate=float(lower_bounds(arms, np.ones(1))[0]),
        tipping_point=tipping,
        interval_lower=ends[0],
        interval_upper=ends[1],
        tipping_point_of_interval=of_interval,
        benchmarks=shifts,
        target=target,
        sharp=sharp,
        level=float(level),
        warnings=_warnings(missed, resamples),
        text=_tipping_text(tipping)
        + (_interval_text(of_interval, level) if drawn else "")
        + shifts_beside(tipping, shifts),
    )


def _check(target: object, resamples: Any, level: object, seed: object) -> None:
    if not isinstance(target, str) or target not in ("ate", "att"):
        raise ArgumentError(f"target must be 'ate' or 'att'; got {target!r}.")
    if not is_whole(resamples) or resamples < 0 or resamples == 1:
        raise ArgumentError(f"resamples must be 0 for none, or 2 or more; got {resamples!r}.")
    check_fraction("level", level)
    check_natural_seed(seed)


def _ends(
    drawn: list[Arms], factors: Float[np.ndarray, " factors"], level: float
) -> tuple[Float[np.ndarray, " factors"] | None, Float[np.ndarray, " factors"] | None]:
    if not drawn:
        return None, None
    lower = np.array([lower_bounds(arms, factors) for arms in drawn])
    upper = np.array([upper_bounds(arms, factors) for arms in drawn])
    tail = (1 - level) / 2
    return np.quantile(lower, tail, axis=0), np.quantile(upper, 1 - tail, axis=0)


def _warnings(missed: int, resamples: int) -> tuple[str, ...]:
    note = f"In {missed} of {resamples} resamples the arms did not overlap; the interval, without them, is too narrow."
    return (note,) if missed else ()


def _tipping_text(tipping: float | None) -> str:
    if tipping is None:
        return "No Lambda, however large, brings the bound to zero: the outcomes of the two arms do not meet."
    if tipping == 1.0:
        return "The weighted estimate is zero without any hidden confounder."
    return (
        f"A hidden confounder that shifts the odds of treatment by a factor of up to {tipping:.4g}, "
        "either way, could bring the weighted estimate to zero; one that shifts them less could not."
    )


def _interval_text(tipping: float | None, level: float) -> str:
    interval = f"{level:.0%} bootstrap interval of the bounds"
    if tipping is None:
        return f" No Lambda, however large, makes the {interval} hold zero."
    if tipping == 1.0:
        return f" The {interval} holds zero without any hidden confounder."
    return f" The {interval} holds zero from a factor of {tipping:.4g} on."
