"""What leaving a covariate out does to a risk ratio, as a scale for the E-value."""

import numpy as np
import pytest

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity import e_value_of_effect


def strength(ratio):
    ratio = max(ratio, 1 / ratio)
    return ratio + np.sqrt(ratio * (ratio - 1))


def without(table, *names):
    return ec.CausalTable(
        table.frame, table.treatment, table.outcome, [name for name in table.covariates if name not in names],
        categorical=[name for name in table.categorical if name not in names],
        squares=[name for name in table.squares if name not in names],
    )  # fmt: skip


def test_a_covariate_stands_for_the_e_value_of_the_factor_that_it_moves_the_ratio_by():
    found = ec.e_value(2.0, benchmarks={"age": 2.5, "sex": 1.9})
    assert found.benchmarks == pytest.approx({"age": 1.25 + np.sqrt(1.25 * 0.25), "sex": strength(0.95)})
    assert found.value == ec.e_value(2.0).value
    assert (
        "Leaving out age, which moves the ratio most of 2 covariates, does what ties of 1.809 each could do, weaker "
        "than these."
    ) in found.text


def test_measures_without_a_covariate_are_converted_as_the_measure_is():
    found = ec.e_value(4.0, scale="odds_ratio", benchmarks={"age": 6.25})
    assert found.benchmarks["age"] == pytest.approx(strength(1.25), rel=1e-12)
    found = ec.e_value(0.4, scale="standardized_difference", benchmarks={"age": -0.1})
    assert found.benchmarks["age"] == pytest.approx(strength(np.exp(0.91 * 0.5)), rel=1e-12)
    assert "no weaker than these" in ec.e_value(1.2, benchmarks={"age": 3.0}).text


def test_of_a_table_it_is_the_regression_without_the_covariate():
    table = ec.load_dataset("nhefs")
    effect = ec.adjust(table)
    found = e_value_of_effect(table, effect, {"age": ["age"], "smoking": ["smokeintensity", "smokeyrs"]})
    treated = table.treatment_values == 1
    arms = [table.outcome_values[treated], table.outcome_values[~treated]]
    sd = np.sqrt(sum(((arm - arm.mean()) ** 2).sum() for arm in arms) / (table.rows - 2))
    for name, group in (("age", ["age"]), ("smoking", ["smokeintensity", "smokeyrs"])):
        moved = ec.adjust(without(table, *group)).estimate - effect.estimate
        assert found.benchmarks[name] == pytest.approx(strength(np.exp(0.91 * moved / sd)), rel=1e-9)
    assert found.value == e_value_of_effect(table, effect).value
    assert found.summary().loc["e_value_without age", "value"] == found.benchmarks["age"]


def test_of_a_binary_outcome_it_is_the_ratio_of_risks_without_the_covariate():
    frame = ec.load_dataset("nhefs").frame
    table = ec.CausalTable(frame, "qsmk", "death", ["age", "smokeyrs"])
    effect, other = ec.adjust(table), ec.adjust(without(table, "age"))
    found = e_value_of_effect(table, effect, ["age"])
    risk = frame.loc[frame["qsmk"] == 0, "death"].mean()
    factor = (risk + other.estimate) / (risk + effect.estimate)
    assert found.benchmarks["age"] == pytest.approx(strength(factor), rel=1e-9)


def test_all_covariates_are_compared_and_the_strongest_is_named():
    table = ec.load_dataset("lalonde-cps")
    found = e_value_of_effect(table, ec.adjust(table), "all")
    assert list(found.benchmarks) == list(table.covariates)
    name = max(found.benchmarks, key=found.benchmarks.get)
    assert f"Leaving out {name}, which moves the ratio most of 8 covariates," in found.text


@pytest.mark.parametrize(
    ("benchmarks", "message"),
    [
        ({"age": 0.0}, "risk ratio without 'age' must be positive and finite; got 0"),
        ({"age": None}, "risk ratio without 'age' must be a real number; got None"),
        ({"age": 1e-320}, "has no E-value that a computer can hold"),
        (["age"], r"benchmarks must give the measure without each covariate, .*; got \['age'\]"),
    ],
)
def test_measures_without_a_covariate_that_cannot_be_are_refused(unchecked, benchmarks, message):
    with pytest.raises(ArgumentError, match=message):
        ec.e_value(2.0, benchmarks=benchmarks)


def test_a_benchmark_that_is_no_covariate_and_an_effect_that_is_no_difference_are_refused(unchecked):
    table = ec.load_dataset("lalonde-nsw")
    with pytest.raises(ArgumentError, match="'height' is not among the covariates"):
        e_value_of_effect(table, ec.adjust(table), ["height"])
    with pytest.raises(ArgumentError, match="effect must be a difference that ec.adjust gives; got 3.0"):
        e_value_of_effect(table, 3.0)
    ratio = ec.adjust(table, "weighting", contrast="ratio")
    with pytest.raises(ArgumentError, match="effect must be a difference"):
        e_value_of_effect(table, ratio)
    with pytest.raises(ArgumentError, match="table must be a CausalTable; got DataFrame"):
        e_value_of_effect(table.frame, ec.adjust(table))
