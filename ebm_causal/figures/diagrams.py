"""The causal graph as a picture: covariates above, treatment to the left, outcome to the right."""

from collections.abc import Sequence

from ebm_causal.figures.canvas import BLUE, INK, ORANGE, SOFT, Axes, axes_or_new, shown

_FILL = {"treatment": "#e3f0f8", "outcome": "#fbe9df", "covariate": "#f3f4f6", "latent": "#ffffff"}
_EDGE = {"treatment": BLUE, "outcome": ORANGE, "covariate": SOFT, "latent": INK}
_MOST_COVARIATES, _MOST_LETTERS = 6, 42


def graph_picture(
    nodes: Sequence[tuple[str, str]], edges: Sequence[tuple[str, str]], ax: Axes | None = None
) -> Axes:
    """Draw a causal graph; hidden nodes and their arrows are dashed.

    More covariates than fit into a row become one node, ``W (8 covariates)``, with the arrows of all.

    Args:
        nodes: Pairs (name, role); a role is treatment, outcome, covariate or latent.
        edges: Pairs (from, to) of names.
        ax: Axes to draw on.

    Returns:
        The axes.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> nodes = [("t", "treatment"), ("y", "outcome")]
        >>> ax = graph_picture(nodes, [("t", "y")], Figure().subplots())
        >>> [text.get_text() for text in ax.texts if text.get_text()]
        ['t', 'y']
    """
    ax = axes_or_new(ax, size=(5.0, 2.6))
    nodes, edges = _collapsed(nodes, edges)
    places = _layout(nodes)
    ax.set_axis_off()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    boxes = {name: draw_node(ax, name, role, places[name]) for name, role in nodes}
    hidden = {name for name, role in nodes if role == "latent"}
    for start, end in edges:
        draw_arrow(ax, boxes[start], boxes[end], dashed=start in hidden)
    return ax


def _collapsed(
    nodes: Sequence[tuple[str, str]], edges: Sequence[tuple[str, str]]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    covariates = [name for name, role in nodes if role == "covariate"]
    letters = sum(len(shown(name, 16)) + 3 for name in covariates)
    if len(covariates) <= _MOST_COVARIATES and letters <= _MOST_LETTERS:
        together = {}
    else:
        together = dict.fromkeys(covariates, f"W ({len(covariates)} covariates)")
    kept = dict.fromkeys((together.get(name, name), role) for name, role in nodes)
    arrows = dict.fromkeys((together.get(a, a), together.get(b, b)) for a, b in edges)
    known = {name for name, _ in kept}
    return list(kept), [(a, b) for a, b in arrows if a != b and a in known and b in known]


def _layout(nodes: Sequence[tuple[str, str]]) -> dict[str, tuple[float, float]]:
    rows = {"covariate": (0.9, 0.12, 0.88), "latent": (0.1, 0.3, 0.7)}  # height, left end, right end
    places = {}
    for role in ("treatment", "outcome", "covariate", "latent"):
        names = [name for name, of in nodes if of == role]
        height, left, right = rows.get(role, (0.5, 0.17, 0.17) if role == "treatment" else (0.5, 0.83, 0.83))
        step = (right - left) / max(len(names), 1)
        for i, name in enumerate(names):
            places[name] = (left + (i + 0.5) * step, height)
    return places


def draw_node(ax: Axes, name: str, role: str, place: tuple[float, float]) -> Axes:
    """Draw a node in the look of its role; what is hidden is a dashed ellipse."""
    look = {"facecolor": _FILL[role], "edgecolor": _EDGE[role], "linewidth": 1.2, "boxstyle": "round,pad=0.5"}
    if role == "latent":
        look |= {"linestyle": (0, (4, 2)), "boxstyle": "ellipse,pad=0.55"}
    middle = {"ha": "center", "va": "center", "color": INK, "parse_math": False}
    return ax.text(*place, shown(name, 16), bbox=look, zorder=3, **middle)


def draw_arrow(ax: Axes, start: Axes, end: Axes, *, dashed: bool) -> None:
    """Draw an arrow between the boxes of two nodes."""
    look = {
        "arrowstyle": "-|>,head_length=0.45,head_width=0.2",
        "color": INK if dashed else SOFT,
        "linewidth": 1.2,
        "linestyle": (0, (4, 2)) if dashed else "-",
        "patchA": start.get_bbox_patch(),
        "patchB": end.get_bbox_patch(),
        "shrinkA": 2,
        "shrinkB": 3,
    }
    ax.annotate("", xy=end.get_position(), xytext=start.get_position(), arrowprops=look, zorder=4)
