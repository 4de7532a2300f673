"""The causal graph: named variables, arrows from causes to effects, some variables latent."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import networkx as nx
import pandas as pd

from ebm_causal.errors import GraphError
from ebm_causal.graph.dot import read_dot, write_dot
from ebm_causal.graph.general import Projection
from ebm_causal.graph.notation import Edge, hidden_cause, read_edges, read_gml, write_gml


@dataclass(frozen=True, init=False, repr=False, eq=False)
class CausalGraph:
    """A directed acyclic graph of causes; latent variables are part of it, but never of the data.

    The graph is an assumption. Arrows that are missing are its strong claims: no arrow from a to b
    says that a does not move b except through others.

    Attributes:
        nodes: All variables, in the order of their first appearance.
        edges: The pairs (cause, effect).
        latents: The variables that are not observed.

    Examples:
        >>> import ebm_causal as ec
        >>> graph = ec.CausalGraph(["w -> x", "w -> y", "x -> y", "x <-> y"])
        >>> graph.latents, graph.parents("y")
        (('U(x, y)',), ('w', 'x', 'U(x, y)'))
        >>> graph.d_separated("w", "U(x, y)"), graph.d_separated("w", "U(x, y)", given="x")
        (True, False)

    References:
        Pearl (2009), Causality, chapter 1.
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    latents: tuple[str, ...]

    def __init__(
        self,
        edges: Iterable[str | Iterable[str]],
        latents: Iterable[str] = (),
        *,
        nodes: Iterable[str] = (),
    ) -> None:
        """Build and check the graph.

        Args:
            edges: Pairs (cause, effect), or strings: ``"z -> x"``, ``"x <- z -> y"``; ``"x <-> y"``
                stands for a latent common cause, named ``"U(x, y)"``.
            latents: Names of variables that are not observed.
            nodes: Further variables, for those without an arrow.

        Raises:
            GraphError: On a cycle, a self loop, an edge given twice, a latent that is in no edge.
        """
        pairs, hidden = read_edges(edges)
        names = tuple(dict.fromkeys([*_names(nodes), *(name for pair in pairs for name in pair)]))
        latents = tuple(dict.fromkeys([*_names(latents), *hidden]))
        _check(pairs, names, latents)
        object.__setattr__(self, "nodes", names)
        object.__setattr__(self, "edges", tuple(pairs))
        object.__setattr__(self, "latents", latents)

    @cached_property
    def _digraph(self) -> nx.DiGraph:
        graph: nx.DiGraph = nx.DiGraph()
        graph.add_nodes_from((name, {"latent": name in self.latents}) for name in self.nodes)
        graph.add_edges_from(self.edges)
        return graph

    @property
    def observed(self) -> tuple[str, ...]:
        """The variables that are not latent."""
        return tuple(name for name in self.nodes if name not in self.latents)

    def parents(self, node: str) -> tuple[str, ...]:
        """The direct causes of a variable."""
        return self._ordered(self._digraph.pred[self.require(node)])

    def children(self, node: str) -> tuple[str, ...]:
        """The direct effects of a variable."""
        return self._ordered(self._digraph.succ[self.require(node)])

    def ancestors(self, node: str) -> tuple[str, ...]:
        """All causes of a variable, direct or not, without itself."""
        return self._ordered(nx.ancestors(self._digraph, self.require(node)))

    def descendants(self, node: str) -> tuple[str, ...]:
        """All effects of a variable, direct or not, without itself."""
        return self._ordered(nx.descendants(self._digraph, self.require(node)))

    def markov_blanket(self, node: str) -> tuple[str, ...]:
        """The parents, the children and the children's other parents: given these, nothing else matters."""
        near = {*self.parents(node), *self.children(node)}
        near |= {parent for child in self.children(node) for parent in self.parents(child)}
        return self._ordered(near - {node})

    def latent_projection(self) -> "CausalGraph":
        """The graph of the observed variables alone, with the same separations among them.

        An arrow stands for every path through latents alone, and a latent ``U(a, b)`` of two children for
        every pair that latents tie together. The effects of observed variables on each other stay the same.

        References:
            Verma (1993), Graphical aspects of causal models; Tian and Pearl (2002).
        """
        view = Projection(self._digraph)
        pairs = [sorted(pair) for pair in view.confounded.edges]
        hidden = [(hidden_cause(a, b), child) for a, b in pairs for child in (a, b)]
        latents = [hidden_cause(a, b) for a, b in pairs]
        return CausalGraph([*view.arrows.edges, *hidden], latents, nodes=self.observed)

    def moral(self) -> nx.Graph:
        """The undirected graph of the factors: two variables are joined where one mechanism holds both.

        The density is a product over its cliques, and variables that a set cuts from each other in it are
        independent given the set.

        References:
            Lauritzen and Spiegelhalter (1988), Local computations with probabilities on graphical structures.
        """
        return nx.moral_graph(self._digraph)

    def d_separated(
        self, a: str | Iterable[str], b: str | Iterable[str], given: str | Iterable[str] = ()
    ) -> bool:
        """Whether every path between two sets of variables is blocked by a third.

        A path is blocked by a variable of ``given`` on it where arrows do not collide, and by a
        collision of arrows that has neither itself nor a descendant in ``given``. Then a and b are
        independent given the third in every distribution of the graph.

        Args:
            a: One variable or several.
            b: One variable or several.
            given: What is conditioned on.

        Returns:
            True if all paths are blocked.

        Raises:
            GraphError: If a name is not in the graph, or stands in two of the sets.

        References:
            Pearl (2009), Causality, definition 1.2.3.
        """
        sets = [{self.require(name) for name in _names(group)} for group in (a, b, given)]
        twice = (sets[0] & sets[1]) | (sets[0] & sets[2]) | (sets[1] & sets[2])
        if twice:
            raise GraphError(f"{sorted(twice)} stand in two of the sets a, b and given; put each in one.")
        return bool(nx.is_d_separator(self._digraph, *sets))

    def require(self, node: str) -> str:
        """Hand back a name that is in the graph, or say that it is not.

        Raises:
            GraphError: If the name is not in the graph.
        """
        if node not in self._digraph:
            raise GraphError(f"{node!r} is not in the graph; its variables are {list(self.nodes)}.")
        return node

    def to_networkx(self) -> nx.DiGraph:
        """A copy as a networkx graph, with the node attribute ``latent``."""
        return self._digraph.copy()

    @classmethod
    def from_networkx(cls, graph: nx.DiGraph) -> "CausalGraph":
        """Read a networkx graph, such as ``energy.graph``; nodes whose attribute ``latent`` is true are latent.

        Raises:
            GraphError: If the graph is undirected, has parallel edges, or a name that is not text.
        """
        if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
            raise GraphError(f"a causal graph is a networkx DiGraph; got {type(graph).__name__}.")
        latents = [name for name, latent in graph.nodes(data="latent") if latent]
        return cls(list(graph.edges), latents, nodes=list(graph.nodes))

    def to_dot(self) -> str:
        """The graph in DOT, latents dashed."""
        return write_dot(self._digraph)

    @classmethod
    def from_dot(cls, text: str) -> "CausalGraph":
        """Read DOT: ``latent=true`` or ``observed=no`` marks a latent, ``dir=both`` a latent common cause."""
        return cls.from_networkx(read_dot(text))

    def to_gml(self) -> str:
        """The graph in GML, with the node attribute ``latent``."""
        return write_gml(self._digraph)

    @classmethod
    def from_gml(cls, text: str) -> "CausalGraph":
        """Read GML: ``latent 1`` or ``observed "no"`` marks a latent."""
        return cls.from_networkx(read_gml(text))

    def summary(self) -> pd.DataFrame:
        """One row per variable: whether it is latent, its parents and its children."""
        rows = [(name in self.latents, self.parents(name), self.children(name)) for name in self.nodes]
        return pd.DataFrame(
            rows, index=pd.Index(self.nodes, name="variable"), columns=["latent", "parents", "children"]
        )

    def plot(self, ax: Any = None, *, treatment: str | None = None, outcome: str | None = None) -> Any:
        """Draw the graph, causes above effects, latents and their arrows dashed.

        Args:
            ax: Matplotlib axes, or None for new ones.
            treatment: The variable to draw as the cause in question.
            outcome: The variable to draw as the outcome.

        Returns:
            The axes.
        """
        from ebm_causal.figures import layered_picture

        special: dict[str | None, str] = {treatment: "treatment", outcome: "outcome"}
        special |= dict.fromkeys(self.latents, "latent")
        nodes = [(name, special.get(name, "covariate")) for name in self.nodes]
        return layered_picture(nodes, list(self.edges), ax=ax)

    def _ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        wanted = set(names)
        return tuple(name for name in self.nodes if name in wanted)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CausalGraph):
            return NotImplemented
        return self._content() == other._content()

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple[frozenset, frozenset, frozenset]:
        return frozenset(self.nodes), frozenset(self.edges), frozenset(self.latents)

    def __repr__(self) -> str:
        alone = [name for name in self.nodes if not self._digraph.degree(name)]
        parts = [str([f"{cause} -> {effect}" for cause, effect in self.edges])]
        parts += [f"latents={list(self.latents)}"] if self.latents else []
        parts += [f"nodes={alone}"] if alone else []
        return f"CausalGraph({', '.join(parts)})"


