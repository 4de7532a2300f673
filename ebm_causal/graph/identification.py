"""From a question to an estimand: can the effect be read off the data, and by what, or why not."""

import math
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any

import networkx as nx

from ebm_causal.errors import GraphError, IdentificationError
from ebm_causal.graph.estimands import Estimand, Expression
from ebm_causal.graph.expressions import Probability, Term, product, summed
from ebm_causal.graph.front_doors import is_front_door, largest_front_door, thinned
from ebm_causal.graph.general import Projection, factors, hedge_of, identified_term
from ebm_causal.graph.graphs import CausalGraph, required_graph
from ebm_causal.graph.separation import (
    cheapest_separator,
    minimal_separators,
    path_outside,
    without_arrows_from,
)

MOST_SETS = 1000
"""So many adjustment sets are listed at most; a graph can have exponentially many."""

Names = tuple[str, ...]


def identify(
    graph: CausalGraph, treatment: str, outcome: str, *, costs: Mapping[str, float] | None = None
) -> Estimand:
    r"""Say how the effect of a treatment on an outcome follows from what is observed.

    Back door: a set W of observed variables, none an effect of the treatment, that blocks every path
    into it, so that

    .. math:: P(y \mid do(x)) = \sum_w P(y \mid x, w) P(w).

    Front door: observed mediators that carry the whole effect and are themselves unconfounded. General:
    the ID algorithm, which is complete. Instrument: only where mechanisms are linear or monotone.
    Where one of the first three holds, ``expression`` is what the effect equals. The answer is as true as
    the graph, which the data cannot confirm.

    Args:
        graph: The causal graph.
        treatment: The cause, observed.
        outcome: The effect, observed.
        costs: What it costs to measure a variable, positive; others cost 1. The adjustment set of least
            cost is ``cheapest_set``.

    Returns:
        The estimand, of kind "unidentified" where none of these holds.

    Raises:
        GraphError: If a name is not in the graph.
        IdentificationError: If treatment and outcome are the same, or one of them is latent, or a cost is
            that of a latent or not positive.

    Examples:
        >>> import ebm_causal as ec
        >>> ec.identify(ec.CausalGraph(["w -> x", "w -> y", "x -> y"]), "x", "y").text
        "identified by the back door: adjust for {'w'}"
        >>> ec.identify(ec.CausalGraph(["x -> y", "x <-> y"]), "x", "y").kind
        'unidentified'

    References:
        Pearl (2009), Causality, sections 3.3 to 3.5; Shpitser and Pearl (2006); Brito and Pearl (2002).
    """
    _check_question(graph, treatment, outcome)
    _check_costs(graph, costs or {})
    ways = (_by_front_door, _by_general, _by_instrument)
    answers = (way(graph, treatment, outcome) for way in ways)
    found = _by_back_door(graph, treatment, outcome, costs or {}) or next(
        (answer for answer in answers if answer is not None), None
    )
    found = found or _by_nothing(graph, treatment, outcome)
    zero = f"no directed path leads from {treatment!r} to {outcome!r}: the effect is zero."
    warnings = [] if outcome in graph.descendants(treatment) else [zero]
    if len(found.get("adjustment_sets", ())) == MOST_SETS:
        warnings.append(f"there may be more adjustment sets: only the first {MOST_SETS} found are listed.")
    term = found.pop("term", None)
    equal = None if term is None else Expression(treatment=treatment, outcome=outcome, term=term)
    return Estimand(treatment=treatment, outcome=outcome, expression=equal, warnings=tuple(warnings), **found)


