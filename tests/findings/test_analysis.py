"""The whole walk on real tables: published numbers, honest verdicts, the same JSON twice."""

import json

import numpy as np
import pandas as pd
import pytest

import ebm_causal as ec
from ebm_causal.data import linear_world, village_world
from ebm_causal.errors import ArgumentError, IdentificationError, TableError
from ebm_causal.findings.doubts import refutations_section

KEYS = (
    *("question", "identification", "effects", "seeing_and_doing", "sensitivity"),
    *("variance", "fisher", "diagnostics", "verdict", "reproduce"),
)


@pytest.fixture(scope="module")
def nsw():
    return ec.analyze(ec.load_dataset("lalonde-nsw"), strengths=4)


@pytest.fixture(scope="module")
def cps():
    return ec.analyze(ec.load_dataset("lalonde-cps"), strengths=4)


def by_method(findings):
    return {row["method"]: row for row in findings.effects}


def test_nsw_regression_and_robustness_are_the_published_ones(nsw):
    assert by_method(nsw)["naive"]["estimate"] == pytest.approx(1794.3424, abs=5e-5)
    assert by_method(nsw)["regression"]["estimate"] == pytest.approx(1676.3426, abs=5e-5)
    assert nsw.sensitivity["robustness_value"] == pytest.approx(0.11817476, abs=5e-9)


def test_cps_numbers_are_the_published_ones(cps):
    naive, found = by_method(cps)["naive"], by_method(cps)["regression"]
    assert (naive["estimate"], naive["standard_error"]) == pytest.approx((-8497.5161, 712.0207), abs=5e-5)
    assert (found["estimate"], found["standard_error"]) == pytest.approx((699.1318, 547.6361), abs=5e-5)
    assert cps.sensitivity["robustness_value"] == pytest.approx(0.00999015, abs=5e-9)
    assert cps.sensitivity["robustness_value_alpha"] == 0.0
    assert by_method(cps)["experiment"]["estimate"] == pytest.approx(1794.3424, abs=5e-5)


def test_cps_is_called_fragile_and_the_lead_says_what_is_not_identified(cps):
    assert cps.verdict["answer"] == "fragile"
    assert "do not identify" in cps.verdict["lead"]
    assert cps.identification["with_latent"]["kind"] == "unidentified"


def test_means_and_covariances_leave_both_strengths_open(cps):
    found = cps.fisher
    assert found["size"] - found["rank"] == 2
    moved = [row["direction"] for row in found["unidentified"]]
    assert all(any("strength of z" in name for name in direction) for direction in moved)
    assert all(abs(direction["treat on re78"]) > 0.1 for direction in moved)


def test_a_latent_without_strength_gives_the_regression(nsw):
    latent = by_method(nsw)["latent_do"]
    assert latent["lower"] < by_method(nsw)["regression"]["estimate"] < latent["upper"]
    shift = next(c for c in nsw.diagnostics["checks"] if "without a confounder" in c["name"])
    assert shift["value"] < 1e-3


def test_doing_has_the_slope_of_the_fitted_energy(nsw):
    contrast = nsw.seeing_and_doing["contrast"]
    seen = by_method(nsw)["naive"]["estimate"]
    assert contrast["seen"]["mean"] == pytest.approx(seen, abs=4 * contrast["seen"]["standard_error"])
    delta = next(q["value"] for q in nsw.sensitivity["implied"]["quantities"] if q["name"] == "delta")
    assert contrast["done"]["mean"] == pytest.approx(delta, rel=1e-6)


def test_variance_shares_sum_to_one(nsw):
    assert sum(row["variance_share"] for row in nsw.variance["inputs"]) == pytest.approx(1, abs=1e-9)


def test_sections_and_benchmarks_are_complete(nsw):
    assert tuple(nsw.mapping()) == KEYS
    assert {row["benchmark"] for row in nsw.sensitivity["benchmarks"]} == set(nsw.question["covariates"])
    bayesian = nsw.sensitivity["bayesian"]
    assert bayesian["lower"] < bayesian["mean"] < bayesian["upper"]
    assert bayesian["mean"] == pytest.approx(by_method(nsw)["latent_do"]["estimate"], rel=0.05)
    assert 0 <= bayesian["probability_of_sign_change"] < 0.1
    curve = nsw.seeing_and_doing["capacity"]
    assert len(curve["gap"]["mean"]) == len(curve["weights"]) == len(curve["cost"])
    marginal = nsw.sensitivity["marginal"]
    assert 1 <= marginal["tipping_point_of_interval"] < marginal["tipping_point"]
    assert set(marginal["benchmarks"]) == set(nsw.question["covariates"])
    assert len(nsw.sensitivity["refutations"]) == 2


