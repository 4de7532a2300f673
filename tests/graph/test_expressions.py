import numpy as np
import pandas as pd
import pytest
from graph.oracles import DiscreteModel, random_graph

from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.graph import CausalGraph, identify
from ebm_causal.graph.expressions import Probability, Product, Quotient, Sum, free, product, summed

NAPKIN = ("w -> r -> x -> y", "w <-> x", "w <-> y")
KNOWN = {
    "back door": (["x <- w -> y", "x -> y"], "Σ_{w} P(y | x, w) P(w)"),
    "nothing to adjust for": (["x -> y"], "P(y | x)"),
    "front door": (["x -> m -> y", "x <-> y"], "Σ_{m} P(m | x) [Σ_{x'} P(y | x', m) P(x')]"),
    "napkin": (NAPKIN, "[Σ_{w} P(w) P(x | w, r) P(y | w, r, x)] / [Σ_{w} P(w) P(x | w, r)]"),
    "no effect": (["y -> x", "x <-> y"], "P(y)"),
}


def equal(edges, latents=()):
    return identify(CausalGraph(edges, latents), "x", "y").expression


def truth(model, treatment, outcome):
    """P(outcome | do(treatment)) by enumeration of the whole model, a row for each treatment."""
    rows = []
    for value in (0, 1):
        joint, order = model.observed(do={treatment: value})
        rows.append(joint.sum(axis=tuple(i for i, name in enumerate(order) if name != outcome)))
    return np.array(rows)


@pytest.mark.parametrize(("edges", "expected"), KNOWN.values(), ids=KNOWN)
def test_expressions_of_known_graphs_read_as_in_the_books(edges, expected):
    assert equal(edges).text == f"P(y | do(x)) = {expected}"


@pytest.mark.parametrize("edges", [edges for edges, _ in KNOWN.values()], ids=KNOWN)
def test_expressions_of_known_graphs_give_the_true_intervention(edges):
    graph = CausalGraph(edges)
    for seed in range(5):
        model = DiscreteModel(graph, np.random.default_rng(seed))
        found = identify(graph, "x", "y").expression.evaluate(*model.observed())
        np.testing.assert_allclose(found, truth(model, "x", "y"), atol=1e-12)


def test_identified_expressions_give_the_true_intervention_on_random_models():
    rng = np.random.default_rng(0)
    kinds = []
    while len(kinds) < 60:
        graph = random_graph(rng, observed=5, latents=int(rng.integers(0, 4)), density=0.5)
        estimand = identify(graph, "v1", "v4")
        if not estimand.identified or kinds.count(estimand.kind) == 20:
            continue
        kinds.append(estimand.kind)
        model = DiscreteModel(graph, rng)
        found = estimand.expression.evaluate(*model.observed())
        np.testing.assert_allclose(found, truth(model, "v1", "v4"), atol=1e-10, err_msg=repr(graph))
    assert set(kinds) == {"backdoor", "frontdoor", "general"}


def test_the_general_algorithm_agrees_with_adjustment_where_both_apply():
    from ebm_causal.graph.estimands import Expression
    from ebm_causal.graph.general import Projection, hedge_of, identified_term

    rng = np.random.default_rng(1)
    for _ in range(40):
        graph = random_graph(rng, observed=5, latents=2, density=0.5)
        view = Projection(graph.to_networkx())
        if hedge_of(view, "v1", "v4") is None:
            term = identified_term(view, "v1", "v4")
            model = DiscreteModel(graph, rng)
            found = Expression(treatment="v1", outcome="v4", term=term).evaluate(*model.observed())
            np.testing.assert_allclose(found, truth(model, "v1", "v4"), atol=1e-10, err_msg=repr(graph))


def test_the_front_door_in_latex():
    latex = equal(["x -> m -> y", "x <-> y"]).latex
    assert latex == r"P(y \mid do(x)) = \sum_{m} P(m \mid x) \Bigl[\sum_{x'} P(y \mid x', m) P(x')\Bigr]"
    named = identify(CausalGraph(["w_1 -> dose", "w_1 -> y", "dose -> y"]), "dose", "y").expression
    assert named.latex == (
        r"P(y \mid do(\mathrm{dose})) = "
        r"\sum_{\mathrm{w\_1}} P(y \mid \mathrm{dose}, \mathrm{w\_1}) P(\mathrm{w\_1})"
    )
    assert named._repr_latex_() == f"${named.latex}$"
    assert repr(equal(["x -> y"])) == "Expression(P(y | do(x)) = P(y | x))"


def test_the_latex_of_the_napkin_is_a_fraction_that_matplotlib_can_draw():
    from matplotlib.mathtext import MathTextParser

    expression = equal(NAPKIN)
    assert expression.latex.count(r"\frac{") == 1
    assert expression.anchors == ("r",)
    MathTextParser("agg").parse("$" + expression.latex.replace(r"\Bigl", "").replace(r"\Bigr", "") + "$")


