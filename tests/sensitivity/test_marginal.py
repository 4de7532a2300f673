import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ebm_causal.data import CausalTable, linear_world, load_dataset
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.intervention import adjust, propensity
from ebm_causal.sensitivity import marginal_sensitivity, no_assumption_bounds


def death():
    return CausalTable(load_dataset("nhefs").frame, "qsmk", "death")


def test_nhefs_bounds_and_tipping_point():
    found = marginal_sensitivity(load_dataset("nhefs"), [1.25, 1.5, 2])
    np.testing.assert_allclose(found.lower, [2.08807754, 1.00596665, -0.69461649], atol=5e-9)
    np.testing.assert_allclose(found.upper, [4.82963473, 5.99532126, 7.89507435], atol=5e-9)
    assert found.tipping_point == pytest.approx(1.77838440, abs=1e-8)


def test_nhefs_death_without_assumptions():
    found = no_assumption_bounds(death(), 0, 1)
    assert found.lower == pytest.approx(-0.32694764, abs=5e-9)
    assert found.upper == pytest.approx(0.67305236, abs=5e-9)
    assert found.estimate == pytest.approx(0.05383741, abs=5e-9)


# Laws


def small(seed=0, rows=14):
    return linear_world(rows, covariates=1, binary_treatment=True, treatment_on_latent=0.3, seed=seed).table()


