"""What a graph says that data can contradict: independences among its observed variables."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice

from ebm_causal.graph.graphs import CausalGraph, required_graph
from ebm_causal.graph.separation import minimal_separators

MOST_GIVEN = 100  # sets looked at for one pair, of which the smallest is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Independence:
    """Two observed variables that a graph says are independent given others, of which none can be left out.

    Attributes:
        first: One of the two.
        second: The other.
        given: What they are independent given.
    """

    first: str
    second: str
    given: tuple[str, ...]

    def __repr__(self) -> str:
        return f"{self.first} _||_ {self.second}" + (f" | {', '.join(self.given)}" if self.given else "")


def testable_implications(graph: CausalGraph) -> tuple[Independence, ...]:
    r"""List the independences that a graph implies for what is observed, one for each pair that has one.

    For each pair the smallest minimal set that d-separates it is taken. Without latents all other
    independences of the graph follow from these. With latents a graph can also imply constraints that are no
    independences (Verma and Pearl 1990), which are not listed. Graphs that imply the same list cannot be told
    apart by independences: data can contradict a graph, and never confirm it.

    Args:
        graph: The causal graph.

    Returns:
        The independences, in the order of the graph.

    Raises:
        GraphError: If it is no causal graph.

    Examples:
        >>> import ebm_causal as ec
        >>> from ebm_causal.graph import testable_implications
        >>> testable_implications(ec.CausalGraph(["a -> b -> c", "b -> d"]))
        (a _||_ c | b, a _||_ d | b, c _||_ d | b)

    References:
        Pearl (2009), Causality, section 1.2.3; van der Zander, Liskiewicz and Textor (2014).
    """
    return tuple(_implications(required_graph(graph)))


def _implications(graph: CausalGraph) -> Iterator[Independence]:
    digraph = graph.to_networkx()
    places = {name: place for place, name in enumerate(graph.nodes)}
    for first, second in combinations(graph.observed, 2):
        if digraph.has_edge(first, second) or digraph.has_edge(second, first):
            continue
        allowed = [name for name in graph.observed if name not in (first, second)]
        sets = list(islice(minimal_separators(digraph, first, second, allowed), MOST_GIVEN))
        if sets:
            listed = [sorted(names, key=places.__getitem__) for names in sets]
            given = min(listed, key=lambda names: (len(names), [places[name] for name in names]))
            yield Independence(first=first, second=second, given=tuple(given))
