r"""The E-value: how strong, as risk ratios, a hidden confounder would have to be."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from ebm_causal.data import CausalTable, Design
from ebm_causal.errors import ArgumentError
from ebm_causal.intervention import Effect, regress
from ebm_causal.sensitivity.ranges import check_number, check_positive

FROM_DIFFERENCE, FROM_ERROR = 0.91, 1.78  # log risk ratio per standardized difference; 1.96 times the former
FARTHEST = 700  # log risk ratios beyond which overflow
Scale = Literal["risk_ratio", "odds_ratio", "hazard_ratio", "standardized_difference"]
RISK_FLOOR = 1e-12  # an interval of risks that reaches below zero ends here


@dataclass(frozen=True, slots=True, kw_only=True)
class EValue:
    r"""The smallest risk ratio, with treatment and outcome, of a confounder that explains an effect away.

    It asks for the strongest kind of confounder, common among the treated; it says nothing on whether one
    exists.

    Attributes:
        value: The E-value of the estimate.
        limit: That of the end of the interval next to 1; 1 if the interval holds 1, None without that end.
        risk_ratio: The risk ratio that was explained.
        lower: The lower end of its interval, or None.
        upper: The upper end, or None.
        text: What it says, and how the risk ratio came about.
    """

    value: float
    limit: float | None
    risk_ratio: float
    lower: float | None
    upper: float | None
    text: str

    def summary(self) -> pd.DataFrame:
        """The numbers, one below the other."""
        values = {"risk_ratio": self.risk_ratio, "lower": self.lower, "upper": self.upper}
        values |= {"e_value": self.value, "e_value_of_limit": self.limit}
        return pd.DataFrame({"value": pd.Series(values, dtype=object)}).rename_axis("quantity")

    def __repr__(self) -> str:
        limit = "" if self.limit is None else f", of the interval's end {self.limit:.4g}"
        return f"EValue({self.value:.4g}{limit}, risk ratio {self.risk_ratio:.4g})"


def e_value(
    risk_ratio: float,
    lower: float | None = None,
    upper: float | None = None,
    *,
    scale: Scale = "risk_ratio",
    rare: bool = False,
) -> EValue:
    r"""The E-value of a risk ratio, :math:`RR + \sqrt{RR (RR - 1)}`; one below 1 is turned over first.

    Other measures are put in the place of a risk ratio, their limits likewise:

    - ``odds_ratio``: :math:`\sqrt{OR}`; as it stands where the outcome is ``rare`` (below 15 %).
    - ``hazard_ratio``: :math:`(1 - .5^{\sqrt{HR}}) / (1 - .5^{\sqrt{1/HR}})`; as it stands where ``rare``.
    - ``standardized_difference``: :math:`e^{.91 d}`, d the difference of means over the outcome's standard deviation.

    Args:
        risk_ratio: The ratio, or the measure that ``scale`` says.
        lower: The lower end of its interval.
        upper: The upper end of its interval.
        scale: What the numbers are.
        rare: Whether the outcome is rare, for a ratio of odds or hazards.

    Returns:
        The E-value of the ratio, and of the end of its interval next to 1.

    Raises:
        ArgumentError: If a ratio is not positive, or the interval does not hold it.

    Examples:
        >>> import ebm_causal as ec
        >>> found = ec.e_value(3.9, 1.8)
        >>> round(found.value, 2), round(found.limit, 2)
        (7.26, 3.0)

    References:
        T. VanderWeele and P. Ding 2017, "Sensitivity analysis in observational research: introducing the
        E-value", Annals of Internal Medicine 167, table 2.
    """
    if scale not in _AS_RISK_RATIO:
        raise ArgumentError(f"scale must be one of {', '.join(map(repr, _AS_RISK_RATIO))}; got {scale!r}.")
    convert, how = _AS_RISK_RATIO[scale]
    if scale == "risk_ratio" or (rare and scale != "standardized_difference"):
        return _e_value(risk_ratio, lower, upper, "")
    for name, value in ((scale, risk_ratio), ("lower", lower), ("upper", upper)):
        if value is not None and scale != "standardized_difference":
            check_positive(name, value)
        elif value is not None:
            _refuse_far(name, value)
    lower, upper = (None if end is None else convert(end) for end in (lower, upper))
    return _e_value(convert(risk_ratio), lower, upper, f" The risk ratio stands for {how}.")


def _of_hazards(ratio: float) -> float:
    return -math.expm1(-math.log(2) * math.sqrt(ratio)) / -math.expm1(-math.log(2) / math.sqrt(ratio))


def _of_standardized(difference: float) -> float:
    return math.exp(FROM_DIFFERENCE * difference)


def _refuse_far(name: str, difference: float) -> None:
    check_number(name, difference)
    if abs(FROM_DIFFERENCE * difference) > FARTHEST:
        raise ArgumentError(
            f"a difference of {difference:.4g} sd has no risk ratio that a computer can hold."
        )


_AS_RISK_RATIO: dict[str, tuple[Callable[[float], float], str]] = {
    "risk_ratio": (float, "itself"),
    "odds_ratio": (math.sqrt, "an odds ratio of an outcome that is not rare: its square root"),
    "hazard_ratio": (_of_hazards, "a hazard ratio of an outcome that is not rare"),
    "standardized_difference": (_of_standardized, "a standardized difference d: exp(.91 d)"),
}


def e_value_of_difference(estimate: float, standard_error: float, sd: float) -> EValue:
    r"""The E-value of a difference of means, by a risk ratio that stands for it.

    .. math::
        RR = e^{.91 d}, \quad d = \mathrm{estimate} / \mathrm{sd}, \qquad
        \text{interval } e^{.91 d \pm 1.78\, \mathrm{se}/\mathrm{sd}}.

    The ratio approximates that of a cut of a normal outcome near its middle.

    Args:
        estimate: The difference.
        standard_error: Its standard error.
        sd: The standard deviation of the outcome within arms.

    Raises:
        ArgumentError: If a number is out of range.

    References:
        T. VanderWeele and P. Ding 2017, table 2; S. Chinn 2000.
    """
    return _of_difference(estimate, standard_error, sd, "sd")


def e_value_of_effect(table: CausalTable, effect: Effect) -> EValue:
    """The E-value of an effect that was estimated from a table.

    A difference of means is divided by the outcome's standard deviation pooled within arms; the effect of a
    continuous treatment is that of one of its standard deviations. A binary outcome has a ratio of risks: the
    effect added to the risk that was seen among the untreated (or on average), over that risk.

    Raises:
        ArgumentError: If the effect would bring a risk to zero or below.
    """
    step, called = 1.0, ""
    if table.treatment_kind == "continuous":
        step = float(table.treatment_values.std(ddof=1))
        called = f", for one standard deviation of {table.treatment!r} ({step:.4g})"
    if table.outcome_kind == "binary":
        return _of_risks(table, effect, step, called)
    within = regress(table, Design(rows=table.rows, blocks=()))
    sd = math.sqrt(within.noise @ within.noise / within.dof)
    where = f"the sd of {table.outcome!r} within arms, {sd:.4g}{called}"
    return _of_difference(effect.estimate * step, effect.standard_error * step, sd, where)


def _of_difference(estimate: float, standard_error: float, sd: float, where: str) -> EValue:
    check_number("estimate", estimate)
    check_positive("sd", sd)
    if not (math.isfinite(standard_error) and standard_error >= 0):
        raise ArgumentError(f"standard_error must be finite and not negative; got {standard_error}.")
    log_ratio, reach = FROM_DIFFERENCE * estimate / sd, FROM_ERROR * standard_error / sd
    if abs(log_ratio) + reach > FARTHEST:
        raise ArgumentError(
            f"a difference of {estimate / sd:.4g} sd has no risk ratio that a computer can hold."
        )
    how = f" The risk ratio stands for a difference of means: exp(.91 d), d the difference over {where}."
    return _e_value(math.exp(log_ratio), math.exp(log_ratio - reach), math.exp(log_ratio + reach), how)


def _of_risks(table: CausalTable, effect: Effect, step: float, called: str) -> EValue:
    low, width = table.outcome_values.min(), np.ptp(table.outcome_values)
    seen = table.treatment_values == 0 if table.treatment_kind == "binary" else slice(None)
    risk = float((table.outcome_values[seen] - low).mean() / width)
    ends = [risk + step * end / width for end in (effect.interval[0], effect.estimate, effect.interval[1])]
    if risk <= 0 or ends[1] <= 0:
        raise ArgumentError(
            f"The effect on {table.outcome!r} would turn a risk of {risk:.4g} into {ends[1]:.4g}: "
            "there is no ratio."
        )
    lower, ratio, upper = (max(float(end), RISK_FLOOR) / risk for end in ends)
    which = "among the untreated" if table.treatment_kind == "binary" else "on average"
    how = f" The risk ratio is the risk {which}, {risk:.4g}, with the effect added{called}, over that risk."
    return _e_value(ratio, lower, upper, how)


def _e_value(risk_ratio: float, lower: float | None, upper: float | None, how: str) -> EValue:
    check_positive("risk_ratio", risk_ratio)
    if lower is not None and not 0 < lower <= risk_ratio:
        raise ArgumentError(
            f"lower must be positive and at most the risk ratio {risk_ratio:g}; got {lower:g}."
        )
    if upper is not None and not risk_ratio <= upper < math.inf:
        raise ArgumentError(
            f"upper must be finite and at least the risk ratio {risk_ratio:g}; got {upper:g}."
        )
    _refuse_extreme(risk_ratio, lower, upper)
    value, limit = _strength(risk_ratio), _limit(risk_ratio, lower, upper)
    return EValue(
        value=value,
        limit=limit,
        risk_ratio=float(risk_ratio),
        lower=None if lower is None else float(lower),
        upper=None if upper is None else float(upper),
        text=_words(risk_ratio, value, limit) + how,
    )


def _words(risk_ratio: float, value: float, limit: float | None) -> str:
    if value == 1.0:
        return "A risk ratio of 1 leaves nothing to explain."
    text = (
        f"A hidden confounder could explain a risk ratio of {risk_ratio:.4g} away if it went with both treatment and "
        f"outcome by a risk ratio of {value:.4g} each, beyond the covariates; weaker ties could not."
    )
    if limit is None:
        return text
    if limit == 1.0:
        return f"{text} The interval holds 1 without any."
    return f"{text} Ties of {limit:.4g} each could make the interval hold 1."


def _limit(risk_ratio: float, lower: float | None, upper: float | None) -> float | None:
    near = lower if risk_ratio >= 1 else upper
    if near is None:
        return None
    return 1.0 if (near - 1) * (risk_ratio - 1) <= 0 else _strength(near)


def _strength(risk_ratio: float) -> float:
    above = max(risk_ratio, 1 / risk_ratio)
    return float(above * (1 + math.sqrt(1 - 1 / above)))


def _refuse_extreme(*ratios: float | None) -> None:
    for ratio in ratios:
        if ratio is not None and abs(math.log(ratio)) > FARTHEST:
            raise ArgumentError(f"a risk ratio of {ratio:.4g} has no E-value that a computer can hold.")
