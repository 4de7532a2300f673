"""What a hidden confounder does that explains a given share of the outcome, the worst case first."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from ebm_causal.figures.canvas import BLUE, INK, ORANGE, SOFT, Axes, axes_or_new, calm, readable, shown

_STYLES = ("-", "--", ":", "-.")


def extremes_picture(
    r2_treatment: Float[np.ndarray, " points"],
    curves: Mapping[str, Float[np.ndarray, " points"]],
    benchmarks: Mapping[str, float],
    ax: Axes | None = None,
) -> Axes:
    """The adjusted estimate against the strength toward the treatment, one curve for each scenario.

    Args:
        r2_treatment: Partial R^2 with the treatment.
        curves: The adjusted estimate, by scenario.
        benchmarks: Strengths toward the treatment to mark on the axis, by label.
        ax: Axes to draw on.

    Returns:
        The axes.

    Examples:
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> x = np.linspace(0, 0.3, 5)
        >>> extremes_picture(x, {"100 %": 1 - 5 * x}, {"1 x age": 0.1}, Figure().subplots()).get_ylabel()
        'adjusted estimate'
    """
    ax = axes_or_new(ax, size=(5.0, 3.4))
    calm(ax, grid="y")
    ax.axhline(0.0, color=ORANGE, linewidth=1.6)
    for place, (label, heights) in enumerate(curves.items()):
        style = _STYLES[place % len(_STYLES)]
        ax.plot(r2_treatment, heights, style, color=INK, linewidth=1.4, label=shown(label, 40))
    marks = [strength for strength in benchmarks.values() if strength <= r2_treatment[-1]]
    bottom = ax.get_xaxis_transform()
    ax.plot(marks, [0.02] * len(marks), "|", color=BLUE, markersize=9, transform=bottom, clip_on=False)
    ax.xaxis.set_major_formatter(readable)
    ax.yaxis.set_major_formatter(readable)
    ax.set_xlabel("partial R\N{SUPERSCRIPT TWO} with the treatment", color=SOFT)
    ax.set_ylabel("adjusted estimate", color=SOFT)
    ax.legend(frameon=False, fontsize=8.5, labelcolor=INK)
    return ax
