"""E-value, Λ and the prior on the strength, which close part 5, and part 6: bounds without a model."""

from collections.abc import Mapping, Sequence
from typing import Any

from ebm_causal.report.blocks import Block, Facts, Heading, Part, Table, words
from ebm_causal.report.estimates import effect_decimals
from ebm_causal.report.numbers import MISSING, interval, level_of, number, percent

_MOST_LAMBDAS = 8


def e_value_blocks(found: Mapping[str, Any]) -> list[Block]:
    """The E-value, with the risk ratio that it belongs to."""
    ratio = number(found["risk_ratio"])
    between = interval(found["lower"], found["upper"])
    items = (
        (("E-value of the estimate",), (number(found["value"]),)),
        (("E-value of the nearer limit",), (number(found["limit"]),)),
        (("Risk ratio",), (ratio if between == MISSING else f"{ratio}, limits {between}",)),
    )
    said = (
        "To explain the estimate away, a hidden confounder would need a risk ratio of at least this size "
        "with the treatment and with the outcome; 1 means that none is needed."
    )
    return [Heading("E-value"), words(said), Facts(items), words(found["text"], quiet=True)]


def marginal_blocks(found: Mapping[str, Any], decimals: int | None) -> list[Block]:
    """Bounds under the marginal sensitivity model."""
    picked = _spaced(list(zip(found["lambdas"], found["lower"], found["upper"], strict=True)))
    rows = tuple((number(size), number(low, decimals), number(high, decimals)) for size, low, high in picked)
    tipping = found.get("tipping_point")
    said = "No Λ was found at which the bounds reach zero."
    if tipping is not None:
        said = f"The bounds reach zero at Λ = {number(tipping)}."
    caption = "Bounds of the weighting estimate; sampling error is not in them."
    table = Table(("Λ", "Lower", "Upper"), rows, words=(), caption=caption)
    title = "Odds of treatment that are wrong by a factor of up to Λ"
    return [Heading(title), words(found["text"]), table, words(said)]


def bayesian_blocks(found: Mapping[str, Any], decimals: int | None) -> list[Block]:
    """The posterior of the effect over the prior of the confounder's strength."""
    level = level_of(found.get("level") or 0.95)
    items = (
        (("Mean of the effect",), (number(found["mean"], decimals),)),
        ((f"{level} interval",), (interval(found["lower"], found["upper"], decimals),)),
        (("Chance that the effect has the other sign",), (percent(found["probability_of_sign_change"]),)),
    )
    return [Heading("A prior on the strength"), Facts(items), words(found["text"], quiet=True)]


def _spaced(rows: Sequence[tuple[float | None, ...]]) -> list[tuple[float | None, ...]]:
    step = max(1, -(-len(rows) // _MOST_LAMBDAS))
    return list(rows[::step])


def bounds_part(mapping: Mapping[str, Any]) -> Part | None:
    """What holds whatever is hidden."""
    found = (mapping.get("sensitivity") or {}).get("no_assumption")
    if found is None:
        return None
    decimals = effect_decimals(mapping)
    items = (
        (("Bounds of the effect",), (interval(found["lower"], found["upper"], decimals),)),
        (("Values the outcome may take",), (interval(found["low"], found["high"], decimals),)),
    )
    said = (
        "Whatever is hidden, the average effect in these rows lies between these bounds. They always hold "
        "zero, and sampling error is not in them."
    )
    blocks = (words(said), Facts(items), words(found["text"], quiet=True))
    return Part("bounds", "Bounds without a model", blocks)
