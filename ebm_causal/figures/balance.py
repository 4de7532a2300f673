"""The love plot: how far two groups are apart in each covariate, before weights and after."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

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
)

_MOST_ROWS = 40


def love_picture(
    names: Sequence[str], before: ArrayLike, after: ArrayLike, ax: Axes | None = None, *, limit: float = 0.1
) -> Axes:
    """Absolute standardized differences before and after weighting; what was furthest apart is on top.

    Beyond forty, the covariates that were nearest are left out.

    Args:
        names: The covariates.
        before: Their absolute differences before.
        after: The same after.
        ax: Axes to draw on.
        limit: The difference above which groups count as imbalanced, drawn as a line.

    Returns:
        The axes.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> ax = love_picture(["age", "income"], [0.3, 0.8], [0.02, 0.05], Figure().subplots())
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['income', 'age']
    """
    first, second = np.asarray(before, dtype=float), np.asarray(after, dtype=float)
    order = np.argsort(-first, kind="stable")[:_MOST_ROWS]
    ax = axes_or_new(ax, size=(5.0, 0.9 + 0.24 * len(order)))
    calm(ax, grid="x")
    heights = np.arange(len(order))
    ax.axvline(0.0, color=INK, linewidth=0.9, zorder=1)
    ax.axvline(limit, color=LINE, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)
    ax.hlines(heights, first[order], second[order], color=LINE, linewidth=1.2, zorder=2)
    ax.plot(first[order], heights, "o", color=ORANGE, markerfacecolor="white", markersize=6, label="before")
    ax.plot(second[order], heights, "o", color=BLUE, markersize=6, label="after")
    name_ticks(ax.yaxis, [names[place] for place in order])
    ax.tick_params(axis="y", colors=INK)
    ax.set_ylim(max(len(order), 1) - 0.4, -0.6)
    ax.xaxis.set_major_formatter(readable)
    ax.set_xlabel("absolute standardized difference", color=SOFT)
    ax.legend(frameon=False, labelcolor=INK, loc="best")
    return ax
