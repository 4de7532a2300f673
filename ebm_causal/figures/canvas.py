"""What all pictures share: axes, colors, text that is shown as it stands, and SVG that can be repeated."""

import hashlib
import io
import re
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from typing import Any

Axes = Any  # matplotlib's Axes, not named: importing this file does not import matplotlib

# Okabe and Ito's colors, which color-blind readers can tell apart, and three grays.
BLUE, ORANGE, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#8a4f9e"
INK, SOFT, LINE = "#1f2933", "#5f6b7a", "#d5dae1"

_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "ebm_causal",
    "text.usetex": False,
}


def axes_or_new(ax: Axes | None, *, size: tuple[float, float]) -> Axes:
    """The axes given, or new ones of this size in inches, known to pyplot so that a notebook shows them."""
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(figsize=size, layout="constrained")[1]


def calm(ax: Axes, *, grid: str | None = None) -> None:
    """Take away what is not data: the frame, the ticks; ``grid`` is the axis whose grid lines stay."""
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(LINE)
    ax.tick_params(length=0, colors=SOFT)
    ax.set_axisbelow(True)
    if grid is not None:
        ax.grid(axis=grid, color=LINE, linewidth=0.6)


def shown(text: str, limit: int = 30) -> str:
    """A name as it stands, but for control characters, which no picture can hold, and for its length.

    >>> shown("a$b$ <i>")
    'a$b$ <i>'
    >>> shown("x" * 40, limit=6)
    'xxxxx…'
    """
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text).strip()
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def readable(value: float, _position: object = None) -> str:
    """A number for the mark of an axis.

    >>> [readable(v) for v in (-8000.0, 0.25, 0.0)]
    ['−8,000', '0.25', '0']
    """
    return f"{value:,.6g}".replace("-", "−")


def name_ticks(axis: Any, names: Sequence[str]) -> None:
    """Marks at 0, 1, 2, ... that show the names literally."""
    axis.set_ticks(range(len(names)), labels=[shown(name) for name in names])
    for label in axis.get_ticklabels():
        label.set_parse_math(False)


def draw_svg(draw: Callable[[Axes], object], *, size: tuple[float, float], name: str) -> str:
    """Draw on axes of their own and hand on the SVG; no global state of matplotlib changes.

    Args:
        draw: Draws on the axes that it is given.
        size: Width and height in inches; five inches suit a telephone and a text column.
        name: Starts every id in the SVG: two pictures on one page need two names.

    Returns:
        The ``<svg>`` element, without an XML declaration.

    Examples:
        >>> svg = draw_svg(lambda ax: ax.text(0.5, 0.5, "a < b"), size=(2, 1), name="picture")
        >>> svg.startswith("<svg"), "a &lt; b" in svg
        (True, True)
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        return to_svg(figure, name=name)


def to_svg(picture: Any, *, name: str | None = None) -> str:
    """The SVG of a matplotlib figure, or of the figure of given axes: the same each time, fit for a page.

    Text stays text, in the font of the page around it, so that a reader can search it and a script that
    matplotlib has no glyphs for is still shown.

    Args:
        picture: A figure or its axes.
        name: Starts every id in the SVG. By default it comes from the content.

    Returns:
        The ``<svg>`` element, without an XML declaration, a date or anything from outside.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> figure = Figure(figsize=(2, 1))
        >>> to_svg(figure) == to_svg(figure)
        True
    """
    import matplotlib

    figure = picture if hasattr(picture, "savefig") else picture.get_figure(root=True)
    page = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")  # the reader's fonts have it
        figure.savefig(page, format="svg", metadata=nothing)
    return _fit_for_a_page(page.getvalue(), name)


def _fit_for_a_page(svg: str, name: str | None) -> str:
    svg = svg[svg.index("<svg") :]
    name = name or "p" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r"<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", "", svg, count=1)
    svg = re.sub(r" font-family: [^;\"]*;?", "", svg)
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    svg = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', svg)
    svg = re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", svg)
    root = 'font-family="sans-serif" style="stroke-linejoin: round; stroke-linecap: butt"'
    return svg.replace("<svg ", f"<svg {root} ", 1).strip()
