import networkx as nx
import numpy as np
import pytest
from graph.oracles import (
    DiscreteModel,
    back_door_sets,
    front_door_exists,
    instruments,
    is_front_door,
    random_graph,
)

from ebm_causal.errors import GraphError, IdentificationError
from ebm_causal.graph import CausalGraph, identify


def sets(*edges, latents=()):
    estimand = identify(CausalGraph(edges, latents), "x", "y")
    return estimand.kind, {frozenset(names) for names in estimand.adjustment_sets}


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        pytest.param(["x -> y"], {()}, id="nothing to adjust for"),
        pytest.param(["x <- w -> y", "x -> y"], {("w",)}, id="one common cause"),
        pytest.param(["x <- a -> b -> y", "x -> y"], {("a",), ("b",)}, id="two sets, each enough"),
        pytest.param(["x <- u -> m <- v -> y", "x -> y"], {()}, id="M-bias: the collider is left alone"),
        pytest.param(
            ["x <- a -> m <- b -> y", "x <- m -> y", "x -> y"], {("a", "m"), ("m", "b")}, id="butterfly"
        ),
        pytest.param(["x -> m -> y", "x <- w -> m"], {("w",)}, id="a mediator is never adjusted for"),
        pytest.param(["x -> y -> q"], {()}, id="nor is an effect of the outcome"),
    ],
)
def test_back_door_sets_of_known_graphs(edges, expected):
    assert sets(*edges) == ("backdoor", {frozenset(names) for names in expected})


def test_latents_are_never_adjusted_for():
    assert sets("x <- z -> y", "x -> y", latents=["z"]) == ("unidentified", set())
    assert sets("x <- z -> w -> y", "x -> y", latents=["z"]) == ("backdoor", {frozenset({"w"})})


def test_the_bow_arc_is_not_identified_and_the_text_names_the_latent():
    estimand = identify(CausalGraph(["x <- z -> y", "x -> y", "w -> y"], ["z"]), "x", "y")
    assert estimand.kind == "unidentified"
    assert not estimand.identified
    assert estimand.text.startswith("not identified, because of 'x' <-> 'y': ")
    assert "a path through {'z'}, which is not observed, connects 'x' and 'y'" in estimand.text
    assert estimand.hedge == (("x", "y"), ("y",))


def test_the_front_door_is_found():
    estimand = identify(CausalGraph(["x -> m -> y", "x <-> y"]), "x", "y")
    assert (estimand.kind, estimand.mediators, estimand.adjustment_sets) == ("frontdoor", ("m",), ())


def test_the_front_door_needs_a_node_that_is_no_mediator():
    graph = CausalGraph(["x -> m -> y", "c -> m", "c -> y", "x <-> y"])
    assert identify(graph, "x", "y").mediators == ("m", "c")


def test_instruments_are_found_alone_and_given_others():
    alone = identify(CausalGraph(["z -> x -> y", "x <-> y"]), "x", "y")
    assert (alone.kind, alone.instruments) == ("iv", (("z", ()),))
    assert not alone.identified
    assert "if the mechanisms are linear" in alone.text
    given = identify(CausalGraph(["z -> x -> y", "z <- c -> y", "x <-> y"]), "x", "y")
    assert given.instruments == (("z", ("c",)),)


def test_no_directed_path_is_a_zero_effect_with_a_warning():
    for edges, kind in ((["y -> x"], "general"), (["x <-> y"], "general"), (["x <- w -> y"], "backdoor")):
        estimand = identify(CausalGraph(edges), "x", "y")
        assert estimand.kind == kind
        assert estimand.warnings == ("no directed path leads from 'x' to 'y': the effect is zero.",)


def test_all_minimal_sets_are_found_on_five_hundred_random_graphs():
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(500):
        graph = random_graph(rng, observed=5, latents=rng.integers(0, 4))
        estimand = identify(graph, "v2", "v4")
        expected = back_door_sets(graph, "v2", "v4")
        assert {frozenset(names) for names in estimand.adjustment_sets} == expected, repr(graph)
        assert (estimand.kind == "backdoor") == bool(expected)
        seen.add(len(expected))
    assert seen >= {0, 1, 2}


