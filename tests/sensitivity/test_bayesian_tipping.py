"""How much larger a hidden confounder's biases would have to be for a posterior's interval to hold zero."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import ebm_causal as ec
from ebm_causal.learning import StrengthPrior
from ebm_causal.sensitivity import OmittedVariableBias
from ebm_causal.sensitivity.strength_draws import linear_draws
from ebm_causal.sensitivity.tipping import tipping_bias


def nhefs(**options):
    return ec.bayesian_sensitivity(ec.load_dataset("nhefs"), **{"method": "linear", **options})


def test_with_biases_so_many_times_as_large_the_interval_just_holds_zero():
    found = nhefs(multiple=1)
    factor = found.tipping_point_of_interval
    assert factor > 1
    assert f"if all biases were {factor:.3g} times as large" in found.text
    seen = found.effect + found.bias
    for times, holds in ((0.99 * factor, False), (1.01 * factor, True)):
        lower, upper = replace(found, effect=seen - times * found.bias).interval
        assert (lower <= 0 <= upper) == holds


def test_of_normal_draws_it_has_a_closed_form():
    draws = np.random.default_rng(0).standard_normal((2, 400_000))
    seen, bias = 3.0 + draws[0], 0.5 * draws[1]
    # sd of seen - c bias is sqrt(1 + c^2 / 4), and 3 is 1.96 of them at the tipping point
    wanted = 2 * np.sqrt((3 / stats.norm.ppf(0.975)) ** 2 - 1)
    assert tipping_bias(seen, bias, 0.025) == pytest.approx(wanted, rel=0.02)


def test_an_interval_that_holds_zero_already_and_one_that_no_factor_moves():
    omitted, prior = (
        OmittedVariableBias.from_statistics(1.0, 1.0, 50),
        StrengthPrior(treatment=0.1, outcome=0.1),
    )
    found = linear_draws(omitted, prior, 1000, np.random.default_rng(0))
    assert tipping_bias(found.effect + found.bias, found.bias, 0.025) == 0.0
    assert tipping_bias(np.ones(10), np.zeros(10), 0.025) is None
    table = ec.load_dataset("lalonde-cps")
    said = ec.bayesian_sensitivity(table, method="linear")
    assert said.tipping_point_of_interval == 0.0
    assert "an interval that holds zero without any confounder" in said.text


def test_a_turned_outcome_tips_at_the_same_factor():
    found = nhefs()
    turned = replace(found, effect=-found.effect, bias=-found.bias, estimate=-found.estimate)
    assert turned.tipping_point_of_interval == pytest.approx(found.tipping_point_of_interval, rel=1e-3)
