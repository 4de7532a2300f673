"""Findings in the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.box import ROUNDED, SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from ebm_causal.report.blocks import (
    Block,
    Cell,
    Facts,
    Heading,
    Name,
    Notice,
    Paragraph,
    Part,
    Picture,
    Summary,
    Table,
)
from ebm_causal.report.document import document

_WIDEST = 100
_TONES = {"robust": "green", "fragile": "yellow", "open": "blue"}
_NOTICES = {"warning": ("! ", "yellow"), "good": ("✓ ", "green"), "plain": ("· ", "")}


def to_text(mapping: Mapping[str, Any], console: Console) -> None:
    """Print the report on a console, without its pictures.

    Args:
        mapping: What ``Findings.mapping()`` gives.
        console: Where to print.
    """
    page = document(mapping)
    width = min(console.width, _WIDEST)
    console.print(_summary(page.summary), width=width)
    for part in page.parts:
        console.print(_part(part), width=width)


def _summary(summary: Summary) -> RenderableType:
    tone = _TONES[summary.tone]
    lines: list[RenderableType] = [Text(summary.answer, style=f"bold {tone}")]
    lines += [Text(summary.lead, style="bold")] if summary.lead else []
    lines += [Text(""), Text(summary.text)] if summary.text else []
    numbers = Grid.grid(padding=(0, 2))
    numbers.add_column()
    numbers.add_column(justify="right", style="bold")
    numbers.add_column(style="dim")
    for number in summary.numbers:
        numbers.add_row(Text(number.label), Text(number.value), Text(number.note))
    about = Text(" · ".join(("Causal sensitivity report", *summary.about)), style="dim")
    box = Panel(Group(*lines), box=ROUNDED, border_style=tone, padding=(0, 1))
    return Group(Text(""), about, Text(summary.question, style="bold"), box, numbers)


def _part(part: Part) -> RenderableType:
    title = Text(f"{part.number}  {part.title}", style="bold cyan")
    drawn: list[RenderableType] = []
    shown = [block for block in part.blocks if not isinstance(block, Picture)]
    for above, block in zip([None, *shown], shown, strict=False):
        close = above is None or (isinstance(block, Facts) and isinstance(above, Paragraph | Heading))
        drawn += _block(block) if close else [Text(""), *_block(block)]
    return Group(Text(""), title, *drawn)


def _block(block: Block) -> list[RenderableType]:
    match block:
        case Paragraph():
            return [_pieces(block.pieces, style="dim" if block.quiet else "")]
        case Heading():
            return [Text(block.text, style="bold")]
        case Notice():
            mark, style = _NOTICES[block.kind]
            return [Text(mark + block.text, style=style)]
        case Facts():
            return [_facts(block)]
        case Table():
            caption = [Text(block.caption, style="dim")] if block.caption else []
            return [_table(block), *caption]
        case Picture():
            return []


def _facts(facts: Facts) -> Grid:
    grid = Grid.grid(padding=(0, 2))
    grid.add_column(style="dim", max_width=30)
    grid.add_column(overflow="fold")
    for label, value in facts.items:
        grid.add_row(_pieces(label), _pieces(value))
    return grid


def _table(table: Table) -> Grid:
    grid = Grid(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for i, header in enumerate(table.headers):
        if i in table.words:
            grid.add_column(Text(header), overflow="fold")
        else:
            grid.add_column(Text(header), justify="right")
    for i, row in enumerate(table.rows):
        grid.add_row(*map(_cell, row), style="bold" if i in table.strong else "")
    return grid


def _cell(cell: Cell) -> Text:
    lines = (cell,) if isinstance(cell, str) else tuple(line for line in cell if line)
    first = _pieces(lines[:1])
    return first if len(lines) < 2 else Text.assemble(first, "\n", ("\n".join(lines[1:]), "dim not bold"))


def _pieces(pieces: tuple[str, ...], style: str = "") -> Text:
    styled = [(piece, "italic") if isinstance(piece, Name) else (piece, "") for piece in pieces]
    return Text.assemble(*styled, style=style)
