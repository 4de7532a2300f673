import networkx as nx
import numpy as np
import pandas as pd
import pytest
from graph.oracles import random_graph, separated, subsets
from scipy import stats

from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.graph import CausalGraph, check_implications, testable_implications

testable_implications.__test__ = False  # pytest takes the name for a test


def linear_frame(graph, rows, seed):
    """Draws from random linear mechanisms with Gaussian noise, latents left out."""
    draws = np.random.default_rng(seed)
    values = {}
    for name in nx.topological_sort(graph.to_networkx()):
        parents = [draws.uniform(0.5, 1.5) * values[parent] for parent in graph.parents(name)]
        values[name] = sum(parents, draws.standard_normal(rows))
    return pd.DataFrame({name: values[name] for name in graph.observed})


def discrete_frame(rows, seed, direct=0.0):
    draws = np.random.default_rng(seed)
    a = draws.integers(3, size=rows)
    b = (draws.random(rows) < 0.2 + 0.3 * (a == 1)).astype(int)
    c = np.where(draws.random(rows) < 0.3 + 0.3 * b + direct * (a == 2), "yes", "no")
    return pd.DataFrame({"a": a, "b": b, "c": c})


CHAIN = CausalGraph(["a -> b -> c"])


def test_implications_of_random_graphs_are_those_of_a_search_over_all_sets():
    rng = np.random.default_rng(0)
    for _ in range(40):
        graph = random_graph(rng, observed=5, latents=2)
        digraph = graph.to_networkx()
        found = {(claim.first, claim.second): set(claim.given) for claim in testable_implications(graph)}
        for i, a in enumerate(graph.observed):
            for b in graph.observed[i + 1 :]:
                sets = [s for s in subsets(set(graph.observed) - {a, b}) if separated(digraph, a, b, s)]
                assert ((a, b) in found) == bool(sets)
                if sets:
                    assert found[a, b] in sets
                    assert len(found[a, b]) == min(map(len, sets))


def test_independences_read_as_in_the_books():
    claims = testable_implications(CausalGraph(["a -> b -> c", "d -> c"]))
    assert list(map(repr, claims)) == ["a _||_ c | b", "a _||_ d", "b _||_ d"]
    assert testable_implications(CausalGraph(["x -> y", "x <-> y"])) == ()


def test_a_partial_correlation_has_the_p_value_of_its_regression():
    frame = linear_frame(CausalGraph(["b -> a", "b -> c"]), 60, 0)
    left = [frame[name] - np.poly1d(np.polyfit(frame["b"], frame[name], 1))(frame["b"]) for name in "ac"]
    r = np.corrcoef(*left)[0, 1]
    t = r * np.sqrt(57 / (1 - r**2))
    row = check_implications(CHAIN, frame).table.loc["a _||_ c | b"]
    assert (row["test"], row["dof"]) == ("partial correlation", 57)
    assert row["statistic"] == pytest.approx(abs(r), rel=1e-10)
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(t), 57), rel=1e-9)


def test_g_is_that_of_scipy_summed_over_strata():
    frame = discrete_frame(500, 0)
    found = [
        stats.chi2_contingency(pd.crosstab(part["a"], part["c"]), correction=False, lambda_="log-likelihood")
        for _, part in frame.groupby("b")
    ]
    row = check_implications(CHAIN, frame).table.iloc[0]
    assert row["test"] == "G"
    assert row["statistic"] == pytest.approx(sum(one.statistic for one in found), rel=1e-10)
    assert row["dof"] == sum(one.dof for one in found)
    assert row["p_value"] == pytest.approx(stats.chi2.sf(row["statistic"], row["dof"]), rel=1e-9)


def test_p_values_are_uniform_where_the_graph_is_right():
    gaussian = [
        check_implications(CHAIN, linear_frame(CHAIN, 40, seed)).table["p_value"].iloc[0]
        for seed in range(200)
    ]
    discrete = [
        check_implications(CHAIN, discrete_frame(400, seed)).table["p_value"].iloc[0] for seed in range(150)
    ]
    for p in (gaussian, discrete):
        for level in (0.1, 0.5):
            assert abs((np.array(p) < level).mean() - level) < 4 * np.sqrt(level * (1 - level) / len(p))


def test_holm_keeps_the_chance_of_any_rejection():
    graph = CausalGraph(["a -> b", "c -> d"])
    rejected = [
        bool(check_implications(graph, linear_frame(graph, 50, seed)).rejected) for seed in range(150)
    ]
    assert np.mean(rejected) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 150)
    p = check_implications(graph, linear_frame(graph, 50, 0)).table
    order = p.sort_values("p_value")
    assert order["adjusted_p_value"].iloc[0] == pytest.approx(min(1, 4 * order["p_value"].iloc[0]))


def test_a_wrong_graph_is_contradicted_by_name():
    frame = linear_frame(CausalGraph(["a -> b -> c", "a -> c"]), 500, 1)
    found = check_implications(CHAIN, frame)
    assert found.rejected == ("a _||_ c | b",)
    assert repr(found).startswith(
        "ImplicationTests(1 of 1 independences rejected at 0.05 over all (Holm): a _||_"
    )
    assert check_implications(CHAIN, discrete_frame(3000, 1, direct=0.3)).rejected == ("a _||_ c | b",)


def test_levels_among_numbers_are_tested_by_indicators():
    draws = np.random.default_rng(2)
    site = draws.integers(4, size=800)
    b = np.array([0.0, 1.0, 1.0, 0.0])[site] + draws.standard_normal(800)
    frame = pd.DataFrame({"a": np.array(list("pqrs"))[site], "b": b, "c": b + draws.standard_normal(800)})
    row = check_implications(CHAIN, frame).table.iloc[0]
    assert (row["test"], row["dof"]) == ("F", 3)
    wrong = frame.assign(c=frame["c"] + 0.8 * (site == 2))
    assert check_implications(CHAIN, wrong).rejected


def test_nothing_to_test_is_said_and_the_frame_stays_as_it_was():
    frame = linear_frame(CHAIN, 30, 0)
    before = frame.copy()
    found = check_implications(CausalGraph(["a -> b"]), frame)
    assert "no data can contradict it" in found.warnings[0]
    assert len(found.summary()) == 0
    check_implications(CHAIN, frame)
    pd.testing.assert_frame_equal(frame, before)


def test_data_that_do_not_serve_are_refused():
    frame = linear_frame(CHAIN, 30, 0)
    with pytest.raises(
        TableError, match="the column 'c' must stand once in the table: the graph says it is obs"
    ):
        check_implications(CHAIN, frame[["a", "b"]])
    with pytest.raises(TableError, match="the column 'b' has missing values"):
        check_implications(CHAIN, frame.assign(b=np.nan))
    with pytest.raises(TableError, match="the column 'b' is constant"):
        check_implications(CHAIN, frame.assign(b=1.5))
    with pytest.raises(TableError, match="3 rows are too few to test a _||_ c | b: 0 degrees of freedom"):
        check_implications(CHAIN, frame[:3])
    levels = frame.assign(a=list("pqr") * 10, c=list("pqr") * 10)
    with pytest.raises(TableError, match="both have several levels and what is given is continuous"):
        check_implications(CHAIN, levels)
    with pytest.raises(ArgumentError, match="alpha must be between 0 and 1; got 2"):
        check_implications(CHAIN, frame, alpha=2.0)
    with pytest.raises(ArgumentError, match=r"discrete names \['q'\], which are not among"):
        check_implications(CHAIN, frame, discrete=["q"])
