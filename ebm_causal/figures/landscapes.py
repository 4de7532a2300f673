"""An energy over a plane, as filled contours."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ebm_causal.figures.canvas import INK, ORANGE, SOFT, Axes, axes_or_new, calm, readable, shown


def landscape_picture(
    x: Float[np.ndarray, " across"],
    y: Float[np.ndarray, " up"],
    values: Float[np.ndarray, "up across"],
    *,
    levels: Sequence[float] | int = 10,
    curve: Float[np.ndarray, "steps 2"] | None = None,
    points: Float[np.ndarray, "places 2"] | None = None,
    names: tuple[str, str] = ("", ""),
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Filled contours of an energy over a plane, dark where it is low; equal lengths on both axes.

    Several pictures with the same ``levels`` can be compared by eye. What is beyond the last level has the
    last color; what is not finite is left white.

    Args:
        x: Where the columns of ``values`` stand, increasing.
        y: Where its rows stand, increasing.
        values: The energies.
        levels: The heights at which colors change, or about how many of them.
        curve: A line to draw on top, such as a manifold.
        points: Places to mark, such as minima.
        names: What the axes are called.
        title: What stands above.
        ax: Axes to draw on.

    Returns:
        The axes.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> side = np.linspace(-1, 1, 5)
        >>> bowl = np.add.outer(side**2, side**2)
        >>> landscape_picture(side, side, bowl, title="a bowl", ax=Figure().subplots()).get_title()
        'a bowl'
    """
    ax = axes_or_new(ax, size=(4.0, 4.0))
    calm(ax)
    heights = np.ma.masked_invalid(values)
    if heights.count() and heights.min() < heights.max():
        ax.contourf(x, y, heights, levels=levels, cmap="Blues_r", extend="both")
        ax.contour(x, y, heights, levels=levels, colors="white", linewidths=0.4)
    if curve is not None:
        ax.plot(curve[:, 0], curve[:, 1], color=ORANGE, linewidth=1.2)
    if points is not None:
        ax.plot(points[:, 0], points[:, 1], "o", color=INK, markersize=4)
    ax.set(aspect="equal", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    ax.xaxis.set_major_formatter(readable)
    ax.yaxis.set_major_formatter(readable)
    for set_label, words in ((ax.set_xlabel, names[0]), (ax.set_ylabel, names[1])):
        set_label(shown(words), color=SOFT, parse_math=False)
    ax.set_title(shown(title, 60), color=INK, fontsize=9.5, parse_math=False)
    return ax
