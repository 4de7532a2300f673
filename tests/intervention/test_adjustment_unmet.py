"""Where the arms do not meet: linear models say so too, by region; folds and ratios with resamples."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

import ebm_causal as ec
from ebm_causal.intervention import Bootstrap, effects_by, propensity

MODELS = ("regression", "standardization")


@pytest.mark.parametrize("method", MODELS)
def test_linear_models_name_the_region_where_an_arm_is_missing(method):
    """As weighting does, though nothing in them divides by a chance: there they go on by their form alone."""
    table = ec.load_dataset("lalonde-cps")
    found = ec.adjust(table, method).warnings
    weighed = [note for note in ec.adjust(table, "weighting").warnings if "chance below" in note]
    assert list(found) == weighed
    assert "Mostly where re75 > 8235.48 and black is 0: of 9929 rows there, 2 are treated" in found[0]
    assert ec.adjust(ec.load_dataset("lalonde-nsw"), method).warnings == ()


def test_only_the_rows_that_are_asked_about_count():
    table = ec.load_dataset("lalonde-cps")
    assert ec.adjust(table, "standardization", target="att").warnings == ()


@pytest.mark.parametrize("method", MODELS)
def test_a_combination_that_has_the_arms_apart_is_warned_about(method):
    draws = np.random.default_rng(0)
    a, b, noise = draws.standard_normal((3, 300))
    t = (a + b > 0).astype(float)
    table = ec.CausalTable(pd.DataFrame({"a": a, "b": b, "t": t, "y": t + a + noise}), "t", "y", ["a", "b"])
    (note,) = ec.adjust(table, method).warnings
    assert note.startswith(
        "The estimate rests on the model alone where the arms do not meet: a combination of"
    )


def binary_world(rows=1500):
    draws = np.random.default_rng(3)
    w, g = draws.standard_normal(rows), draws.integers(0, 2, rows)
    t = (draws.random(rows) < expit(w)).astype(float)
    y = (draws.random(rows) < expit(w + t * g - 0.5)).astype(float)
    return ec.CausalTable(pd.DataFrame({"w": w, "g": g, "t": t, "y": y}), "t", "y", ["w", "g"])


def test_ratios_by_groups_are_those_of_weighted_means():
    table = binary_world()
    chance, frame = propensity(table).values, table.frame
    found = effects_by(table, "g", "weighting", contrast="ratio")
    for level, effect in enumerate(found.effects):
        means = []
        for arm, own in ((0, 1 - chance), (1, chance)):
            rows = (frame["g"] == level) & (frame["t"] == arm)
            means.append(np.average(frame["y"][rows], weights=1 / own[rows]))
        assert effect.estimate == pytest.approx(means[1] / means[0], rel=1e-8)
        assert effect.contrast == "ratio"
        lower, upper = effect.interval
        assert lower * upper == pytest.approx(effect.estimate**2, rel=1e-8)  # symmetric on the logarithm
    logs = np.log([effect.estimate for effect in found.effects])
    errors = [np.log(effect.interval[1] / effect.interval[0]) / 2 / 1.959964 for effect in found.effects]
    z = (logs[1] - logs[0]) / np.hypot(*errors)
    assert found.heterogeneity_p == pytest.approx(2 * (1 - _normal(abs(z))), rel=1e-4)


def _normal(value):
    from scipy.stats import norm

    return norm.cdf(value)


def test_ratios_by_groups_can_be_resampled():
    table = binary_world()
    plain = effects_by(table, "g", "weighting", contrast="ratio")
    found = effects_by(table, "g", "weighting", contrast="ratio", errors=Bootstrap(draws=200))
    for effect, known in zip(found.effects, plain.effects, strict=True):
        assert effect.estimate == known.estimate
        assert len(effect.replicates) == 200
        assert 0.7 < effect.standard_error / known.standard_error < 1.2  # weights taken as known are too wide


def test_cross_fitting_is_done_again_on_each_resample():
    """100 resamples know a standard deviation to 7 %; their folds are those of the seed."""
    table = binary_world(600)
    plain = ec.adjust(table, "doubly_robust", folds=3, seed=1)
    found = ec.adjust(table, "doubly_robust", folds=3, seed=1, errors=Bootstrap(draws=100))
    assert found.estimate == plain.estimate
    assert found.standard_error == pytest.approx(plain.standard_error, rel=0.25)
    again = ec.adjust(table, "doubly_robust", folds=3, seed=1, errors=Bootstrap(draws=20))
    assert again.replicates == found.replicates[:20]
    whole = ec.adjust(table, "doubly_robust", errors=Bootstrap(draws=20))
    assert not set(whole.replicates) & set(again.replicates)
