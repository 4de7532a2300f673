import numpy as np
import pandas as pd
import pytest

from ebm_causal.data import CausalTable, load_dataset
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.sensitivity import OmittedVariableBias, omitted_variable_bias

DARFUR = {"estimate": 0.0973158193, "standard_error": 0.0232565378, "dof": 783}
FEMALE = {"female": (0.0090810652, 0.1090339154)}


def darfur(**changes):
    return OmittedVariableBias.from_statistics(**{**DARFUR, "benchmarks": FEMALE, **changes})


BAD = {
    "no error": ({"standard_error": 0.0}, "standard_error must be positive and finite; got 0.0"),
    "not finite": ({"estimate": float("nan")}, "estimate must be finite; got nan"),
    "saturated": ({"dof": 0}, "dof must be 2 or more; got 0"),
    "one degree": ({"dof": 1}, "dof must be 2 or more; got 1"),
    "q": ({"q": 0.0}, "q must be positive and finite; got 0.0"),
    "alpha": ({"alpha": 1.0}, "alpha must be between 0 and 1; got 1.0"),
    "multiple": ({"multiples": (1, -2)}, "multiples must be positive and finite; got -2"),
    "r2 of one": (
        {"benchmarks": {"w": (1.0, 0.1)}},
        r"partial R\^2 of benchmark 'w' with the treatment .*\[0, 1\); got 1",
    ),
    "r2 below zero": (
        {"benchmarks": {"w": (0.1, -0.1)}},
        r"benchmark 'w' with the outcome .*\[0, 1\); got -0.1",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD.keys())
def test_numbers_out_of_range_are_refused(change, message):
    with pytest.raises(ArgumentError, match=message):
        darfur(**change)


@pytest.mark.parametrize("wrong", [1.0, -0.1, 1.5, float("nan")])
def test_strengths_out_of_range_are_refused(wrong):
    for strengths in ((wrong, 0.1), (0.1, wrong), (np.array([0.1, wrong]), 0.1)):
        with pytest.raises(ArgumentError, match=r"r2_(treatment|outcome) must be in \[0, 1\); got"):
            darfur().adjusted_estimate(*strengths)


def test_a_benchmark_that_is_not_a_covariate_is_refused():
    with pytest.raises(ArgumentError, match="'height' is not among the covariates 'age'"):
        omitted_variable_bias(load_dataset("lalonde-nsw"), ["height"])
    with pytest.raises(
        ArgumentError, match="benchmarks must be a list of names, or 'all'; got the text 'age'"
    ):
        omitted_variable_bias(load_dataset("lalonde-nsw"), "age")


def test_a_saturated_regression_and_a_fixed_treatment_are_refused():
    frame = pd.DataFrame({"t": [0, 1, 0, 1], "y": [1.0, 2, 4, 3], "a": [1.0, 3, 2, 7], "b": [4.0, 2, 1, 1]})
    with pytest.raises(TableError, match="0 degrees of freedom"):
        omitted_variable_bias(CausalTable(frame, "t", "y", ["a", "b"]))
    with pytest.raises(TableError, match="1 degree of freedom"):
        omitted_variable_bias(CausalTable(frame, "t", "y", ["a"]))
    frame = pd.concat([frame] * 5, ignore_index=True)
    frame["y"] = np.arange(20.0) ** 2
    frame["t"] = frame["a"] + frame["b"] * 2
    with pytest.raises(TableError, match="Treatment 't' has no variance left given the covariates"):
        omitted_variable_bias(CausalTable(frame, "t", "y", ["a", "b"]))


@pytest.mark.parametrize("strengths", [0.1, (0.1,), (0.1, 0.1, 0.1)])
def test_a_benchmark_without_its_two_strengths_is_refused(unchecked, strengths):
    with pytest.raises(ArgumentError, match="'female' needs two partial R"):
        OmittedVariableBias.from_statistics(1.0, 0.5, 10, benchmarks={"female": strengths})


def test_an_estimate_of_zero_needs_no_confounder():
    found = OmittedVariableBias.from_statistics(0.0, 0.5, 10, benchmarks={"female": (0.1, 0.1)})
    assert found.text == "The estimate is zero without any hidden confounder."
