import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ebm_causal.data import CausalTable, village_world
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.intervention import Bootstrap, adjust, propensity
from ebm_causal.intervention.options import Options
from ebm_causal.intervention.overlap import weights_of_arms
from ebm_causal.intervention.samples import sample_of


def frame(rows=60, seed=0):
    draws = np.random.default_rng(seed)
    columns = {
        "t": draws.integers(2, size=rows),
        "y": draws.standard_normal(rows),
        "w": draws.standard_normal(rows),
    }
    return pd.DataFrame(columns)


def test_a_saturated_regression_is_refused_with_its_numbers():
    given = frame(4, seed=1).assign(t=[0, 1, 0, 1], v=[1.0, 3.0, 2.0, 7.0])
    with pytest.raises(TableError, match="4 rows .* of 'y' on 't' with 4 coefficients: 0 degrees of freedom"):
        adjust(CausalTable(given, "t", "y", ["w", "v"]), "regression")
    with pytest.raises(TableError, match="2 rows .* 2 coefficients"):
        adjust(CausalTable(given[:2], "t", "y"), "naive")


def test_a_treatment_that_the_covariates_fix_is_refused():
    given = frame().assign(site=np.arange(60) % 3)
    given["t"] = (given["site"] == 1) * 1.0 + (given["site"] == 2) * 2.5
    with pytest.raises(
        TableError, match=r"Treatment 't' has no variance left given the covariates: .* share .*e-"
    ):
        adjust(CausalTable(given, "t", "y", ["site"], categorical=["site"]), "regression")


def test_an_outcome_that_the_columns_fix_is_refused():
    given = frame()
    given["y"] = 2 * given["t"] + given["w"]
    with pytest.raises(TableError, match="Outcome 'y' has no variance left given 't' and the covariates"):
        adjust(CausalTable(given, "t", "y", ["w"]), "regression")


