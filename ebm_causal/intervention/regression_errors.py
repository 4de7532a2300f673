r"""The regression estimate: errors that hold when the noise is not even, and its slope on a resample."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ebm_causal.data import Design, Factor
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.intervention.regressions import ResidualRegression


def robust_error(fit: ResidualRegression, design: Design, kind: str) -> float:
    r"""The standard error of the slope where the noise may differ from row to row.

    .. math:: \mathrm{se}^2 = \frac{\sum_i a_i \tilde t_i^2 e_i^2}{(\tilde t'\tilde t)^2}

    with a = 1 (HC0), n / dof (HC1), 1 / (1 - h) (HC2) or 1 / (1 - h)^2 (HC3), h being the leverage of a row.

    Raises:
        ArgumentError: If a row has a leverage of one, for HC2 and HC3.

    References:
        J. MacKinnon and H. White 1985, Some heteroskedasticity-consistent covariance matrix estimators.
    """
    total = fit.treatment @ fit.treatment
    factor = np.full(len(fit.noise), len(fit.noise) / fit.dof if kind == "HC1" else 1.0)
    if kind in ("HC2", "HC3"):
        left = 1 - leverages(design) - fit.treatment**2 / total
        if left.min() < 1e-9:
            raise ArgumentError(
                f"row {int(left.argmin())} (counted from 0) has a leverage of one, so {kind} is not defined: its "
                "columns fit it exactly. Use HC1, or merge levels."
            )
        factor = 1 / left if kind == "HC2" else 1 / left**2
    return float(np.sqrt((factor * fit.treatment**2) @ fit.noise**2) / total)


def clustered_error(fit: ResidualRegression, clusters: np.ndarray) -> float:
    r"""The standard error of the slope with noise that goes together within clusters (CR1).

    .. math:: \mathrm{se}^2 = \frac{G}{G-1} \frac{n-1}{\nu} \sum_g \Bigl(\sum_{i \in g} \tilde t_i e_i\Bigr)^2
        / (\tilde t' \tilde t)^2

    References:
        K.-Y. Liang and S. Zeger 1986; C. Cameron and D. Miller 2015, section II.
    """
    sums = np.bincount(clusters, weights=fit.treatment * fit.noise)
    factor = len(sums) / (len(sums) - 1) * (len(fit.noise) - 1) / fit.dof
    return float(np.sqrt(factor * (sums @ sums)) / (fit.treatment @ fit.treatment))


def leverages(design: Design) -> Float[np.ndarray, " rows"]:
    """The leverage of each row in a regression on the intercept and the columns of a design."""
    absorbed = design.absorbed
    if absorbed is None:
        columns, own = design.matrix(), np.full(design.rows, 1 / design.rows)
        columns = columns - columns.mean(axis=0)
    else:
        columns = absorbed.demean(design.without(absorbed.source).matrix())
        own = 1 / np.bincount(absorbed.codes)[absorbed.codes]
    length = np.linalg.norm(columns, axis=0)
    basis, _ = np.linalg.qr(columns / np.where(length > 0, length, 1.0))
    return own + (basis**2).sum(axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResampledSlope:
    """The slope on the treatment of a resample: a covariate of many levels is taken out by means.

    Attributes:
        values: The covariates written out and scaled, then the treatment and the outcome, centered. Where
            nothing is absorbed, an intercept stands in front.
        absorbed: The covariate that is taken out by means, if there is one.
    """

    values: Float[np.ndarray, "rows columns"]
    absorbed: Factor | None

    def __call__(self, counts: Float[np.ndarray, " rows"]) -> float:
        """The slope with each row there so many times.

        Raises:
            ConvergenceError: If the covariates of the resample leave nothing of the treatment.
        """
        products = _products(self.values, counts, self.absorbed)
        covariates, both = products[:-2, :-2], products[:-2, -2:]
        left = products[-2:, -2:] - both.T @ np.linalg.lstsq(covariates, both, rcond=1e-11)[0]
        if left[0, 0] < 1e-10 * max(products[-2, -2], 1e-300):
            raise ConvergenceError("the covariates of the resample leave nothing of the treatment.")
        return float(left[0, 1] / left[0, 0])


def _products(
    values: Float[np.ndarray, "rows columns"], counts: Float[np.ndarray, " rows"], absorbed: Factor | None
) -> Float[np.ndarray, "columns columns"]:
    """Sums of products of columns, of their deviations from the mean of each level where one is absorbed."""
    if absorbed is None:
        return values.T @ (values * counts[:, None])
    size = np.bincount(absorbed.codes, weights=counts)
    sums = np.stack([np.bincount(absorbed.codes, weights=counts * column) for column in values.T], axis=1)
    means = sums / np.where(size > 0, size, 1.0)[:, None]
    deviations = values - means[absorbed.codes]
    return deviations.T @ (deviations * counts[:, None])


def resampled_slope(treatment: np.ndarray, outcome: np.ndarray, design: Design) -> ResampledSlope:
    """Make ready what a resample of a regression needs."""
    absorbed = design.absorbed
    rest = design if absorbed is None else design.without(absorbed.source)
    columns = np.column_stack([rest.matrix(), treatment, outcome])
    columns = (columns - columns.mean(axis=0)) / np.append(columns[:, :-2].std(axis=0), [1.0, 1.0])
    intercept = [] if absorbed is not None else [np.ones(len(treatment))]
    return ResampledSlope(values=np.column_stack([*intercept, columns]), absorbed=absorbed)
