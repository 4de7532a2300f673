import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest
from graph.oracles import random_graph, subsets

import ebm_causal as ec
from ebm_causal.errors import GraphError
from ebm_causal.figures.layers import layered_places
from ebm_causal.graph import CausalGraph, identify


def hidden_world():
    return (
        ec.Mechanism("x", ("z", "w"), lambda z, w: z + w, ec.SquaredError(1.0))
        + ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.SquaredError(1.0))
        + ec.GaussianRegularizer(1)
    )


def test_the_graph_of_an_energy_is_a_causal_graph():
    graph = CausalGraph.from_networkx(hidden_world().graph)
    assert graph == CausalGraph(["w -> x", "z -> x", "x -> y", "z -> y"], ["z"])
    assert identify(graph, "x", "y").kind == "iv"


def test_the_moral_graph_joins_what_one_factor_holds():
    energy = hidden_world()
    moral = CausalGraph.from_networkx(energy.graph).moral()
    held = [set(factor.variables) for factor in energy.factors.values()]
    for a, b in [(a, b) for a in moral for b in moral if a < b]:
        assert moral.has_edge(a, b) == any({a, b} <= names for names in held)


def test_a_markov_blanket_separates_from_all_else():
    graph = CausalGraph(["a -> b -> c", "d -> c", "c -> e", "a -> f"])
    assert graph.markov_blanket("b") == ("a", "c", "d")
    rng = np.random.default_rng(0)
    for _ in range(20):
        graph = random_graph(rng, observed=6, latents=2)
        blanket = set(graph.markov_blanket("v2"))
        rest = set(graph.nodes) - blanket - {"v2"}
        assert not rest or graph.d_separated("v2", rest, blanket)
        assert not any(graph.d_separated("v2", name, blanket - {name}) for name in blanket)


def test_a_latent_projection_keeps_separations_and_answers():
    rng = np.random.default_rng(1)
    for _ in range(15):
        graph = random_graph(rng, observed=7, latents=2)
        hidden = ["v1", "v3", *graph.latents]
        graph = CausalGraph(graph.edges, hidden, nodes=graph.nodes)
        projected = graph.latent_projection()
        assert projected.observed == graph.observed
        assert all(
            len(projected.children(name)) == 2 and not projected.parents(name) for name in projected.latents
        )
        a, b, *others = graph.observed
        for given in subsets(others):
            assert projected.d_separated(a, b, given) == graph.d_separated(a, b, given)
        assert identify(projected, "v2", "v6").kind == identify(graph, "v2", "v6").kind


def test_a_chain_of_latents_is_projected_to_arrows_and_ties():
    graph = CausalGraph(["a -> u -> v -> b", "v -> c"], latents=["u", "v"])
    assert graph.latent_projection() == CausalGraph(["a -> b", "a -> c", "b <-> c"])
    assert CausalGraph(["a -> b"]).latent_projection() == CausalGraph(["a -> b"])


def test_unknown_names_have_no_blanket():
    with pytest.raises(GraphError, match="'q' is not in the graph"):
        CausalGraph(["x -> y"]).markov_blanket("q")


def test_every_arrow_of_a_picture_points_down_and_no_node_covers_another():
    rng = np.random.default_rng(2)
    for _ in range(20):
        graph = random_graph(rng, observed=9, latents=2)
        places = layered_places(graph.nodes, graph.edges)
        assert all(places[cause][1] > places[effect][1] for cause, effect in graph.edges)
        assert len(set(places.values())) == len(graph.nodes)


def test_latents_and_their_arrows_are_dashed():
    axes = CausalGraph(["x -> m -> y", "x <-> y"]).plot(treatment="x", outcome="y")
    names = {text.get_text(): text.get_bbox_patch().get_linestyle() for text in axes.texts if text.get_text()}
    dashed = {name for name, style in names.items() if style not in ("-", "solid")}
    assert dashed == {"U(x, y)"}
    arrows = [text.arrow_patch.get_linestyle() for text in axes.texts if not text.get_text()]
    assert sum(style not in ("-", "solid") for style in arrows) == 2
    plt.close(axes.figure)


def test_a_graph_goes_through_networkx_unchanged():
    graph = CausalGraph(["x <-> y"], nodes=["alone"])
    before = nx.to_dict_of_dicts(graph.to_networkx())
    identify(graph, "x", "y")
    graph.latent_projection()
    assert nx.to_dict_of_dicts(graph.to_networkx()) == before