def test_without_confounding_the_bounds_are_the_weighted_estimate():
    table = load_dataset("nhefs")
    found = marginal_sensitivity(table, [1.0])
    estimate = adjust(table, "weighting").estimate
    assert found.estimate == pytest.approx(estimate, abs=1e-10)
    assert (found.lower[0], found.upper[0]) == pytest.approx((estimate, estimate), abs=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_bounds_are_the_extremes_over_all_corners(seed):
    table, strength = small(seed), 1.8
    chance = propensity(table)
    means = []
    for arm, odds in ((1, chance.complements / chance.values), (0, chance.values / chance.complements)):
        inside = table.treatment_values == arm
        y, r = table.outcome_values[inside], odds[inside]
        corners = np.array(list(itertools.product([1 / strength, strength], repeat=len(y))))
        weights = 1 + corners * r
        values = weights @ y / weights.sum(axis=1)
        means.append((values.min(), values.max()))
    found = marginal_sensitivity(table, [strength])
    assert found.lower[0] == pytest.approx(means[0][0] - means[1][1], abs=1e-10)
    assert found.upper[0] == pytest.approx(means[0][1] - means[1][0], abs=1e-10)


def test_bounds_widen_with_lambda_and_hold_zero_from_the_tipping_point_on():
    table = load_dataset("nhefs")
    tipping = marginal_sensitivity(table, [2.0]).tipping_point
    found = marginal_sensitivity(table, np.linspace(1, 5, 30))
    assert (np.diff(found.lower) < 0).all()
    assert (np.diff(found.upper) > 0).all()
    assert marginal_sensitivity(table, tipping).lower[0] == pytest.approx(0, abs=1e-7)
    turned = CausalTable(
        table.frame.assign(turned=-table.outcome_values),
        "qsmk",
        "turned",
        table.covariates,
        categorical=table.categorical,
        squares=table.squares,
    )
    mirror = marginal_sensitivity(turned, found.lambdas)
    np.testing.assert_allclose(mirror.lower, -found.upper, atol=1e-9)
    assert mirror.tipping_point == pytest.approx(tipping, abs=1e-7)


def test_arms_that_do_not_meet_never_tip():
    frame = pd.DataFrame({"t": [0, 1] * 10, "y": np.tile([0.0, 5.0], 10) + np.arange(20) / 10})
    found = marginal_sensitivity(CausalTable(frame, "t", "y"), [1, 100.0])
    assert found.tipping_point is None
    assert "No Lambda, however large, brings" in found.text
    assert (found.lower > 0).all()


def test_a_null_estimate_tips_at_one():
    frame = pd.DataFrame({"t": [0, 1] * 4, "y": [1.0, 1.0, 2.0, 2.0] * 2})
    assert marginal_sensitivity(CausalTable(frame, "t", "y"), 1.0).tipping_point == 1.0


def test_bounds_without_assumptions_have_the_width_of_the_range_and_hold_the_estimate():
    for seed in range(5):
        table = small(seed, rows=50)
        low, high = table.outcome_values.min() - 1, table.outcome_values.max() + 2
        found = no_assumption_bounds(table, low, high)
        assert found.upper - found.lower == pytest.approx(high - low, rel=1e-12)
        assert found.lower <= found.estimate <= found.upper


def test_results_have_a_summary_and_a_repr():
    found = marginal_sensitivity(load_dataset("nhefs"), [1.25, 2])
    assert found.summary().columns.tolist() == ["lower", "upper"]
    assert found.summary().index.tolist() == [1.25, 2.0]
    assert "1.778" in repr(found)
    bounds = no_assumption_bounds(death(), 0, 1)
    assert bounds.summary()["value"]["lower"] == bounds.lower
    assert "-0.327" in repr(bounds)


def test_a_covariate_that_is_left_out_moves_the_odds_as_two_propensities_differ():
    table = load_dataset("nhefs")
    found = marginal_sensitivity(table, [1.5], benchmarks=["age"])
    kept = [name for name in table.covariates if name != "age"]
    other = CausalTable(
        table.frame, "qsmk", "wt82_71", kept, categorical=table.categorical,
        squares=[name for name in table.squares if name != "age"],
    )  # fmt: skip
    odds = [chance.values / chance.complements for chance in (propensity(table), propensity(other))]
    moved = np.maximum(odds[0] / odds[1], odds[1] / odds[0])
    assert found.benchmarks["age"].usual == pytest.approx(np.quantile(moved, 0.9), rel=1e-9)
    assert found.benchmarks["age"].largest == pytest.approx(moved.max(), rel=1e-9)
    assert "Left out of the propensity, age," in found.text


def test_a_group_of_covariates_is_compared_as_one():
    found = marginal_sensitivity(
        load_dataset("nhefs"), [1.5], benchmarks={"smoking": ["smokeintensity", "smokeyrs"], "sex": ["sex"]}
    )
    assert list(found.benchmarks) == ["smoking", "sex"]
    assert found.benchmarks["smoking"].usual <= found.benchmarks["smoking"].largest


def test_the_interval_tips_before_the_estimate_and_the_text_says_where():
    found = marginal_sensitivity(load_dataset("nhefs"), [1.0], resamples=60)
    assert 1 < found.tipping_point_of_interval < found.tipping_point
    assert f"holds zero from a factor of {found.tipping_point_of_interval:.4g} on" in found.text


def test_an_interval_that_holds_zero_already_says_so():
    table = small(3, rows=60)
    found = marginal_sensitivity(table, [1.0], resamples=40)
    holds = found.interval_lower[0] <= 0 <= found.interval_upper[0]
    assert (found.tipping_point_of_interval == 1.0) == holds
    assert ("holds zero without any hidden confounder" in found.text) == holds


# Refusals


def test_a_benchmark_that_is_no_covariate_is_refused():
    with pytest.raises(ArgumentError, match="Benchmark 'height' is not among the covariates"):
        marginal_sensitivity(load_dataset("nhefs"), [2], benchmarks=["height"])


@pytest.mark.parametrize("wrong", [0.9, -1.0, float("nan"), float("inf")])
def test_a_lambda_below_one_is_refused(wrong):
    with pytest.raises(ArgumentError, match="lambdas must be finite and 1 or more; got"):
        marginal_sensitivity(load_dataset("nhefs"), [1.5, wrong])


def test_a_continuous_treatment_is_refused():
    table = linear_world(50, covariates=1).table()
    with pytest.raises(ArgumentError, match="'treatment' is continuous"):
        marginal_sensitivity(table, [2])
    with pytest.raises(ArgumentError, match="'treatment' is continuous"):
        no_assumption_bounds(table, -10, 10)


def test_propensities_of_zero_or_one_are_refused():
    frame = linear_world(50, binary_treatment=True).frame
    frame["w"] = frame["treatment"] * 2 + np.linspace(0, 1, 50)
    with pytest.raises(TableError, match="'w' separates the treated from the untreated"):
        marginal_sensitivity(CausalTable(frame, "treatment", "outcome", ["w"]), [2])


def test_a_range_that_does_not_hold_the_outcome_is_refused():
    with pytest.raises(ArgumentError, match="low must be below high, both finite; got 1 and 0"):
        no_assumption_bounds(death(), 1, 0)
    with pytest.raises(ArgumentError, match=r"'death' runs from 0 to 1, beyond \[0.5, 1\]"):
        no_assumption_bounds(death(), 0.5, 1)


def test_a_continuous_outcome_needs_its_range():
    with pytest.raises(
        ArgumentError, match="'wt82_71' is continuous: give the low and high that it can take"
    ):
        no_assumption_bounds(load_dataset("nhefs"))
    assert no_assumption_bounds(death()) == no_assumption_bounds(death(), 0, 1)


def test_bounds_are_drawn_one_below_the_other():
    axes = marginal_sensitivity(load_dataset("nhefs"), [1.25, 2]).plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Λ = 1.25", "Λ = 2"]
    plt.close(axes.figure)