def test_latex_keeps_the_spaces_of_names():
    latex = identify(CausalGraph(["a b -> y"]), "a b", "y").expression.latex
    assert latex == r"P(y \mid do(\mathrm{a\ b})) = P(y \mid \mathrm{a\ b})"


def test_there_is_no_expression_for_what_is_not_identified():
    assert equal(["x -> y", "x <-> y"]) is None
    assert equal(["z -> x -> y", "x <-> y"]) is None


def test_levels_and_the_order_of_axes_may_be_anything():
    rng = np.random.default_rng(2)
    joint = rng.dirichlet(np.ones(24)).reshape(2, 3, 4)  # y, w, x
    expected = np.einsum("ywx,w->xy", joint / joint.sum(axis=0), joint.sum(axis=(0, 2)))
    found = equal(["x <- w -> y", "x -> y"]).evaluate(joint, ["y", "w", "x"])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_frame_is_estimated_by_its_counts_and_not_changed():
    rng = np.random.default_rng(3)
    w = rng.integers(3, size=4000)
    x = np.where(rng.random(4000) < 0.2 + 0.3 * (w == 2), "drug", "none")
    y = rng.random(4000) < 0.2 + 0.2 * w + 0.1 * (x == "drug")
    frame = pd.DataFrame({"w": w, "x": x, "y": y, "other": np.nan})
    before = frame.copy()
    found = equal(["x <- w -> y", "x -> y"]).estimate(frame)
    strata = (
        frame.groupby(["x", "w"])["y"].mean().unstack() @ frame["w"].value_counts(normalize=True).sort_index()
    )
    assert list(found.index) == ["drug", "none"]
    np.testing.assert_allclose(found[True], strata, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
    pd.testing.assert_frame_equal(frame, before)


def test_what_never_happens_needs_no_effect():
    frame = pd.DataFrame({"w": [0, 0, 0, 0], "x": [0, 0, 1, 1], "y": [0, 1, 1, 1]})
    joint = np.zeros((2, 2, 2))
    joint[0, 0, :], joint[0, 1, 1] = 0.25, 0.5  # w = 1 has probability zero
    found = equal(["x <- w -> y", "x -> y"]).evaluate(joint, ["w", "x", "y"])
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.0, 1.0]])
    np.testing.assert_allclose(equal(["x <- w -> y", "x -> y"]).estimate(frame), found)


def test_sums_take_out_what_sums_to_one():
    a, b = Probability(variables=("a",), given=("b",)), Probability(variables=("b",))
    assert summed(["a"], product([a, b])) == b
    assert summed(["a", "b"], product([a, b])) == Product(terms=())
    assert summed(["b"], product([a, b])) == Sum(over=("b",), term=product([a, b]))
    assert free(Quotient(numerator=a, denominator=b)) == {"a", "b"}


def test_combinations_without_rows_are_named():
    frame = pd.DataFrame({"w": ["a", "a", "b"], "x": [0, 1, 1], "y": [0, 1, 1]})
    with pytest.raises(
        TableError, match=r"P\(y \| x, w\) is not defined where x = 0, w = b: that never occurs"
    ):
        equal(["x <- w -> y", "x -> y"]).estimate(frame)


def test_tables_that_do_not_serve_are_refused():
    expression = equal(["x <- w -> y", "x -> y"])
    frame = pd.DataFrame({"w": [0.0, 1.0], "x": [0, 1], "y": [0, 1]})
    with pytest.raises(TableError, match="the column 'w' must stand once"):
        expression.estimate(frame[["x", "y"]])
    with pytest.raises(TableError, match="the column 'w' has missing values"):
        expression.estimate(frame.assign(w=[0, np.nan]))
    with pytest.raises(TableError, match="the table has no rows"):
        expression.estimate(frame[:0])
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(300, 3)), columns=["w", "x", "y"])
    with pytest.raises(TableError, match="27,000,000, more than .* cut continuous ones into classes"):
        expression.estimate(wide)


def test_joints_that_are_none_are_refused():
    expression = equal(["x <- w -> y", "x -> y"])
    with pytest.raises(ArgumentError, match="the joint has 2 axes, which need as many names"):
        expression.evaluate(np.full((2, 2), 0.25), ["x"])
    with pytest.raises(ArgumentError, match=r"the expression needs \['w'\], for which the joint has no axis"):
        expression.evaluate(np.full((2, 2), 0.25), ["x", "y"])
    with pytest.raises(ArgumentError, match="this one sums to 2"):
        expression.evaluate(np.full((2, 2, 2), 0.25), ["x", "y", "w"])
