import logging
import subprocess
import sys
import warnings

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from graph.oracles import random_graph

from ebm_causal.errors import ArgumentError, ConvergenceError, GraphError, TableError
from ebm_causal.graph import CausalGraph, check_identification, from_dowhy, identify, refute, to_dowhy
from ebm_causal.graph.checks import two_sided

STRANGE = ("t <b>", 'the "outcome"', "w + C(x) é")


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    w = rng.normal(size=400)
    t = (rng.normal(size=400) + w > 0).astype(bool)
    return pd.DataFrame(dict(zip(STRANGE, (t, 2.0 * t + w + rng.normal(size=400), w), strict=True)))


@pytest.fixture(scope="module")
def refutations(frame):
    return refute(frame, *STRANGE[:2], STRANGE[2:])


def test_dowhy_agrees_on_random_graphs():
    rng = np.random.default_rng(0)
    answers = set()
    for _ in range(60):
        graph = random_graph(rng, observed=6, latents=rng.integers(0, 4))
        check = check_identification(graph, "v2", "v5")
        assert check.agrees, repr(graph)
        answers.add((check.text.split()[0], identify(graph, "v2", "v5").kind == "backdoor"))
    assert {flag for _, flag in answers} == {True, False}


def test_the_check_says_who_was_asked_and_what_is_said():
    found = check_identification(CausalGraph(["x <- w q -> y", "x -> y"]), "x", "y")
    assert (found.by, found.agrees) == ("DoWhy 0.14", True)
    none = check_identification(CausalGraph(["x <- z -> y", "x -> y"], ["z"]), "x", "y")
    assert none.agrees
    assert none.text == "no set of observed variables is enough to adjust for"
    assert check_identification(CausalGraph(["x -> y"]), "x", "y").text == "nothing needs adjustment"
    assert list(none.summary()["agrees"]) == [True]


def test_the_estimate_is_that_of_least_squares(frame, refutations):
    design = np.column_stack([np.ones(400), frame[STRANGE[0]], frame[STRANGE[2]]])
    slope = np.linalg.lstsq(design, frame[STRANGE[1]], rcond=None)[0][1]
    assert [r.estimate for r in refutations] == pytest.approx([slope, slope], rel=1e-10)


def test_a_sound_estimate_passes_both_tests(refutations):
    placebo, common_cause = refutations
    assert placebo.name == "placebo treatment"
    assert placebo.passed
    assert abs(placebo.new_effect) < 4 * 0.12 / np.sqrt(40)
    assert common_cause.name == "random common cause"
    assert common_cause.passed
    assert common_cause.new_effect == pytest.approx(common_cause.estimate, abs=0.02)
    for refutation in refutations:
        assert 0.05 < refutation.p_value <= 1
        assert refutation.null_hypothesis
        assert refutation.cannot_detect.startswith("hidden confounding")
        assert repr(refutation) == f"Refutation({refutation.text})"
        assert list(refutation.summary()["p_value"]) == [refutation.p_value]


def test_a_spurious_effect_passes_too_as_the_refutations_say():
    rng = np.random.default_rng(1)
    hidden = rng.normal(size=300)
    frame = pd.DataFrame(
        {"t": hidden + rng.normal(size=300), "y": hidden + rng.normal(size=300), "z": hidden}
    )
    for refutation in refute(frame, "t", "y", ()):
        assert refutation.estimate > 0.3
        assert refutation.passed


def test_the_same_seed_gives_the_same_numbers_and_another_others(frame, refutations):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    again = refute(frame, *STRANGE[:2], STRANGE[2:])
    other = refute(frame, *STRANGE[:2], STRANGE[2:], seed=1)
    assert again == refutations
    assert other[0].new_effect != refutations[0].new_effect
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_nothing_outside_is_changed_and_nothing_is_printed(frame, capfd):
    before, level = frame.copy(), logging.getLogger("dowhy").level
    filters = list(warnings.filters)
    refute(frame, *STRANGE[:2], STRANGE[2:])
    pd.testing.assert_frame_equal(frame, before)
    assert logging.getLogger("dowhy").level == level
    assert list(warnings.filters) == filters
    assert capfd.readouterr() == ("", "")


def test_progress_counts_every_simulation(frame):
    calls = []
    refute(frame, *STRANGE[:2], (), simulations=39, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i + 1, 78) for i in range(78)]


@pytest.mark.parametrize(
    ("expected", "p_value"),
    [(0.0, 2 / 41), (1.5, 2 * 2 / 41), (20.5, 1.0), (100.0, 2 / 41)],
)
def test_the_p_value_is_two_sided_and_never_zero(expected, p_value):
    assert two_sided(expected, np.arange(1.0, 41.0)) == pytest.approx(p_value)


def test_ties_count_on_both_sides():
    assert two_sided(2.0, np.full(40, 2.0 + 1e-12)) == 1.0


def test_p_values_are_uniform_where_the_null_hypothesis_holds():
    rng = np.random.default_rng(2)
    p = np.array([two_sided(draws[0], draws[1:]) for draws in rng.normal(size=(4000, 40))])
    for level in (0.05, 0.2, 0.5):
        share = np.floor(level * 40 / 2 + 1e-9) * 2 / 40
        assert abs((p <= level).mean() - share) < 4 * np.sqrt(share / 4000)


