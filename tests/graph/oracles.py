"""Slow and plain: d-separation path by path, criteria by trying every subset, effects by enumeration."""

from itertools import chain, combinations

import networkx as nx
import numpy as np

from ebm_causal.graph import CausalGraph


def random_graph(rng, observed, latents, density=0.4):
    """A random graph on v0, v1, ... in causal order, with random latent common causes of two of them."""
    names = [f"v{i}" for i in range(observed)]
    edges = [(a, b) for a, b in combinations(names, 2) if rng.random() < density]
    hidden = [f"u{i}" for i in range(latents)]
    for name in hidden:
        pair = rng.choice(observed, size=2, replace=False)
        edges += [(name, names[i]) for i in pair]
    return CausalGraph(edges, hidden, nodes=names)


def subsets(names):
    names = list(names)
    return [frozenset(s) for s in chain.from_iterable(combinations(names, k) for k in range(len(names) + 1))]


def separated(graph, a, b, given):
    """d-separation by its definition: every path is blocked."""
    return all(blocked(graph, path, given) for path in nx.all_simple_paths(graph.to_undirected(), a, b))


def blocked(graph, path, given):
    for left, middle, right in zip(path, path[1:], path[2:], strict=False):
        if graph.has_edge(left, middle) and graph.has_edge(right, middle):
            if not ({middle} | nx.descendants(graph, middle)) & set(given):
                return True
        elif middle in given:
            return True
    return False


def back_door_sets(graph, treatment, outcome):
    """All inclusion-minimal back-door sets, by trying all subsets."""
    digraph = graph.to_networkx()
    cut = cut_from(digraph, {treatment})
    allowed = set(graph.observed) - {treatment, outcome} - set(graph.descendants(treatment))
    valid = [s for s in subsets(sorted(allowed)) if separated(cut, treatment, outcome, s)]
    return {s for s in valid if not any(other < s for other in valid)}


def front_door_exists(graph, treatment, outcome):
    digraph = graph.to_networkx()
    candidates = set(graph.observed) - {treatment, outcome}
    return any(is_front_door(digraph, treatment, outcome, s) for s in subsets(sorted(candidates)) if s)


def is_front_door(digraph, treatment, outcome, names):
    paths = list(nx.all_simple_paths(digraph, treatment, outcome))
    return (
        bool(paths)
        and all(names & set(path) for path in paths)
        and all(separated(cut_from(digraph, {treatment}), treatment, m, ()) for m in names)
        and all(separated(cut_from(digraph, names), m, outcome, {treatment}) for m in names)
    )


def instruments(graph, treatment, outcome):
    """All variables that are an instrument given some set, by trying all sets."""
    digraph = graph.to_networkx()
    cut = cut_from(digraph, {treatment})
    allowed = set(graph.observed) - {treatment, outcome} - set(graph.descendants(treatment))
    return {
        name
        for name in allowed
        for given in subsets(sorted(allowed - {name}))
        if separated(cut, name, outcome, given) and not separated(digraph, name, treatment, given)
    }


def hedge_exists(graph, treatment, outcome):
    """Shpitser and Pearl's hedge, by trying all pairs of sets of observed variables.

    Every latent must be a root with two observed children. F' within F, both connected by latents, F
    with the treatment and F' without it, both leading to one set of roots among the outcome's ancestors.
    """
    digraph = graph.to_networkx()
    arrows = digraph.subgraph(graph.observed)
    confounded = nx.Graph([tuple(digraph.succ[u]) for u in graph.latents])
    confounded.add_nodes_from(graph.observed)
    without_causes = arrows.copy()
    without_causes.remove_edges_from(list(arrows.in_edges(treatment)))
    reachable = nx.ancestors(without_causes, outcome) | {outcome}
    forests = [s for s in subsets(graph.observed) if s and nx.is_connected(confounded.subgraph(s))]
    for inner in forests:
        roots = inner & reachable
        if treatment in inner or not leads_to(arrows, inner, roots):
            continue
        if any(treatment in outer and inner < outer and leads_to(arrows, outer, roots) for outer in forests):
            return True
    return False


def leads_to(arrows, names, roots):
    inside = arrows.subgraph(names)
    return all(name in roots or roots & nx.descendants(inside, name) for name in names)


def cut_from(digraph, names):
    cut = digraph.copy()
    cut.remove_edges_from(list(digraph.out_edges(names)))
    return cut


class DiscreteModel:
    """A random Bayesian network of binary variables: the joint distribution, and any intervention on it."""

    def __init__(self, graph, rng):
        self.graph = graph
        self.order = list(nx.topological_sort(graph.to_networkx()))
        self.tables = {
            name: rng.uniform(0.1, 0.9, size=(2,) * len(graph.parents(name))) for name in graph.nodes
        }

    def joint(self, do=None):
        """P(all), an axis for each variable in ``order``, under an intervention."""
        joint = np.ones((1,) * len(self.order))
        for name in self.order:
            joint = joint * self._chances(name, do or {})
        return joint

    def _chances(self, name, do):
        parents = [] if name in do else list(self.graph.parents(name))
        one = np.asarray(float(do[name])) if name in do else self.tables[name]
        axes = [self.order.index(other) for other in (*parents, name)]
        table = np.stack([1 - one, one], axis=-1).transpose(np.argsort(axes))
        return table.reshape([2 if axis in axes else 1 for axis in range(len(self.order))])

    def observed(self, do=None):
        """The joint of the observed variables, in causal order, and their names."""
        hidden = tuple(i for i, name in enumerate(self.order) if name in self.graph.latents)
        return self.joint(do).sum(axis=hidden), [n for n in self.order if n not in self.graph.latents]
