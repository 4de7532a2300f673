"""A causal graph of any shape: causes above effects, in layers."""

from collections.abc import Mapping, Sequence

import numpy as np

from ebm_causal.figures.canvas import Axes, axes_or_new
from ebm_causal.figures.diagrams import draw_arrow, draw_node

_SWEEPS = 8


def layered_picture(
    nodes: Sequence[tuple[str, str]], edges: Sequence[tuple[str, str]], ax: Axes | None = None
) -> Axes:
    """Draw a causal graph in layers, every arrow downward; hidden nodes and their arrows are dashed.

    Args:
        nodes: Pairs (name, role); a role is treatment, outcome, covariate or latent.
        edges: Pairs (from, to) of names, without a cycle.
        ax: Axes to draw on.

    Returns:
        The axes.

    Examples:
        >>> from matplotlib.figure import Figure
        >>> nodes = [("z", "latent"), ("x", "treatment"), ("y", "outcome")]
        >>> ax = layered_picture(nodes, [("z", "x"), ("z", "y"), ("x", "y")], Figure().subplots())
        >>> [text.get_text() for text in ax.texts if text.get_text()]
        ['z', 'x', 'y']
    """
    places = layered_places([name for name, _ in nodes], edges)
    depth = 1 + round(max((-y for _, y in places.values()), default=0.0))
    width = 2 * max((abs(x) for x, _ in places.values()), default=0.0) + 1
    ax = axes_or_new(ax, size=(min(max(3.0, 1.3 * width), 12.0), min(max(1.6, 0.9 * depth), 14.0)))
    ax.set_axis_off()
    ax.set(xlim=(-width / 2 - 0.1, width / 2 + 0.1), ylim=(-depth + 0.4, 0.6))
    boxes = {name: draw_node(ax, name, role, places[name]) for name, role in nodes}
    hidden = {name for name, role in nodes if role == "latent"}
    for start, end in edges:
        draw_arrow(ax, boxes[start], boxes[end], dashed=start in hidden)
    return ax


def layered_places(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, tuple[float, float]]:
    """A place for each node: below all of its causes, and beside its relatives.

    A layer is the longest path from a root. Within a layer nodes are sorted again and again by the mean place
    of their relatives (Sugiyama, Tagawa and Toda 1981).
    """
    layer = _layers(names, edges)
    rows = [
        [name for name in names if layer[name] == depth]
        for depth in range(max(layer.values(), default=-1) + 1)
    ]
    near: dict[str, list[str]] = {name: [] for name in names}
    for start, end in edges:
        near[start].append(end)
        near[end].append(start)
    across = {name: place for row in rows for name, place in _spread(row).items()}
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            middle = {name: float(np.mean([across[o] for o in near[name]] or [across[name]])) for name in row}
            across |= _spread(sorted(row, key=middle.__getitem__))
    return {name: (across[name] + 0.18 * (layer[name] % 2), -float(layer[name])) for name in names}


def _spread(row: Sequence[str]) -> Mapping[str, float]:
    return {name: place - (len(row) - 1) / 2 for place, name in enumerate(row)}


def _layers(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    layer = dict.fromkeys(names, 0)
    for _ in names:
        for start, end in edges:
            layer[end] = max(layer[end], layer[start] + 1)
    roots = set(names) - {end for _, end in edges}
    for root in roots:  # a root stands just above its first effect
        below = [layer[end] for start, end in edges if start == root]
        layer[root] = min(below) - 1 if below else 0
    return layer
