"""How a sum builds up from its parts, one after the other."""

from collections.abc import Sequence

from ebm_causal.figures.canvas import (
    BLUE,
    INK,
    LINE,
    ORANGE,
    SOFT,
    Axes,
    axes_or_new,
    calm,
    name_ticks,
    readable,
    shown,
)

_MOST_PARTS = 12


def waterfall_picture(
    names: Sequence[str],
    parts: Sequence[float],
    ax: Axes | None = None,
    *,
    label: str = "",
    total: str = "total",
) -> Axes:
    """Parts of a sum as steps from zero to the sum, the largest first; a part below zero steps back.

    Beyond twelve, the smallest are added up into one step.

    Args:
        names: What each part belongs to.
        parts: The parts.
        ax: Axes to draw on.
        label: What the axis shows.
        total: The name of the sum.

    Returns:
        The axes.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> ax = waterfall_picture(["x", "z"], [3.0, -1.0], Figure().subplots())
        >>> [text.get_text() for text in ax.get_yticklabels()]
        ['x', 'z', 'total']
    """
    steps = _largest(names, parts)
    whole = sum(part for _, part in steps)
    ax = axes_or_new(ax, size=(5.0, 0.9 + 0.3 * (len(steps) + 1)))
    calm(ax, grid="x")
    ax.axvline(0.0, color=INK, linewidth=0.9, zorder=1)
    reached = 0.0
    for height, (_, part) in enumerate(steps):
        ax.barh(height, part, left=reached, color=BLUE if part >= 0 else ORANGE, height=0.62)
        _write(ax, part, whole, (max(reached, reached + part), height))
        reached += part
        ax.plot([reached, reached], [height - 0.31, height + 1.31], color=LINE, linewidth=0.9, zorder=1)
    ax.barh(len(steps), whole, color=SOFT, height=0.62)
    _write(ax, whole, whole, (max(whole, 0.0), len(steps)))
    name_ticks(ax.yaxis, [*(name for name, _ in steps), total])
    ax.tick_params(axis="y", colors=INK)
    ax.set_ylim(len(steps) + 0.55, -0.55)
    ax.margins(x=0.2)
    ax.xaxis.set_major_formatter(readable)
    ax.xaxis.get_major_locator().set_params(nbins=5)
    ax.set_xlabel(shown(label, 60), color=SOFT, parse_math=False)
    return ax


def _write(ax: Axes, part: float, whole: float, where: tuple[float, float]) -> None:
    words = f"{100 * part / whole:.3g}%".replace("-", "−") if whole else readable(part)
    look = {"ha": "left", "va": "center", "color": INK, "fontsize": 8.5}
    ax.annotate(words, where, (4, 0), textcoords="offset points", **look)


def _largest(names: Sequence[str], parts: Sequence[float]) -> list[tuple[str, float]]:
    steps = sorted(zip(names, parts, strict=True), key=lambda step: -abs(step[1]))
    if len(steps) <= _MOST_PARTS:
        return steps
    kept, rest = steps[: _MOST_PARTS - 1], steps[_MOST_PARTS - 1 :]
    return [*kept, (f"{len(rest)} others", sum(part for _, part in rest))]