def test_the_same_seed_gives_the_same_json_but_for_reproduce(nsw):
    again = json.loads(ec.analyze(ec.load_dataset("lalonde-nsw"), strengths=4).to_json())
    first = json.loads(nsw.to_json())
    assert {k: v for k, v in first.items() if k != "reproduce"} == {
        k: v for k, v in again.items() if k != "reproduce"
    }


def test_a_strong_world_with_little_confounding_is_robust():
    world = linear_world(600, treatment_on_latent=0.0, effect=1.0, covariates=2, seed=1)
    findings = ec.analyze(world.table(), strengths=8)
    assert findings.question["treatment_kind"] == "continuous"
    assert {"weighting", "doubly_robust"}.isdisjoint(by_method(findings))
    assert findings.verdict["answer"] == "robust"
    assert any("weighting is left out" in warning for warning in findings.diagnostics["warnings"])


def test_heavy_tails_on_both_sides_get_a_student_t():
    generator = np.random.default_rng(5)
    t = generator.normal(size=500)
    frame = pd.DataFrame({"t": t, "y": 0.5 * t + generator.standard_t(2.5, size=500)})
    findings = ec.analyze(ec.CausalTable(frame, "t", "y"), strengths=4)
    assert any("Student-t" in warning for warning in findings.diagnostics["warnings"])
    latent = by_method(findings)["latent_do"]
    assert latent["standard_error"] < 0.1
    assert latent["estimate"] == pytest.approx(0.5, abs=4 * latent["standard_error"])


def test_a_binary_outcome_and_no_covariates_are_served():
    generator = np.random.default_rng(6)
    t = generator.integers(0, 2, size=400)
    frame = pd.DataFrame({"t": t, "y": (generator.uniform(size=400) < 0.3 + 0.3 * t).astype(int)})
    findings = ec.analyze(ec.CausalTable(frame, "t", "y"), strengths=4)
    assert findings.sensitivity["benchmarks"] == []
    assert findings.sensitivity["implied"]["quantities"] == []
    assert "log-odds index for y" in findings.sensitivity["implied"]["text"]
    naive, latent = (by_method(findings)[name] for name in ("naive", "latent_do"))
    assert latent["standard_error"] >= naive["standard_error"] * 0.9
    assert latent["estimate"] == pytest.approx(naive["estimate"], abs=latent["standard_error"])


def test_a_graph_in_which_the_covariate_is_an_effect_is_not_identified():
    table = linear_world(200, covariates=1, seed=2).table()
    covariate = table.covariates[0]
    graph = ec.CausalGraph([("treatment", "outcome"), ("treatment", covariate)])
    findings = ec.analyze(table, graph=graph, strengths=4)
    assert findings.verdict["answer"] == "not identified"


def test_a_table_too_wide_for_the_refuters_says_so():
    table = linear_world(300, covariates=201, seed=0).table()
    found, notes = refutations_section(table, seed=0, progress=lambda share, what: None)
    assert found == []
    assert notes == ("The refutation tests are left out: 201 covariate columns take them minutes.",)


def test_hundreds_of_villages_with_one_arm_alone_leave_the_regression():
    findings = ec.analyze(village_world(seed=0).table(), strengths=4)
    assert list(by_method(findings)) == ["naive", "regression", "latent_do"]
    assert findings.sensitivity["marginal"] is None
    assert findings.sensitivity["dof"] == 783
    assert any("village 0" in warning for warning in findings.diagnostics["warnings"])
    assert "weighting is left out" in findings.to_markdown()


def test_names_that_are_html_are_text_in_every_page():
    world = linear_world(60, seed=3)
    frame = world.frame.rename(columns={"treatment": "<b>dose</b>", "outcome": "größe \"x\" & 'y'"})
    findings = ec.analyze(ec.CausalTable(frame, *frame.columns[:2]), strengths=4)
    assert "<b>dose" not in findings.to_html()
    assert "&lt;b&gt;dose" in findings.to_html()


