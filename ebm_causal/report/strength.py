"""Part 5: how strong a hidden confounder would have to be to change the answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ebm_causal.figures import contour_picture, draw_svg
from ebm_causal.report.blocks import Block, Cell, Facts, Name, Part, Picture, Table, words
from ebm_causal.report.bounds import bayesian_blocks, e_value_blocks, marginal_blocks
from ebm_causal.report.estimates import effect_decimals
from ebm_causal.report.numbers import MISSING, interval, level_of, number, percent

_MOST_BENCHMARKS, _MOST_MULTIPLIED = 10, 2

Row = Mapping[str, Any]


def strength_part(mapping: Mapping[str, Any]) -> Part | None:
    """Robustness values, contours, benchmarks, E-value and Λ: those that there are."""
    found = mapping.get("sensitivity") or {}
    decimals = effect_decimals(mapping)
    blocks: list[Block] = [words(found["text"])] if found.get("text") else []
    if found.get("robustness_value") is not None:
        blocks.append(_robustness(found))
    if found.get("contour"):
        blocks.append(_contour(found))
    if found.get("benchmarks"):
        blocks.append(_benchmarks(found, decimals))
    if found.get("e_value"):
        blocks += e_value_blocks(found["e_value"])
    if found.get("marginal"):
        blocks += marginal_blocks(found["marginal"], decimals)
    if found.get("bayesian"):
        blocks += bayesian_blocks(found["bayesian"], decimals)
    return Part("strength", "How strong must a hidden confounder be?", tuple(blocks)) if blocks else None


def _robustness(found: Mapping[str, Any]) -> Facts:
    q = found.get("q") or 1.0
    goal = "bring the estimate to zero" if q == 1 else f"take away {percent(q)} of the estimate"
    first = f": a confounder with this partial R² with both treatment and outcome would {goal}."
    level, at_level = _level(found), found.get("robustness_value_alpha")
    if at_level == 0:
        second = f": the {level} interval holds zero already, with no confounder at all."
    else:
        second = f": one with this partial R² with both would make the {level} interval touch zero."
    third = ": one that explained all the rest of the outcome would need at least this much of the treatment."
    return Facts(
        (
            (("Robustness value",), (percent(found["robustness_value"]), first)),
            ((f"Robustness value of the {level} interval",), (percent(at_level), second)),
            (("Partial R² of treatment with outcome",), (percent(found.get("partial_r2")), third)),
        )
    )


def _level(found: Mapping[str, Any]) -> str:
    return level_of(1 - (found.get("alpha") or 0.05))


def _contour(found: Mapping[str, Any]) -> Picture:
    x, y, z = (
        np.asarray(found["contour"][key], dtype=float)
        for key in ("r2_treatment", "r2_outcome", "adjusted_estimate")
    )
    points, estimate, cloud = _points(found), found.get("estimate"), _cloud(found)

    def draw(name: str) -> str:
        return draw_svg(
            lambda ax: contour_picture(x, y, z, points, estimate=estimate, cloud=cloud, ax=ax),
            size=(4.5, 3.7),
            name=name,
        )

    outside = sum(across > x[-1] or up > y[-1] for _, across, up in points)
    left_out = f"; {outside} lie outside of the picture" if outside else ""
    caption = (
        "The regression estimate, had a hidden confounder of each strength been adjusted for that pulls it "
        "toward zero; on the heavy line it is zero. Triangle: no confounder. Diamonds: one as strong as an "
        f"observed covariate, or a multiple of it{left_out}. "
        f"{'' if cloud is None else 'Dots: the confounder of the fitted energy, over its prior. '}"
        "The scales are square roots."
    )
    alt = f"Contour lines of the adjusted estimate; without a confounder it is {number(estimate)}."
    return Picture("contour", draw, alt, caption)


def _cloud(found: Mapping[str, Any]) -> np.ndarray | None:
    """The strengths that the fitted energy implies, one row for each draw."""
    cloud = (found.get("implied") or {}).get("cloud")
    return None if cloud is None else np.asarray(cloud, dtype=float).reshape(-1, 2)


def _points(found: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Benchmarks to mark: all that are shown once, and the first few in their multiples too."""
    rows = [row for row in _strongest(found) if None not in (row["r2_treatment"], row["r2_outcome"])]
    first = list(dict.fromkeys(row["benchmark"] for row in rows))[:_MOST_MULTIPLIED]
    kept = [row for row in rows if row["multiple"] == 1 or row["benchmark"] in first]
    return [(_times(row), row["r2_treatment"], row["r2_outcome"]) for row in kept]


def _times(row: Row) -> str:
    return row["benchmark"] if row["multiple"] == 1 else f"{number(row['multiple'])}× {row['benchmark']}"


def _strongest(found: Mapping[str, Any]) -> list[Row]:
    """The rows of the benchmarks that move the estimate most, strongest first."""
    moves: dict[str, float] = {}
    for row in found.get("benchmarks") or ():
        moves[row["benchmark"]] = max(moves.get(row["benchmark"], 0.0), _moved(row, found))
    kept = sorted(moves, key=lambda name: -moves[name])[:_MOST_BENCHMARKS]
    rows = [row for row in found.get("benchmarks") or () if row["benchmark"] in kept]
    return sorted(rows, key=lambda row: (kept.index(row["benchmark"]), row["multiple"]))


def _moved(row: Row, found: Mapping[str, Any]) -> float:
    if row["adjusted_estimate"] is None:
        return 0.0
    return abs(row["adjusted_estimate"] - (found.get("estimate") or 0.0))


def _benchmarks(found: Mapping[str, Any], decimals: int | None) -> Table:
    rows = _strongest(found)
    multiples = sorted({row["multiple"] for row in rows})
    cells = {(row["benchmark"], row["multiple"]): row for row in rows}
    names = list(dict.fromkeys(row["benchmark"] for row in rows))
    lines = tuple(
        (
            (Name(name), _pair(cells.get((name, multiples[0])))),
            *(_bound(cells.get((name, multiple)), decimals) for multiple in multiples),
        )
        for name in names
    )
    first = number(multiples[0])
    caption = (
        "The regression estimate, were a hidden confounder as strong as an observed covariate or a multiple "
        f"of it; below it the {_level(found)} interval (t). Below the name: partial R² with treatment / "
        f"outcome at {first}×. A dash: no confounder can be that strong."
    )
    left_out = len({row["benchmark"] for row in found["benchmarks"]}) - len(names)
    if left_out > 0:
        caption += f" Shown are the {len(names)} that move it most; the JSON has {left_out} more."
    headers = ("As strong as", *(f"{number(multiple)}×" for multiple in multiples))
    return Table(headers, lines, caption=caption)


def _pair(row: Row | None) -> str:
    strengths: Sequence[float | None] = (row["r2_treatment"], row["r2_outcome"]) if row else (None, None)
    return " / ".join(percent(strength) for strength in strengths)


def _bound(row: Row | None, decimals: int | None) -> Cell:
    if row is None or row["adjusted_estimate"] is None:
        return MISSING
    return number(row["adjusted_estimate"], decimals), interval(row["lower"], row["upper"], decimals)
