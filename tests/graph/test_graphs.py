import networkx as nx
import numpy as np
import pytest
from graph.oracles import random_graph, separated, subsets

from ebm_causal.errors import GraphError
from ebm_causal.graph import CausalGraph


def test_pairs_and_arrows_give_the_same_graph():
    pairs = CausalGraph([("z", "x"), ("z", "y"), ("x", "y")], ["z"])
    arrows = CausalGraph(["x <- z -> y", "x->y"], latents="z")
    assert pairs == arrows
    assert hash(pairs) == hash(arrows)
    assert pairs != CausalGraph(["x <- z -> y", "x -> y"])
    assert pairs != "x -> y"


def test_a_double_arrow_is_a_latent_common_cause():
    graph = CausalGraph(["y <-> x", "x -> y"])
    assert graph.latents == ("U(x, y)",)
    assert graph.observed == ("y", "x")
    assert set(graph.children("U(x, y)")) == {"x", "y"}


def test_relatives_stand_in_the_order_of_the_graph():
    graph = CausalGraph(["c -> d", "b -> d", "a -> b", "d -> e"])
    assert graph.nodes == ("c", "d", "b", "a", "e")
    assert graph.parents("d") == ("c", "b")
    assert graph.children("a") == ("b",)
    assert graph.ancestors("e") == ("c", "d", "b", "a")
    assert graph.descendants("b") == ("d", "e")


def test_separation_agrees_with_its_definition_on_random_graphs():
    rng = np.random.default_rng(0)
    for _ in range(25):
        graph = random_graph(rng, observed=5, latents=2)
        digraph = graph.to_networkx()
        a, b = rng.choice(graph.observed, size=2, replace=False)
        for given in subsets(set(graph.nodes) - {a, b}):
            assert graph.d_separated(str(a), str(b), given) == separated(digraph, a, b, given)


def test_a_collider_connects_what_it_is_given():
    graph = CausalGraph(["a -> c <- b", "c -> d"])
    assert graph.d_separated("a", "b")
    assert not graph.d_separated("a", ["b"], given=["d"])
    assert graph.d_separated(["a", "b"], "d", given="c")


def test_latents_survive_networkx_dot_and_gml():
    graph = CausalGraph(['say "hi" \\ -> <b>é</b>', "x <-> <b>é</b>"], nodes=["alone", "}", "subgraph"])
    assert CausalGraph.from_networkx(graph.to_networkx()) == graph
    assert CausalGraph.from_dot(graph.to_dot()) == graph
    assert CausalGraph.from_gml(graph.to_gml()) == graph


def test_to_networkx_hands_out_a_copy():
    graph = CausalGraph(["x -> y"])
    graph.to_networkx().add_edge("y", "q")
    assert graph.nodes == ("x", "y")


def test_a_networkx_graph_without_marks_has_no_latents():
    assert CausalGraph.from_networkx(nx.DiGraph([("x", "y")])) == CausalGraph(["x -> y"])


def test_dot_as_others_write_it_is_read():
    text = """
    strict digraph "my graph" { // a comment
        rankdir = LR; node [shape=box];
        a -> b -> c [color=red, weight=2]  /* a chain */
        b -> d [dir=both];  # confounded
        "u v" [observed="no"]; "u v" -> a
    }"""
    graph = CausalGraph.from_dot(text)
    assert graph == CausalGraph(["a -> b -> c", "b <-> d", "u v -> a"], latents=["u v"])


def test_gml_of_dowhy_is_read():
    text = 'graph [directed 1 node [id "x" label "x"] node [id "u" label "u" observed "no"] '
    graph = CausalGraph.from_gml(text + 'edge [source "u" target "x"]]')
    assert graph == CausalGraph(["u -> x"], latents=["u"])


def test_the_repr_builds_the_graph_again():
    graph = CausalGraph(["w -> x", "x <-> y"], nodes=["q"])
    again = eval(repr(graph))
    assert again == graph


def test_the_summary_has_a_row_for_each_variable():
    summary = CausalGraph(["z -> x"], latents=["z"]).summary()
    assert summary.loc["z", "latent"]
    assert summary.loc["x", "parents"] == ("z",)


def test_nothing_of_a_graph_can_be_set():
    graph = CausalGraph(["x -> y"])
    with pytest.raises(AttributeError, match="edges"):
        graph.edges = ()


@pytest.mark.parametrize(
    ("edges", "options", "message"),
    [
        ("x -> y", {}, r"edges are a list, such as \['x -> y'\]"),
        (["x y"], {}, "an edge is a pair of names or a string such as \"z -> x\"; got 'x y'"),
        (["x ->"], {}, "got 'x ->'"),
        ([("x", "y", "z")], {}, "an edge is a pair of names"),
        ([("x", 3)], {}, "an edge is a pair of names"),
        ([7], {}, "an edge is a pair of names .* got 7"),
        (["x -> x"], {}, "'x' has an arrow to itself"),
        (["x -> y", "y <- x"], {}, "the edge 'x' -> 'y' is given twice"),
        (["x <-> y", "y <-> x"], {}, "is given twice"),
        (["a -> b -> c -> a"], {}, "the graph has the cycle a -> b -> c -> a"),
        (["x -> y"], {"latents": ["z"]}, r"the latents \['z'\] are not in the graph; its variables are"),
        (["x -> y"], {"nodes": [3]}, "names that are text; got 3"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_graphs_that_are_not_causal_are_refused(edges, options, message):
    with pytest.raises(GraphError, match=message):
        CausalGraph(edges, **options)


def test_questions_about_unknown_variables_are_refused():
    graph = CausalGraph(["x -> y"])
    with pytest.raises(GraphError, match=r"'q' is not in the graph; its variables are \['x', 'y'\]"):
        graph.parents("q")
    with pytest.raises(GraphError, match="'q' is not in the graph"):
        graph.d_separated("x", "y", given="q")
    with pytest.raises(GraphError, match=r"\['x'\] stand in two of the sets"):
        graph.d_separated("x", "y", given="x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "DOT ends before its graph does"),
        ("digraph { a ->", "DOT ends before its graph does"),
        ("graph { a -- b }", "DOT must hold one digraph"),
        ("digraph { a -- b }", "DOT must go on with the name of a node; got '--'"),
        ("digraph { a -> {b c} }", "got '{'. Edges are arrows, and subgraphs are not read"),
        ("digraph { subgraph s { a -> b } }", "subgraphs are not read"),
        ("digraph { a -> b } digraph { c }", "after it comes 'digraph'"),
        ("digraph { a -> <b> }", "this is not DOT that can be read, from '<b> }' on"),
    ],
)
def test_dot_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(GraphError, match=message):
        CausalGraph.from_dot(text)


def test_gml_that_cannot_be_read_is_refused():
    with pytest.raises(GraphError, match="this is not GML"):
        CausalGraph.from_gml("graph {")
    with pytest.raises(GraphError, match="GML must hold a directed graph"):
        CausalGraph.from_gml('graph [node [id 0 label "a"] node [id 1 label "b"] edge [source 0 target 1]]')


@pytest.mark.usefixtures("unchecked")
def test_undirected_networkx_graphs_are_refused():
    with pytest.raises(GraphError, match="a networkx DiGraph; got Graph"):
        CausalGraph.from_networkx(nx.Graph([("x", "y")]))
    with pytest.raises(GraphError, match=r"an edge is a pair of names .* got \(1, 2\)"):
        CausalGraph.from_networkx(nx.DiGraph([(1, 2)]))
