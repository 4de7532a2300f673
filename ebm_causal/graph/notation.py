"""Causal graphs as text: arrows such as ``"z -> x"``, and GML."""

import re
from collections.abc import Iterable

import networkx as nx

from ebm_causal.errors import GraphError

Edge = tuple[str, str]

_ARROWS = re.compile(r"\s*(<->|->|<-)\s*")


def read_edges(edges: Iterable[str | Iterable[str]]) -> tuple[list[Edge], list[str]]:
    """Turn pairs and strings such as ``"z -> x"``, ``"x <- z -> y"`` or ``"x <-> y"`` into directed pairs.

    Args:
        edges: The edges, in the order wanted.

    Returns:
        The pairs (cause, effect), and the names of the latents that double arrows stand for.

    Raises:
        GraphError: If an entry is neither a pair of names nor arrows between names.
    """
    if isinstance(edges, str):
        raise GraphError(f"edges are a list, such as [{edges!r}]; got the one string {edges!r}.")
    if not isinstance(edges, Iterable):
        raise GraphError(f'edges are a list, such as ["z -> x"]; got {edges!r}.')
    pairs: list[Edge] = []
    latents: list[str] = []
    for entry in edges:
        found, hidden = _read_arrows(entry) if isinstance(entry, str) else ([_read_pair(entry)], [])
        pairs += found
        latents += hidden
    return pairs, latents


def _read_pair(entry: object) -> Edge:
    names = tuple(entry) if isinstance(entry, Iterable) else ()
    if len(names) != 2 or not all(isinstance(name, str) and name for name in names):
        raise GraphError(f'an edge is a pair of names or a string such as "z -> x"; got {entry!r}.')
    return names[0], names[1]


def _read_arrows(entry: str) -> tuple[list[Edge], list[str]]:
    parts = _ARROWS.split(entry.strip())
    spoiled = any(name[:1] in "->" or name[-1:] in "-<" for name in parts[0::2])  # none, or that of "x --> y"
    if len(parts) < 3 or spoiled:
        raise GraphError(f'an edge is a pair of names or a string such as "z -> x"; got {entry!r}.')
    pairs: list[Edge] = []
    latents: list[str] = []
    for left, arrow, right in zip(parts[0::2], parts[1::2], parts[2::2], strict=False):
        if arrow == "<->":
            latents.append(hidden_cause(left, right))
            pairs += [(latents[-1], left), (latents[-1], right)]
        else:
            pairs.append((left, right) if arrow == "->" else (right, left))
    return pairs, latents


def hidden_cause(left: str, right: str) -> str:
    """Name the latent that a double arrow stands for, whichever way it is written."""
    return "U({}, {})".format(*sorted((left, right)))


def write_gml(graph: nx.DiGraph) -> str:
    """Write GML; latent nodes carry ``latent 1``."""
    numbers = nx.DiGraph()
    numbers.add_nodes_from(
        (name, {"latent": int(bool(latent))}) for name, latent in graph.nodes(data="latent")
    )
    numbers.add_edges_from(graph.edges)
    return "\n".join(nx.generate_gml(numbers))


def read_gml(text: str) -> nx.DiGraph:
    """Read GML; a node is latent by ``latent 1`` or ``observed "no"``.

    Raises:
        GraphError: If the text is not a directed graph in GML.
    """
    try:
        read = nx.parse_gml(text)
    except (nx.NetworkXError, ValueError, TypeError, AttributeError) as error:
        raise GraphError(f"this is not GML: {error}") from error
    if not read.is_directed():
        raise GraphError("GML must hold a directed graph: set `directed 1`.")
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_nodes_from((name, {"latent": is_latent(values)}) for name, values in read.nodes(data=True))
    graph.add_edges_from(read.edges())
    return graph


def is_latent(attributes: dict) -> bool:
    """Whether the attributes of a node in DOT or GML say that it is not observed."""
    latent = str(attributes.get("latent", "")).strip('"').lower()
    observed = str(attributes.get("observed", "")).strip('"').lower()
    return latent in ("1", "true", "yes") or observed in ("0", "false", "no")
