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
    columns = [found["lambdas"], found["lower"], found["upper"]]
    headers, caption = (
        ["Λ", "Lower", "Upper"],
        "Bounds of the weighting estimate; sampling error is not in them.",
    )
    if found.get("interval_lower") is not None:
        columns += [found["interval_lower"], found["interval_upper"]]
        headers.append(f"{level_of(found['level'])} interval")
        caption = "Bounds of the weighting estimate, and the bootstrap interval of the bounds, which has chance in it."
    picked = _spaced(list(zip(*columns, strict=True)))
    rows = tuple(
        (
            *(number(size, None if place == 0 else decimals) for place, size in enumerate(row[:3])),
            *((interval(row[3], row[4], decimals),) if len(row) > 3 else ()),
        )
        for row in picked
    )
    table = Table(tuple(headers), rows, words=(), caption=caption)
    title = "Odds of treatment that are wrong by a factor of up to Λ"
    return [Heading(title), words(found["text"]), table, words(_tipping(found))]


def _tipping(found: Mapping[str, Any]) -> str:
    tipping, near = found.get("tipping_point"), found.get("tipping_point_of_interval")
    said = "No Λ was found at which the bounds reach zero."
    if tipping is not None:
        said = f"The bounds reach zero at Λ = {number(tipping)}."
    return said if near is None else f"{said[:-1]}, their interval at Λ = {number(near)}."


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