def is_back_door_set(graph: CausalGraph, treatment: str, outcome: str, adjustment: Iterable[str]) -> bool:
    """Whether adjusting for some variables gives the effect, by the back-door criterion.

    Args:
        graph: The causal graph.
        treatment: The cause, observed.
        outcome: The effect, observed.
        adjustment: The variables to adjust for, observed.

    Returns:
        True if none of them is an effect of the treatment and they block every path into it.

    Raises:
        GraphError: If a name is not in the graph.
        IdentificationError: If one of them is latent, or is the treatment or the outcome.

    Examples:
        >>> import ebm_causal as ec
        >>> from ebm_causal.graph import is_back_door_set
        >>> m_bias = ec.CausalGraph(["x <- a -> m <- b -> y", "x -> y"], ["a", "b"])
        >>> is_back_door_set(m_bias, "x", "y", ()), is_back_door_set(m_bias, "x", "y", ["m"])
        (True, False)
    """
    _check_question(graph, treatment, outcome)
    if not isinstance(adjustment, Iterable) or isinstance(adjustment, str):
        raise GraphError(f"an adjustment set is a list of names; got {adjustment!r}.")
    names = tuple(adjustment)
    for name in names:
        if graph.require(name) in graph.latents:
            raise IdentificationError(
                f"{name!r} is latent: it is not in the data, and cannot be adjusted for."
            )
        if name in (treatment, outcome):
            raise IdentificationError(f"{name!r} is the treatment or the outcome, and is not adjusted for.")
    cut = without_arrows_from(graph.to_networkx(), [treatment])
    effects = set(graph.descendants(treatment))
    return not effects & set(names) and bool(nx.is_d_separator(cut, treatment, outcome, set(names)))


def _check_costs(graph: CausalGraph, costs: Mapping[str, float]) -> None:
    from ebm_causal.shapes import as_number  # with torch, which a graph without costs does without

    if not isinstance(costs, Mapping):
        raise IdentificationError(f"costs are given by name, as {{'w': 2.0}}; got {costs!r}.")
    for name, cost in costs.items():
        if graph.require(name) in graph.latents:
            raise IdentificationError(f"{name!r} is latent: no cost buys it. If it can be measured, say so.")
        if not 0 < (as_number(cost) or 0.0) < math.inf:
            raise IdentificationError(f"the cost of {name!r} must be positive and finite; got {cost!r}.")


def _check_question(graph: object, treatment: str, outcome: str) -> None:
    graph = required_graph(graph)
    for role, name in (("treatment", treatment), ("outcome", outcome)):
        if graph.require(name) in graph.latents:
            raise IdentificationError(
                f"the {role} {name!r} is latent; a question is about observed variables."
            )
    if treatment == outcome:
        raise IdentificationError(f"treatment and outcome are both {name!r}; they must be two variables.")


def _by_back_door(
    graph: CausalGraph, treatment: str, outcome: str, costs: Mapping[str, float]
) -> dict[str, Any] | None:
    cut = without_arrows_from(graph.to_networkx(), [treatment])
    allowed = _adjustable(graph, treatment, outcome)
    found = islice(minimal_separators(cut, treatment, outcome, allowed), MOST_SETS)
    sets = sorted(
        (_in_order(graph, names) for names in found), key=lambda names: (len(names), _places(graph, names))
    )
    if not sets:
        return None
    what = (
        "nothing needs adjustment"
        if sets == [()]
        else f"adjust for {' or for '.join(map(_braces, sets[:3]))}"
    )
    more = f", or {len(sets) - 3} other sets" if len(sets) > 3 else ""
    cheapest = sets[0]
    if costs:
        cheapest = _in_order(graph, cheapest_separator(cut, treatment, outcome, allowed, costs))
    return {
        "kind": "backdoor",
        "adjustment_sets": tuple(sets),
        "cheapest_set": cheapest,
        "term": _adjusted(treatment, outcome, cheapest),
        "text": f"identified by the back door: {what}{more}",
    }


def _adjusted(treatment: str, outcome: str, names: Names) -> Term:
    within = Probability(variables=(outcome,), given=(treatment, *names))
    return summed(names, product([within, Probability(variables=names)])) if names else within


def _by_front_door(graph: CausalGraph, treatment: str, outcome: str) -> dict[str, Any] | None:
    digraph = graph.to_networkx()
    cut = without_arrows_from(digraph, [treatment])
    others = set(graph.observed) - {treatment, outcome}
    unconfounded = {name for name in others if nx.is_d_separator(cut, {treatment}, {name}, set())}
    mediators = largest_front_door(digraph, treatment, outcome, unconfounded)
    if not is_front_door(digraph, treatment, outcome, mediators):
        return None
    mediators = thinned(digraph, treatment, outcome, mediators)
    names = _in_order(graph, mediators)
    second = Probability(variables=(outcome,), given=(treatment, *names))
    return {
        "kind": "frontdoor",
        "mediators": names,
        "term": summed(
            names,
            product(
                [
                    Probability(variables=names, given=(treatment,)),
                    summed([treatment], product([second, Probability(variables=(treatment,))])),
                ]
            ),
        ),
        "text": f"identified by the front door through {_braces(names)}",
    }


