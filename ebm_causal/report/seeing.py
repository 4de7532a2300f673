"""Part 8: seeing against doing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ebm_causal.figures import capacity_picture, draw_svg, seen_and_done_picture
from ebm_causal.report.blocks import Block, Name, Notice, Part, Picture, Table, words
from ebm_causal.report.numbers import decimals_for, number
from ebm_causal.report.question import level_names

_MOST_LEVELS = 12


def seeing_part(mapping: Mapping[str, Any]) -> Part | None:
    """What goes with a treatment that is seen, and with one that is set."""
    found = mapping.get("seeing_and_doing")
    if found is None:
        return None
    names = _level_names(mapping, found["levels"])
    blocks: list[Block] = [words(found["text"])]
    outcome = found["query"].get(found["outcome"])
    if outcome is not None:
        blocks.append(_picture(found, outcome, names))
    for name, query in found["query"].items():
        blocks.append(_levels(found, name, query, names))
    if found.get("contrast"):
        blocks.append(_contrast(found["contrast"], names))
    if found.get("capacity"):
        blocks += _capacity(found, found["capacity"])
    blocks += [Notice(warning, "warning") for warning in found.get("warnings") or ()]
    return Part("seeing", "Seeing against doing", tuple(blocks))


def _capacity(found: Mapping[str, Any], capacity: Mapping[str, Any]) -> list[Block]:
    """The contrast of seeing and doing as the confounder is regularized away."""
    weights, gap, cost = capacity["weights"], capacity["gap"], capacity["cost"]
    decimals = decimals_for([gap["standard_error"][0], gap["standard_error"][-1]], digits=2)
    text = (
        f"With the hidden confounder's regularizer {number(weights[-1])} times as heavy the gap goes from "
        f"{number(gap['mean'][0], decimals)} to {number(gap['mean'][-1], decimals)}, and the fit loses "
        f"{number(cost[-1] - cost[0], 4)} nats per row. What is left then is confounding by observed covariates. A "
        "confounder that is regularized away is gone from the model, not from the world."
    )
    sides = tuple(np.asarray(side, float) for side in (gap["mean"], gap["standard_error"], cost))

    def draw(name: str) -> str:
        above = sides[2] - sides[2].min()
        return draw_svg(
            lambda ax: capacity_picture(
                np.asarray(weights, float), (*sides[:2], above), found["outcome"], ax=ax
            ),
            size=(4.5, 2.7),
            name=name,
        )

    caption = (
        "The contrast that is seen less the one that is set (circles, with two Monte Carlo standard errors), and the "
        "cost of fit (squares, right axis), against the weight of the confounder's regularizer."
    )
    return [words(text), Picture("capacity", draw, f"Capacity curve: {caption}", caption)]


def _level_names(mapping: Mapping[str, Any], levels: Sequence[float]) -> list[str] | None:
    names = level_names(mapping["question"])
    return names if names and len(names) == len(levels) else None


def _picture(found: Mapping[str, Any], query: Mapping[str, Any], names: list[str] | None) -> Picture:
    kept = [
        i
        for i in range(len(found["levels"]))
        if None not in (query["seen"]["mean"][i], query["done"]["mean"][i])
    ]

    def line(side: str) -> tuple[list[float], list[float]]:
        at = query[side]
        return [at["mean"][i] for i in kept], [at["standard_error"][i] or 0.0 for i in kept]

    def draw(name: str) -> str:
        return draw_svg(
            lambda ax: seen_and_done_picture(
                [found["levels"][i] for i in kept],
                line("seen"),
                line("done"),
                ax,
                labels=(found["treatment"], f"mean of {found['outcome']}{_unit(query)}"),
                level_names=names and [names[i] for i in kept],
            ),
            size=(4.5, 2.5),
            name=name,
        )

    caption = (
        f"Mean of {found['outcome']} under the fitted energy at each level of {found['treatment']}: gray "
        "where the level is seen, orange where it is set. The bars are two Monte Carlo standard errors."
    )
    return Picture("seeing", draw, f"Seen against done: {caption}", caption)


def _unit(query: Mapping[str, Any]) -> str:
    return f" ({query['unit']})" if query.get("unit") else ""


def _levels(found: Mapping[str, Any], name: str, query: Mapping[str, Any], names: list[str] | None) -> Table:
    sides = ("seen", "done", "gap")
    errors = [error for side in sides for error in query[side]["standard_error"]]
    decimals = decimals_for(errors, digits=2)
    labels = names or [number(level) for level in found["levels"]]
    rows = tuple(
        (Name(labels[i]), *(_with_error(query[side], i, decimals) for side in sides))
        for i in range(min(len(labels), _MOST_LEVELS))
    )
    caption = f"Mean of {name}{_unit(query)}; in parentheses the Monte Carlo standard error."
    if len(labels) > _MOST_LEVELS:
        caption += f" The first {_MOST_LEVELS} of {len(labels)} levels."
    return Table((found["treatment"], "Seen", "Set by do()", "Seen − done"), rows, caption=caption)


def _with_error(side: Mapping[str, Any], i: int, decimals: int | None) -> str:
    mean, error = side["mean"][i], side["standard_error"][i]
    said = number(mean, decimals)
    return said if mean is None or error is None else f"{said} ({number(error, decimals)})"


def _contrast(contrast: Mapping[str, Any], names: list[str] | None) -> Table:
    sides = ("seen", "done", "gap")
    decimals = decimals_for([contrast[side]["standard_error"] for side in sides])
    one = {side: {key: [value] for key, value in contrast[side].items()} for side in sides}
    row = tuple(_with_error(one[side], 0, decimals) for side in sides)
    label = f"{names[-1]} minus {names[0]}" if names else "highest minus lowest"
    caption = "The difference between the levels; the gap is confounding, as the fitted energy has it."
    return Table(("Contrast", "Seen", "Set by do()", "Seen − done"), ((label, *row),), caption=caption)
