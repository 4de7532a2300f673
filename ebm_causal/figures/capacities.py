"""What regularizing a latent takes away, and what it costs."""

import numpy as np
from jaxtyping import Float

from ebm_causal.figures.canvas import BLUE, ORANGE, SOFT, Axes, axes_or_new, calm, readable, shown

Curve = Float[np.ndarray, " points"]


def capacity_picture(
    weights: Curve, sides: tuple[Curve, Curve, Curve], query: str, *, ax: Axes | None = None
) -> Axes:
    """The gap between seeing and doing against a weight, and on the right axis the cost of fit.

    Args:
        weights: Of the regularizer, positive.
        sides: The gap, its Monte Carlo error, and the cost above the least, in nats per row.
        query: What the gap is of.
        ax: Axes to draw on.

    Returns:
        The axes of the gap.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> x = np.array([1.0, 2.0, 4.0])
        >>> capacity_picture(x, (1 / x, 0 * x, x - 1), "y", ax=Figure().subplots()).get_xscale()
        'log'
    """
    ax, order = axes_or_new(ax, size=(5.0, 3.2)), np.argsort(weights)
    at, (gap, error, cost) = weights[order], (side[order] for side in sides)
    calm(ax, grid="both")
    ax.set_xscale("log")
    ax.axhline(0, color=SOFT, linewidth=0.8)
    ax.errorbar(at, gap, yerr=2 * error, color=BLUE, linewidth=1.4, marker="o", markersize=3.5, capsize=2)
    right = ax.twinx()
    calm(right)
    right.plot(at, cost, color=ORANGE, linewidth=1.4, linestyle="--", marker="s", markersize=3.5)
    for axis in (ax.xaxis, ax.yaxis, right.yaxis):
        axis.set_major_formatter(readable)
    ax.set_xlabel("weight of the regularizer", color=SOFT)
    ax.set_ylabel(f"seen − done, {shown(query)}", color=BLUE, parse_math=False)
    right.set_ylabel("cost of fit, nats per row", color=ORANGE)
    return ax
