r"""Identification beyond adjustment: c-components and the ID algorithm, for one cause and one outcome.

Two observed variables are *confounded* where a latent moves both through latents alone; what such
pairs connect is a c-component. Written :math:`Q[C] = P(c \mid do(v \setminus c))`, an effect is

.. math:: P(y \mid do(x)) = \sum_{d \setminus y} \prod_j Q[D_j],

with D the ancestors of y once x is taken out and D_j the c-components of D. Each Q[D_j] either follows
from the observed distribution or the effect is not identified by any means.

References:
    Tian and Pearl (2002), A general identification condition for causal effects; Shpitser and Pearl
    (2006), Identification of joint interventional distributions; Huang and Valtorta (2006), Pearl's
    calculus of intervention is complete.
"""

from itertools import combinations

import networkx as nx

Names = frozenset[str]


class Projection:
    """The observed variables of a graph, with a pair for every latent common cause.

    Attributes:
        arrows: Causes to effects, directly or through latents alone.
        confounded: An undirected graph of the pairs that share a latent cause.
    """

    arrows: nx.DiGraph
    confounded: nx.Graph

    def __init__(self, graph: nx.DiGraph) -> None:
        """Project the latents (node attribute ``latent``) out of a graph."""
        hidden = {name for name, latent in graph.nodes(data="latent") if latent}
        observed = [name for name in graph if name not in hidden]
        self.arrows = nx.DiGraph()
        self.confounded = nx.Graph()
        self.arrows.add_nodes_from(observed)
        self.confounded.add_nodes_from(observed)
        for name in observed:
            self.arrows.add_edges_from((name, effect) for effect in _reached(graph, name, hidden))
        for name in hidden:
            self.confounded.add_edges_from(combinations(_reached(graph, name, hidden), 2))

    def ancestors(self, of: Names, within: Names) -> Names:
        """The causes of some variables along arrows within a set, themselves included."""
        inside = self.arrows.subgraph(within)
        return of.union(*(nx.ancestors(inside, name) for name in of))

    def components(self, within: Names) -> list[Names]:
        """The c-components of a set of variables."""
        inside = self.confounded.subgraph(within)
        return [frozenset(part) for part in nx.connected_components(inside)]

    def component(self, holding: Names, within: Names) -> Names:
        """The c-component of a set that holds another one."""
        return next(part for part in self.components(within) if holding <= part)


def _reached(graph: nx.DiGraph, start: str, hidden: set[str]) -> list[str]:
    through = graph.subgraph([name for name in graph if name in hidden or name == start])
    inner = {start} | nx.descendants(through, start)
    return [name for name in graph if name not in inner and any(p in inner for p in graph.pred[name])]


def factors(projection: Projection, treatment: str, outcome: str) -> list[Names]:
    """The c-components D_j of whose Q the effect is made."""
    everything = frozenset(projection.arrows)
    return projection.components(projection.ancestors(frozenset({outcome}), within=everything - {treatment}))


def is_identified(projection: Projection, treatment: str, outcome: str) -> bool:
    """Whether P(outcome | do(treatment)) follows from the observed distribution; the answer is complete."""
    relevant = projection.ancestors(frozenset({outcome}), within=frozenset(projection.arrows))
    if treatment not in relevant:
        return True
    return all(
        _follows(projection, part, projection.component(part, within=relevant))
        for part in factors(projection, treatment, outcome)
    )


def _follows(projection: Projection, wanted: Names, known: Names) -> bool:
    """Whether Q[wanted] follows from Q[known], both c-components, the one within the other."""
    closed = projection.ancestors(wanted, within=known)
    if closed == wanted:
        return True
    if closed == known:
        return False
    return _follows(projection, wanted, projection.component(wanted, within=closed))
