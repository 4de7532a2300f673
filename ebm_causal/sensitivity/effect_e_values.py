"""E-values of effects that are differences: of means, by a standardized difference, or of risks."""

import math
from collections.abc import Mapping

import numpy as np

from ebm_causal.data import CausalTable, Design
from ebm_causal.errors import ArgumentError
from ebm_causal.intervention import Effect, regress
from ebm_causal.sensitivity.arguments import check_table
from ebm_causal.sensitivity.e_values import FARTHEST, FROM_DIFFERENCE, EValue, e_value_of_ratio
from ebm_causal.sensitivity.groups import Groups, chosen_groups, without_group
from ebm_causal.sensitivity.ranges import check_number, check_positive

FROM_ERROR = 1.78  # 1.96 times the log risk ratio per standardized difference
RISK_FLOOR = 1e-12  # an interval of risks that reaches below zero ends here


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
    return _of_difference(estimate, standard_error, sd, "sd", {})


def e_value_of_effect(table: CausalTable, effect: Effect, benchmarks: Groups = ()) -> EValue:
    """The E-value of an effect that was estimated from a table.

    A difference of means is divided by the outcome's standard deviation pooled within arms; the effect of a
    continuous treatment is that of one of its standard deviations. A binary outcome has a ratio of risks: the
    effect added to the risk that was seen among the untreated (or on average), over that risk.

    Args:
        table: The table.
        effect: A difference that was estimated from it.
        benchmarks: Names of covariates, or ``"all"``, or groups of them by a name of your own: the ratio without one is
            that of the effect plus what leaving it out adds to the least-squares regression.

    Raises:
        ArgumentError: If the effect would bring a risk to zero or below, is a ratio, or a benchmark is not a covariate.

    Examples:
        >>> import ebm_causal as ec
        >>> from ebm_causal.sensitivity import e_value_of_effect
        >>> table = ec.load_dataset("nhefs")
        >>> found = e_value_of_effect(table, ec.adjust(table), ["smokeyrs"])
        >>> round(found.value, 2), round(found.limit, 2), round(found.benchmarks["smokeyrs"], 2)
        (2.36, 2.05, 1.08)
    """
    check_table(table)
    if not isinstance(effect, Effect) or effect.contrast != "difference":
        raise ArgumentError(f"effect must be a difference that ec.adjust gives; got {effect!r}.")
    moved = _moved(table, benchmarks)
    step, called = 1.0, ""
    if table.treatment_kind == "continuous":
        step = float(table.treatment_values.std(ddof=1))
        called = f", for one standard deviation of {table.treatment!r} ({step:.4g})"
    if table.outcome_kind == "binary":
        return _of_risks(table, effect, (step, called), moved)
    within = regress(table, Design(rows=table.rows, blocks=()))
    sd = math.sqrt(within.noise @ within.noise / within.dof)
    where = f"the sd of {table.outcome!r} within arms, {sd:.4g}{called}"
    scaled = {name: by * step for name, by in moved.items()}
    return _of_difference(effect.estimate * step, effect.standard_error * step, sd, where, scaled)


def _moved(table: CausalTable, benchmarks: Groups) -> dict[str, float]:
    """What the regression's slope gains where a group of covariates is left out."""
    groups = chosen_groups(table, benchmarks)
    if not groups:
        return {}
    full = regress(table, table.design).estimate
    short = {name: without_group(table, group) for name, group in groups.items()}
    return {name: regress(other, other.design).estimate - full for name, other in short.items()}


def _of_difference(
    estimate: float, standard_error: float, sd: float, where: str, moved: Mapping[str, float]
) -> EValue:
    check_number("estimate", estimate)
    check_positive("sd", sd)
    if check_number("standard_error", standard_error) < 0:
        raise ArgumentError(f"standard_error must be finite and not negative; got {standard_error}.")
    log_ratio, reach = FROM_DIFFERENCE * estimate / sd, FROM_ERROR * standard_error / sd
    farthest = max([reach, *(abs(FROM_DIFFERENCE * by / sd) for by in moved.values())])
    if abs(log_ratio) + farthest > FARTHEST:
        raise ArgumentError(
            f"a difference of {estimate / sd:.4g} sd has no risk ratio that a computer can hold."
        )
    how = (
        f" The risk ratio stands for a difference of means: exp(.91 d), d the difference over {where}, the interval's "
        "level 95%."
    )
    ratios = [math.exp(log_ratio + side * reach) for side in (0, -1, 1)]
    without = {name: math.exp(log_ratio + FROM_DIFFERENCE * by / sd) for name, by in moved.items()}
    return e_value_of_ratio(ratios[0], ratios[1], ratios[2], how, without)


def _of_risks(
    table: CausalTable, effect: Effect, unit: tuple[float, str], moved: Mapping[str, float]
) -> EValue:
    step, called = unit
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
    how = (
        f" The risk ratio is the risk {which}, {risk:.4g}, with the effect added{called}, over that risk, the "
        f"interval's level {effect.level:.0%}."
    )
    without = {name: max(ends[1] + step * by / width, RISK_FLOOR) / risk for name, by in moved.items()}
    return e_value_of_ratio(ratio, lower, upper, how, without)
