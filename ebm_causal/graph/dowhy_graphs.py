"""Graphs to DoWhy and back: DoWhy's are networkx graphs whose nodes say whether they are observed."""

from typing import Any

import networkx as nx

from ebm_causal.errors import GraphError
from ebm_causal.graph.graphs import CausalGraph
from ebm_causal.graph.notation import is_latent


def to_dowhy(graph: CausalGraph) -> nx.DiGraph:
    """The graph as DoWhy's ``CausalModel(data, ..., graph=)`` takes it, latents marked ``observed="no"``.

    DoWhy counts every column of the data as observed, whatever the graph says: leave latents out of them.

    Args:
        graph: The graph.

    Returns:
        A networkx graph, to be handed on as it is.

    Examples:
        >>> import ebm_causal as ec
        >>> from ebm_causal.graph import to_dowhy
        >>> to_dowhy(ec.CausalGraph(["x <- z -> y"], ["z"])).nodes["z"]
        {'observed': 'no'}
    """
    found: nx.DiGraph = nx.DiGraph()
    found.add_nodes_from(
        (name, {"observed": "no" if name in graph.latents else "yes"}) for name in graph.nodes
    )
    found.add_edges_from(graph.edges)
    return found


def from_dowhy(model: Any) -> CausalGraph:
    """Read a graph of DoWhy.

    Args:
        model: A ``CausalModel``, the ``CausalGraph`` in it, a model of ``dowhy.gcm``, or a networkx graph whose
            nodes say ``observed="yes"`` or ``"no"``.

    Returns:
        The graph, with the nodes that are not observed as latents.

    Raises:
        GraphError: If this is none of DoWhy's graphs, or not acyclic.
    """
    found = model
    for attribute in ("_graph", "_graph", "graph"):
        inner = getattr(found, attribute, None)
        if not isinstance(found, nx.Graph) and inner is not None:
            found = inner
    if not isinstance(found, nx.DiGraph):
        raise GraphError(
            f"a graph of DoWhy is a CausalModel, a gcm model or a networkx DiGraph; got {type(model).__name__}."
        )
    latents = [name for name, values in found.nodes(data=True) if is_latent(values)]
    return CausalGraph(list(found.edges), latents, nodes=list(found.nodes))
