"""Part 9: where the uncertainty comes from, and what the data do not identify."""

from collections.abc import Mapping, Sequence
from typing import Any

from ebm_causal.figures import draw_svg, shares_picture
from ebm_causal.report.blocks import Block, Facts, Heading, Notice, Part, Picture, Table, words
from ebm_causal.report.numbers import count, number

_MOST_DIRECTIONS, _MOST_WEIGHTS = 5, 4


def uncertainty_part(mapping: Mapping[str, Any]) -> Part | None:
    """Variance by share, then the Fisher information."""
    variance, fisher = mapping.get("variance"), mapping.get("fisher")
    blocks: list[Block] = []
    if variance is not None:
        blocks += _variance(variance)
    if fisher is not None:
        blocks += _fisher(fisher)
    return Part("uncertainty", "Where the uncertainty comes from", tuple(blocks)) if blocks else None


def _variance(found: Mapping[str, Any]) -> list[Block]:
    items = (
        (("Of",), (found["of"],)),
        (("Propagated standard deviation",), (number(found["standard_deviation"]),)),
        (("Noise beside it, not in it",), (number(found["noise_standard_deviation"]),)),
    )
    inputs = [(i["name"], i["variance_share"]) for i in found["inputs"] if i["variance_share"] is not None]
    blocks: list[Block] = [words(found["text"]), Facts(items)]
    if inputs:
        blocks.append(_shares(inputs, found["share_kind"]))
    return blocks


def _shares(inputs: Sequence[tuple[str, float]], kind: str) -> Picture:
    names, shares = [name for name, _ in inputs], [share for _, share in inputs]
    caption = f"Shares of the propagated variance ({kind}); they sum to one."
    if kind == "covariance":
        caption = "Covariance shares of the propagated variance; they sum to one, and one may be negative."
    alt = "; ".join(f"{name} {100 * share:.3g}%" for name, share in inputs[:12])

    def draw(name: str) -> str:
        size = (4.5, 0.35 + 0.28 * min(len(names), 10))
        return draw_svg(lambda ax: shares_picture(names, shares, ax), size=size, name=name)

    return Picture("shares", draw, f"Shares of variance: {alt}.", caption)


def _fisher(found: Mapping[str, Any]) -> list[Block]:
    size, rank, blind = found["size"], found["rank"], found.get("unidentified") or ()
    full = rank is not None and rank == size and not blind
    said = "The data inform all of its directions." if full else "Some of its directions are not identified."
    items = (
        (("Rank",), (f"{count(rank)} of {count(size)}",)),
        (("Smallest eigenvalue",), (number(found["smallest_eigenvalue"]),)),
    )
    blocks: list[Block] = [
        Heading(f"Fisher information ({found['kind']})"),
        Notice(said, "good" if full else "warning"),
        words(found["text"]),
        Facts(items),
    ]
    return [*blocks, _directions(blind)] if blind else blocks


def _directions(blind: Sequence[Mapping[str, Any]]) -> Table:
    rows = tuple((number(d["eigenvalue"]), _direction(d["direction"])) for d in blind[:_MOST_DIRECTIONS])
    more = len(blind) - len(rows)
    caption = "Directions in which the data say nothing: along them the parameters may move together."
    caption += f" {more} more are in the JSON." if more > 0 else ""
    return Table(("Eigenvalue", "Direction"), rows, words=(1,), caption=caption)


def _direction(weights: Mapping[str, float | None]) -> str:
    known = [(name, weight) for name, weight in weights.items() if weight is not None]
    largest = sorted(known, key=lambda pair: -abs(pair[1]))[:_MOST_WEIGHTS]
    said = ", ".join(f"{number(weight, 2)} · {name}" for name, weight in largest)
    return said + (", …" if len(known) > len(largest) else "")