@pytest.mark.parametrize("shift", [5.0, 0.0], ids=["gap", "touching"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_column_that_separates_the_arms_is_named(shift, sign):
    given = frame()
    given["dose <b>"] = sign * (np.abs(given["w"]) * (2 * given["t"] - 1) + shift * given["t"])
    for method in ("weighting", "doubly_robust"):
        with pytest.raises(TableError, match="'dose <b>' separates the treated from the untreated"):
            adjust(CausalTable(given, "t", "y", ["w", "dose <b>"]), method)


def test_a_level_with_one_arm_is_named_the_first_as_well():
    given = frame().assign(site=["a"] * 10 + ["b"] * 25 + ["c"] * 25)
    for level, rows in (("a", slice(0, 10)), ("c", slice(35, 60))):
        one = given.copy()
        one.loc[one.index[rows], "t"] = 1
        with pytest.raises(TableError, match=f"level '{level}' of 'site' has only treated rows"):
            adjust(CausalTable(one, "t", "y", ["site"]), "weighting")


def test_villages_with_one_arm_are_named():
    with pytest.raises(TableError, match="level 'village [0-9]+' of 'village' has only (un)?treated rows"):
        adjust(village_world().table(), "weighting")


def test_a_combination_of_columns_that_separates_the_arms_is_refused():
    given = frame(200, seed=3).assign(v=frame(200, seed=4)["w"])
    given["t"] = (given["w"] + given["v"] > 0) * 1
    with pytest.raises(
        TableError, match="a combination of the covariates separates the treated from the untreated"
    ):
        adjust(CausalTable(given, "t", "y", ["w", "v"]), "weighting")


def test_strong_overlap_problems_short_of_separation_are_warned_about():
    given = frame(400, seed=5)
    given["t"] = (given["w"] * 3 + np.random.default_rng(1).logistic(size=400) > 0) * 1
    effect = adjust(CausalTable(given, "t", "y", ["w"]), "weighting")
    assert any("of the weight of the" in warning for warning in effect.warnings)


def test_an_outcome_model_with_too_many_columns_is_refused():
    given = frame(12).assign(a=frame(12, seed=1)["w"], b=frame(12, seed=2)["w"], c=frame(12, seed=3)["w"])
    given["t"] = [0, 1] * 6
    table = CausalTable(given, "t", "y", ["w", "a", "b", "c"])
    assert adjust(table, "standardization").rows == 12
    wider = CausalTable(given.assign(d=frame(12, seed=4)["w"]), "t", "y", ["w", "a", "b", "c", "d"])
    with pytest.raises(TableError, match="12 rows .* 12 coefficients: 0 degrees of freedom"):
        adjust(wider, "standardization")


def test_a_covariate_without_variation_in_an_arm_is_refused_by_name():
    given = frame().assign(flag=0)
    given.loc[given.index[given["t"] == 0][:5], "flag"] = 1
    with pytest.raises(TableError, match=r"'t x flag' .* name fewer interactions"):
        adjust(CausalTable(given, "t", "y", ["flag"]), "standardization")


def test_a_propensity_reproduces_the_margins():
    table = CausalTable(frame(), "t", "y", ["w"])
    fitted = propensity(table)
    assert fitted.values.mean() == pytest.approx(table.treatment_values.mean(), abs=1e-12)
    moment = fitted.values @ frame()["w"]
    assert moment == pytest.approx(table.treatment_values @ frame()["w"], abs=1e-10)
    assert fitted.names == ("intercept", "w")
    np.testing.assert_allclose(
        fitted.values, 1 / (1 + np.exp(-fitted.coefficients[0] - fitted.coefficients[1] * frame()["w"]))
    )
    np.testing.assert_allclose(fitted.values + fitted.complements, 1.0, rtol=1e-15)


def test_a_chance_of_zero_for_the_arm_a_row_is_in_is_refused():
    table = CausalTable(frame(), "t", "y")
    chance = np.full(60, 0.5)
    row = int(np.flatnonzero(table.treatment_values == 1)[0])
    chance[row] = 1e-17
    with pytest.raises(TableError, match=rf"Row {row} .* propensity of 1e-17, which is 0 or 1 to rounding"):
        weights_of_arms(
            sample_of(table, Options(method="weighting")), chance, 1 - chance, np.ones(60, dtype=bool)
        )


def test_a_propensity_of_a_continuous_treatment_is_refused():
    table = CausalTable(frame(), "w", "y")
    with pytest.raises(ArgumentError, match="chance of one of two levels, and 'w' is continuous"):
        propensity(table)


def test_interactions_given_as_text_are_refused():
    table = CausalTable(frame(), "t", "y", ["w"])
    with pytest.raises(ArgumentError, match="interactions must be a list of names; got the text 'w'"):
        adjust(table, "standardization", interactions="w")


def test_numbers_too_large_to_square_are_refused():
    given = frame().assign(y=frame()["y"] * 1e200)
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(TableError, match="is not finite .*rescale"),
    ):
        adjust(CausalTable(given, "t", "y", ["w"]), "weighting")


def test_an_effect_is_drawn_with_its_interval():
    axes = adjust(CausalTable(frame(), "t", "y", ["w"]), "regression").plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["regression"]
    plt.close(axes.figure)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"errors": 5}, "errors=5 cannot serve doubly_robust"),
        ({"folds": 2.5}, r"folds must be a whole number; got 2\.5"),
        ({"folds": "two"}, "folds must be a whole number; got 'two'"),
        ({"trim": "a"}, r"trim must be a propensity from 0 to below \.5; got 'a'"),
        ({"folds": 2, "seed": -1}, "seed must be a whole number, not negative; got -1"),
    ],
)
def test_options_of_another_kind_are_refused_by_name(options, message):
    with pytest.raises(ArgumentError, match=message):
        adjust(CausalTable(frame(), "t", "y", ["w"]), "doubly_robust", **options)


@pytest.mark.usefixtures("unchecked")
def test_a_bootstrap_of_another_kind_is_refused():
    for options, message in (
        ({"draws": 30.5}, r"20 draws or more; got 30\.5"),
        ({"draws": float("nan")}, "20 draws or more; got nan"),
        ({"seed": "a"}, "seed must be a whole number, not negative; got 'a'"),
    ):
        with pytest.raises(ArgumentError, match=message):
            Bootstrap(**options)


@pytest.mark.parametrize("method", ["regression", "standardization"])
def test_a_linear_model_says_where_the_arms_do_not_meet(method):
    """It goes on to where no row of the other arm is, and gave its number without a word."""
    given = frame().assign(w=lambda rows: rows["w"] + 9 * rows["t"])
    found = adjust(CausalTable(given, "t", "y", ["w"]), method)
    assert (
        "rests on the model alone where the arms do not meet: 'w' separates the treated" in found.warnings[0]
    )
    assert adjust(CausalTable(frame(), "t", "y", ["w"]), method).warnings == ()