def test_front_doors_are_found_where_there_are_any():
    rng = np.random.default_rng(2)
    found = 0
    for _ in range(300):
        graph = random_graph(rng, observed=5, latents=2)
        estimand = identify(graph, "v1", "v4")
        if estimand.kind != "backdoor":
            assert (estimand.kind == "frontdoor") == front_door_exists(graph, "v1", "v4"), repr(graph)
        if estimand.kind == "frontdoor":
            found += 1
            names = frozenset(estimand.mediators)
            assert is_front_door(graph.to_networkx(), "v1", "v4", names)
            assert not any(is_front_door(graph.to_networkx(), "v1", "v4", names - {m}) for m in names)
    assert found > 5


def test_instruments_are_found_where_there_are_any():
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(300):
        graph = random_graph(rng, observed=5, latents=3)
        estimand = identify(graph, "v3", "v4")
        if estimand.kind in ("iv", "unidentified"):
            assert {name for name, _ in estimand.instruments} == instruments(graph, "v3", "v4"), repr(graph)
            found += bool(estimand.instruments)
    assert found > 5


def test_adjusting_for_a_set_gives_the_effect_of_the_intervention():
    rng = np.random.default_rng(4)
    checked = 0
    for _ in range(40):
        graph = random_graph(rng, observed=4, latents=2)
        for names in identify(graph, "v2", "v3").adjustment_sets:
            model = DiscreteModel(graph, rng)
            p, order = model.observed()
            truth = model.observed(do={"v2": 1})[0]
            x, y = order.index("v2"), order.index("v3")
            rest = tuple(i for i, name in enumerate(order) if name not in {"v2", "v3", *names})
            p = p.sum(axis=rest, keepdims=True)
            strata = p.sum(axis=(x, y), keepdims=True)
            given = np.take(p, [1], axis=x) / np.take(p, [1], axis=x).sum(axis=y, keepdims=True)
            others = tuple(i for i in range(len(order)) if i != y)
            np.testing.assert_allclose((given * strata).sum(axis=others), truth.sum(axis=others), atol=1e-12)
            checked += 1
    assert checked > 20


def test_the_sets_of_thirty_variables_are_minimal():
    rng = np.random.default_rng(5)
    graph = random_graph(rng, observed=30, latents=3, density=0.15)
    estimand = identify(graph, "v12", "v29")
    cut = graph.to_networkx()
    cut.remove_edges_from(list(cut.out_edges("v12")))
    assert estimand.kind == "backdoor"
    assert all(nx.is_minimal_d_separator(cut, "v12", "v29", set(s)) for s in estimand.adjustment_sets)


def test_five_hundred_covariates_are_no_obstacle_also_where_nothing_identifies():
    edges = [(f"w{i}", name) for i in range(500) for name in "xy"]
    assert len(identify(CausalGraph([*edges, "x -> y"]), "x", "y").adjustment_sets[0]) == 500
    assert identify(CausalGraph([*edges, "x -> y", "x <-> y"]), "x", "y").kind == "unidentified"


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_causal_graph_is_refused_with_the_way_to_one():
    with pytest.raises(GraphError, match=r"a causal graph is needed; got DiGraph. Make one .*from_networkx"):
        identify(nx.DiGraph([("x", "y")]), "x", "y")
    with pytest.raises(GraphError, match="a causal graph is a networkx DiGraph; got int"):
        CausalGraph.from_networkx(5)
    with pytest.raises(GraphError, match=r"edges are a list, such as .*; got None"):
        CausalGraph(None)
    with pytest.raises(IdentificationError, match="the cost of 'w' must be positive and finite; got 'a'"):
        identify(CausalGraph(["x <- w -> y", "x -> y"]), "x", "y", costs={"w": "a"})
