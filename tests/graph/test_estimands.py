from itertools import combinations

import numpy as np
import pytest
from graph.oracles import back_door_sets, hedge_exists, leads_to, random_graph, separated, subsets

from ebm_causal.errors import GraphError, IdentificationError
from ebm_causal.graph import CausalGraph, identify, is_back_door_set
from ebm_causal.graph.identification import MOST_SETS


def test_too_many_sets_are_cut_with_a_warning():
    edges = [e for i in range(11) for e in (f"x <- a{i} -> b{i} -> y",)]
    estimand = identify(CausalGraph([*edges, "x -> y"]), "x", "y")
    assert len(estimand.adjustment_sets) == MOST_SETS
    assert "only the first 1000" in estimand.warnings[0]
    assert "or 997 other sets" in estimand.text


def test_the_order_of_the_sets_is_by_size_and_then_by_the_graph():
    graph = CausalGraph(["x <- a -> b -> y", "a -> c -> y", "x -> y"])
    assert identify(graph, "x", "y").adjustment_sets == (("a",), ("b", "c"))
    assert identify(graph, "x", "y").text.endswith("adjust for {'a'} or for {'b', 'c'}")


def test_the_summary_has_a_row_for_each_way():
    graph = CausalGraph(["x <- a -> b -> y", "x -> y"])
    assert list(identify(graph, "x", "y").summary()["variables"]) == [("a",), ("b",)]
    graph = CausalGraph(["z -> x -> y", "z <- c -> y", "x <-> y"])
    assert list(identify(graph, "x", "y").summary()["given"]) == [("c",)]
    assert repr(identify(CausalGraph(["x -> y", "x <-> y"]), "x", "y")).startswith("Estimand(unidentified: ")
    assert list(identify(CausalGraph(["x -> m -> y", "x <-> y"]), "x", "y").summary()["kind"]) == [
        "frontdoor"
    ]


def test_questions_that_are_none_are_refused():
    graph = CausalGraph(["x -> y", "x <-> y"])
    with pytest.raises(IdentificationError, match="treatment and outcome are both 'x'"):
        identify(graph, "x", "x")
    with pytest.raises(IdentificationError, match=r"the treatment 'U\(x, y\)' is latent"):
        identify(graph, "U(x, y)", "y")
    with pytest.raises(IdentificationError, match=r"the outcome 'U\(x, y\)' is latent"):
        identify(graph, "x", "U(x, y)")
    with pytest.raises(GraphError, match="'q' is not in the graph"):
        identify(graph, "x", "q")


def test_the_cheapest_set_is_that_of_a_search_over_all_sets():
    rng = np.random.default_rng(6)
    other = 0
    for _ in range(100):
        graph = random_graph(rng, observed=6, latents=2)
        costs = {name: float(rng.uniform(0.2, 5)) for name in graph.observed}
        estimand = identify(graph, "v3", "v5", costs=costs)
        valid = back_door_sets(graph, "v3", "v5")
        if not valid:
            assert estimand.cheapest_set is None
            continue
        least = min(valid, key=lambda names: sum(costs[name] for name in names))
        assert frozenset(estimand.cheapest_set) == least
        other += estimand.cheapest_set != estimand.adjustment_sets[0]
    assert other > 5


def test_without_costs_the_cheapest_set_is_a_smallest_one_and_the_expression_adjusts_for_it():
    graph = CausalGraph(["x <- a -> b -> y", "a -> c -> y", "x -> y"])
    assert identify(graph, "x", "y").cheapest_set == ("a",)
    dear = identify(graph, "x", "y", costs={"a": 5.0})
    assert dear.cheapest_set == ("b", "c")
    assert dear.adjustment_sets == identify(graph, "x", "y").adjustment_sets
    assert dear.expression.text == "P(y | do(x)) = Σ_{b, c} P(y | x, b, c) P(b, c)"


def test_hedges_meet_their_definition_on_random_graphs():
    rng = np.random.default_rng(7)
    found = 0
    for _ in range(80):
        graph = random_graph(rng, observed=5, latents=4, density=0.5)
        estimand = identify(graph, "v1", "v4")
        if "v4" not in graph.descendants("v1"):
            continue
        assert (estimand.hedge is not None) == hedge_exists(graph, "v1", "v4")
        if estimand.hedge is None:
            continue
        found += 1
        outer, inner = map(frozenset, estimand.hedge)
        assert "v1" in outer - inner
        assert inner < outer
        arrows = graph.to_networkx().subgraph(graph.observed)
        assert leads_to(arrows, outer, inner)
        tied = {frozenset(graph.children(u)) for u in graph.latents}
        assert any(
            frozenset({a, b}) in tied and f"{a!r} <-> {b!r}" in estimand.text for a in outer for b in inner
        )
    assert found > 10


def test_the_hedge_of_a_confounded_front_door_names_both_ties():
    estimand = identify(CausalGraph(["x -> z -> y", "x <-> y", "z <-> y"]), "x", "y")
    assert estimand.hedge == (("x", "z", "y"), ("z", "y"))
    assert estimand.text.startswith("not identified, because of 'x' <-> 'y': ")
    alone = identify(CausalGraph(["z -> x -> y", "x <-> y"]), "x", "y")
    assert alone.text.startswith("not identified without more, because of 'x' <-> 'y': with the instrument")


def test_verdicts_on_every_set_equal_paths_one_by_one():
    rng = np.random.default_rng(8)
    for _ in range(20):
        graph = random_graph(rng, observed=5, latents=2)
        for treatment, outcome in combinations(("v1", "v3", "v4"), 2):
            cut = graph.to_networkx()
            cut.remove_edges_from(list(cut.out_edges(treatment)))
            effects = set(graph.descendants(treatment))
            for names in subsets(set(graph.observed) - {treatment, outcome}):
                expected = not effects & names and separated(cut, treatment, outcome, names)
                assert is_back_door_set(graph, treatment, outcome, names) == expected


def test_adjusting_for_the_collider_of_an_m_is_wrong():
    graph = CausalGraph(["x <- a -> m <- b -> y", "x -> y"], ["a", "b"])
    assert identify(graph, "x", "y").adjustment_sets == ((),)
    assert is_back_door_set(graph, "x", "y", ())
    assert not is_back_door_set(graph, "x", "y", ["m"])


def test_latents_and_roles_are_not_adjusted_for():
    graph = CausalGraph(["x <- z -> y", "x -> y", "w -> y"], ["z"])
    with pytest.raises(IdentificationError, match="'z' is latent: it is not in the data, and cannot be adj"):
        is_back_door_set(graph, "x", "y", ["z"])
    with pytest.raises(IdentificationError, match="'y' is the treatment or the outcome"):
        is_back_door_set(graph, "x", "y", ["y"])
    with pytest.raises(GraphError, match="'q' is not in the graph"):
        is_back_door_set(graph, "x", "y", ["q"])
    with pytest.raises(IdentificationError, match="'z' is latent: no cost buys it"):
        identify(graph, "x", "y", costs={"z": 1.0})
    for cost in (0.0, float("inf"), float("nan")):
        with pytest.raises(IdentificationError, match="the cost of 'w' must be positive and finite"):
            identify(graph, "x", "y", costs={"w": cost})