def test_a_benchmark_that_turns_the_sign_is_fragile():
    generator = np.random.default_rng(0)
    w, a, b = generator.normal(size=(3, 2000))
    t = 0.75 * w + a
    frame = pd.DataFrame({"t": t, "y": 0.6 * t + 0.42 * w + b, "w": w})
    findings = ec.analyze(ec.CausalTable(frame, "t", "y", ["w"]), strength=(0.01, 0.01), strengths=4)
    once = next(row for row in findings.sensitivity["benchmarks"] if row["multiple"] == 1)
    assert once["upper"] < 0 < findings.sensitivity["estimate"]
    assert findings.verdict["answer"] == "fragile"


def test_without_covariates_nothing_is_robust():
    generator = np.random.default_rng(1)
    w, a, b = generator.normal(size=(3, 800))
    t = (w + a > 0).astype(int)
    findings = ec.analyze(
        ec.CausalTable(pd.DataFrame({"t": t, "y": 1.5 * w + 0.5 * b}), "t", "y"), strengths=4
    )
    assert findings.verdict["answer"] == "fragile"
    assert "no covariate to say" in findings.verdict["text"]


def test_a_covariate_too_strong_to_bound_gives_the_strongest_prior():
    generator = np.random.default_rng(2)
    w, a, b = generator.normal(size=(3, 500))
    t = 1.2 * w + a
    frame = pd.DataFrame({"t": t, "y": t + 6 * w + b, "w": w})
    findings = ec.analyze(ec.CausalTable(frame, "t", "y", ["w"]), strengths=4)
    prior = findings.sensitivity["implied"]["prior"]
    assert prior["treatment"].endswith("mean 0.5")
    assert prior["outcome"].endswith("mean 0.5")


def test_a_graph_without_an_effect_gives_no_verdict_on_one():
    table = linear_world(200, covariates=1, seed=2).table()
    covariate = table.covariates[0]
    graph = ec.CausalGraph([(covariate, "treatment"), (covariate, "outcome")])
    findings = ec.analyze(table, graph=graph, strengths=4)
    assert findings.verdict["answer"] is None
    assert "the effect is zero whatever the data say" in findings.verdict["text"]


def test_a_student_t_that_would_move_the_mean_is_not_taken():
    findings = ec.analyze(ec.load_dataset("nhefs"), strengths=2)
    assert any("would move the effect by 1.4 standard errors" in w for w in findings.diagnostics["warnings"])
    assert by_method(findings)["regression"]["estimate"] == pytest.approx(3.4626218292, abs=5e-10)


@pytest.mark.slow
def test_mcmc_agrees_with_the_quadratic_fit(nsw):
    findings = ec.analyze(ec.load_dataset("lalonde-nsw"), method="mcmc", strengths=4)
    assert findings.diagnostics["ok"]
    a, b = (by_method(found)["latent_do"]["estimate"] for found in (nsw, findings))
    assert a == pytest.approx(b, abs=0.2 * by_method(nsw)["latent_do"]["standard_error"])


@pytest.mark.slow
def test_a_latent_of_two_dimensions_bridges_the_signs():
    findings = ec.analyze(ec.load_dataset("lalonde-nsw"), latent_dim=2, strengths=4)
    assert findings.diagnostics["ok"]


def test_ten_rows_are_refused_with_the_columns():
    table = linear_world(10, seed=0).table()
    with pytest.raises(TableError, match="10 rows of 'treatment' and 'outcome' are too few"):
        ec.analyze(table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "vi"}, "method must be"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"strength": (0.0, 0.1)}, "partial R"),
    ],
)
def test_options_are_checked(options, message, unchecked):
    table = linear_world(100, seed=0).table()
    with pytest.raises(ArgumentError, match=message):
        ec.analyze(table, **options)


def test_a_frame_instead_of_a_table_is_refused(unchecked):
    with pytest.raises(ArgumentError, match="takes a CausalTable"):
        ec.analyze(linear_world(50).frame)


def test_a_graph_of_other_columns_is_refused():
    with pytest.raises(IdentificationError, match="'treatment' has a role in the table"):
        ec.analyze(linear_world(50).table(), graph=ec.CausalGraph([("a", "b")]))
