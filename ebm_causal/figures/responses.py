"""A response along what was set: the mean, and bands that hold shares of the draws."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from ebm_causal.figures.canvas import BLUE, INK, SOFT, Axes, axes_or_new, calm, readable, shown


def response_picture(
    at: Float[np.ndarray, " points"],
    mean: Float[np.ndarray, " points"],
    bands: Mapping[str, tuple[np.ndarray, np.ndarray]],
    names: tuple[str, str],
    *,
    ax: Axes | None = None,
) -> Axes:
    """A curve with bands around it, the widest first.

    Args:
        at: Where it is known, in any order.
        mean: Its height.
        bands: Lower and upper ends, by name.
        names: What was set, and what answers.
        ax: Axes to draw on.

    Returns:
        The axes.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> x = np.linspace(0.0, 1.0, 5)
        >>> bands = {"90% of draws": (x - 1, x + 1)}
        >>> response_picture(x, x, bands, ("dose", "response"), ax=Figure().subplots()).get_ylabel()
        'response'
    """
    ax, order = axes_or_new(ax, size=(5.0, 3.2)), np.argsort(at)
    calm(ax, grid="both")
    for label, (lower, upper) in bands.items():
        ax.fill_between(
            at[order], lower[order], upper[order], color=BLUE, alpha=0.16, linewidth=0, label=label
        )
    ax.plot(at[order], mean[order], color=BLUE, linewidth=1.6, label="mean")
    ax.xaxis.set_major_formatter(readable)
    ax.yaxis.set_major_formatter(readable)
    ax.set_xlabel(shown(names[0]), color=SOFT, parse_math=False)
    ax.set_ylabel(shown(names[1]), color=SOFT, parse_math=False)
    ax.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    return ax
