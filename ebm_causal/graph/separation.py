"""Separators of two variables: which sets of variables block every path between them."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping

import networkx as nx

Separator = frozenset[str]


def without_arrows_from(graph: nx.DiGraph, nodes: Collection[str]) -> nx.DiGraph:
    """A copy of the graph in which nothing is an effect of ``nodes``."""
    cut = graph.copy()
    cut.remove_edges_from(list(graph.out_edges(nodes)))
    return cut


def minimal_separators(graph: nx.DiGraph, a: str, b: str, allowed: Collection[str]) -> Iterator[Separator]:
    r"""All inclusion-minimal subsets of ``allowed`` that d-separate two variables, each once.

    Minimal d-separators lie among the ancestors of a and b and are there the minimal vertex cuts of
    the moral graph. Vertices that may not be cut are contracted: their neighbors become adjacent.
    The cuts are then walked from the one nearest to a: move one vertex v of a cut S to the side of a,

    .. math:: S' = N\bigl(C_b(G - N[C_a(S) \cup \{v\}])\bigr),

    which reaches every minimal cut. The order is the same in every run; there may be exponentially many.

    References:
        van der Zander, Liskiewicz and Textor (2014), Constructing separators and adjustment sets in
        ancestral graphs; Shen and Liang (1997), Efficient enumeration of all minimal separators.
    """
    torso = _torso(graph, a, b, allowed)
    if torso.has_edge(a, b):
        return
    names = list(torso)
    bit = {name: 1 << place for place, name in enumerate(names)}
    neighbors = [sum(bit[other] for other in torso[name]) for name in names]
    yield from (
        frozenset(name for name in names if cut & bit[name])
        for cut in _minimal_cuts(neighbors, bit[a], bit[b])
    )


def _minimal_cuts(neighbors: list[int], a: int, b: int) -> Iterator[int]:
    """The minimal cuts between two vertices; sets of vertices are the bits of an int."""
    first = _near(neighbors, a, b)
    waiting, seen = deque([first]), {first}
    beside_b = _around(neighbors, b)
    while waiting:
        cut = waiting.popleft()
        yield cut
        side = _component(neighbors, a, cut)
        for vertex in _bits(cut & ~beside_b):
            moved = _near(neighbors, side | vertex, b)
            if moved not in seen:
                seen.add(moved)
                waiting.append(moved)


def cheapest_separator(
    graph: nx.DiGraph, a: str, b: str, allowed: Collection[str], costs: Mapping[str, float]
) -> Separator:
    """The subset of ``allowed`` of least cost that d-separates two variables, by a minimum cut.

    Each vertex becomes an edge whose capacity is its cost; there must be a separator.

    References:
        van der Zander, Liskiewicz and Textor (2019), Separators and adjustment sets in causal graphs.
    """
    torso = _torso(graph, a, b, allowed)
    flow: nx.DiGraph = nx.DiGraph()
    for name in torso:
        inner = {} if name in (a, b) else {"capacity": costs.get(name, 1.0)}
        flow.add_edge((name, "in"), (name, "out"), **inner)
        flow.add_edges_from(((name, "out"), (other, "in")) for other in torso[name])
    near = nx.minimum_cut(flow, (a, "out"), (b, "in"))[1][0]
    return frozenset(name for name in torso if (name, "in") in near and (name, "out") not in near)


def _torso(graph: nx.DiGraph, a: str, b: str, allowed: Collection[str]) -> nx.Graph:
    moral = moral_graph_of_ancestors(graph, a, b)
    return _contract(moral, {a, b, *(name for name in moral if name in allowed)})


def moral_graph_of_ancestors(graph: nx.DiGraph, *nodes: str) -> nx.Graph:
    """The undirected graph of some variables and their ancestors in which parents of one child are joined.

    Among the ancestors of a, b and S, S d-separates a and b where it cuts this graph between them.

    References:
        Lauritzen et al. (1990), Independence properties of directed Markov fields.
    """
    kept = set(nodes).union(*(nx.ancestors(graph, node) for node in nodes))
    return nx.moral_graph(graph.subgraph(kept))


def path_outside(graph: nx.DiGraph, a: str, b: str, allowed: Collection[str]) -> tuple[str, ...]:
    """What a and b are still connected through when all of ``allowed`` is conditioned on; () if nothing."""
    moral = moral_graph_of_ancestors(graph, a, b)
    rest = moral.subgraph([name for name in moral if name not in allowed or name in (a, b)])
    return tuple(nx.shortest_path(rest, a, b)[1:-1]) if nx.has_path(rest, a, b) else ()


def _contract(graph: nx.Graph, kept: set[str]) -> nx.Graph:
    torso: nx.Graph = nx.Graph()
    torso.add_nodes_from(name for name in graph if name in kept)
    torso.add_edges_from((u, v) for u, v in graph.edges if u in kept and v in kept)
    for hidden in nx.connected_components(graph.subgraph(set(graph) - kept)):
        boundary = list(nx.node_boundary(graph, hidden))
        torso.add_edges_from((u, v) for i, u in enumerate(boundary) for v in boundary[:i])
    return torso


def _near(neighbors: list[int], side: int, b: int) -> int:
    """The minimal cut nearest to a connected set of vertices that does not touch b."""
    return _around(neighbors, _component(neighbors, b, side | _around(neighbors, side)))


def _component(neighbors: list[int], start: int, removed: int) -> int:
    reached, front = start, start
    while front:
        front = _around(neighbors, front) & ~removed & ~reached
        reached |= front
    return reached


def _around(neighbors: list[int], vertices: int) -> int:
    """The neighbors of a set that are not in it."""
    found = 0
    for vertex in _bits(vertices):
        found |= neighbors[vertex.bit_length() - 1]
    return found & ~vertices


def _bits(vertices: int) -> Iterator[int]:
    while vertices:
        lowest = vertices & -vertices
        yield lowest
        vertices ^= lowest