def test_tables_and_arguments_that_do_not_serve_are_refused(frame):
    with pytest.raises(ArgumentError, match="simulations must be 39 or more, or p never reaches .05; got 10"):
        refute(frame, *STRANGE[:2], (), simulations=10)
    with pytest.raises(TableError, match="the column 'q' must stand once in the table .* found 0"):
        refute(frame, *STRANGE[:2], ("q",))
    with pytest.raises(TableError, match="the column 't <b>' must stand once"):
        refute(frame, *STRANGE[:2], ("t <b>",))
    with pytest.raises(TableError, match="'w' is not numeric: pass its indicators"):
        refute(pd.DataFrame({"t": [0, 1], "y": [1, 2], "w": ["a", "b"]}), "t", "y", ("w",))
    with pytest.raises(TableError, match="'y' has values that are not finite"):
        refute(pd.DataFrame({"t": [0, 1], "y": [1, np.inf]}), "t", "y", ())


def test_an_effect_that_is_not_finite_is_refused():
    frame = pd.DataFrame({"t": [0.0, 1.0, 1.0], "y": [1e308, -1e308, -1e308]})
    with pytest.raises(ConvergenceError, match="DoWhy's linear regression gave the effect"):
        refute(frame, "t", "y", ())


def test_the_graph_layer_does_not_load_dowhy_before_it_is_asked():
    code = "import sys, ebm_causal.graph; sys.exit('dowhy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


EVERY = ("placebo treatment", "random common cause", "data subset", "bootstrap", "dummy outcome")


def test_every_refuter_passes_a_sound_estimate_and_says_what_it_is_blind_to(frame):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    found = refute(frame, *STRANGE[:2], STRANGE[2:], tests=EVERY)
    assert tuple(r.name for r in found) == EVERY
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    for one in found:
        expected = 0.0 if one.name in ("placebo treatment", "dummy outcome") else one.estimate
        assert one.passed
        assert abs(one.new_effect - expected) < 4 * 0.12 / np.sqrt(40)
        assert one.null_hypothesis
        assert "hidden confounding" in one.cannot_detect
    assert refute(frame, *STRANGE[:2], STRANGE[2:], tests=EVERY[3:]) == found[3:]
    assert refute(frame, *STRANGE[:2], STRANGE[2:], tests=EVERY[4:], seed=1) != found[4:]


def test_the_dummy_outcome_keeps_the_covariates_part_so_that_it_needs_adjustment(frame):
    from ebm_causal.graph.dowhy import _made_outcome

    data = frame.set_axis(["t", "y", "w"], axis=1).astype(float)
    made, noise = _made_outcome(data)
    assert np.corrcoef(made, data["w"])[0, 1] > 0.999
    assert noise == pytest.approx(1.0, abs=0.15)


def test_unknown_refuters_are_refused(frame):
    with pytest.raises(ArgumentError, match="tests must be a list of 'placebo treatment', .* got .'magic'"):
        refute(frame, *STRANGE[:2], (), tests=("magic",))


def test_graphs_go_to_dowhy_and_come_back():
    from dowhy import CausalModel, gcm

    graph = CausalGraph(["w -> x", "w -> y", "x -> y", "x <-> y"])
    assert from_dowhy(to_dowhy(graph)) == graph
    data = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)), columns=["w", "x", "y"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CausalModel(data, "x", "y", graph=to_dowhy(graph))
        assert set(from_dowhy(model).edges) == set(graph.edges)
        assert from_dowhy(gcm.StructuralCausalModel(nx.DiGraph([("w", "x")]))) == CausalGraph(["w -> x"])
    with pytest.raises(GraphError, match="a graph of DoWhy is a CausalModel, .* got str"):
        from_dowhy("x -> y")


def test_where_dowhy_answers_otherwise_is_as_documented():
    from dowhy.causal_identifier.auto_identifier import EstimandType, identify_effect_auto
    from dowhy.causal_identifier.id_identifier import identify_effect_id

    def theirs(*edges):
        graph = CausalGraph(edges)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return identify_effect_auto(
                to_dowhy(graph), ["x"], ["y"], list(graph.observed), EstimandType.NONPARAMETRIC_ATE
            )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bow = identify_effect_id(to_dowhy(CausalGraph(["x -> y", "x <-> y"])), ["x"], ["y"])
    assert "P(U(x, y))" in str(bow)
    wide, given = ("x -> m -> y", "m <- c -> y", "x <-> y"), ("z -> x -> y", "z <- c -> y", "x <-> y")
    napkin = ("w -> r -> x -> y", "w <-> x", "w <-> y")
    assert identify(CausalGraph(wide), "x", "y").mediators == ("m", "c")
    assert theirs(*wide).estimands["frontdoor"] is None
    assert identify(CausalGraph(given), "x", "y").instruments == (("z", ("c",)),)
    assert theirs(*given).estimands["iv"] is None
    assert theirs(*napkin).instrumental_variables == ["U(w, x)"]
