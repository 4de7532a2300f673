r"""The E-value: how strong, as risk ratios, a hidden confounder would have to be."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity.arguments import check_switch
from ebm_causal.sensitivity.ranges import check_number, check_positive

FROM_DIFFERENCE = 0.91  # log risk ratio per standardized difference
FARTHEST = 700  # log risk ratios beyond which overflow
Scale = Literal["risk_ratio", "odds_ratio", "hazard_ratio", "standardized_difference"]


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
        benchmarks: For covariates that were asked for, the E-value of the factor by which the ratio changes where
            the covariate is left out.
    """

    value: float
    limit: float | None
    risk_ratio: float
    lower: float | None
    upper: float | None
    text: str
    benchmarks: dict[str, float] = field(default_factory=dict)

    def summary(self) -> pd.DataFrame:
        """The numbers, one below the other."""
        values = {"risk_ratio": self.risk_ratio, "lower": self.lower, "upper": self.upper}
        values |= {"e_value": self.value, "e_value_of_limit": self.limit}
        values |= {f"e_value_without {name}": value for name, value in self.benchmarks.items()}
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
    benchmarks: Mapping[str, float] | None = None,
) -> EValue:
    r"""The E-value of a risk ratio, :math:`RR + \sqrt{RR (RR - 1)}`; one below 1 is turned over first.

    Other measures are put in the place of a risk ratio, their limits likewise:

    - ``odds_ratio``: :math:`\sqrt{OR}`; as it stands where the outcome is ``rare`` (below 15 %).
    - ``hazard_ratio``: :math:`(1 - .5^{\sqrt{HR}}) / (1 - .5^{\sqrt{1/HR}})`; as it stands where ``rare``.
    - ``standardized_difference``: :math:`e^{.91 d}`, d the difference of means over the outcome's standard deviation.

    A covariate that was adjusted for gives the E-value a scale: without it the ratio is another, and the E-value of
    the factor between the two is the strength that its absence stands for.

    Args:
        risk_ratio: The ratio, or the measure that ``scale`` says.
        lower: The lower end of its interval.
        upper: The upper end of its interval.
        scale: What the numbers are.
        rare: Whether the outcome is rare, for a ratio of odds or hazards.
        benchmarks: For covariates to compare with, by name, the measure that is found without the covariate.

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
        E-value", Annals of Internal Medicine 167, table 2; L. D'Agostino McGowan and R. Greevy 2020, "Contextualizing
        E-values for interpretable sensitivity to unmeasured confounding analyses" (what covariates stand for).
    """
    if not isinstance(scale, str) or scale not in _AS_RISK_RATIO:
        raise ArgumentError(f"scale must be one of {', '.join(map(repr, _AS_RISK_RATIO))}; got {scale!r}.")
    check_switch("rare", rare)
    without = _named(benchmarks)
    convert, how = _AS_RISK_RATIO[scale]
    if scale == "risk_ratio" or (rare and scale != "standardized_difference"):
        return e_value_of_ratio(risk_ratio, lower, upper, "", without)
    check = _refuse_far if scale == "standardized_difference" else check_positive
    check(scale, risk_ratio)
    for name, value in (("lower", lower), ("upper", upper)):
        if value is not None:
            check(name, value)
    for name, value in without.items():
        check(f"the {scale} without {name!r}", value)
    lower, upper = (None if end is None else convert(end) for end in (lower, upper))
    without = {name: convert(value) for name, value in without.items()}
    return e_value_of_ratio(convert(risk_ratio), lower, upper, f" The risk ratio stands for {how}.", without)


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


def e_value_of_ratio(
    risk_ratio: float, lower: float | None, upper: float | None, how: str, without: Mapping[str, float]
) -> EValue:
    """The E-value of a risk ratio and its limits, and of what it would be without each benchmark."""
    check_positive("risk_ratio", risk_ratio)
    if lower is not None and not 0 < check_number("lower", lower) <= risk_ratio:
        raise ArgumentError(
            f"lower must be positive and at most the risk ratio {risk_ratio:g}; got {lower:g}."
        )
    if upper is not None and not risk_ratio <= check_number("upper", upper):
        raise ArgumentError(
            f"upper must be finite and at least the risk ratio {risk_ratio:g}; got {upper:g}."
        )
    for name, ratio in without.items():
        check_positive(f"the risk ratio without {name!r}", ratio)
    factors = {name: ratio / risk_ratio for name, ratio in without.items()}
    _refuse_extreme(risk_ratio, lower, upper, *factors.values())
    value, limit = _strength(risk_ratio), _limit(risk_ratio, lower, upper)
    own = {name: _strength(factor) for name, factor in factors.items()}
    return EValue(
        value=value,
        limit=limit,
        risk_ratio=float(risk_ratio),
        lower=None if lower is None else float(lower),
        upper=None if upper is None else float(upper),
        text=_words(risk_ratio, value, limit) + _beside(value, own) + how,
        benchmarks=own,
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


def _beside(value: float, own: Mapping[str, float]) -> str:
    """The covariate whose absence moves the ratio most, beside the E-value; empty without one."""
    if not own:
        return ""
    name = max(own, key=lambda covariate: own[covariate])
    which = f"{name}, which moves the ratio most of {len(own)} covariates," if len(own) > 1 else name
    compared = "" if value == 1.0 else f", {'weaker' if own[name] < value else 'no weaker'} than these"
    return f" Leaving out {which} does what ties of {own[name]:.4g} each could do{compared}."


def _named(benchmarks: object) -> Mapping[str, float]:
    if benchmarks is None:
        return {}
    if not isinstance(benchmarks, Mapping):
        raise ArgumentError(
            f"benchmarks must give the measure without each covariate, as {{'age': 1.9}}; got {benchmarks!r}."
        )
    return benchmarks


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
        if ratio is not None and (ratio == 0 or abs(math.log(ratio)) > FARTHEST):
            raise ArgumentError(f"a risk ratio of {ratio:.4g} has no E-value that a computer can hold.")