def required_graph(graph: object) -> CausalGraph:
    """What must be a causal graph.

    Raises:
        GraphError: If it is none.
    """
    if isinstance(graph, CausalGraph):
        return graph
    kind = type(graph).__name__
    raise GraphError(f"a causal graph is needed; got {kind}. Make one by CausalGraph.from_networkx(...).")


def _names(group: str | Iterable[str]) -> tuple[str, ...]:
    if not isinstance(group, Iterable):
        raise GraphError(f"the variables of a causal graph are given by name; got {group!r}.")
    names = (group,) if isinstance(group, str) else tuple(group)
    for name in names:
        if not isinstance(name, str) or not name:
            raise GraphError(f"the variables of a causal graph have names that are text; got {name!r}.")
    return names


def _check(pairs: list[Edge], names: tuple[str, ...], latents: tuple[str, ...]) -> None:
    loops = [cause for cause, effect in pairs if cause == effect]
    if loops:
        raise GraphError(f"{loops[0]!r} has an arrow to itself; a causal graph has no self loops.")
    twice = [pair for pair in dict.fromkeys(pairs) if pairs.count(pair) > 1]
    if twice:
        raise GraphError(f"the edge {twice[0][0]!r} -> {twice[0][1]!r} is given twice; give it once.")
    absent = [name for name in latents if name not in names]
    if absent:
        raise GraphError(f"the latents {absent} are not in the graph; its variables are {list(names)}.")
    try:
        cycle = nx.find_cycle(nx.DiGraph(pairs))
    except nx.NetworkXNoCycle:
        return
    path = " -> ".join([*(cause for cause, _ in cycle), cycle[0][0]])
    raise GraphError(f"the graph has the cycle {path}; causes come before effects, so remove one arrow.")
