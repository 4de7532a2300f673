"""How far a hidden confounder of each strength would move an estimate, as contour lines."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ebm_causal.figures.canvas import (
    BLUE,
    GREEN,
    INK,
    LINE,
    ORANGE,
    SOFT,
    Axes,
    axes_or_new,
    calm,
    readable,
    shown,
)

_HALO = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6}


def contour_picture(
    r2_treatment: Float[np.ndarray, " treatment"],
    r2_outcome: Float[np.ndarray, " outcome"],
    adjusted_estimate: Float[np.ndarray, "outcome treatment"],
    points: Sequence[tuple[str, float, float]] = (),
    *,
    estimate: float | None = None,
    level: float = 0.0,
    cloud: Float[np.ndarray, "draws 2"] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Contour lines of the adjusted estimate over the strengths of a hidden confounder.

    The line where the estimate is zero (or at another ``level``, as the critical t) is heavy: a confounder beyond it
    would turn the sign. Both axes
    have a square-root scale, on which the bias is nearly a product, so that weak confounders, the usual
    ones, have room. Points outside of the grid are left out.

    Args:
        r2_treatment: Partial R^2 with the treatment, increasing.
        r2_outcome: Partial R^2 with the outcome, increasing.
        adjusted_estimate: The estimate after such a confounder is adjusted for.
        points: (label, r2_treatment, r2_outcome) of benchmarks to mark.
        estimate: The estimate without a hidden confounder; a triangle marks it at the origin.
        level: Where the heavy line is.
        cloud: Draws of the two strengths, as small dots; those outside of the grid are left out.
        ax: Axes to draw on.

    Returns:
        The axes.

    Examples:
        >>> import numpy as np
        >>> strength = np.linspace(0, 0.4, 5)
        >>> from matplotlib.figure import Figure
        >>> adjusted = 2 - 6 * np.add.outer(strength, strength)
        >>> ax = contour_picture(strength, strength, adjusted, ax=Figure().subplots())
        >>> ax.get_xlabel()
        'partial R² with the treatment'
    """
    ax = axes_or_new(ax, size=(5.0, 4.2))
    calm(ax)
    ax.spines["left"].set(visible=True, color=LINE)
    ax.set_xscale("function", functions=(_root, np.square))
    ax.set_yscale("function", functions=(_root, np.square))
    _space_ticks(ax.xaxis, float(r2_treatment[-1]))
    _space_ticks(ax.yaxis, float(r2_outcome[-1]))
    _lines(ax, r2_treatment, r2_outcome, adjusted_estimate, level)
    if cloud is not None:
        inside = (cloud[:, 0] <= r2_treatment[-1]) & (cloud[:, 1] <= r2_outcome[-1])
        ax.plot(*cloud[inside].T, ".", color=GREEN, markersize=3, alpha=0.35, markeredgewidth=0, zorder=4)
    ax.set(xlim=(0, r2_treatment[-1]), ylim=(0, r2_outcome[-1]))
    if estimate is not None:
        ax.plot([0], [0], "^", color=INK, markersize=8, clip_on=False, zorder=5)
    _mark(ax, [p for p in points if p[1] <= r2_treatment[-1] and p[2] <= r2_outcome[-1]])
    ax.set_xlabel("partial R² with the treatment", color=SOFT)
    ax.set_ylabel("partial R² with the outcome", color=SOFT)
    return ax


def _space_ticks(axis: Axes, end: float) -> None:
    steps = (0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
    ticks = [0.0]
    for step in steps:
        if step <= end and np.sqrt(step / end) - np.sqrt(ticks[-1] / end) > 0.09:
            ticks.append(step)
    axis.set_ticks(ticks, labels=[readable(tick) for tick in ticks])


def _root(strength: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(strength, 0.0))


def _lines(ax: Axes, x: np.ndarray, y: np.ndarray, z: np.ndarray, heavy: float) -> None:
    z = np.ma.masked_invalid(z)
    if z.count() == 0 or z.min() == z.max():
        return
    look = {"fontsize": 8, "fmt": readable}
    lines = ax.contour(x, y, z, levels=9, colors=SOFT, linewidths=0.8, linestyles="-", alpha=0.75)
    ax.clabel(lines, [level for level in lines.levels if level != heavy], **look)
    if z.min() < heavy < z.max():
        zero = ax.contour(x, y, z, levels=[heavy], colors=ORANGE, linewidths=2.0)
        ax.clabel(zero, **look)


def _mark(ax: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Points with labels, each on the first side where it covers no other."""
    width, height = (float(0.85 * 72 * inches) for inches in ax.figure.get_size_inches())
    right, top = float(ax.get_xlim()[1]), float(ax.get_ylim()[1])
    taken: list[tuple[float, float, float, float]] = []
    for label, x, y in points:
        ax.plot([x], [y], "D", color=BLUE, markersize=5, clip_on=False, zorder=5)
        words = shown(label, 20)
        at, long = (math.sqrt(x / right) * width, math.sqrt(y / top) * height), 5.2 * len(words)
        sides = [(6, -3), (6, 7), (6, -13), (-6 - long, -3), (-6 - long, 8)]
        boxes = [(at[0] + dx, at[1] + dy, at[0] + dx + long, at[1] + dy + 10) for dx, dy in sides]
        free = [i for i, box in enumerate(boxes) if _free(box, taken, width)]
        if not free:
            continue
        taken.append(boxes[free[0]])
        look = {"fontsize": 8.5, "color": BLUE, "parse_math": False, "zorder": 6, "bbox": _HALO}
        ax.annotate(words, (x, y), sides[free[0]], textcoords="offset points", **look)


def _free(
    box: tuple[float, float, float, float], taken: list[tuple[float, float, float, float]], width: float
) -> bool:
    inside = box[0] >= 0 and box[2] <= width and box[1] >= 0
    return inside and not any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3] for other in taken
    )
