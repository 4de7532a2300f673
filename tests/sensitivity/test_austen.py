"""Austen plots: the strengths that give a bias, against worlds that have such a confounder."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.sensitivity import austen_curve

ALPHA, DELTA, ROWS = 0.2, 0.7, 200_000


def world(seed=0):
    """A binary covariate, a chance of treatment that is a beta around the propensity, an outcome in its log odds."""
    draw = np.random.default_rng(seed)
    w = draw.integers(0, 2, ROWS).astype(float)
    g, c = np.where(w == 1, 0.6, 0.3), 1 / ALPHA - 1
    chance = draw.beta(g * c, (1 - g) * c)
    t = (draw.random(ROWS) < chance).astype(float)
    y = 1.0 * t + 0.5 * w + DELTA * logit(chance) + draw.normal(size=ROWS)
    return pd.DataFrame({"w": w, "t": t, "y": y, "index": logit(chance), "chance": chance})


def cell_means(table):
    """The outcome's mean in each cell of treatment and covariate: a model without a form."""
    by = [table.treatment, *table.covariates]
    return table.frame.groupby(by)[table.outcome].transform("mean").to_numpy()


@pytest.fixture(scope="module")
def frame():
    return world()


def standardized_difference(frame, of, weights):
    means = frame.groupby(["w", "t"])[of].mean().unstack()
    return float((means[1.0] - means[0.0]) @ weights)


@pytest.mark.parametrize("target", ["ate", "att"])
def test_at_a_worlds_own_influence_the_curve_has_its_partial_r2(frame, target):
    inside = frame if target == "ate" else frame[frame["t"] == 1]
    weights = inside["w"].value_counts(normalize=True).sort_index()
    bias = standardized_difference(frame, "y", weights) - 1.0
    found = austen_curve(
        ec.CausalTable(frame, "t", "y", ["w"]), bias, outcome_fit=cell_means, target=target, points=20
    )
    hidden = DELTA * (frame["index"] - frame.groupby(["w", "t"])["index"].transform("mean"))
    left = frame["y"] - frame.groupby(["w", "t"])["y"].transform("mean")
    wanted = hidden.var() / left.var()
    at = np.interp(ALPHA, found.influence, found.r2_outcome)
    assert at == pytest.approx(wanted, rel=0.05)  # three standard errors of the squared bias


def test_the_influence_is_the_rise_of_the_chance_among_the_treated(frame):
    weights = frame["w"].value_counts(normalize=True).sort_index()
    means = standardized_difference(frame, "chance", weights)
    assert means == pytest.approx(ALPHA, abs=4 * 0.2 / np.sqrt(ROWS / 4))


def test_a_covariates_own_strengths_are_those_of_models_without_it(frame):
    small = frame[:5000]
    own = austen_curve(ec.CausalTable(small, "t", "y", ["w"]), 1.0, benchmarks=["w"]).benchmarks["w"]
    rates, share = small.groupby("w")["t"].transform("mean"), small["t"].mean()
    assert own[0] == pytest.approx(1 - (rates * (1 - rates)).mean() / (share * (1 - share)), rel=1e-8)

    def left(columns):
        design = np.column_stack([np.ones(len(small)), small[columns]])
        return np.linalg.lstsq(design, small["y"], rcond=None)[1][0]

    assert own[1] == pytest.approx(1 - left(["t", "w"]) / left(["t"]), rel=1e-8)


def test_more_bias_needs_more_and_the_square_of_it():
    table = ec.load_dataset("nhefs")
    once, twice = austen_curve(table, 0.5), austen_curve(table, -1.0)
    shared = np.isin(once.influence, twice.influence)
    np.testing.assert_allclose(
        twice.r2_outcome, 4 * once.r2_outcome[shared][-len(twice.r2_outcome) :], rtol=1e-12
    )
    assert twice.bias == 1.0
    assert once.tipping_point < twice.tipping_point


