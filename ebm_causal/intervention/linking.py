"""Whether seeing and doing can differ at all: what else than the treatment's own effects links it to a query."""

import networkx as nx

from ebm_causal.energies import Energy, latents_of, mechanisms_of, prior_groups
from ebm_causal.intervention.worlds import ENERGY


def is_confounded(energy: Energy, held: tuple[str, ...], query: str) -> bool:
    """Whether some path other than the arrows out of ``held`` links it to the query.

    A joint prior ties its variables like a common cause; so do data those that have neither mechanism nor prior.
    """
    cut = energy.graph
    cut.remove_edges_from(list(cut.out_edges(held)))
    roots = set(cut) - set(mechanisms_of(energy)) - set(latents_of(energy)) - set(held)
    for tied in (*(prior.variables for prior in prior_groups(energy)), roots):
        cut.add_edges_from((tuple(tied), name) for name in tied if len(tied) > 1)
    linked = set().union(*(nx.node_connected_component(_moral(cut, held, query), name) for name in held))
    targets = set(energy.variables) - set(held) if query == ENERGY else {query}
    return bool(linked & targets)


def _moral(cut: nx.DiGraph, held: tuple[str, ...], query: str) -> nx.Graph:
    """The moral graph of the ancestors of the treatment and the query; all of it where the query is the energy."""
    ends = set(cut) if query == ENERGY else {*held, query}
    if query == ENERGY:
        return nx.Graph(cut.to_undirected())
    kept = ends.union(*(nx.ancestors(cut, name) for name in ends))
    return nx.moral_graph(cut.subgraph(kept))
