"""Parts 1 and 2: what is asked of which rows, under which graph, and whether the graph answers it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ebm_causal.figures import draw_svg, graph_picture
from ebm_causal.report.blocks import (
    Block,
    Facts,
    Name,
    Notice,
    Paragraph,
    Part,
    Picture,
    Table,
    Tone,
    listed,
    words,
)
from ebm_causal.report.numbers import count, number

_MOST_DROPPED = 12
_KINDS = {
    "backdoor": "identified by adjustment (backdoor)",
    "frontdoor": "identified through a mediator (frontdoor)",
    "general": "identified by the general algorithm",
    "iv": "identified by an instrument, if effects are linear or monotone",
    "unidentified": "not identified",
}
_AGREES = {True: "agrees", False: "disagrees", None: "no answer"}


def effect_pieces(question: Mapping[str, Any]) -> tuple[str, ...]:
    """What an effect of this question is a difference of, in words."""
    outcome, treatment = Name(question["outcome"]), Name(question["treatment"])
    unit = question.get("outcome_unit")
    of = ("the probability of ", outcome) if question.get("outcome_kind") == "binary" else (outcome,)
    levels = level_names(question)
    change: tuple[str, ...] = (" per unit of ", treatment)
    if levels:
        change = (" if ", treatment, " were ", Name(levels[1]), " rather than ", Name(levels[0]), " for all")
    return ("difference in ", *of, *((f" ({unit})",) if unit else ()), *change)


def level_names(question: Mapping[str, Any]) -> list[str] | None:
    """The two levels of a binary treatment as text, the lower first."""
    levels = question.get("treatment_levels")
    return [number(level) if isinstance(level, float) else str(level) for level in levels] if levels else None


def question_part(mapping: Mapping[str, Any]) -> Part | None:
    """What is asked, of which rows, under which graph."""
    question = mapping.get("question")
    if question is None:
        return None
    blocks: list[Block] = [words(question["text"]), _roles(question)]
    graph = question.get("graph")
    if graph and graph["nodes"]:
        blocks.append(_graph(question, graph))
    blocks += _dropped(question.get("dropped") or ())
    return Part("question", "The question", tuple(blocks))


def _roles(question: Mapping[str, Any]) -> Facts:
    covariates = listed(question["covariates"]) or ("none",)
    items = [
        (("Treatment",), (Name(question["treatment"]), _levels(question))),
        (("Outcome",), (Name(question["outcome"]), f", {question['outcome_kind']}")),
        (("Covariates",), covariates),
        (("Rows",), (_rows(question),)),
    ]
    if question.get("source"):
        items.append((("Source",), (question["source"],)))
    return Facts(tuple(items))


def _levels(question: Mapping[str, Any]) -> str:
    levels = level_names(question)
    return f", binary: {levels[1]} against {levels[0]}" if levels else f", {question['treatment_kind']}"


def _rows(question: Mapping[str, Any]) -> str:
    rows, read, treated = question["rows"], question["rows_read"], question.get("treated_rows")
    said = f"{count(rows)}" if rows == read else f"{count(rows)} of the {count(read)} that were read"
    if treated is None or rows is None:
        return said
    return f"{said}: {count(treated)} treated, {count(rows - treated)} not"


def _graph(question: Mapping[str, Any], graph: Mapping[str, Any]) -> Picture:
    nodes = [(node["name"], node["role"]) for node in graph["nodes"]]
    edges = [(start, end) for start, end in graph["edges"]]
    hidden = [name for name, role in nodes if role == "latent"]
    caption = "The assumed graph. An arrow that is missing is an assumption too."
    if hidden:
        caption = (
            f"The assumed graph. Dashed: {', '.join(hidden)}, which no column holds and which may move both "
            "the treatment and the outcome. An arrow that is missing is an assumption too."
        )
    alt = f"Graph: {'; '.join(f'{a} to {b}' for a, b in edges[:40])}."
    return Picture(
        "graph",
        lambda name: draw_svg(lambda ax: graph_picture(nodes, edges, ax), size=(4.5, 2.2), name=name),
        alt,
        caption,
    )


def _dropped(dropped: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not dropped:
        return [words("No row was dropped.", quiet=True)]
    rows = tuple((Name(d["column"]), count(d["rows"]), d["reason"]) for d in dropped[:_MOST_DROPPED])
    more = len(dropped) - len(rows)
    caption = "Rows that were dropped" + (f"; {more} more columns are in the JSON" if more > 0 else "")
    return [Table(("Column", "Rows", "Reason"), rows, words=(0, 2), caption=caption)]


def identification_part(mapping: Mapping[str, Any]) -> Part | None:
    """Whether the graph identifies the effect, by what set, checked by whom."""
    found = mapping.get("identification")
    if found is None:
        return None
    blocks: list[Block] = []
    hidden = found.get("with_latent")
    if hidden:
        tone: Tone = "warning" if hidden["kind"] == "unidentified" else "plain"
        kind = _KINDS.get(hidden["kind"], hidden["kind"])
        blocks.append(Notice(f"With the hidden confounder: {kind}.", tone))
        blocks.append(words(hidden["text"]))
    blocks += [_without(found), words(found["text"])]
    if found.get("checks"):
        rows = tuple((c["by"], _AGREES[c["agrees"]], c["text"]) for c in found["checks"])
        blocks.append(Table(("Checked by", "Result", "Details"), rows, words=(0, 1, 2)))
    return Part("identification", "Is the effect identified?", tuple(blocks))


def _without(found: Mapping[str, Any]) -> Paragraph:
    start = "Under the graph the effect is"
    if found.get("with_latent"):
        start = "Were there no hidden confounder, the effect would be"
    adjustment = found.get("adjustment_set") or ()
    by = (", given ", *listed(adjustment), ".") if adjustment else (".",)
    return words(f"{start} {_KINDS.get(found['kind'], found['kind'])}", *by)
