"""Covariates in which matched pairs still differ, beside the bias that overturns the test."""

import numpy as np
import pytest
from scipy.optimize import brentq

import ebm_causal as ec
from ebm_causal.errors import ArgumentError

TREATED, CONTROL = np.arange(40.0) + np.tile([2.0, 5.0, -1.0, 3.0], 10), np.arange(40.0)


def bounds(**benchmarks):
    return ec.rosenbaum_bounds(TREATED, CONTROL, [1.5, 2.0], benchmarks=benchmarks)


def test_a_covariate_of_two_values_moves_the_odds_by_its_ratio_of_pairs():
    smoker = np.repeat([1.0, 0.0], [30, 10])
    found = bounds(smoker=(smoker, 1 - smoker))
    assert found.benchmarks["smoker"].usual == pytest.approx(3.0, rel=1e-9)
    assert found.benchmarks["smoker"].largest == pytest.approx(3.0, rel=1e-9)
    assert found.tipping_point == bounds().tipping_point > 3
    assert (
        "As far as the pairs differ in it, smoker, which moves the odds most, changes them by a factor of up to 3 in "
        f"90% of the pairs and of 3 at most: beyond {found.tipping_point:.4g} in no pair."
    ) in found.text


def test_it_is_the_conditional_logit():
    apart = np.random.default_rng(0).normal(0.3, 1, 40)
    slope = brentq(lambda b: (apart / (1 + np.exp(b * apart))).sum(), -20, 20)
    moved = np.exp(np.abs(slope * apart))
    shift = bounds(age=(50 + apart, np.full(40, 50.0))).benchmarks["age"]
    assert shift.largest == pytest.approx(moved.max(), rel=1e-8)
    assert shift.usual == pytest.approx(np.quantile(moved, 0.9), rel=1e-8)


def test_units_do_not_matter_and_the_strongest_of_several_is_named():
    draws = np.random.default_rng(1)
    age, income = draws.normal(0.5, 1, 40), draws.normal(0.1, 1, 40)
    zero = np.zeros(40)
    found = bounds(age=(age, zero), income=(income, zero))
    other = bounds(age=(365 * age, zero), income=(income / 1000, zero))
    for name in ("age", "income"):
        assert other.benchmarks[name].largest == pytest.approx(found.benchmarks[name].largest, rel=1e-8)
    assert "As far as the pairs differ in it, age, which moves the odds most, changes" in found.text


def test_a_covariate_that_is_matched_moves_nothing():
    shift = bounds(age=(np.arange(40.0), np.arange(40.0))).benchmarks["age"]
    assert (shift.usual, shift.largest) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("benchmarks", "message"),
    [
        ({"age": (np.ones(40), np.zeros(40))}, r"benchmarks \['age'\] tell the treated from the untreated"),
        ({"age": (np.ones(3), np.zeros(3))}, r"'age' needs values of 40 treated .*; got shape \[2, 3\]"),
        ({"age": 3.0}, r"'age' needs values of 40 treated and as many untreated; got shape \[\]"),
        ({"age": "old"}, "benchmark 'age' must be of real numbers; got 'old'"),
        ({"age": (np.full(40, np.nan), np.ones(40))}, "Benchmark 'age' must be finite; got nan"),
        (["age"], r"benchmarks must give each covariate's values .*; got \['age'\]"),
    ],
)
def test_values_that_do_not_fit_the_pairs_are_refused(unchecked, benchmarks, message):
    with pytest.raises(ArgumentError, match=message):
        ec.rosenbaum_bounds(TREATED, CONTROL, 2.0, benchmarks=benchmarks)
