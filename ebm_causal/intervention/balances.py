r"""Balance: how far the arms are apart in each covariate, before weights and after."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.data import CausalTable
from ebm_causal.intervention.estimators import weights_of
from ebm_causal.intervention.options import Options, check_options
from ebm_causal.intervention.overlap import heavy_rows
from ebm_causal.intervention.positivity import positivity_warnings
from ebm_causal.intervention.propensities import propensity
from ebm_causal.intervention.samples import sample_of

FAR = 0.1
"""A standardized difference above this is called imbalance (Austin 2009)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Balance:
    r"""How far the arms are apart in each column of the covariates.

    The standardized difference is that of the means over :math:`\sqrt{(s_1^2 + s_0^2)/2}`, with the deviations
    of the unweighted arms before and after, so that the two can be compared.

    Attributes:
        names: The columns.
        before: Their standardized differences, treated less untreated.
        after: The same under the weights.
        variance_ratios: The variance of the treated over that of the untreated, under the weights.
        weights: The weight of each row, 0 where ``trim`` left it out.
        effective_rows: What the treated and the untreated rows are worth, of equal weight.
        warnings: Where the arms do not meet, by region.
    """

    names: tuple[str, ...]
    before: Float[np.ndarray, " columns"]
    after: Float[np.ndarray, " columns"]
    variance_ratios: Float[np.ndarray, " columns"]
    weights: Float[np.ndarray, " rows"]
    effective_rows: tuple[float, float]
    warnings: tuple[str, ...]

    def summary(self) -> pd.DataFrame:
        """A row for each column, those that stay furthest apart first."""
        table = pd.DataFrame(
            {"before": self.before, "after": self.after, "variance_ratio": self.variance_ratios},
            index=pd.Index(self.names, name="column"),
        )
        return table.loc[table["after"].abs().sort_values(ascending=False, kind="stable").index]

    def plot(self, ax: Any = None) -> Any:
        """Draw a love plot: the absolute differences before and after; returns the axes."""
        from ebm_causal.figures import love_picture

        return love_picture(self.names, np.abs(self.before), np.abs(self.after), ax=ax)

    def __repr__(self) -> str:
        worst = int(np.abs(self.after).argmax()) if len(self.after) else None
        furthest = "" if worst is None else f", the furthest {self.names[worst]!r} at {self.after[worst]:.2g}"
        treated, untreated = self.effective_rows
        text = (
            f"Balance({int((np.abs(self.before) > FAR).sum())} of {len(self.names)} columns beyond {FAR:g} before, "
            f"{int((np.abs(self.after) > FAR).sum())} after{furthest}; effective rows {treated:.1f} treated, "
            f"{untreated:.1f} untreated)"
        )
        return "\n".join([text, *(f"Warning: {warning}" for warning in self.warnings)])


def covariate_balance(
    table: CausalTable, *, target: str = "ate", stabilized: bool = False, trim: float = 0.0
) -> Balance:
    """Compare the covariates of the arms before and after the weights of ``adjust(table, "weighting")``.

    Balance in what is seen says nothing about what is hidden.

    Args:
        table: A table with a binary treatment.
        target: As in ``adjust``.
        stabilized: As in ``adjust``.
        trim: As in ``adjust``.

    Returns:
        The balance.

    Raises:
        ArgumentError: If the treatment is continuous.
        TableError: If there is no overlap.

    Examples:
        >>> import ebm_causal as ec
        >>> from ebm_causal.intervention import covariate_balance
        >>> covariate_balance(ec.load_dataset("nhefs"))
        Balance(12 of 18 columns beyond 0.1 before, 0 after, the furthest ...

    References:
        P. Austin 2009, Balance diagnostics for comparing the distribution of baseline covariates.
    """
    options = Options(method="weighting", target=target, stabilized=stabilized, trim=trim)
    check_options(table, options)
    sample, chance = sample_of(table, options), propensity(table)
    weighed = weights_of(sample, options, chance.values, chance.complements)
    weights = weighed.values * weighed.kept
    matrix, treated = table.design.matrix(), table.treatment_values == 1
    ones = np.ones(table.rows)
    spread = np.sqrt((_moments(matrix, ones, treated)[1] + _moments(matrix, ones, ~treated)[1]) / 2)
    (high, wide), (low, narrow) = _moments(matrix, weights, treated), _moments(matrix, weights, ~treated)
    plain = _moments(matrix, ones, treated)[0] - _moments(matrix, ones, ~treated)[0]
    return Balance(
        names=table.design.names,
        before=plain / spread,
        after=(high - low) / spread,
        variance_ratios=np.divide(wide, narrow, out=np.full(len(wide), np.inf), where=narrow > 0),
        weights=weights,
        effective_rows=(worth(weights[treated]), worth(weights[~treated])),
        warnings=(
            *heavy_rows(table.treatment_values, weights),
            *positivity_warnings(table, chance.values, weighed.kept > 0, target),
        ),
    )


def worth(weights: Float[np.ndarray, " rows"]) -> float:
    """Kish's effective number of rows: so many of equal weight would be worth as much."""
    return float(weights.sum() ** 2 / (weights @ weights))


def _moments(
    matrix: Float[np.ndarray, "rows columns"], weights: Float[np.ndarray, " rows"], arm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    share = weights[arm] / weights[arm].sum()
    mean = share @ matrix[arm]
    return mean, share @ (matrix[arm] - mean) ** 2
