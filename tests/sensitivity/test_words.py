"""What the analyses say in words: tipping points of estimate and interval, thresholds, and no more than is known."""

import re

import numpy as np
import pytest

import ebm_causal as ec
from ebm_causal.sensitivity import austen_curve, e_value_of_effect

LEAD = [38, 23, 41, 18, 37, 36, 23, 62, 31, 34, 24, 14], [16, 18, 18, 24, 19, 11, 10, 15, 16, 18, 18, 13]


def nhefs():
    return ec.load_dataset("nhefs")


TEXTS = {
    "omitted variable": lambda: ec.omitted_variable_bias(nhefs(), "all").text,
    "e-value": lambda: e_value_of_effect(nhefs(), ec.adjust(nhefs()), "all").text,
    "marginal": lambda: ec.marginal_sensitivity(nhefs(), 2.0, resamples=20, benchmarks="all").text,
    "matched pairs": lambda: (
        ec.rosenbaum_bounds(*LEAD, 2.0, benchmarks={"age": (np.arange(12.0) % 3, np.ones(12))}).text
    ),
    "bayesian": lambda: ec.bayesian_sensitivity(nhefs(), method="linear").text,
    "austen": lambda: austen_curve(nhefs(), benchmarks="all").text,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_estimate_and_interval_tip_and_covariates_stand_beside(text):
    said = text()
    assert re.search(r"interval|p value", said)
    assert re.search(r"covariate|smokeyrs|age|race|education|wt71", said)
    assert re.search(r"95%|level 0\.05|probability 0\.95", said)
    assert not re.search(r"prove|proof|significan", said, re.IGNORECASE)
    assert not re.search(r"\b(nan|inf|None)\b", said)


def test_bounds_without_assumptions_say_that_they_always_hold_zero():
    assert "always hold zero" in ec.no_assumption_bounds(nhefs(), -50, 50).text
