"""Separators of two variables: which sets of variables block every path between them."""

from collections.abc import Collection, Iterator

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
    moral = moral_graph_of_ancestors(graph, a, b)
    cuttable = [name for name in moral if name in allowed and name not in (a, b)]
    torso = _contract(moral, {a, b, *cuttable})
    if torso.has_edge(a, b):
        return
    order = {name: position for position, name in enumerate(torso)}
    first = _near(torso, {a}, b)
    waiting, seen = [first], {first}
    while waiting:
        cut = waiting.pop(0)
        yield cut
        for vertex in sorted(cut, key=order.__getitem__):
            if torso.has_edge(vertex, b):
                continue
            moved = _near(torso, _component(torso, a, cut) | {vertex}, b)
            if moved not in seen:
                seen.add(moved)
                waiting.append(moved)


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


def _near(torso: nx.Graph, side: set[str], b: str) -> Separator:
    """The minimal cut nearest to a connected set of vertices that does not touch b."""
    beyond = _component(torso, b, side | set(nx.node_boundary(torso, side)))
    return frozenset(nx.node_boundary(torso, beyond))


def _component(torso: nx.Graph, start: str, removed: Collection[str]) -> set[str]:
    return set(nx.node_connected_component(torso.subgraph(set(torso) - set(removed)), start))
