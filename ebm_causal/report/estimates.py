"""Part 3: the estimates side by side."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ebm_causal.figures import draw_svg, forest_picture
from ebm_causal.report.blocks import Block, Part, Picture, Table, words
from ebm_causal.report.numbers import decimals_for, interval, level_of, number
from ebm_causal.report.question import effect_pieces

_KINDS = {"naive": "unadjusted", "latent_do": "model", "experiment": "experiment"}


def effect_of(mapping: Mapping[str, Any], method: str) -> Mapping[str, Any] | None:
    """The estimate by one method, if there is one."""
    return next((e for e in mapping.get("effects") or () if e["method"] == method), None)


def effect_decimals(mapping: Mapping[str, Any]) -> int | None:
    """Decimals that suit the typical standard error of the estimates."""
    errors = [e["standard_error"] for e in mapping.get("effects") or () if e["standard_error"]]
    return decimals_for([statistics.median(errors)]) if errors else None


def estimates_part(mapping: Mapping[str, Any]) -> Part | None:
    """All estimates, in one picture and one table."""
    effects = mapping.get("effects")
    if not effects:
        return None
    pieces = effect_pieces(mapping["question"])
    blocks: tuple[Block, ...] = (
        words("Answers to one question under different assumptions: the average ", *pieces, "."),
        _forest(effects),
        _table(effects, effect_decimals(mapping)),
    )
    return Part("effects", "Estimates side by side", blocks)


def _table(effects: Sequence[Mapping[str, Any]], decimals: int | None) -> Table:
    rows = tuple(
        (
            tuple(line for line in (e["label"], e.get("note") or "") if line),
            (number(e["estimate"], decimals), _in_parentheses(e["standard_error"], decimals)),
            (interval(e["lower"], e["upper"], decimals), interval_words(e)),
        )
        for e in effects
    )
    headers = ("Method", "Estimate (standard error)", "Interval")
    strong = tuple(i for i, e in enumerate(effects) if e["method"] == "experiment")
    return Table(headers, rows, strong=strong)


def _in_parentheses(error: float | None, decimals: int | None) -> str:
    return "" if error is None else f"({number(error, decimals)})"


def interval_words(effect: Mapping[str, Any]) -> str:
    """The probability and the kind of an interval; nothing where there is no interval."""
    if effect["lower"] is None or effect["upper"] is None:
        return ""
    return ", ".join(word for word in (level_of(effect.get("level")), effect.get("interval") or "") if word)


def _forest(effects: Sequence[Mapping[str, Any]]) -> Picture:
    rows = [
        (e["label"], e["estimate"], e["lower"], e["upper"], _KINDS.get(e["method"], "adjusted"))
        for e in effects
    ]
    found = next((e for e in effects if e["method"] == "experiment" and e["estimate"] is not None), None)
    reference = (found["estimate"], found["lower"], found["upper"]) if found else None
    shown = sum(row[1] is not None for row in rows)
    caption = "Estimates with their intervals. Gray: not adjusted. Blue: adjusted. Purple: from the model."
    caption += " Green, with the band: the experiment." if found else ""
    alt = "; ".join(f"{label}: {number(value)}" for label, value, *_ in rows)

    def draw(name: str) -> str:
        size = (4.5, 0.75 + 0.3 * shown)
        return draw_svg(lambda ax: forest_picture(rows, ax, reference=reference), size=size, name=name)

    return Picture("forest", draw, f"Estimates. {alt}.", caption)
