"""From a question to an estimand: can the effect be read off the data, and by what, or why not."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import networkx as nx
import pandas as pd

from ebm_causal.errors import IdentificationError
from ebm_causal.graph.general import Projection, factors, is_identified
from ebm_causal.graph.graphs import CausalGraph
from ebm_causal.graph.separation import minimal_separators, path_outside, without_arrows_from

MOST_SETS = 1000
"""So many adjustment sets are listed at most; a graph can have exponentially many."""

Kind = Literal["backdoor", "frontdoor", "general", "iv", "unidentified"]
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimand:
    """Whether and how an effect follows from observed data, given the graph.

    Attributes:
        kind: The first that holds of "backdoor", "frontdoor", "general", "iv", "unidentified".
        treatment: The cause in question.
        outcome: The effect in question.
        adjustment_sets: All minimal sets that meet the back-door criterion, the smallest first.
        mediators: For the front door, a set of variables from which none can be left out.
        instruments: For "iv", each instrument with what it must be conditioned on.
        text: The answer in words.
        warnings: What to mind, for example that the effect is zero.
    """

    kind: Kind
    treatment: str
    outcome: str
    adjustment_sets: tuple[Names, ...] = ()
    mediators: Names = ()
    instruments: tuple[tuple[str, Names], ...] = ()
    text: str
    warnings: tuple[str, ...] = ()

    @property
    def identified(self) -> bool:
        """Whether the effect follows without assumptions on the form of the mechanisms."""
        return self.kind not in ("iv", "unidentified")

    def summary(self) -> pd.DataFrame:
        """One row per way to the effect: its kind, its variables, and what they are given."""
        rows: list[tuple[Names, Names]] = [(self.mediators, ())]
        if self.kind == "backdoor":
            rows = [(names, ()) for names in self.adjustment_sets]
        elif self.kind == "iv":
            rows = [((name,), given) for name, given in self.instruments]
        table = pd.DataFrame(rows, columns=["variables", "given"])
        table.insert(0, "kind", self.kind)
        return table

    def __repr__(self) -> str:
        return f"Estimand({self.kind}: {self.text})"


def identify(graph: CausalGraph, treatment: str, outcome: str) -> Estimand:
    r"""Say how the effect of a treatment on an outcome follows from what is observed.

    Back door: a set W of observed variables, none an effect of the treatment, that blocks every path
    into it, so that

    .. math:: P(y \mid do(x)) = \sum_w P(y \mid x, w) P(w).

    Front door: observed mediators that carry the whole effect and are themselves unconfounded. General:
    the ID algorithm, which is complete. Instrument: only where mechanisms are linear or monotone.
    The answer is as true as the graph, which the data cannot confirm.

    Args:
        graph: The causal graph.
        treatment: The cause, observed.
        outcome: The effect, observed.

    Returns:
        The estimand, of kind "unidentified" where none of these holds.

    Raises:
        GraphError: If a name is not in the graph.
        IdentificationError: If treatment and outcome are the same, or one of them is latent.

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
    ways = (_by_back_door, _by_front_door, _by_general, _by_instrument, _by_nothing)
    answers = (way(graph, treatment, outcome) for way in ways)
    found = next(answer for answer in answers if answer is not None)
    warnings: list[str] = []
    if outcome not in graph.descendants(treatment):
        warnings.append(f"no directed path leads from {treatment!r} to {outcome!r}: the effect is zero.")
    if len(found.get("adjustment_sets", ())) == MOST_SETS:
        warnings.append(f"there may be more adjustment sets: only the first {MOST_SETS} found are listed.")
    return Estimand(treatment=treatment, outcome=outcome, warnings=tuple(warnings), **found)


def _check_question(graph: CausalGraph, treatment: str, outcome: str) -> None:
    for role, name in (("treatment", treatment), ("outcome", outcome)):
        if graph.require(name) in graph.latents:
            raise IdentificationError(
                f"the {role} {name!r} is latent; a question is about observed variables."
            )
    if treatment == outcome:
        raise IdentificationError(
            f"treatment and outcome are both {treatment!r}; they must be two variables."
        )


