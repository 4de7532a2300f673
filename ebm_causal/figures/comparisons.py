"""Numbers side by side: estimates with their intervals, seeing against doing, shares of a variance."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ebm_causal.figures.canvas import (
    BLUE,
    GREEN,
    INK,
    LINE,
    ORANGE,
    PURPLE,
    SOFT,
    Axes,
    axes_or_new,
    calm,
    name_ticks,
    readable,
    shown,
)

_LOOKS = {  # kind of estimate -> color, marker
    "unadjusted": (SOFT, "o"),
    "adjusted": (BLUE, "o"),
    "model": (PURPLE, "D"),
    "experiment": (GREEN, "s"),
}
_MOST_SHARES = 10

Row = tuple[str, float | None, float | None, float | None, str]


def forest_picture(
    rows: Sequence[Row],
    ax: Axes | None = None,
    *,
    reference: tuple[float, float | None, float | None] | None = None,
    unit: str = "",
) -> Axes:
    """Estimates with their intervals, one below the other; the first row is on top.

    Args:
        rows: (label, estimate, lower, upper, kind); a row without an estimate is left out, one without
            limits shows its estimate alone. Kinds: unadjusted, adjusted, model, experiment.
        ax: Axes to draw on.
        reference: (estimate, lower, upper) of a benchmark, drawn as a line and a band behind the rows.
        unit: Label of the axis.

    Returns:
        The axes.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> ax = forest_picture([("regression", 2.0, 1.0, 3.0, "adjusted")], Figure().subplots())
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['regression']
    """
    kept = [row for row in rows if row[1] is not None]
    ax = axes_or_new(ax, size=(5.0, 0.9 + 0.3 * len(kept)))
    calm(ax, grid="x")
    if reference is not None:
        _band(ax, *reference)
    ax.axvline(0.0, color=INK, linewidth=0.9, zorder=1)
    for height, (_, estimate, lower, upper, kind) in enumerate(kept):
        color, marker = _LOOKS.get(kind, _LOOKS["adjusted"])
        if lower is not None and upper is not None:
            ax.plot([lower, upper], [height, height], color=color, linewidth=2.2, solid_capstyle="round")
        hollow = "white" if kind == "unadjusted" else color
        ax.plot([estimate], [height], marker, color=color, markerfacecolor=hollow, markersize=6, zorder=4)
    name_ticks(ax.yaxis, [row[0] for row in kept])
    ax.tick_params(axis="y", colors=INK)
    ax.set_ylim(max(len(kept), 1) - 0.4, -0.6)
    _numbers(ax.xaxis)
    ax.set_xlabel(shown(unit, 60), color=SOFT, parse_math=False)
    return ax


def seen_and_done_picture(
    levels: Sequence[float],
    seen: tuple[ArrayLike, ArrayLike],
    done: tuple[ArrayLike, ArrayLike],
    ax: Axes | None = None,
    *,
    labels: tuple[str, str] = ("", ""),
    level_names: Sequence[str] | None = None,
) -> Axes:
    """The mean of the outcome where a level was seen, and where it was set; bars are two standard errors.

    Args:
        levels: The levels of the treatment.
        seen: (mean, standard error) at each level, given that it was seen.
        done: The same where the level was set.
        ax: Axes to draw on.
        labels: What the two axes show.
        level_names: Names to show in place of the levels, equally spaced.

    Returns:
        The axes.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> seen, done = ([0.0, 2.0], [0.1, 0.1]), ([0.0, 1.0], [0.1, 0.1])
        >>> ax = seen_and_done_picture([0, 1], seen, done, Figure().subplots())
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['seen', 'set by do()']
    """
    ax = axes_or_new(ax, size=(5.0, 2.8))
    calm(ax, grid="y")
    places = np.arange(len(levels)) if level_names is not None else np.asarray(levels, dtype=float)
    width = float(np.ptp(places)) or 1.0
    for (mean, error), color, marker, name, shift in (
        (seen, SOFT, "o", "seen", -0.012),
        (done, ORANGE, "D", "set by do()", 0.012),
    ):
        heights, errors = np.asarray(mean, dtype=float), 2 * np.nan_to_num(np.asarray(error, dtype=float))
        where = places + shift * width
        look = {"color": color, "marker": marker, "markersize": 5.5, "linewidth": 1.6, "capsize": 3}
        ax.errorbar(where, heights, yerr=errors, label=name, **look)
    if level_names is not None:
        name_ticks(ax.xaxis, level_names)
        ax.set_xlim(-0.35, len(levels) - 0.65)
    else:
        _numbers(ax.xaxis)
    _numbers(ax.yaxis)
    ax.set_xlabel(shown(labels[0], 60), color=SOFT, parse_math=False)
    ax.set_ylabel(shown(labels[1], 32), color=SOFT, parse_math=False)
    ax.legend(frameon=False, labelcolor=INK, loc="best")
    return ax


def shares_picture(names: Sequence[str], shares: Sequence[float], ax: Axes | None = None) -> Axes:
    """Shares of a variance as bars, the largest on top; a share may be negative.

    Beyond ten, the smallest are added up into one bar.

    Args:
        names: What each share belongs to.
        shares: The shares, which sum to one.
        ax: Axes to draw on.

    Returns:
        The axes.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> ax = shares_picture(["treatment", "hidden"], [0.9, 0.1], Figure().subplots())
        >>> [text.get_text() for text in ax.texts]
        ['90%', '10%']
    """
    bars = _largest(names, shares)
    ax = axes_or_new(ax, size=(5.0, 0.5 + 0.28 * len(bars)))
    calm(ax)
    ax.spines["bottom"].set_visible(False)
    ax.axvline(0.0, color=INK, linewidth=0.9)
    values = [share for _, share in bars]
    colors = [BLUE if share >= 0 else ORANGE for share in values]
    ax.barh(range(len(bars)), values, color=colors, height=0.62)
    for height, share in enumerate(values):
        side = 1 if share >= 0 else -1
        look = {"ha": "left" if side > 0 else "right", "va": "center", "color": INK, "fontsize": 8.5}
        words = f"{100 * share:.3g}%".replace("-", "−")
        ax.annotate(words, (share, height), (4 * side, 0), textcoords="offset points", **look)
    name_ticks(ax.yaxis, [name for name, _ in bars])
    ax.tick_params(axis="y", colors=INK)
    ax.set_ylim(len(bars) - 0.45, -0.55)
    low, high = min(0.0, *values, 0.0), max(0.05, *values)
    room = 0.16 * (high - low)  # for the numbers at the ends
    ax.set_xlim(low - 1.4 * room if low < 0 else 0.0, high + room)
    ax.set_xticks([])
    return ax


def _largest(names: Sequence[str], shares: Sequence[float]) -> list[tuple[str, float]]:
    bars = sorted(zip(names, shares, strict=True), key=lambda bar: -abs(bar[1]))
    if len(bars) <= _MOST_SHARES:
        return bars
    kept, rest = bars[: _MOST_SHARES - 1], bars[_MOST_SHARES - 1 :]
    return [*kept, (f"{len(rest)} others", sum(share for _, share in rest))]


def _band(ax: Axes, estimate: float, lower: float | None, upper: float | None) -> None:
    if lower is not None and upper is not None:
        ax.axvspan(lower, upper, color=GREEN, alpha=0.13, linewidth=0, zorder=0)
    ax.axvline(estimate, color=GREEN, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)


def _numbers(axis: Axes) -> None:
    axis.set_major_formatter(readable)
    axis.get_major_locator().set_params(nbins=5)
    axis.set_tick_params(color=LINE)
