import numpy as np
import pytest
from graph.oracles import DiscreteModel, hedge_exists, random_graph

from ebm_causal.graph import CausalGraph, identify
from ebm_causal.graph.general import Projection, factors, is_identified


def projection(*edges):
    return Projection(CausalGraph(edges).to_networkx())


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        pytest.param(["x -> y", "x <-> y"], False, id="bow arc"),
        pytest.param(["z -> x -> y", "x <-> y"], False, id="instrument"),
        pytest.param(["x -> m -> y", "x <-> m"], False, id="confounded with the mediator"),
        pytest.param(["x -> m -> y", "m <-> y"], True, id="mediator and outcome confounded"),
        pytest.param(["x -> m -> y", "x <-> y"], True, id="front door"),
        pytest.param(["w -> r -> x -> y", "w <-> x", "w <-> y"], True, id="napkin"),
        pytest.param(
            ["x -> z1 -> y", "z2 -> x", "z2 -> z1", "z2 -> y", "x <-> y", "x <-> z2"], True, id="Pearl 3.8f"
        ),
        pytest.param(
            ["x -> z -> y", "x <-> y", "z <-> y"], False, id="front door with a confounded mediator"
        ),
    ],
)
def test_known_graphs_are_decided_as_published(edges, expected):
    assert is_identified(projection(*edges), "x", "y") == expected
    kind = identify(CausalGraph(edges), "x", "y").kind
    assert (kind in ("backdoor", "frontdoor", "general")) == expected


def test_the_decision_agrees_with_a_search_for_hedges_on_random_graphs():
    rng = np.random.default_rng(0)
    answers = []
    for _ in range(200):
        graph = random_graph(rng, observed=5, latents=4, density=0.5)
        if "v4" in graph.descendants("v1"):
            answers.append(is_identified(Projection(graph.to_networkx()), "v1", "v4"))
            assert answers[-1] != hedge_exists(graph, "v1", "v4"), repr(graph)
    assert min(answers.count(True), answers.count(False)) > 20


def test_what_is_identified_can_be_computed_from_the_observed_distribution():
    rng = np.random.default_rng(1)
    kinds = []
    for _ in range(200):
        graph = random_graph(rng, observed=5, latents=3, density=0.5)
        kind = identify(graph, "v1", "v4").kind if "v4" in graph.descendants("v1") else None
        if kind in ("frontdoor", "general") and kinds.count(kind) < 8:
            kinds.append(kind)
            model = DiscreteModel(graph, rng)
            truth, order = model.observed(do={"v1": 1})
            others = tuple(i for i, name in enumerate(order) if name != "v4")
            np.testing.assert_allclose(computed_effect(graph, model), truth.sum(axis=others), atol=1e-10)
    assert kinds.count("general") >= 4
    assert kinds.count("frontdoor") >= 2


def computed_effect(graph, model):
    """P(v4 | do(v1 = 1)) by Tian's recursion on arrays with an axis for each observed variable."""
    p, order = model.observed()
    view = Projection(graph.to_networkx())
    relevant = view.ancestors(frozenset({"v4"}), within=frozenset(order))
    q = summed(p, order, set(order) - relevant)
    effect = np.ones(())
    for part in factors(view, "v1", "v4"):
        known = view.component(part, within=relevant)
        effect = effect * follow(view, part, known, factor(q, order, relevant, known), order)
    summed_out = set().union(*factors(view, "v1", "v4")) - {"v4"}
    effect = np.broadcast_to(summed(effect, order, summed_out), [2] * len(order)) if summed_out else effect
    effect = np.broadcast_to(effect, [2] * len(order))
    index = tuple(slice(None) if name == "v4" else int(name == "v1") for name in order)
    return effect[index]


def follow(view, wanted, known, q, order):
    closed = view.ancestors(wanted, within=known)
    q = summed(q, order, known - closed)
    if closed == wanted:
        return q
    inner = view.component(wanted, within=closed)
    return follow(view, wanted, inner, factor(q, order, closed, inner), order)


def factor(q, order, within, part):
    """Q of one c-component from Q of the set that it is a component of."""
    result = np.ones(())
    inside = [name for name in order if name in within]
    for i, name in enumerate(inside):
        if name in part:
            result = result * summed(q, order, inside[i + 1 :]) / summed(q, order, inside[i:])
    return result


def summed(q, order, names):
    return q.sum(axis=tuple(i for i, name in enumerate(order) if name in names), keepdims=True)


def test_latents_with_causes_and_chains_of_latents_are_projected_out():
    graph = CausalGraph(["a -> u -> v -> b", "v -> c", "u -> d"], latents=["u", "v"])
    view = Projection(graph.to_networkx())
    assert set(view.arrows.edges) == {("a", "b"), ("a", "c"), ("a", "d")}
    assert {frozenset(pair) for pair in view.confounded.edges} == {
        frozenset("bc"),
        frozenset("bd"),
        frozenset("cd"),
    }


def test_the_text_of_the_napkin_names_its_factor():
    estimand = identify(CausalGraph(["w -> r -> x -> y", "w <-> x", "w <-> y"]), "x", "y")
    assert estimand.kind == "general"
    assert "though by no adjustment" in estimand.text
    assert "Q['y']" in estimand.text
