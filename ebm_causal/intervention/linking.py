"""Whether seeing and doing can differ at all: what else than the treatment's own effects links it to a query."""

import networkx as nx

from ebm_causal.energies import Energy, latents_of, mechanisms_of, prior_groups
from ebm_causal.intervention.asking import ENERGY, Query, asked_of


def is_confounded(energy: Energy, held: tuple[str, ...], query: Query) -> bool:
    """Whether some path other than the arrows out of ``held`` links it to the query.

    A joint prior ties its variables like a common cause; so do data those that have neither mechanism nor prior.
    """
    cut = energy.graph
    cut.remove_edges_from(list(cut.out_edges(held)))
    roots = set(cut) - set(mechanisms_of(energy)) - set(latents_of(energy)) - set(held)
    for tied in (*(prior.variables for prior in prior_groups(energy)), roots):
        cut.add_edges_from((tuple(tied), name) for name in tied if len(tied) > 1)
    targets = set(asked_of(query, energy)) - set(held)
    moral = _moral(cut, None if query == ENERGY else targets | set(held))
    linked = set().union(*(nx.node_connected_component(moral, name) for name in held))
    return bool(linked & targets)


def _moral(cut: nx.DiGraph, ends: set[str] | None) -> nx.Graph:
    """The moral graph of the ancestors of the treatment and the query; all of it where the query is the energy."""
    if ends is None:
        return nx.Graph(cut.to_undirected())
    ends = ends & set(cut)
    kept = ends.union(*(nx.ancestors(cut, name) for name in ends))
    return nx.moral_graph(cut.subgraph(kept))