def _by_general(graph: CausalGraph, treatment: str, outcome: str) -> dict[str, Any] | None:
    projection = Projection(graph.to_networkx())
    if hedge_of(projection, treatment, outcome) is not None:
        return None
    term = identified_term(projection, treatment, outcome)
    if outcome not in graph.descendants(treatment):
        return {
            "kind": "general",
            "term": term,
            "text": f"identified: {treatment!r} does not move {outcome!r}",
        }
    parts = sorted((_in_order(graph, part) for part in factors(projection, treatment, outcome)), key=str)
    return {
        "kind": "general",
        "term": term,
        "text": "identified by the ID algorithm, though by no adjustment: a sum over the product of "
        + ", ".join(f"Q[{', '.join(map(repr, part))}]" for part in parts)
        + ", each of which follows from the observed distribution",
    }


def _by_instrument(graph: CausalGraph, treatment: str, outcome: str) -> dict[str, Any] | None:
    digraph = graph.to_networkx()
    cut = without_arrows_from(digraph, [treatment])
    allowed = _adjustable(graph, treatment, outcome)
    found = []
    for name in (name for name in allowed if not cut.has_edge(name, outcome)):
        others = set(allowed) - {name}
        if nx.find_minimal_d_separator(cut, name, outcome, restricted=others) is None:
            continue
        for given in islice(minimal_separators(cut, name, outcome, others), MOST_SETS):
            if not nx.is_d_separator(digraph, {name}, {treatment}, set(given)):
                found.append((name, _in_order(graph, given)))
                break
    if not found:
        return None
    shown = ", ".join(repr(name) + (f" given {_braces(given)}" if given else "") for name, given in found)
    why, hedge = _why_not(graph, treatment, outcome)
    return {
        "kind": "iv",
        "instruments": tuple(found),
        "hedge": hedge,
        "text": f"not identified without more, because of {why}: with the instrument {shown}, it is if "
        "the mechanisms are linear, or, for those who follow the instrument, if they are monotone",
    }


def _by_nothing(graph: CausalGraph, treatment: str, outcome: str) -> dict[str, Any]:
    cut = without_arrows_from(graph.to_networkx(), [treatment])
    through = path_outside(cut, treatment, outcome, _adjustable(graph, treatment, outcome))
    hidden = _in_order(graph, set(through) & set(graph.latents))
    why, hedge = _why_not(graph, treatment, outcome)
    return {
        "kind": "unidentified",
        "hedge": hedge,
        "text": f"not identified, because of {why}: a path through {_braces(hidden)}, which is not observed, connects "
        f"{treatment!r} and {outcome!r}; no adjustment, no other function of the observed distribution "
        "and no instrument gives the effect",
    }


def _why_not(graph: CausalGraph, treatment: str, outcome: str) -> tuple[str, tuple[Names, Names] | None]:
    """The hidden ties across a hedge, in words, and the hedge."""
    projection = Projection(graph.to_networkx())
    hedge = hedge_of(projection, treatment, outcome)
    outer, inner = (frozenset(), frozenset()) if hedge is None else hedge
    ties = [
        f"{a!r} <-> {b!r}"
        for a in _in_order(graph, outer - inner)
        for b in _in_order(graph, inner)
        if projection.confounded.has_edge(a, b)
    ]
    more = f" and {len(ties) - 3} more" if len(ties) > 3 else ""
    return ", ".join(ties[:3]) + more, hedge and (_in_order(graph, outer), _in_order(graph, inner))


def _adjustable(graph: CausalGraph, treatment: str, outcome: str) -> Names:
    barred = {treatment, outcome, *graph.descendants(treatment), *graph.latents}
    return tuple(name for name in graph.nodes if name not in barred)


def _in_order(graph: CausalGraph, names: Collection[str]) -> Names:
    return tuple(name for name in graph.nodes if name in names)


def _places(graph: CausalGraph, names: Iterable[str]) -> tuple[int, ...]:
    return tuple(graph.nodes.index(name) for name in names)


def _braces(names: Names) -> str:
    return "{" + ", ".join(map(repr, names)) + "}"
