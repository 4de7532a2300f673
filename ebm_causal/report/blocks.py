"""What pages are made of: a summary, then numbered parts of blocks, the same for every kind of page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal


class Name(str):
    """The name of a column or level, which a page sets apart from the words around it."""

    __slots__ = ()


Tone = Literal["warning", "good", "plain"]

Cell = str | tuple[str, ...]
"""A text, or lines of it; any of them may be a :class:`Name`."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Words in a row; those that are a :class:`Name` are set apart. A quiet one is smaller."""

    pieces: tuple[str, ...]
    quiet: bool = False

    @property
    def text(self) -> str:
        """The words without their setting."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Notice:
    """A line that must not be overlooked: a warning, or that all is well."""

    text: str
    kind: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Facts:
    """Pairs of a label and what it says, both in pieces as in a paragraph."""

    items: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headers; the columns in ``words`` hold words, the others numbers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: tuple[int, ...] = (0,)
    caption: str = ""
    strong: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that is drawn only where it can be shown; ``draw`` takes a start for its ids."""

    name: str
    draw: Callable[[str], str]
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a part."""

    text: str


Block = Paragraph | Notice | Facts | Table | Picture | Heading


@dataclass(frozen=True, slots=True)
class Part:
    """One numbered part of a report; ``key`` is its address on the page."""

    key: str
    title: str
    blocks: tuple[Block, ...]
    number: int = 0


@dataclass(frozen=True, slots=True)
class KeyNumber:
    """A number that leads, with what it is and how sure it is."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands on top: the question, the answer, what the data cannot say, and the key numbers."""

    question: str
    about: tuple[str, ...]
    answer: str
    tone: Literal["robust", "fragile", "open"]
    lead: str
    text: str
    numbers: tuple[KeyNumber, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report, before it becomes a page."""

    title: str
    summary: Summary
    parts: tuple[Part, ...]


def words(*pieces: str, quiet: bool = False) -> Paragraph:
    """A paragraph from its pieces."""
    return Paragraph(pieces, quiet)


def listed(names: Sequence[str], limit: int = 20) -> tuple[str, ...]:
    """Names with commas between them; beyond the limit, how many more there are.

    >>> "".join(listed(["a", "b", "c"], limit=2))
    'a, b and 1 more'
    """
    shown = [Name(name) for name in names[:limit]]
    pieces = [piece for name in shown for piece in (name, ", ")][:-1]
    more = len(names) - len(shown)
    return (*pieces, f" and {more} more") if more > 0 else tuple(pieces)
