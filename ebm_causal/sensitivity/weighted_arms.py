r"""Weighted means of two arms whose weights are known up to a factor."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linprog

from ebm_causal.errors import ConvergenceError

Target = Literal["ate", "att"]
Factors = Float[np.ndarray, " factors"]


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    r"""Outcomes of one arm, ascending, whose rows weigh a fixed number and their odds, up to a factor.

    A row weighs ``fixed`` + :math:`\lambda` odds with :math:`\lambda \in [1/\Lambda, \Lambda]`.

    The extreme weighted mean is a linear fractional program: rows on one side of it weigh as much as they may,
    those on the other as little. From sums that were made once, each guess of the mean gives the corner, and the
    corner a better mean (Dinkelbach), until nothing moves.
    """

    outcome: Float[np.ndarray, " rows"]
    fixed: float
    odds: Float[np.ndarray, " corners"]
    weighted: Float[np.ndarray, " corners"]

    @classmethod
    def of(cls, outcome: Float[np.ndarray, " rows"], odds: Float[np.ndarray, " rows"], fixed: float) -> "Arm":
        """Sort an arm and make its sums."""
        order = np.argsort(outcome, kind="stable")
        outcome, odds = outcome[order], odds[order]
        sums = [np.concatenate([[0.0], np.cumsum(values)]) for values in (odds, odds * outcome)]
        return cls(outcome, fixed, sums[0], sums[1])

    def lowest(self, factors: Factors) -> Factors:
        """The smallest weighted mean at each factor."""
        return self._extreme(factors, 1 / factors)

    def highest(self, factors: Factors) -> Factors:
        """The largest weighted mean at each factor."""
        return self._extreme(1 / factors, factors)

    def _extreme(self, below: Factors, above: Factors) -> Factors:
        corner = np.zeros(len(below), dtype=np.intp)
        while True:
            mean = self._mean(corner, below, above)
            moved = np.searchsorted(self.outcome, mean)
            better = self._mean(moved, below, above)
            improves = (better - mean) * np.sign(above - below) > 0
            if not improves.any():
                return mean
            corner = np.where(improves, moved, corner)

    def _mean(self, corner: np.ndarray, below: Factors, above: Factors) -> Factors:
        """The weighted means if the odds count ``below`` times up to a corner, ``above`` times beyond it."""
        odds, weighted = self.odds[corner], self.weighted[corner]
        top = self.fixed * self.outcome.sum() + below * weighted + above * (self.weighted[-1] - weighted)
        return top / (self.fixed * len(self.outcome) + below * odds + above * (self.odds[-1] - odds))


@dataclass(frozen=True, slots=True, eq=False)
class BalancedArm:
    r"""One arm whose weights must also leave the weighted sums of columns :math:`h` as they are.

    .. math::
        \max_\lambda \sum_i o_i \lambda_i y_i, \quad \sum_i o_i \lambda_i h_i = \sum_i o_i h_i, \quad
        \lambda_i \in [1/\Lambda, \Lambda].

    Its dual is a quantile regression of y on h, at :math:`\Lambda/(1 + \Lambda)`, weighted by the odds: with
    a quantile that is linear in h the bounds are sharp, otherwise they hold and may be wide.

    References:
        J. Dorn and K. Guo 2023, "Sharp sensitivity analysis for inverse propensity weighting via quantile
        balancing", Journal of the American Statistical Association 118.
    """

    outcome: Float[np.ndarray, " rows"]
    odds: Float[np.ndarray, " rows"]
    columns: Float[np.ndarray, "rows columns"]
    fixed: float

    def lowest(self, factors: Factors) -> Factors:
        """The smallest weighted mean at each factor."""
        return np.array([self._extreme(float(factor), 1.0) for factor in factors])

    def highest(self, factors: Factors) -> Factors:
        """The largest weighted mean at each factor."""
        return np.array([self._extreme(float(factor), -1.0) for factor in factors])

    def _extreme(self, factor: float, sign: float) -> float:
        total = self.odds.sum()
        weights, scale = self.odds / total, np.abs(self.outcome).max() or 1.0
        equal = (weights[:, None] * self.columns).T
        found = linprog(
            sign * weights * self.outcome / scale,
            A_eq=equal,
            b_eq=equal.sum(axis=1),
            bounds=(1 / factor, factor),
            method="highs",
        )
        if found.status != 0:
            raise ConvergenceError(
                f"the balanced weights at Lambda {factor:g} were not found: {found.message}"
            )
        top = self.fixed * self.outcome.sum() + total * scale * sign * found.fun
        return float(top / (self.fixed * len(self.outcome) + total))


Arms = tuple[Arm | BalancedArm, Arm | BalancedArm]


def arms_of(
    outcome: Float[np.ndarray, " rows"],
    treated: Bool[np.ndarray, " rows"],
    index: Float[np.ndarray, " rows"],
    target: Target,
    columns: Float[np.ndarray, "rows columns"] | None = None,
) -> Arms:
    """The treated and the untreated, weighted for an average effect on all, or on the treated alone.

    Args:
        outcome: The outcomes.
        treated: Who was treated.
        index: The log odds of treatment.
        target: ``ate`` or ``att``; for the latter the treated weigh alike.
        columns: What the weights must balance, the first an intercept; None for nothing.
    """
    odds = np.where(treated, np.exp(-index) if target == "ate" else 0.0, np.exp(index))
    fixed = (1.0, 1.0 if target == "ate" else 0.0)
    sides = list(zip((treated, ~treated), fixed, strict=True))
    if columns is None:
        plain = [Arm.of(outcome[side], odds[side], base) for side, base in sides]
        return plain[0], plain[1]
    balanced = [BalancedArm(outcome[side], odds[side], columns[side], base) for side, base in sides]
    if target == "att":
        return Arm.of(outcome[treated], odds[treated], 1.0), balanced[1]
    return balanced[0], balanced[1]


def lower_bounds(arms: Arms, factors: Factors) -> Factors:
    """The smallest difference of weighted means at each factor."""
    return arms[0].lowest(factors) - arms[1].highest(factors)


def upper_bounds(arms: Arms, factors: Factors) -> Factors:
    """The largest difference of weighted means at each factor."""
    return arms[0].highest(factors) - arms[1].lowest(factors)
