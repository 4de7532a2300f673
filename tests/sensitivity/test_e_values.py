import numpy as np
import pandas as pd
import pytest

import ebm_causal as ec
from ebm_causal.data import CausalTable, linear_world, load_dataset
from ebm_causal.errors import ArgumentError
from ebm_causal.intervention import adjust
from ebm_causal.sensitivity import e_value, e_value_of_difference, e_value_of_effect

# VanderWeele and Ding 2017.
KNOWN = {
    "raises": ((3.9, 1.8, None), 7.263034, 3.000000),
    "lowers": ((0.80, None, 0.91), 1.809017, 1.428571),
    "holds one": ((1.5, 0.9, 2.5), 2.366025, 1.0),
    "holds one from below": ((0.8, 0.6, 1.1), 1.809017, 1.0),
    "no interval": ((3.9, None, None), 7.263034, None),
    "the other limit": ((3.9, None, 5.0), 7.263034, None),
    "no effect": ((1.0, 0.9, 1.1), 1.0, 1.0),
}


@pytest.mark.parametrize(("arguments", "value", "limit"), KNOWN.values(), ids=KNOWN.keys())
def test_known_answers(arguments, value, limit):
    found = e_value(*arguments)
    assert found.value == pytest.approx(value, abs=5e-7)
    assert found.limit is None if limit is None else found.limit == pytest.approx(limit, abs=5e-7)


@pytest.mark.parametrize("ratio", [1.0, 1.01, 1.7, 12.0, 1e6])
def test_a_confounder_of_that_strength_explains_the_ratio(ratio):
    strength = e_value(ratio).value
    assert strength**2 / (2 * strength - 1) == pytest.approx(ratio, rel=1e-12)
    assert e_value(1 / ratio).value == pytest.approx(strength, rel=1e-12)


def test_a_difference_is_converted_by_the_standardized_effect():
    found = e_value_of_difference(2.0, 0.5, 8.0)
    assert found.risk_ratio == pytest.approx(np.exp(0.91 * 0.25), rel=1e-12)
    assert found.lower == pytest.approx(np.exp(0.91 * 0.25 - 1.78 * 0.0625), rel=1e-12)
    assert found.upper == pytest.approx(np.exp(0.91 * 0.25 + 1.78 * 0.0625), rel=1e-12)
    assert found.limit == e_value(found.lower).value
    assert "exp(.91 d)" in found.text
    turned = e_value_of_difference(-2.0, 0.5, 8.0)
    assert (turned.value, turned.limit) == pytest.approx((found.value, found.limit), rel=1e-12)


def test_an_effect_on_a_continuous_outcome_is_divided_by_the_sd_within_arms():
    table = load_dataset("lalonde-nsw")
    effect = adjust(table, "regression")
    treated = table.treatment_values == 1
    y1, y0 = table.outcome_values[treated], table.outcome_values[~treated]
    pooled = np.sqrt((((y1 - y1.mean()) ** 2).sum() + ((y0 - y0.mean()) ** 2).sum()) / 443)
    found = e_value_of_effect(table, effect)
    assert found.value == pytest.approx(
        e_value_of_difference(effect.estimate, effect.standard_error, pooled).value, rel=1e-12
    )
    assert "within arms" in found.text


def test_an_effect_of_a_continuous_treatment_is_that_of_one_of_its_sds():
    table = linear_world(500, seed=2).table()
    effect = adjust(table)
    noise = table.outcome_values - np.poly1d(np.polyfit(table.treatment_values, table.outcome_values, 1))(
        table.treatment_values
    )
    d = effect.estimate * table.treatment_values.std(ddof=1) / np.sqrt(noise @ noise / 498)
    found = e_value_of_effect(table, effect)
    assert found.risk_ratio == pytest.approx(np.exp(0.91 * d), rel=1e-9)
    assert "one standard deviation of 'treatment'" in found.text


def test_an_effect_on_a_binary_outcome_is_a_ratio_of_risks():
    nhefs = load_dataset("nhefs")
    table = CausalTable(nhefs.frame, "qsmk", "death")
    effect = adjust(table, "naive")
    assert effect.estimate == pytest.approx(0.05383741, abs=5e-9)
    found = e_value_of_effect(table, effect)
    assert found.risk_ratio == pytest.approx(1.31306452, abs=5e-9)
    assert "risk" in found.text


def binary_outcome(events):
    frame = pd.DataFrame({"t": np.arange(60) % 2, "y": 0.0})
    frame.loc[events, "y"] = 1.0
    return CausalTable(frame, "t", "y")


def test_without_a_risk_to_start_from_there_is_no_ratio():
    table = binary_outcome([1, 3])
    with pytest.raises(ArgumentError, match="'y' would turn a risk of 0 into 0.06667: there is no ratio"):
        e_value_of_effect(table, adjust(table, "naive"))


def test_an_interval_that_reaches_below_a_risk_of_zero_ends_there():
    table = binary_outcome([0, 1, 3, 5])
    found = e_value_of_effect(table, adjust(table, "naive"))
    assert found.risk_ratio == pytest.approx(3.0)
    assert 0 < found.lower < 1e-9
    assert found.limit == 1.0