def _by_back_door(graph: CausalGraph, treatment: str, outcome: str) -> dict[str, Any] | None:
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
    return {
        "kind": "backdoor",
        "adjustment_sets": tuple(sets),
        "text": f"identified by the back door: {what}{more}",
    }


def _by_front_door(graph: CausalGraph, treatment: str, outcome: str) -> dict[str, Any] | None:
    digraph = graph.to_networkx()
    cut = without_arrows_from(digraph, [treatment])
    others = set(graph.observed) - {treatment, outcome}
    unconfounded = {name for name in others if nx.is_d_separator(cut, {treatment}, {name}, set())}
    mediators = _largest_front_door(digraph, treatment, outcome, unconfounded)
    if not _is_front_door(digraph, treatment, outcome, mediators):
        return None
    mediators = _thinned(digraph, treatment, outcome, mediators)
    names = _in_order(graph, mediators)
    return {
        "kind": "frontdoor",
        "mediators": names,
        "text": f"identified by the front door through {_braces(names)}",
    }


def _largest_front_door(digraph: nx.DiGraph, treatment: str, outcome: str, names: set[str]) -> set[str]:
    """The largest subset whose back doors to the outcome are all blocked by the treatment.

    What is confounded when most arrows are cut stays so when fewer are, so it can be dropped for good.
    """
    cut = without_arrows_from(digraph, names)
    kept = {name for name in names if nx.is_d_separator(cut, {name}, {outcome}, {treatment})}
    return kept if kept == names else _largest_front_door(digraph, treatment, outcome, kept)


def _is_front_door(digraph: nx.DiGraph, treatment: str, outcome: str, names: set[str]) -> bool:
    """Whether variables without a back door from the treatment carry all of the effect, unconfounded."""
    rest = digraph.subgraph(set(digraph) - names)
    if outcome not in nx.descendants(digraph, treatment) or nx.has_path(rest, treatment, outcome):
        return False
    return _largest_front_door(digraph, treatment, outcome, names) == names


def _thinned(digraph: nx.DiGraph, treatment: str, outcome: str, names: set[str]) -> set[str]:
    """A front door from which no variable can be left out."""
    for name in [name for name in reversed(list(digraph)) if name in names]:
        if _is_front_door(digraph, treatment, outcome, names - {name}):
            return _thinned(digraph, treatment, outcome, names - {name})
    return names


def _by_general(graph: CausalGraph, treatment: str, outcome: str) -> dict[str, Any] | None:
    projection = Projection(graph.to_networkx())
    if not is_identified(projection, treatment, outcome):
        return None
    if outcome not in graph.descendants(treatment):
        return {"kind": "general", "text": f"identified: {treatment!r} does not move {outcome!r}"}
    parts = sorted((_in_order(graph, part) for part in factors(projection, treatment, outcome)), key=str)
    return {
        "kind": "general",
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
    return {
        "kind": "iv",
        "instruments": tuple(found),
        "text": f"not identified without more: with the instrument {shown}, it is if the mechanisms are "
        "linear, or, for those who follow the instrument, if they are monotone",
    }


def _by_nothing(graph: CausalGraph, treatment: str, outcome: str) -> dict[str, Any]:
    cut = without_arrows_from(graph.to_networkx(), [treatment])
    through = path_outside(cut, treatment, outcome, _adjustable(graph, treatment, outcome))
    hidden = _in_order(graph, set(through) & set(graph.latents))
    return {
        "kind": "unidentified",
        "text": f"not identified: a path through {_braces(hidden)}, which is not observed, connects "
        f"{treatment!r} and {outcome!r}; no adjustment, no other function of the observed distribution "
        "and no instrument gives the effect",
    }


def _adjustable(graph: CausalGraph, treatment: str, outcome: str) -> Names:
    barred = {treatment, outcome, *graph.descendants(treatment), *graph.latents}
    return tuple(name for name in graph.nodes if name not in barred)


def _in_order(graph: CausalGraph, names: Collection[str]) -> Names:
    return tuple(name for name in graph.nodes if name in names)


def _places(graph: CausalGraph, names: Iterable[str]) -> tuple[int, ...]:
    return tuple(graph.nodes.index(name) for name in names)


def _braces(names: Names) -> str:
    return "{" + ", ".join(map(repr, names)) + "}"
