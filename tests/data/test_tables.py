import dataclasses

import numpy as np
import pandas as pd
import pytest

from ebm_causal.data import CausalTable, load_dataset
from ebm_causal.errors import TableError


def frame(rows=40, seed=0):
    draws = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "t": np.arange(rows) % 2,
            "y": draws.standard_normal(rows),
            "age": draws.integers(20, 60, size=rows),
            "site": draws.choice(["b", "a", "c"], size=rows),
            "smoker": draws.choice([True, False], size=rows),
        }
    )


def test_numeric_columns_stand_and_levels_become_indicators_without_the_first():
    table = CausalTable(frame(), "t", "y", ["age", "site", "smoker"], squares=["age"])
    assert table.design.names == ("age", "age^2", "site[b]", "site[c]", "smoker[True]")
    assert table.design.sources == ("age", "age", "site", "site", "smoker")
    assert table.categorical == ("site", "smoker")
    matrix = table.design.matrix()
    np.testing.assert_array_equal(matrix[:, 0] ** 2, matrix[:, 1])
    np.testing.assert_array_equal(matrix[:, 2], frame()["site"] == "b")


def test_numbers_named_categorical_become_indicators_and_read_as_whole_numbers():
    table = CausalTable(
        frame().assign(grade=np.arange(40) % 3 + 1.0), "t", "y", ["grade"], categorical=["grade"]
    )
    assert table.design.names == ("grade[2]", "grade[3]")


def test_an_ordered_category_leaves_out_its_own_first_level_and_unused_levels_vanish():
    dose = pd.Categorical(
        ["low", "mid", "high", "low"] * 10, categories=["low", "mid", "high", "no"], ordered=True
    )
    assert CausalTable(frame().assign(dose=dose), "t", "y", ["dose"]).design.names == (
        "dose[mid]",
        "dose[high]",
    )


def test_levels_of_several_types_are_told_apart_by_their_text():
    mixed = pd.Series([1, "x", 2.5, "x", "x"] * 8, dtype=object)
    table = CausalTable(frame().assign(mixed=mixed), "t", "y", ["mixed"])
    assert table.design.names == ("mixed[2.5]", "mixed[x]")


def test_nullable_columns_are_read_as_their_numpy_kin():
    nullable = frame().assign(age=frame()["age"].astype("Int64"), y=frame()["y"].astype("Float64"))
    plain, other = CausalTable(frame(), "t", "y", ["age"]), CausalTable(nullable, "t", "y", ["age"])
    assert plain.sha256 == other.sha256


def test_the_frame_is_copied_and_never_changed():
    given = frame()
    given.loc[3, "y"] = np.nan
    before = given.copy(deep=True)
    table = CausalTable(given, "t", "y", ["age", "site"])
    table.standardized()
    pd.testing.assert_frame_equal(given, before)
    table.frame["y"] = 0.0
    pd.testing.assert_frame_equal(given, before)
    assert list(table.frame.columns) == list(given.columns)
    assert len(table.frame) == 39


def test_a_table_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CausalTable(frame(), "t", "y").treatment = "age"


@pytest.mark.parametrize(
    ("values", "levels", "coded"),
    [
        ([0, 1], ("0", "1"), [0, 1]),
        ([1.0, 2.0], ("1", "2"), [0, 1]),
        ([True, False], ("False", "True"), [1, 0]),
        (["yes", "no"], ("no", "yes"), [1, 0]),
        ([-0.5, 7], ("-0.5", "7"), [0, 1]),
    ],
    ids=["0/1", "1/2", "boolean", "text", "any two numbers"],
)
def test_a_treatment_with_two_values_is_binary_and_coded_in_order(values, levels, coded):
    table = CausalTable(frame().assign(t=values * 20), "t", "y")
    assert (table.treatment_kind, table.treatment_levels) == ("binary", levels)
    np.testing.assert_array_equal(table.treatment_values, coded * 20)


def test_a_treatment_with_more_values_is_continuous():
    table = CausalTable(frame(), "age", "y")
    assert (table.treatment_kind, table.treatment_levels) == ("continuous", None)
    np.testing.assert_array_equal(table.treatment_values, frame()["age"])


def test_an_outcome_with_two_values_is_binary_and_stands_as_it_is():
    table = CausalTable(frame().assign(y=[1, 2] * 10 + [2, 1] * 10), "t", "y")
    assert table.outcome_kind == "binary"
    assert set(table.outcome_values) == {1.0, 2.0}
    standardized = table.standardized()
    assert set(standardized.outcome.flatten().tolist()) == {0.0, 1.0}
    np.testing.assert_array_equal(
        standardized.outcome_in_units(standardized.outcome).flatten(), table.outcome_values
    )


def test_incomplete_rows_are_dropped_and_counted_for_each_column():
    given = frame().astype({"age": float})
    given.loc[[1, 2], "age"] = np.nan
    given.loc[[2, 3, 4], "y"] = [np.nan, np.inf, -np.inf]
    given.loc[5, "site"] = None
    given["no role"] = np.nan
    table = CausalTable(given, "t", "y", ["age", "site"])
    counted = [(one.column, one.rows, one.reason) for one in table.dropped]
    assert counted == [
        ("y", 1, "missing"),
        ("y", 2, "infinite"),
        ("age", 2, "missing"),
        ("site", 1, "missing"),
    ]
    assert (table.rows_read, table.rows) == (40, 35)
    assert np.isfinite(table.outcome_values).all()


