"""Findings as Markdown: the words and tables of the report, without its pictures."""

import re
from collections.abc import Mapping
from typing import Any

from ebm_causal.report.blocks import (
    Block,
    Cell,
    Facts,
    Heading,
    Name,
    Notice,
    Paragraph,
    Picture,
    Summary,
    Table,
)
from ebm_causal.report.document import document

_MARKS = {"warning": "**Warning.** ", "good": "", "plain": ""}


def to_markdown(mapping: Mapping[str, Any]) -> str:
    """The report as GitHub-flavored Markdown; names cannot break out of their place.

    Args:
        mapping: What ``Findings.mapping()`` gives.

    Returns:
        The text, which ends with a line break.
    """
    page = document(mapping)
    lines = [f"# {_escaped(page.summary.question)}", *_summary(page.summary)]
    for part in page.parts:
        lines.append(f"## {part.number}. {_escaped(part.title)}")
        lines += [written for block in part.blocks if (written := _block(block))]
    return "\n\n".join(lines) + "\n"


def _summary(summary: Summary) -> list[str]:
    about = f"Causal sensitivity report · {' · '.join(_escaped(word) for word in summary.about)}"
    quote = [f"**{_escaped(summary.answer)}.** {_escaped(summary.lead)}".rstrip(), _escaped(summary.text)]
    numbers = [
        f"- **{_escaped(n.label)}: {_escaped(n.value)}** ({_escaped(n.note)})" for n in summary.numbers
    ]
    quoted = "\n>\n".join(f"> {line}" for line in quote if line)
    return [about, quoted, *(["\n".join(numbers)] if numbers else [])]


def _block(block: Block) -> str:
    match block:
        case Paragraph():
            return _start_escaped("".join(_piece(piece) for piece in block.pieces))
        case Heading():
            return f"### {_escaped(block.text)}"
        case Notice():
            return f"> {_MARKS[block.kind]}{_escaped(block.text)}"
        case Facts():
            return "\n".join(_fact(label, value) for label, value in block.items)
        case Table():
            return _table(block)
        case Picture():
            return ""


def _fact(label: tuple[str, ...], value: tuple[str, ...]) -> str:
    return f"- {''.join(map(_piece, label))}: {''.join(map(_piece, value))}"


def _table(table: Table) -> str:
    rule = [":---" if i in table.words else "---:" for i in range(len(table.headers))]
    rows = [
        [_escaped(header) for header in table.headers],
        rule,
        *([_cell(c) for c in row] for row in table.rows),
    ]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{lines}\n\n{_start_escaped(_escaped(table.caption))}" if table.caption else lines


def _cell(cell: Cell) -> str:
    lines = (cell,) if isinstance(cell, str) else cell
    return "<br>".join(_in_table(line) for line in lines if line)


def _in_table(line: str) -> str:
    return _code(line).replace("|", "\\|") if isinstance(line, Name) else _escaped(line)


def _piece(piece: str) -> str:
    return _code(piece) if isinstance(piece, Name) else _escaped(piece)


def _code(name: str) -> str:
    """A name as code; the fence is longer than any run of backticks within."""
    longest = max((len(run) for run in re.findall("`+", name)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{fence}{pad}{name or ' '}{pad}{fence}"


def _escaped(text: str) -> str:
    r"""Text without the marks of Markdown and HTML.

    >>> print(_escaped("a_b|<i>"))
    a\_b\|\<i\>
    """
    text = re.sub(r"([\\`*_{}\[\]<>#|~$!])", r"\\\1", text)
    return re.sub(r"&(?=[#\w])", "&amp;", text)


def _start_escaped(text: str) -> str:
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", re.sub(r"^([-+=])", r"\\\1", text))