def test_at_the_tipping_point_both_strengths_are_the_same():
    found = austen_curve(ec.load_dataset("nhefs"), 1.0)
    weaker = found.influence < found.tipping_point
    assert (found.r2_outcome > found.influence).tolist() == weaker.tolist()


def test_the_interval_tips_where_the_bias_is_its_end_next_to_zero():
    table = ec.load_dataset("nhefs")
    found = austen_curve(table, points=2)
    lower, _ = ec.adjust(table).interval
    assert (
        found.tipping_point_of_interval
        == austen_curve(table, lower, points=2).tipping_point
        < found.tipping_point
    )
    assert f"With {found.tipping_point_of_interval:.2%}" in found.text
    assert "the 95% interval would hold zero" in found.text
    already = austen_curve(ec.load_dataset("lalonde-cps"), points=2)
    assert already.tipping_point_of_interval == 0.0
    assert "The 95% interval holds zero without any" in already.text
    assert austen_curve(table, 1.0, points=2).tipping_point_of_interval is None


def test_groups_are_stronger_than_their_members():
    table = ec.load_dataset("nhefs")
    found = austen_curve(table, benchmarks={"smoking": ["smokeintensity", "smokeyrs"], "one": ["smokeyrs"]})
    assert found.benchmarks["smoking"] > found.benchmarks["one"]
    assert found.bias == pytest.approx(3.4626218292, abs=1e-9)
    assert list(found.summary().columns) == ["influence", "r2_outcome", "r2_outcome_needed"]
    assert "one like none of these would do" in found.text


def test_a_bias_that_no_such_confounder_gives_is_said():
    found = austen_curve(ec.load_dataset("nhefs"), 1e3)
    assert found.tipping_point is None
    assert found.influence.size == 0
    assert "No confounder of this form" in found.text


def test_the_picture_marks_the_benchmarks():
    ax = austen_curve(ec.load_dataset("nhefs"), benchmarks=["age"]).plot()
    assert [text.get_text() for text in ax.texts] == ["age"]
    plt.close(ax.figure)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"bias": 0.0}, ArgumentError, "a bias of 0 needs no confounder"),
        ({"bias": np.nan}, ArgumentError, "bias must be finite"),
        ({"target": "atu"}, ArgumentError, "target must be 'ate' or 'att'; got 'atu'"),
        ({"points": 1}, ArgumentError, "points must be 2 or more"),
        ({"benchmarks": ["height"]}, ArgumentError, "Benchmark 'height' is not among"),
        ({"outcome_fit": lambda table: table.outcome_values}, TableError, "leaves nothing of 'wt82_71'"),
        ({"outcome_fit": lambda table: np.ones(3)}, ArgumentError, r"each of 1566 rows; got shape \[3\]"),
    ],
)
def test_what_has_no_curve_is_refused(unchecked, options, error, message):
    with pytest.raises(error, match=message):
        austen_curve(ec.load_dataset("nhefs"), **{"bias": 1.0, **options})


def test_a_continuous_treatment_is_refused():
    table = ec.CausalTable(ec.load_dataset("nhefs").frame, "smokeyrs", "wt82_71", ["age"])
    with pytest.raises(ArgumentError, match="continuous"):
        austen_curve(table, 1.0)


def test_log_odds_of_a_beta_chance_have_the_variance_of_the_formula():
    draw = np.random.default_rng(3)
    c = 1 / ALPHA - 1
    chance = draw.beta(0.3 * c + 1, 0.7 * c, 200_000)
    from scipy.special import polygamma

    wanted = polygamma(1, 0.3 * c + 1) + polygamma(1, 0.7 * c)
    spread = (logit(chance) - logit(chance).mean()) ** 2
    assert spread.mean() == pytest.approx(wanted, abs=4 * spread.std() / np.sqrt(200_000))
    assert expit(logit(chance)).max() <= 1