def test_standardized_columns_have_mean_zero_and_deviation_one_and_effects_return_to_units():
    table = CausalTable(frame(), "age", "y", ["site", "smoker"])
    scaled = table.standardized()
    for tensor in (scaled.covariates, scaled.treatment, scaled.outcome):
        assert str(tensor.dtype) == "torch.float64"
        np.testing.assert_allclose(tensor.mean(0), 0, atol=1e-14)
        np.testing.assert_allclose(tensor.std(0, correction=0), 1, atol=1e-14)
    assert (scaled.covariates.shape, scaled.treatment.shape) == ((40, 3), (40, 1))
    slope = np.polyfit(table.treatment_values, table.outcome_values, 1)[0]
    slope_scaled = np.polyfit(scaled.treatment.flatten(), scaled.outcome.flatten(), 1)[0]
    np.testing.assert_allclose(scaled.effect_in_units(slope_scaled), slope, rtol=1e-12)
    np.testing.assert_allclose(scaled.outcome_in_units(scaled.outcome).flatten(), table.outcome_values)


def test_a_binary_treatment_keeps_its_zeros_and_ones_when_standardized():
    scaled = CausalTable(frame(), "t", "y").standardized()
    assert set(scaled.treatment.flatten().tolist()) == {0.0, 1.0}
    assert scaled.covariates.shape == (40, 0)


def test_the_hash_depends_on_the_roles_data_alone():
    table = CausalTable(frame(), "t", "y", ["age", "site"])
    assert (
        table.sha256 == CausalTable(frame()[::1].assign(other=1), "t", "y", ["age", "site"], name="b").sha256
    )
    assert table.sha256 != CausalTable(frame(), "t", "y", ["age"]).sha256
    assert (
        table.sha256 != CausalTable(frame().assign(age=frame()["age"] + 1), "t", "y", ["age", "site"]).sha256
    )
    assert len(table.sha256) == 64
    assert load_dataset("lalonde-cps").sha256.startswith("17b793b7f161ff12"), "the same on every machine"


def test_an_experiment_is_a_number_or_a_number_with_its_error():
    assert CausalTable(frame(), "t", "y", experiment=2).experiment.standard_error is None
    known = CausalTable(frame(), "t", "y", experiment=(2.0, 0.5)).experiment
    assert (known.estimate, known.standard_error) == (2.0, 0.5)
    for wrong in (float("nan"), (1.0, -1.0)):
        with pytest.raises(TableError, match="experiment must be a finite effect"):
            CausalTable(frame(), "t", "y", experiment=wrong)


def test_names_may_hold_anything():
    odd = {"t": "<b>t</b>", "y": "y \"quoted\" 'twice'", "age": "âge 🙂"}
    table = CausalTable(frame().rename(columns=odd), odd["t"], odd["y"], [odd["age"]])
    assert table.design.names == (odd["age"],)
    assert table.summary().index.tolist() == list(odd.values())


def test_the_summary_and_the_repr_name_the_roles():
    table = CausalTable(frame(), "t", "y", ["age", "site"], name="trial")
    assert table.summary()["role"].tolist() == ["treatment", "outcome"] + ["covariate"] * 3
    assert repr(table) == (
        "CausalTable(trial: 40 rows, binary treatment 't', continuous outcome 'y', 2 covariates in 3 columns)"
    )


def test_the_design_is_residualized_as_a_dense_regression_would():
    given = frame(400).assign(village=[f"v{i}" for i in np.arange(400) % 57])
    design = CausalTable(given, "t", "y", ["age", "village", "site"], squares=["age"]).design
    assert design.absorbed.source == "village"
    dense = np.column_stack([np.ones(400), design.matrix()])
    for values in (given["y"].to_numpy(), given[["y", "t"]].to_numpy(dtype=float)):
        fitted = dense @ np.linalg.lstsq(dense, values, rcond=None)[0]
        np.testing.assert_allclose(design.residualize(values), values - fitted, atol=1e-10)
    assert design.rank == np.linalg.matrix_rank(dense) - 1 == design.columns


def test_a_design_without_a_covariate_has_none_of_its_columns():
    design = CausalTable(frame(), "t", "y", ["age", "site"], squares=["age"]).design
    assert design.without("age").names == ("site[b]", "site[c]")
    assert design.without("site").without("age").matrix().shape == (40, 0)
    values = frame()["y"].to_numpy()
    np.testing.assert_allclose(
        design.without("site").without("age").residualize(values), values - values.mean(), atol=1e-15
    )


def test_a_treatment_of_text_says_which_level_is_set():
    """Levels are in order of the alphabet, or of an ordered set of categories: the sign of the effect hangs on it."""
    arms = ["treated", "untreated"] * 10
    frame = pd.DataFrame({"t": arms, "y": range(20)})
    assert "treatment 't' ('untreated' rather than 'treated')" in repr(CausalTable(frame, "t", "y", []))
    ordered = frame.assign(t=pd.Categorical(arms, ["untreated", "treated"], ordered=True))
    assert "treatment 't' ('treated' rather than 'untreated')" in repr(CausalTable(ordered, "t", "y", []))
