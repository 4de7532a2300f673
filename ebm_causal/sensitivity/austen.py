r"""Austen plots: how strong a hidden confounder must be for a given bias, whatever the model of the outcome."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import brentq
from scipy.special import polygamma

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.intervention import Effect, adjust, propensity, regress
from ebm_causal.sensitivity.arguments import check_table
from ebm_causal.sensitivity.groups import chosen_groups, without_group
from ebm_causal.sensitivity.ranges import check_count, check_number, check_numbers
from ebm_causal.shapes import check_callable

POINTS = 200
WEAKEST, STRONGEST = 1e-4, 0.999  # influences on the treatment
Values = Float[np.ndarray, " rows"]
OutcomeFit = Callable[[CausalTable], Values]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AustenCurve:
    r"""The strengths of a hidden confounder that give one bias, and those of covariates beside them.

    Attributes:
        influence: The confounder's influence on the treatment, :math:`\alpha` in (0, 1): how much higher the chance
            of treatment is, on average, among those who took it than among those who did not, both alike in the
            covariates.
        r2_outcome: The partial :math:`R^2` with the outcome that it needs there, at most 1.
        bias: The bias that both together give.
        tipping_point: Where the two are the same: the strength toward both that is enough; None if even the
            strongest is not.
        benchmarks: For each covariate or group, its own influence and partial :math:`R^2`.
        target: ``ate``, or ``att`` for the treated.
        text: What it says.
        tipping_point_of_interval: The strength toward both at which the regression's interval, as wide as it is, would
            hold zero; 0 if it does already, None where a bias was given or not even the strongest does it.
    """

    influence: Float[np.ndarray, " points"]
    r2_outcome: Float[np.ndarray, " points"]
    bias: float
    tipping_point: float | None
    benchmarks: dict[str, tuple[float, float]]
    target: str
    text: str
    tipping_point_of_interval: float | None = None

    def summary(self) -> pd.DataFrame:
        """The benchmarks: influence, partial R^2, and the partial R^2 that would give the bias at that influence."""
        rows = [(alpha, r2, self._needed(alpha)) for alpha, r2 in self.benchmarks.values()]
        columns = ["influence", "r2_outcome", "r2_outcome_needed"]
        table = pd.DataFrame(rows, columns=columns, index=pd.Index(self.benchmarks, name="benchmark"))
        return table.astype({"r2_outcome_needed": "Float64"})

    def plot(self, ax: Any = None) -> Any:
        """Draw the curve and the benchmarks; returns the axes."""
        from ebm_causal.figures import curves_picture  # drawing loads matplotlib

        label = f"bias of {self.bias:.4g}"
        ax = curves_picture(self.influence, {label: self.r2_outcome}, "influence on the treatment", ax)
        ax.set_ylabel("partial R\N{SUPERSCRIPT TWO} with the outcome")
        for name, (alpha, r2) in self.benchmarks.items():
            ax.plot([alpha], [r2], "D", color="black", markersize=4)
            ax.annotate(name, (alpha, r2), xytext=(4, 3), textcoords="offset points", fontsize=8)
        return ax

    def _needed(self, alpha: float) -> float | None:
        if not self.influence.size or not self.influence[0] <= alpha <= self.influence[-1]:
            return None
        return float(np.interp(alpha, self.influence, self.r2_outcome))

    def __repr__(self) -> str:
        tipping = "none" if self.tipping_point is None else f"{self.tipping_point:.4g}"
        return (
            f"AustenCurve(bias {self.bias:.6g} of the {self.target.upper()}, influence = partial R^2 = {tipping}, "
            f"{len(self.benchmarks)} benchmarks)"
        )


def austen_curve(
    table: CausalTable,
    bias: float | None = None,
    *,
    outcome_fit: OutcomeFit | None = None,
    benchmarks: Sequence[str] | Mapping[str, Sequence[str]] = (),
    target: Literal["ate", "att"] = "ate",
    points: int = POINTS,
) -> AustenCurve:
    r"""The strengths of a hidden confounder that would give a bias, for any model of the outcome.

    Given the covariates the chance of treatment with the confounder, :math:`\tilde g`, is
    :math:`\mathrm{Beta}(g c, (1 - g) c)` around the propensity g, with :math:`c = 1/\alpha - 1`, and the outcome
    moves by :math:`\delta` for each unit of its log odds. Then

    .. math::
        \text{bias} = \frac{\delta}{c}\, E\Big[\frac1g + \frac1{1 - g}\Big], \qquad
        R^2 = \delta^2\, \frac{E[\psi_1(g c + T) + \psi_1((1 - g) c + 1 - T)]}{E[(Y - Q)^2]},

    :math:`\psi_1` the trigamma function and Q the outcome's mean given treatment and covariates, by any model. It
    is a model of the confounder, not a worst case: one of another form may do more with less.

    A covariate's influence is :math:`1 - E[g(1-g)]/E[g'(1-g')]`, and its partial :math:`R^2`
    :math:`1 - E[(Y-Q)^2]/E[(Y-Q')^2]`, the primes standing for models without it.

    Args:
        table: A table with a binary treatment.
        bias: How much bias, in the outcome's units; its size counts. By default the regression's estimate.
        outcome_fit: Fits the outcome's mean given treatment and covariates, and gives it at the table's rows; it is
            called with tables that lack a benchmark too. By default the least-squares regression. Overfitting
            shows as a small residual: give predictions out of sample.
        benchmarks: Names of covariates, or ``"all"``, or groups of them by a name of your own.
        target: Whose average effect: ``ate``, or ``att`` for the treated.
        points: How many influences.

    Returns:
        The curve, with the benchmarks.

    Raises:
        ArgumentError: If the treatment is continuous, a benchmark is not a covariate, or the bias is zero.
        TableError: If the arms do not overlap, or the outcome is fitted without a residual.

    Examples:
        >>> import ebm_causal as ec
        >>> from ebm_causal.sensitivity import austen_curve
        >>> found = austen_curve(ec.load_dataset("nhefs"), benchmarks=["smokeintensity"])
        >>> round(found.bias, 3), found.tipping_point < 1
        (3.463, True)

    References:
        V. Veitch and A. Zaveri 2020, "Sense and sensitivity analysis: simple post-hoc analysis of bias due to
        unobserved confounding", NeurIPS 33, theorem 2 and section 4.
    """
    check_table(table)
    if not isinstance(target, str) or target not in ("ate", "att"):
        raise ArgumentError(f"target must be 'ate' or 'att'; got {target!r}.")
    if outcome_fit is not None:
        check_callable("outcome_fit", outcome_fit)
    check_count("points", points)
    groups, fitted = chosen_groups(table, benchmarks), outcome_fit or least_squares_fit
    effect = adjust(table, "regression") if bias is None else None
    size = abs(effect.estimate if effect is not None else check_number("bias", bias))
    if size == 0:
        raise ArgumentError("a bias of 0 needs no confounder; give the size of the bias that would matter.")
    chance, left = propensity(table).values, _residual_variance(table, fitted)
    needed = _Needed(chance=chance, treated=table.treatment_values, size=size, left=left, target=target)
    influence = np.linspace(0.0, STRONGEST, points + 1)[1:]
    r2 = np.array([needed(alpha) for alpha in influence])
    own = {name: _own(table, group, fitted, chance, left) for name, group in groups.items()}
    tipping = needed.balanced()
    of_interval = None if effect is None else _of_interval(needed, effect)
    return AustenCurve(
        influence=influence[r2 <= 1], r2_outcome=r2[r2 <= 1], bias=size, tipping_point=tipping, benchmarks=own,
        target=target, text=_words(size, tipping, own, needed) + _interval_words(effect, of_interval),
        tipping_point_of_interval=of_interval,
    )  # fmt: skip


def least_squares_fit(table: CausalTable) -> Values:
    """The outcome's mean by least squares on treatment and covariates."""
    return table.outcome_values - regress(table, table.design).noise


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Needed:
    """The partial R^2 with the outcome that gives a bias, as a function of the influence on the treatment."""

    chance: Values
    treated: Values
    size: float
    left: float
    target: str

    def __call__(self, alpha: float) -> float:
        g, t, c = self.chance, self.treated, 1 / alpha - 1
        inside = t == 1 if self.target == "att" else slice(None)
        delta = self.size * c / (1 / g + 1 / (1 - g))[inside].mean()
        spread = (polygamma(1, g * c + t) + polygamma(1, (1 - g) * c + 1 - t)).mean()
        return float(delta**2 * spread / self.left)

    def balanced(self) -> float | None:
        """Where the two are the same."""
        if self(STRONGEST) > STRONGEST:
            return None
        return (
            float(brentq(lambda alpha: self(alpha) - alpha, WEAKEST, STRONGEST))
            if self(WEAKEST) > WEAKEST
            else WEAKEST
        )


def _of_interval(needed: _Needed, effect: Effect) -> float | None:
    """The strength toward both that moves the interval's end next to zero there."""
    lower, upper = effect.interval
    if lower <= 0 <= upper:
        return 0.0
    return replace(needed, size=min(abs(lower), abs(upper))).balanced()


def _interval_words(effect: Effect | None, tipping: float | None) -> str:
    if effect is None or tipping is None:
        return ""
    if tipping == 0:
        return f" The {effect.level:.0%} interval holds zero without any."
    return f" With {tipping:.2%} and {tipping:.2%} the {effect.level:.0%} interval would hold zero."


def _residual_variance(table: CausalTable, fitted: OutcomeFit) -> float:
    values = check_numbers("the means that outcome_fit gives", fitted(table))
    if values.shape != (table.rows,) or not np.isfinite(values).all():
        raise ArgumentError(
            f"outcome_fit must give one finite mean for each of {table.rows} rows; got shape {list(values.shape)}"
            f" with {int((~np.isfinite(values)).sum())} values that are not finite."
        )
    left = float(np.square(table.outcome_values - values).mean())
    if left <= 1e-20 * float(np.square(table.outcome_values).mean()):
        raise TableError(
            f"outcome_fit leaves nothing of {table.outcome!r} to explain: predict rows that it was not fitted to."
        )
    return left


def _own(
    table: CausalTable, group: tuple[str, ...], fitted: OutcomeFit, chance: Values, left: float
) -> tuple[float, float]:
    """A group's own influence and partial R^2; of a group that helps to predict nothing, 0."""
    short = without_group(table, group)
    other = propensity(short).values
    alpha = 1 - (chance * (1 - chance)).mean() / (other * (1 - other)).mean()
    return max(0.0, float(alpha)), max(0.0, 1 - left / _residual_variance(short, fitted))


def _words(
    size: float, tipping: float | None, own: Mapping[str, tuple[float, float]], needed: _Needed
) -> str:
    if tipping is None:
        return f"No confounder of this form could bias the estimate by {size:.4g}."
    text = (
        f"A hidden confounder with an influence of {tipping:.2%} on the treatment and a partial "
        f"R\N{SUPERSCRIPT TWO} of {tipping:.2%} with the outcome could bias the estimate by {size:.4g}"
    )
    if not own:
        return f"{text}."
    enough = [name for name, (alpha, r2) in own.items() if alpha > 0 and needed(alpha) <= r2]
    name = max(own, key=lambda group: min(own[group]))
    beside = f"{name}, the strongest of {len(own)} toward both, has {own[name][0]:.2%} and {own[name][1]:.2%}"
    if len(own) == 1:
        beside = f"{name} has {own[name][0]:.2%} and {own[name][1]:.2%}"
    return f"{text}; {beside}; one like {', '.join(enough) if enough else 'none of these'} would do."
