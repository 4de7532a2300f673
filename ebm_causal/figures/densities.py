"""Where draws lie: one outline for each set of them."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from ebm_causal.figures.canvas import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    SOFT,
    Axes,
    axes_or_new,
    calm,
    readable,
    shown,
)

_COLORS = (SOFT, BLUE, ORANGE, GREEN)
_BINS = 60


def densities_picture(
    draws: Mapping[str, Float[np.ndarray, " draws"]], name: str = "", ax: Axes | None = None
) -> Axes:
    """Outlines of histograms over one axis, zero marked where it lies within.

    All sets have the same bins, which hold 99.8 % of the draws; the rest lies outside of the picture.

    Args:
        draws: Draws by what they are of; the first is gray, as what is compared with.
        name: What is drawn.
        ax: Axes to draw on.

    Returns:
        The axes.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> draws = {"prior": np.linspace(-1, 1, 50), "posterior": np.linspace(-0.2, 0.4, 50)}
        >>> densities_picture(draws, "effect", Figure().subplots()).get_xlabel()
        'effect'
    """
    ax = axes_or_new(ax, size=(5.0, 3.0))
    calm(ax)
    low, high = np.quantile(np.concatenate(list(draws.values())), [0.001, 0.999])
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    for place, (label, values) in enumerate(draws.items()):
        color, look = _COLORS[place % len(_COLORS)], {"histtype": "stepfilled", "density": True}
        ax.hist(values, edges, color=color, alpha=0.25, **look)
        ax.hist(
            values, edges, color=color, histtype="step", density=True, linewidth=1.4, label=shown(label, 40)
        )
    if low < 0 < high:
        ax.axvline(0.0, color=INK, linewidth=0.8)
    ax.set_yticks([])
    ax.xaxis.set_major_formatter(readable)
    ax.set_xlabel(shown(name, 60), color=SOFT, parse_math=False)
    ax.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    return ax
