"""Whether seeing and doing can differ at all: what else than the treatment's own effects links it to a query."""

from collections.abc import Iterable

import networkx as nx

from ebm_causal.energies import Energy, latents_of, mechanisms_of, prior_groups
from ebm_causal.errors import IdentificationError
from ebm_causal.intervention.asking import ENERGY, Query, asked_of, name_of


def is_confounded(energy: Energy, held: tuple[str, ...], query: Query) -> bool:
    """Whether some path other than the arrows out of ``held`` links it to the query.

    A joint prior ties its variables like a common cause; so do data those that have neither mechanism nor prior.
    """
    cut = energy.graph
    cut.remove_edges_from(list(cut.out_edges(held)))
    roots = set(cut) - set(mechanisms_of(energy)) - set(latents_of(energy))
    for tied in (*(prior.variables for prior in prior_groups(energy)), roots):
        cut.add_edges_from((tuple(tied), name) for name in tied if len(tied) > 1)
    targets = set(asked_of(query, energy)) - set(held)
    moral = _moral(cut, None if query == ENERGY else targets | set(held))
    linked = set().union(*(nx.node_connected_component(moral, name) for name in held))
    return bool(linked & targets)


def idle_notes(energy: Energy, done: Iterable[str], query: Query) -> tuple[str, ...]:
    """A warning where what is set moves nothing that is asked for, by the energy's graph."""
    graph, done = energy.graph, tuple(done)
    if query == ENERGY or not done:
        return ()
    moved = set(done).union(*(nx.descendants(graph, name) for name in done if name in graph))
    if moved & set(asked_of(query, energy)):
        return ()
    names = ", ".join(map(repr, done))
    return (f"no directed path leads from {names} to {name_of(query)!r}: the effect is zero.",)


def refuse_roots_without_law(energy: Energy, query: Query, held: Iterable[str]) -> None:
    """Refuse where one variable of which only rows tell is seen, and another one that matters is not.

    Raises:
        IdentificationError: Naming both.
    """
    held = set(held)
    lawless = set(energy.variables) - set(mechanisms_of(energy)) - set(latents_of(energy))
    graph, ends = energy.graph, {*asked_of(query, energy), *(name for name in held if name not in lawless)}
    matter = ends.union(*(nx.ancestors(graph, name) for name in ends if name in graph))
    seen, other = (
        [name for name in energy.variables if name in part]
        for part in (lawless & held, lawless & matter - held)
    )
    if seen and other:
        raise IdentificationError(
            f"what {seen[0]!r} tells of {other[0]!r} only rows of both could say: neither has a mechanism or a prior. "
            f"Write a mechanism of {other[0]!r} given {seen[0]!r}, or see both."
        )


def _moral(cut: nx.DiGraph, ends: set[str] | None) -> nx.Graph:
    """The moral graph of the ancestors of the treatment and the query; all of it where the query is the energy."""
    if ends is None:
        return nx.Graph(cut.to_undirected())
    ends = ends & set(cut)
    kept = ends.union(*(nx.ancestors(cut, name) for name in ends))
    return nx.moral_graph(cut.subgraph(kept))
