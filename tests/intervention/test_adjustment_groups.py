import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from ebm_causal.data import CausalTable, load_dataset
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.intervention import Bootstrap, adjust, covariate_balance, effects_by, propensity


@pytest.fixture(scope="module")
def nhefs():
    return load_dataset("nhefs")


def grouped_world(rows=6000, seed=0):
    """The effect is 0, 1 and 2 in the groups a, b and c."""
    draws = np.random.default_rng(seed)
    group = draws.integers(3, size=rows)
    w = draws.standard_normal(rows) + group
    t = (draws.random(rows) < expit(w - 1)).astype(float)
    y = group * t + w + draws.standard_normal(rows)
    return pd.DataFrame({"group": np.array(list("abc"))[group], "w": w, "t": t, "y": y})


@pytest.mark.parametrize("method", ["weighting", "standardization", "doubly_robust"])
def test_the_effect_of_each_group_is_found(method):
    table = CausalTable(grouped_world(), "t", "y", ["group", "w"])
    found = effects_by(table, "group", method)
    assert found.groups == ("a", "b", "c")
    for truth, effect in enumerate(found.effects):
        assert abs(effect.estimate - truth) < 4 * effect.standard_error
    assert found.heterogeneity_p < 1e-6
    assert sum(effect.rows for effect in found.effects) == 6000


def test_effects_of_groups_average_to_the_whole(nhefs):
    for method in ("standardization", "doubly_robust"):
        found = effects_by(nhefs, "sex", method)
        mean = np.average([e.estimate for e in found.effects], weights=[e.rows for e in found.effects])
        assert mean == pytest.approx(adjust(nhefs, method).estimate, rel=1e-9)


def test_equal_effects_are_seldom_called_unequal():
    p = []
    for seed in range(100):
        frame = grouped_world(500, seed)
        frame["y"] -= frame["t"] * frame["group"].map({"a": 0.0, "b": 1.0, "c": 2.0})
        p.append(effects_by(CausalTable(frame, "t", "y", ["group", "w"]), "group").heterogeneity_p)
    assert abs((np.array(p) < 0.2).mean() - 0.2) < 4 * np.sqrt(0.16 / 100)


def test_numbers_are_cut_into_classes_and_shown(nhefs):
    found = effects_by(nhefs, "age", errors=Bootstrap(draws=20))
    assert len(found.effects) == 4
    assert found.effects[0].interval_kind == "percentile, 20 bootstraps"
    assert list(found.summary()["rows"]) == [e.rows for e in found.effects]
    assert repr(found).startswith("Effects of 'qsmk' on 'wt82_71' by 'age' (equal: p = ")
    axes = found.plot()
    assert axes.get_yticklabels()[0].get_text().startswith("age: ")
    plt.close(axes.figure)


def test_groups_that_have_no_effect_are_refused(nhefs):
    frame = nhefs.frame.assign(arm=nhefs.treatment_values * 1.0, gap=[np.nan] + [1.0] * 1565)
    table = CausalTable(frame, "qsmk", "wt82_71", ["age"])
    with pytest.raises(ArgumentError, match="effects by groups need one of the methods .* got 'regression'"):
        effects_by(table, "sex", "regression")
    with pytest.raises(ArgumentError, match="the group '0.0' of 'arm' has only untreated rows: merge groups"):
        effects_by(table, "arm")
    with pytest.raises(ArgumentError, match="the group 'q' must be one column"):
        effects_by(table, "q")
    with pytest.raises(TableError, match="the group 'gap' has 1 missing values"):
        effects_by(table, "gap")
    with pytest.raises(ArgumentError, match="classes must be 2 or more; got 1"):
        effects_by(table, "age", classes=1)


# Balance


def test_standardized_differences_equal_their_formula(nhefs):
    balance = covariate_balance(nhefs)
    chance, t = propensity(nhefs).values, nhefs.treatment_values
    age = nhefs.frame["age"].to_numpy()
    spread = np.sqrt((age[t == 1].var() + age[t == 0].var()) / 2)
    weights = np.where(t == 1, 1 / chance, 1 / (1 - chance))
    high, low = (np.average(age[t == arm], weights=weights[t == arm]) for arm in (1, 0))
    column = balance.names.index("age")
    assert balance.before[column] == pytest.approx((age[t == 1].mean() - age[t == 0].mean()) / spread)
    assert balance.after[column] == pytest.approx((high - low) / spread)
    assert balance.effective_rows[0] == pytest.approx(
        weights[t == 1].sum() ** 2 / (weights[t == 1] ** 2).sum()
    )
    np.testing.assert_allclose(balance.weights, weights)


def test_weights_balance_what_was_apart(nhefs):
    balance = covariate_balance(nhefs)
    assert np.abs(balance.before).max() > 0.1 > np.abs(balance.after).max()
    stabilized = covariate_balance(nhefs, stabilized=True)
    assert stabilized.weights.mean() == pytest.approx(1.0, abs=0.01)
    np.testing.assert_allclose(stabilized.after, balance.after, atol=1e-12)


def test_balance_of_the_survey_names_where_there_is_no_overlap():
    table = load_dataset("lalonde-cps")
    assert "chance below 0.01 to be treated. Mostly where re75 > " in repr(covariate_balance(table))
    treated = covariate_balance(table, target="att")
    assert not treated.warnings
    assert np.abs(treated.after).max() < 0.1
    assert treated.effective_rows[0] == 185


def test_regions_of_levels_are_named():
    draws = np.random.default_rng(0)
    site = draws.integers(4, size=4000)
    t = draws.random(4000) < np.where(site == 2, 0.004, 0.5)
    frame = pd.DataFrame({"site": np.array(list("pqrs"))[site], "t": t * 1, "y": draws.standard_normal(4000)})
    warnings = covariate_balance(CausalTable(frame, "t", "y", ["site"])).warnings
    assert (
        f"Mostly where site is 'r': of {(site == 2).sum()} rows there, {t[site == 2].sum()} are"
        in warnings[-1]
    )


def test_a_love_plot_shows_both_differences(nhefs):
    axes = covariate_balance(nhefs).plot()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["before", "after"]
    assert len(axes.get_yticklabels()) == 18
    assert covariate_balance(nhefs).summary().columns.tolist() == ["before", "after", "variance_ratio"]
    plt.close(axes.figure)


def test_balance_of_a_continuous_treatment_is_refused(nhefs):
    with pytest.raises(ArgumentError, match="weighting compares two arms, and 'age' is continuous"):
        covariate_balance(CausalTable(nhefs.frame, "age", "wt82_71"))