def test_a_summary_and_a_repr():
    found = e_value(3.9, 1.8)
    assert found.summary()["value"]["e_value"] == found.value
    assert "7.26" in repr(found)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_a_ratio_that_is_none_is_refused(wrong):
    with pytest.raises(ArgumentError, match="risk_ratio must be positive and finite; got"):
        e_value(wrong)


def test_limits_on_the_wrong_side_are_refused():
    with pytest.raises(ArgumentError, match="lower must be positive and at most the risk ratio 2; got 3"):
        e_value(2, 3)
    with pytest.raises(ArgumentError, match="upper must be finite and at least the risk ratio 2; got 1.5"):
        e_value(2, 1, 1.5)
    with pytest.raises(ArgumentError, match="lower must be positive and at most the risk ratio 2; got 0"):
        e_value(2, 0.0)


def test_a_difference_without_spread_is_refused():
    with pytest.raises(ArgumentError, match="sd must be positive and finite; got 0"):
        e_value_of_difference(1.0, 0.5, 0.0)
    with pytest.raises(ArgumentError, match="standard_error must be finite and not negative; got -1"):
        e_value_of_difference(1.0, -1.0, 1.0)
    with pytest.raises(ArgumentError, match="estimate must be finite; got nan"):
        e_value_of_difference(float("nan"), 1.0, 1.0)


# Other scales: VanderWeele and Ding 2017, table 2


def test_an_odds_ratio_stands_for_its_square_root_and_a_rare_one_for_itself():
    found = ec.e_value(4.0, 2.25, 9.0, scale="odds_ratio")
    assert (found.risk_ratio, found.lower, found.upper) == (2.0, 1.5, 3.0)
    assert found.value == pytest.approx(2 + np.sqrt(2), rel=1e-12)
    assert found.limit == pytest.approx(1.5 + np.sqrt(0.75), rel=1e-12)
    assert "square root" in found.text
    assert ec.e_value(4.0, scale="odds_ratio", rare=True).value == ec.e_value(4.0).value


def test_a_hazard_ratio_is_turned_into_risks_halfway():
    found = ec.e_value(0.56, 0.46, 0.69, scale="hazard_ratio")
    halves = [(1 - 0.5 ** np.sqrt(h)) / (1 - 0.5 ** np.sqrt(1 / h)) for h in (0.56, 0.46, 0.69)]
    assert (found.risk_ratio, found.lower, found.upper) == pytest.approx(halves, rel=1e-12)
    assert found.value == pytest.approx(
        1 / halves[0] + np.sqrt(1 / halves[0] * (1 / halves[0] - 1)), rel=1e-12
    )
    assert ec.e_value(0.56, scale="hazard_ratio", rare=True).risk_ratio == 0.56
    assert ec.e_value(1.0, scale="hazard_ratio").value == pytest.approx(1.0)


def test_a_standardized_difference_agrees_with_a_difference_and_its_error():
    d, error = 0.4, 0.1
    found = ec.e_value(d, d - 1.78 / 0.91 * error, d + 1.78 / 0.91 * error, scale="standardized_difference")
    other = e_value_of_difference(2 * d, 2 * error, 2.0)
    assert (found.value, found.limit) == pytest.approx((other.value, other.limit), rel=1e-12)
    turned = ec.e_value(-d, scale="standardized_difference")
    assert turned.value == pytest.approx(found.value, rel=1e-12)


@pytest.mark.parametrize("ratio", [0.2, 0.9, 1.3, 3.9, 20.0])
def test_the_e_value_is_the_strength_whose_bias_factor_is_the_ratio(ratio):
    strength = ec.e_value(ratio).value
    assert strength**2 / (2 * strength - 1) == pytest.approx(max(ratio, 1 / ratio), rel=1e-12)


@pytest.mark.parametrize(
    ("numbers", "scale", "message"),
    [
        ((0.0,), "risk_ratio", "risk_ratio must be positive and finite; got 0"),
        ((0.0,), "odds_ratio", "odds_ratio must be positive and finite; got 0"),
        ((2.0, -1.0), "hazard_ratio", "lower must be positive and finite; got -1"),
        ((float("nan"),), "standardized_difference", "standardized_difference must be finite; got nan"),
        ((800.0,), "standardized_difference", "800 sd has no risk ratio that a computer can hold"),
    ],
)
def test_measures_that_cannot_be_are_refused(numbers, scale, message):
    with pytest.raises(ArgumentError, match=message):
        ec.e_value(*numbers, scale=scale)


def test_an_unknown_scale_is_refused(unchecked):
    with pytest.raises(ArgumentError, match="scale must be one of 'risk_ratio', .*; got 'risk'"):
        ec.e_value(2.0, scale="risk")


def test_the_text_says_what_would_move_the_estimate_and_what_its_interval():
    found = ec.e_value(3.9, lower=1.8)
    assert "by a risk ratio of 7.263 each" in found.text
    assert "Ties of 3 each could make the interval hold 1" in found.text
    assert "The interval holds 1 without any" in ec.e_value(1.2, lower=0.9).text
    assert ec.e_value(1.0).text == "A risk ratio of 1 leaves nothing to explain."


@pytest.mark.parametrize("ratio", [1e-320, 1e308])
def test_a_ratio_whose_e_value_overflows_is_refused(ratio):
    with pytest.raises(ArgumentError, match="has no E-value that a computer can hold"):
        ec.e_value(ratio)
