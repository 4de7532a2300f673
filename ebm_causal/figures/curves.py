"""Several quantities against one: as curves over temperature, weight or strength."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from ebm_causal.figures.canvas import BLUE, INK, ORANGE, SOFT, Axes, axes_or_new, calm, readable, shown

COLORS = (BLUE, ORANGE, INK, SOFT)
STYLES = ("-", "--", ":", "-.")


def curves_picture(
    x: Float[np.ndarray, " points"],
    curves: Mapping[str, Float[np.ndarray, " points"]],
    name: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Curves over a common axis, each with its name.

    Args:
        x: Where they are known, in either order.
        curves: Their heights, by name; one that is not finite has a gap there.
        name: What ``x`` is.
        ax: Axes to draw on.

    Returns:
        The axes.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> x = np.linspace(0.1, 1, 5)
        >>> curves_picture(x, {"entropy": x**2}, "temperature", Figure().subplots()).get_xlabel()
        'temperature'
    """
    ax = axes_or_new(ax, size=(5.0, 3.2))
    calm(ax, grid="both")
    for place, (label, heights) in enumerate(curves.items()):
        color, style = COLORS[place % len(COLORS)], STYLES[place // len(COLORS) % len(STYLES)]
        ax.plot(x, heights, style, color=color, linewidth=1.4, label=shown(label.replace("_", " ")))
    ax.xaxis.set_major_formatter(readable)
    ax.yaxis.set_major_formatter(readable)
    ax.set_xlabel(shown(name), color=SOFT, parse_math=False)
    ax.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    return ax
