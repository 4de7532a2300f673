"""The marginal sensitivity model on the treated, with balanced weights, and with chance in its interval."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, norm

import ebm_causal as ec
from ebm_causal.data import linear_world
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.intervention import propensity
from ebm_causal.sensitivity.resampling import resampled_arms
from ebm_causal.sensitivity.weighted_arms import arms_of, lower_bounds, upper_bounds


def small(seed=0, rows=14):
    return linear_world(rows, covariates=1, binary_treatment=True, treatment_on_latent=0.3, seed=seed).table()


# On the treated


@pytest.mark.parametrize("seed", range(3))
def test_bounds_on_the_treated_are_the_extremes_over_all_corners(seed):
    table, strength = small(seed), 1.8
    chance, untreated = propensity(table), table.treatment_values == 0
    y, odds = table.outcome_values[untreated], (chance.values / chance.complements)[untreated]
    corners = np.array(list(itertools.product([1 / strength, strength], repeat=len(y))))
    means = (corners * odds) @ y / (corners @ odds)
    treated = table.outcome_values[~untreated].mean()
    found = ec.marginal_sensitivity(table, [strength], target="att")
    assert found.lower[0] == pytest.approx(treated - means.max(), abs=1e-10)
    assert found.upper[0] == pytest.approx(treated - means.min(), abs=1e-10)
    assert found.estimate == pytest.approx(treated - odds @ y / odds.sum(), abs=1e-10)


# Balanced weights


@pytest.mark.parametrize("target", ["ate", "att"])
def test_balanced_bounds_lie_within_the_others_and_widen(target):
    table = ec.load_dataset("nhefs")
    lambdas = np.array([1.0, 1.3, 1.8])
    plain = ec.marginal_sensitivity(table, lambdas, target=target)
    sharp = ec.marginal_sensitivity(table, lambdas, target=target, sharp=True)
    assert (sharp.lower[0], sharp.upper[0]) == pytest.approx((plain.estimate, plain.estimate), abs=1e-7)
    assert (sharp.lower[1:] > plain.lower[1:]).all()
    assert (sharp.upper[1:] < plain.upper[1:]).all()
    assert (np.diff(sharp.lower) < 0).all()
    assert sharp.tipping_point > plain.tipping_point
    at = ec.marginal_sensitivity(table, sharp.tipping_point, target=target, sharp=True)
    assert at.lower[0] == pytest.approx(0.0, abs=1e-6)


def test_without_covariates_the_balanced_weights_are_those_of_a_quantile():
    draws, factor = np.random.default_rng(0), 2.0
    y, treated = draws.normal(size=60), np.arange(60) < 30
    arms = arms_of(y, treated, np.zeros(60), "ate", np.ones((60, 1)))
    for arm, side in zip(arms, (treated, ~treated), strict=True):
        ordered = np.sort(y[side])[::-1]
        # Shares add up: m Lambda + (1 - m) / Lambda = 1 at m = 1 / (1 + Lambda), which is 10 of 30 rows.
        weights = np.where(np.arange(30) < 10, factor, 1 / factor)
        wanted = (ordered.sum() + weights @ ordered) / 60
        assert arm.highest(np.array([factor]))[0] == pytest.approx(wanted, abs=1e-10)


def test_balanced_bounds_are_sharp_in_a_normal_world():
    draws, rows, factor = np.random.default_rng(1), 6000, 2.0
    w = draws.normal(size=rows)
    chance = 1 / (1 + np.exp(-0.7 * w))
    t = (draws.random(rows) < chance).astype(float)
    y = t + 2 * w + draws.normal(size=rows)
    table = ec.CausalTable(pd.DataFrame({"t": t, "y": y, "w": w}), "t", "y", ["w"])
    found = ec.marginal_sensitivity(table, [factor], sharp=True)
    # E[lambda Y] = mu + sigma phi(z) (Lambda - 1/Lambda), z the quantile at Lambda/(1 + Lambda); each arm is
    # missing with probability 1/2, so the two make one.
    reach = norm.pdf(norm.ppf(factor / (1 + factor))) * (factor - 1 / factor)
    error = 4 * np.sqrt(2 / (rows / 2)) * factor
    assert found.upper[0] == pytest.approx(1 + reach, abs=error)
    assert found.lower[0] == pytest.approx(1 - reach, abs=error)
    plain = ec.marginal_sensitivity(table, [factor])
    assert plain.upper[0] - found.upper[0] > 2 * error


# Chance


def test_the_interval_holds_the_bounds_and_tips_earlier():
    table = ec.load_dataset("nhefs")
    found = ec.marginal_sensitivity(table, [1.0, 1.4], resamples=40)
    assert (found.interval_lower < found.lower).all()
    assert (found.interval_upper > found.upper).all()
    assert 1 < found.tipping_point_of_interval < found.tipping_point
    again = ec.marginal_sensitivity(table, [1.0, 1.4], resamples=40)
    np.testing.assert_array_equal(found.interval_lower, again.interval_lower)
    assert found.summary().columns.tolist() == ["lower", "upper", "interval_lower", "interval_upper"]
    assert found.warnings == ()


@pytest.mark.slow
def test_intervals_cover_the_truth_in_1000_worlds_with_a_confounder_of_that_lambda(unchecked):
    draws, factor, rows, missed = np.random.default_rng(2), 2.0, 200, 0
    for seed in range(1000):
        z = draws.random(rows) < 0.5
        # z moves the odds of 1/2 by Lambda either way, and fixes y: the bound is the truth, an effect of zero.
        t = draws.random(rows) < np.where(z, factor, 1) / (1 + factor)
        arms, _ = resampled_arms(z.astype(float), t, np.ones((rows, 1)), ("ate", False, 80, seed))
        ends = [lower_bounds(part, np.array([factor]))[0] for part in arms]
        missed += np.quantile(ends, 0.025) > 0
    low, high = binom(1000, 0.025).ppf([1e-4, 1 - 1e-4])
    assert low <= missed <= high


def test_upper_bounds_are_lower_bounds_of_the_turned_outcome():
    draws = np.random.default_rng(4)
    y, treated, index = draws.normal(size=50), draws.random(50) < 0.4, draws.normal(size=50)
    factors = np.array([1.0, 1.5, 4.0])
    for columns in (None, np.column_stack([np.ones(50), index])):
        for target in ("ate", "att"):
            up = upper_bounds(arms_of(y, treated, index, target, columns), factors)
            down = lower_bounds(arms_of(-y, treated, index, target, columns), factors)
            np.testing.assert_allclose(up, -down, atol=1e-9)


# Refusals


def rare_levels(*names, rows=40):
    frame = linear_world(rows, binary_treatment=True, treatment_on_latent=0.2).frame
    for place, name in enumerate(
        names
    ):  # one row of each arm: about half of the resamples lack one of the two
        level = np.zeros(rows)
        level[[np.flatnonzero(frame["treatment"] == arm)[place] for arm in (0, 1)]] = 1
        frame[name] = level
    return ec.CausalTable(frame, "treatment", "outcome", names)


def test_resamples_without_overlap_are_counted_and_most_of_them_refused():
    found = ec.marginal_sensitivity(rare_levels("a"), [1.5], resamples=30, seed=1)
    assert found.warnings[0].startswith("In 1")
    assert "of 30 resamples the arms did not overlap" in found.warnings[0]
    with pytest.raises(TableError, match="of 30 resamples the arms do not overlap: the table is too small"):
        ec.marginal_sensitivity(rare_levels("a", "b", "c"), [1.5], resamples=30)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resamples": 1}, "resamples must be 0 for none, or 2 or more; got 1"),
        ({"level": 0.0}, "level must be between 0 and 1; got 0"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        ec.marginal_sensitivity(small(), [1.5], **options)


def test_an_unknown_target_is_refused(unchecked):
    with pytest.raises(ArgumentError, match="target must be 'ate' or 'att'; got 'atu'"):
        ec.marginal_sensitivity(small(), [1.5], target="atu")
