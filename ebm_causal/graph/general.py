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

from ebm_causal.graph.expressions import Probability, Product, Quotient, Term, product, summed

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

        self._places = {name: place for place, name in enumerate(nx.topological_sort(self.arrows))}

    def ordered(self, names: Names) -> tuple[str, ...]:
        """Some variables, causes before effects."""
        return tuple(sorted(names, key=self._places.__getitem__))

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
    return hedge_of(projection, treatment, outcome) is None


def hedge_of(projection: Projection, treatment: str, outcome: str) -> tuple[Names, Names] | None:
    """The pair (F, F') of c-components that shows that an effect is not identified, or None.

    F holds the treatment and F' does not; both lead to ancestors of the outcome within F'.

    References:
        Shpitser and Pearl (2006), definition 6 and theorem 4.
    """
    for part in factors(projection, treatment, outcome):
        known = _relevant_component(projection, treatment, outcome, part)
        stuck = known and _stuck(projection, part, known)
        if stuck:
            return stuck, part
    return None


def _relevant_component(projection: Projection, treatment: str, outcome: str, part: Names) -> Names:
    relevant = projection.ancestors(frozenset({outcome}), within=frozenset(projection.arrows))
    return projection.component(part, within=relevant) if treatment in relevant else frozenset()


def _stuck(projection: Projection, wanted: Names, known: Names) -> Names:
    """Where Q[wanted] does not follow from Q[known], the c-component that holds the search up; else nothing."""
    closed = projection.ancestors(wanted, within=known)
    if closed == wanted:
        return frozenset()
    if closed == known:
        return known
    return _stuck(projection, wanted, projection.component(wanted, within=closed))


def identified_term(projection: Projection, treatment: str, outcome: str) -> Term:
    """What an identified effect equals; ask ``is_identified`` first.

    The joint of the ancestors of the outcome is cut into the Q of its c-components, each is summed down to
    ancestors and cut again, until each Q[D_j] is there.
    """
    relevant = projection.ancestors(frozenset({outcome}), within=frozenset(projection.arrows))
    if treatment not in relevant:
        return Probability(variables=(outcome,))
    parts = sorted(factors(projection, treatment, outcome), key=sorted)
    terms = []
    for part in parts:
        known = projection.component(part, within=relevant)
        terms.append(_followed(projection, part, known, _observed_factor(projection, relevant, known)))
    over = frozenset().union(*parts) - {outcome}
    return summed(projection.ordered(over), product(terms))


def _followed(projection: Projection, wanted: Names, known: Names, term: Term) -> Term:
    """Q[wanted] from the term of Q[known]."""
    closed = projection.ancestors(wanted, within=known)
    term = summed(projection.ordered(known - closed), term)
    if closed == wanted:
        return term
    inner = projection.component(wanted, within=closed)
    return _followed(projection, wanted, inner, _factor(projection, closed, inner, term))


def _observed_factor(projection: Projection, within: Names, part: Names) -> Term:
    r"""Q of a c-component of an ancestral set: each variable given its c-component so far and their parents."""
    order = projection.ordered(within)
    terms: list[Term] = []
    for place, name in enumerate(order):
        if name not in part:
            continue
        so_far = frozenset(order[: place + 1])
        tied = projection.component(frozenset({name}), within=so_far)
        given = tied.union(*(projection.arrows.pred[other] for other in tied)) & so_far - {name}
        terms.append(Probability(variables=(name,), given=projection.ordered(given)))
    return product(terms)


def _factor(projection: Projection, within: Names, part: Names, term: Term) -> Term:
    r"""Q of one c-component from Q of a set: quotients of its sums over all that comes later."""
    if part == within:
        return term
    order = projection.ordered(within)
    terms: list[Term] = []
    for place, name in enumerate(order):
        if name in part:
            above, below = summed(order[place + 1 :], term), summed(order[place:], term)
            terms.append(
                above if below == Product(terms=()) else Quotient(numerator=above, denominator=below)
            )
    return product(terms)
