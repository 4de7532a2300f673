r"""Rosenbaum's bounds: how far hidden bias may go before a test of matched pairs tells nothing any more."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import bdtrc, ndtr
from scipy.stats import rankdata

from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity.odds_shifts import OddsShift, shifts_beside
from ebm_causal.sensitivity.pair_shifts import pair_shifts
from ebm_causal.sensitivity.ranges import check_factors, check_fraction, check_numbers

EXACT = 200  # pairs that differ, up to which the law of the signed ranks is computed and not approximated
LARGEST = 1e12  # no tipping point is looked for beyond this Gamma
Test = Literal["signed_rank", "sign", "mcnemar"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RosenbaumBounds:
    r"""The largest one-sided p value of a test of matched pairs, at each size of a hidden bias.

    Attributes:
        gammas: The largest odds :math:`\Gamma` that one of a pair was treated rather than the other.
        p_values: The largest p value at each.
        test: ``signed_rank``, ``sign`` or ``mcnemar``.
        alpha: The level that the tipping point is about.
        pairs: The number of pairs.
        differing: Those whose outcomes differ.
        tipping_point: The :math:`\Gamma` at which the largest p value is ``alpha``; 1 if it is there already
            without a hidden bias, None if no :math:`\Gamma` does it.
        tipping_point_of_estimate: The :math:`\Gamma` at which the statistic is no more than the most that it
            may be expected to be without an effect; 1 and None as above.
        method: ``exact``, or ``normal`` for an approximation by a normal law.
        text: What it says.
        benchmarks: How far covariates in which the pairs still differ move the odds within them, of those that
            were given.
    """

    gammas: Float[np.ndarray, " gammas"]
    p_values: Float[np.ndarray, " gammas"]
    test: str
    alpha: float
    pairs: int
    differing: int
    tipping_point: float | None
    tipping_point_of_estimate: float | None
    method: str
    text: str
    benchmarks: dict[str, OddsShift] = field(default_factory=dict)

    def summary(self) -> pd.DataFrame:
        """The largest p value at each size of the bias."""
        return pd.DataFrame({"p_value": self.p_values}, index=pd.Index(self.gammas, name="Gamma"))

    def plot(self, ax: Any = None) -> Any:
        """Draw the largest p values against the size of the bias, and the level; returns the axes."""
        from ebm_causal.figures import curves_picture  # drawing loads matplotlib

        level = np.full(len(self.gammas), self.alpha)
        curves = {"largest p value": self.p_values, f"alpha = {self.alpha:g}": level}
        return curves_picture(self.gammas, curves, "Γ", ax)

    def __repr__(self) -> str:
        rows = [f"Gamma {g:g}: {p:.4g}" for g, p in zip(self.gammas, self.p_values, strict=True)]
        tipping = "none" if self.tipping_point is None else f"{self.tipping_point:.6g}"
        return (
            f"RosenbaumBounds({self.test}, {self.pairs} pairs, tipping point {tipping} at alpha = "
            f"{self.alpha:g}; largest p: {', '.join(rows)})"
        )


def rosenbaum_bounds(
    treated: ArrayLike,
    control: ArrayLike,
    gammas: Sequence[float] | Float[np.ndarray, " n"] | float,
    test: Test = "signed_rank",
    *,
    alpha: float = 0.05,
    benchmarks: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
) -> RosenbaumBounds:
    r"""Bound the p value of matched pairs if a hidden bias may favor either of a pair by a factor.

    Within each pair a hidden confounder may make the odds that the one rather than the other was treated as
    large as :math:`\Gamma`. If the treatment does nothing to anyone, the statistic is then at most as large as
    a sum of independent terms that count with probability :math:`p = \Gamma / (1 + \Gamma)`:

    .. math::
        T = \sum_i q_i\, 1[d_i > 0] \;\preceq\; \sum_{i: d_i \ne 0} q_i\, B_i, \qquad B_i \sim \mathrm{Bernoulli}(p),

    with :math:`q_i` the rank of :math:`|d_i|` among all pairs for ``signed_rank``, 1 for ``sign`` and
    ``mcnemar``. Pairs that do not differ are ranked with the others (they take the lowest ranks) and then
    count on neither side; ties have the mean of their ranks. The p value is one-sided: a treatment that
    raises the outcome. For one that lowers it, give the arguments the other way around.

    Exact for ``sign`` and ``mcnemar``, and for signed ranks up to 200 pairs that differ; beyond, the normal
    approximation without a correction for continuity.

    Args:
        treated: The outcome of the treated of each pair.
        control: That of the untreated, in the same order; for ``mcnemar`` both are 0 or 1.
        gammas: One or more factors, 1 or more each.
        test: Which statistic.
        alpha: The level that the tipping point is about.
        benchmarks: Covariates to compare with, in which the pairs still differ: of each the values of the treated
            and of the untreated, pair by pair. Their odds are a conditional logit's of all of them together.

    Returns:
        The largest p values, and the factor at which they reach ``alpha``.

    Raises:
        ArgumentError: If the pairs do not match or none differs, or a factor is below 1.

    Examples:
        >>> import ebm_causal as ec
        >>> treated, control = [1] * 110 + [0] * 12, [0] * 110 + [1] * 12
        >>> found = ec.rosenbaum_bounds(treated, control, [4, 5, 6], test="mcnemar")
        >>> found.p_values.round(4), round(found.tipping_point, 2)
        (array([0.002 , 0.0232, 0.0969]), 5.47)

    References:
        P. Rosenbaum 2002, Observational Studies, sections 4.3.2 and 4.3.3.
    """
    check_fraction("alpha", alpha)
    factors = check_factors("gammas", gammas)
    difference = _differences(treated, control, test)
    differs = difference != 0
    weights = rankdata(np.abs(difference))[differs] if test == "signed_rank" else np.ones(differs.sum())
    statistic, total = float(weights[difference[differs] > 0].sum()), float(weights.sum())
    exact = test != "signed_rank" or len(weights) <= EXACT
    p_value = _p_value(weights, statistic, test, exact)
    tipping, reach = _tipping_point(p_value, alpha), total - statistic
    of_estimate = max(1.0, statistic / reach) if reach > 0 else None
    shifts = pair_shifts({} if benchmarks is None else benchmarks, len(difference))
    return RosenbaumBounds(
        gammas=factors,
        p_values=np.array([p_value(factor) for factor in factors]),
        test=test,
        alpha=float(alpha),
        pairs=len(difference),
        differing=len(weights),
        tipping_point=tipping,
        tipping_point_of_estimate=of_estimate,
        method="exact" if exact else "normal",
        text=_words(tipping, alpha)
        + _words_of_statistic(of_estimate)
        + shifts_beside(tipping, shifts, "As far as the pairs differ in it", "pair"),
        benchmarks=shifts,
    )


def _differences(treated: ArrayLike, control: ArrayLike, test: Test) -> Float[np.ndarray, " pairs"]:
    """Treated less untreated, pair by pair.

    Raises:
        ArgumentError: If they do not match, hold what is no number, or never differ.
    """
    if not isinstance(test, str) or test not in ("signed_rank", "sign", "mcnemar"):
        raise ArgumentError(f"test must be 'signed_rank', 'sign' or 'mcnemar'; got {test!r}.")
    sides = [check_numbers(name, side) for name, side in (("treated", treated), ("control", control))]
    if sides[0].ndim != 1 or sides[0].shape != sides[1].shape:
        shapes = " and ".join(str(list(side.shape)) for side in sides)
        raise ArgumentError(f"treated and control must hold one outcome for each pair; got shapes {shapes}.")
    for name, side in zip(("treated", "control"), sides, strict=True):
        _refuse_values(name, side, ~np.isfinite(side), "finite")
        if test == "mcnemar":
            _refuse_values(name, side, ~np.isin(side, (0, 1)), "0 or 1 for test='mcnemar'")
    difference = sides[0] - sides[1]
    if not difference.any():
        raise ArgumentError(
            f"None of {len(difference)} pairs differs in its outcome: there is nothing to test."
        )
    return difference


def _refuse_values(
    name: str, side: Float[np.ndarray, " pairs"], wrong: Bool[np.ndarray, " pairs"], what: str
) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise ArgumentError(f"{name} must be {what}; got {side[at]:g} in pair {at}.")


def _p_value(
    weights: Float[np.ndarray, " pairs"], statistic: float, test: Test, exact: bool
) -> Callable[[float], float]:
    """The chance of the statistic or more, as a function of Gamma."""
    if test != "signed_rank":
        return partial(_chance_of_count, statistic, len(weights))
    if not exact:
        return partial(_chance_by_normal, statistic, float(weights.sum()), float(weights @ weights))
    # Means of tied ranks are halves, so twice a rank is whole.
    return partial(_chance_of_ranks, round(2 * statistic), np.rint(2 * weights).astype(int))


def _chance_of_count(statistic: float, pairs: int, gamma: float) -> float:
    return float(bdtrc(int(statistic) - 1, pairs, gamma / (1 + gamma))) if statistic > 0 else 1.0


def _chance_of_ranks(statistic: int, weights: np.ndarray, gamma: float) -> float:
    return float(min(1.0, _law(weights, gamma / (1 + gamma))[statistic:].sum()))


def _chance_by_normal(statistic: float, total: float, squares: float, gamma: float) -> float:
    p = gamma / (1 + gamma)
    return float(ndtr((p * total - statistic) / math.sqrt(p * (1 - p) * squares)))


def _law(weights: np.ndarray, p: float) -> np.ndarray:
    """The law of a sum of whole weights that count with probability p each."""
    law = np.zeros(int(weights.sum()) + 1)
    law[0] = 1.0
    for weight in weights:
        moved = p * law[:-weight]
        law *= 1 - p
        law[weight:] += moved
    return law


def _tipping_point(p_value: Callable[[float], float], alpha: float) -> float | None:
    if p_value(1.0) >= alpha:
        return 1.0
    high = 2.0
    while p_value(high) < alpha:
        high *= 2
        if high > LARGEST:
            return None
    return float(brentq(lambda gamma: p_value(gamma) - alpha, max(1.0, high / 2), high, xtol=1e-10))


def _words(tipping: float | None, alpha: float) -> str:
    level = f"above the level {alpha:g}"
    if tipping is None:
        return f"No hidden bias, however large, could bring the one-sided p value {level}."
    if tipping == 1.0:
        return f"Without any hidden bias the one-sided p value is {level} already."
    return (
        f"A hidden bias that makes the odds of treatment within a pair {tipping:.4g} times as large for one as "
        f"for the other could bring the one-sided p value {level}; a smaller one could not."
    )


def _words_of_statistic(tipping: float | None) -> str:
    if tipping is None:
        return " No hidden bias could make the statistic what is expected without an effect."
    if tipping == 1.0:
        return " The statistic is no more than is expected without an effect or a hidden bias."
    return (
        f" From {tipping:.4g} on, the statistic is no more than a hidden bias alone would lead one to expect."
    )
