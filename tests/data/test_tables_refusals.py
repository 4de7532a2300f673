import numpy as np
import pandas as pd
import pytest

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError, TableError


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


REFUSALS = {
    "unknown treatment": ({"treatment": "T"}, r"Column 'T' is not in the table. Did you mean 't'\?"),
    "unknown covariate": ({"covariates": ["agee"]}, r"Column 'agee' .* Did you mean 'age'\?"),
    "covariates as text": ({"covariates": "age"}, r"covariates must be a list of names; got the text 'age'"),
    "outcome is treatment": ({"outcome": "t"}, "'t' cannot be both treatment and outcome"),
    "covariate is treatment": (
        {"covariates": ["t"]},
        "Column 't' is the treatment and cannot be a covariate",
    ),
    "covariate is outcome": ({"covariates": ["y"]}, "Column 'y' is the outcome and cannot be a covariate"),
    "covariate twice": ({"covariates": ["age", "age"]}, "Covariate 'age' is named twice"),
    "text outcome": (
        {"treatment": "t", "outcome": "site"},
        r"Outcome 'site' is not numeric: it holds '[abc]' in row 0",
    ),
    "three texts": ({"treatment": "site"}, r"Treatment 'site' is text with 3 levels \('a', 'b', 'c'\)"),
    "unknown categorical": (
        {"categorical": ["age"]},
        "categorical names 'age', which is not among the covariates",
    ),
    "unknown square": ({"squares": ["age"]}, "squares names 'age', which is not among the covariates"),
    "square of text": (
        {"covariates": ["site"], "squares": ["site"]},
        "squares names 'site', which enters as levels",
    ),
}


@pytest.mark.parametrize(("change", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_roles_that_columns_cannot_take_are_refused(change, message):
    with pytest.raises(TableError, match=message):
        CausalTable(frame(), **{"treatment": "t", "outcome": "y", **change})


BAD_COLUMNS = {
    "treatment with one value": ({"t": 1}, (), "Treatment 't' has one value, 1, in all 40 rows"),
    "outcome with one value": ({"y": 2.5}, (), "Outcome 'y' has one value, 2.5, in all 40 rows"),
    "constant number": ({"c": 3}, ["c"], "Covariate 'c' is constant: 3 in all 40 rows"),
    "constant text": ({"c": "x"}, ["c"], "Covariate 'c' is constant: 'x' in all 40 rows"),
    "text among numbers": (
        {"c": ["1", "2", "n.a."] * 13 + ["3"]},
        ["c"],
        r"Covariate 'c' holds numbers, but also 'n.a.' in row 2",
    ),
    "date outcome": (
        {"y": pd.date_range("2020-01-01", periods=40)},
        (),
        "Outcome 'y' is not numeric: .*datetime",
    ),
    "date treatment": ({"t": pd.date_range("2020-01-01", periods=40)}, (), "Treatment 't' holds datetime"),
    "date covariate": ({"c": pd.date_range("2020-01-01", periods=40)}, ["c"], "Covariate 'c' holds datetime"),
    "complex covariate": ({"c": np.arange(40) * 1j}, ["c"], "Covariate 'c' holds complex128 values"),
    "covariate equal to the treatment": (
        {"c": np.arange(40) % 2},
        ["c"],
        "Covariate 'c' carries the same values as the treatment 't'",
    ),
    "covariate the reverse of the treatment": (
        {"c": ["on", "off"] * 20},
        ["c"],
        "Covariate 'c' carries the same values as the treatment 't'",
    ),
    "covariate equal to the outcome": (
        {"c": frame()["y"] * 2 + 1},
        ["c"],
        "Covariate 'c' carries the same values as the outcome 'y'",
    ),
    "sum of covariates": (
        {"c": frame()["age"] + 2.0 * frame()["smoker"]},
        ["age", "smoker", "c"],
        r"Column 'c' is a linear combination of other covariates \('age', 'smoker'\)",
    ),
    "indicator of a level": (
        {"c": (frame()["site"] == "b") * 1},
        ["site", "c"],
        r"Column 'c' is a linear combination of other covariates \('site'\)",
    ),
    "two levels that read the same": (
        {"c": pd.Categorical([1, "1", 2, 1] * 10, categories=[1, "1", 2])},
        ["c"],
        "Column 'c' has two levels that both read '1'",
    ),
}


@pytest.mark.parametrize(("columns", "covariates", "message"), BAD_COLUMNS.values(), ids=BAD_COLUMNS.keys())
def test_columns_that_tell_nothing_or_repeat_others_are_refused(columns, covariates, message):
    with pytest.raises(TableError, match=message):
        CausalTable(frame().assign(**columns), "t", "y", covariates)


def test_a_column_that_repeats_an_absorbed_covariate_is_refused():
    given = frame(200).assign(village=[f"v{i}" for i in np.arange(200) // 4])
    given["region"] = given["village"].str[:2]
    with pytest.raises(TableError, match=r"Column 'region\[v1\]' is a linear combination .*'village'"):
        CausalTable(given, "t", "y", ["region", "village"])


def test_a_square_of_zeros_and_ones_is_refused_as_a_repetition():
    with pytest.raises(
        TableError, match=r"Column 'c\^2' is a linear combination of other covariates \('c'\)"
    ):
        CausalTable(frame().assign(c=[0, 0, 1, 1] * 10), "t", "y", ["c"], squares=["c"])


def test_two_columns_with_one_name_are_refused():
    twice = pd.concat([frame(), frame()[["age"]]], axis=1)
    with pytest.raises(TableError, match="Column names must differ; 'age' stand"):
        CausalTable(twice, "t", "y")


def test_too_few_rows_are_refused_with_the_widest_covariate():
    given = frame(10).assign(id=list("abcdefghij"))
    with pytest.raises(TableError, match=r"10 rows are too few for the 10 columns .* 'id' alone gives 9"):
        CausalTable(given, "t", "y", ["age", "id"])


def test_an_empty_frame_is_refused():
    with pytest.raises(TableError, match="The table has no rows, .*'t' and 'y'"):
        CausalTable(frame().iloc[:0], "t", "y")


def test_a_table_without_a_complete_row_is_refused_with_the_worst_column():
    with pytest.raises(TableError, match=r"No row is left: all 40 rows .* 'c' alone in 40 rows"):
        CausalTable(frame().assign(c=np.nan), "t", "y", ["c"])


def test_refusing_incomplete_rows_names_the_column_and_the_first_of_them():
    given = frame()
    given.loc[[7, 9], "y"] = np.nan
    with pytest.raises(TableError, match=r"Column 'y' has missing values in 2 rows, first in rows \[7, 9\]"):
        CausalTable(given, "t", "y", missing="refuse")
    given["y"] = np.where(np.arange(40) == 5, np.inf, 1.0)
    with pytest.raises(TableError, match=r"Column 'y' has infinite values in 1 rows, first in rows \[5\]"):
        CausalTable(given, "t", "y", missing="refuse")
    with pytest.raises(ArgumentError, match="missing must be 'drop' or 'refuse'; got 'keep'"):
        CausalTable(given, "t", "y", missing="keep")
