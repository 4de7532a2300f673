r"""Front doors: observed mediators that carry all of an effect and are themselves unconfounded.

References:
    Pearl (2009), Causality, definition 3.3.3.
"""

import networkx as nx

from ebm_causal.graph.separation import without_arrows_from


def largest_front_door(digraph: nx.DiGraph, treatment: str, outcome: str, names: set[str]) -> set[str]:
    """The largest subset whose back doors to the outcome are all blocked by the treatment.

    What is confounded when most arrows are cut stays so when fewer are, so it can be dropped for good.
    """
    cut = without_arrows_from(digraph, names)
    kept = {name for name in names if nx.is_d_separator(cut, {name}, {outcome}, {treatment})}
    return kept if kept == names else largest_front_door(digraph, treatment, outcome, kept)


def is_front_door(digraph: nx.DiGraph, treatment: str, outcome: str, names: set[str]) -> bool:
    """Whether variables without a back door from the treatment carry all of the effect, unconfounded."""
    rest = digraph.subgraph(set(digraph) - names)
    if outcome not in nx.descendants(digraph, treatment) or nx.has_path(rest, treatment, outcome):
        return False
    return largest_front_door(digraph, treatment, outcome, names) == names


def thinned(digraph: nx.DiGraph, treatment: str, outcome: str, names: set[str]) -> set[str]:
    """A front door from which no variable can be left out."""
    for name in [name for name in reversed(list(digraph)) if name in names]:
        if is_front_door(digraph, treatment, outcome, names - {name}):
            return thinned(digraph, treatment, outcome, names - {name})
    return names
