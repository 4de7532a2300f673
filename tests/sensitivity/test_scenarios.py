"""Extreme scenarios, critical values, groups of benchmarks, and what the theory does not cover."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity import OmittedVariableBias, omitted_variable_bias

FEMALE = {"female": (0.0090810652, 0.1090339154)}


def darfur(**changes):
    numbers = {"estimate": 0.0973158193, "standard_error": 0.0232565378, "dof": 783, "benchmarks": FEMALE}
    return OmittedVariableBias.from_statistics(**{**numbers, **changes})


def test_the_extreme_robustness_value_is_the_strength_that_does_it_with_all_of_the_outcome():
    found = darfur()
    assert found.extreme_robustness_value == pytest.approx(found.partial_r2, rel=1e-12)
    assert found.extreme_robustness_value == pytest.approx(0.0218730933, abs=1e-10)
    at = darfur(q=0.5).extreme_robustness_value
    nearly_all = found.adjusted_estimate(at, 1 - 1e-12)
    assert nearly_all == pytest.approx(0.5 * found.estimate, rel=1e-6)
    assert 0 < found.extreme_robustness_value_alpha < found.extreme_robustness_value
    assert darfur(estimate=0.01).extreme_robustness_value_alpha == 0.0


def test_at_the_extreme_robustness_value_at_alpha_no_split_reaches_the_critical_t_sooner():
    found = darfur()
    limit, critical = found.extreme_robustness_value_alpha, stdtrit(782, 0.975)
    outcome = np.linspace(0, 1 - 1e-9, 20_001)
    assert found.adjusted_t(limit * 0.999, outcome).min() > critical
    assert found.adjusted_t(limit * 1.001, outcome).min() < critical


@pytest.mark.parametrize(("d", "y"), [(0.0, 0.0), (0.01, 0.12), (0.1, 0.1), (0.3, 0.6)])
def test_a_t_at_the_adjusted_critical_value_is_just_critical_after_the_confounder(d, y):
    critical = darfur().adjusted_critical_value(d, y)
    at = darfur(estimate=critical * 0.0232565378)
    assert at.adjusted_t(d, y) == pytest.approx(stdtrit(782, 0.975), rel=1e-9)


def test_the_adjusted_interval_is_that_of_the_bounds():
    found = darfur()
    row = found.bounds.iloc[2]
    lower, upper = found.adjusted_interval(row["r2_treatment"], row["r2_outcome"])
    assert (lower, upper) == pytest.approx((-0.0062532823, 0.0670453292), abs=2e-8)
    assert (row["lower"], row["upper"]) == (lower, upper)


def test_contours_hold_the_t_of_each_estimate():
    contour = darfur().contour(40)
    d, y = contour.r2_treatment[7], contour.r2_outcome[21]
    assert contour.adjusted_t[21, 7] == pytest.approx(darfur().adjusted_t(d, y), rel=1e-12)


def test_extreme_scenarios_are_the_formula_with_that_share_of_the_outcome():
    found = darfur()
    extremes = found.extremes((1.0, 0.5), points=30)
    d = extremes.r2_treatment
    np.testing.assert_allclose(extremes.adjusted_estimate[1], found.adjusted_estimate(d, 0.5), rtol=1e-12)
    worst = found.estimate - found.standard_error * np.sqrt(783 * d / (1 - d))
    np.testing.assert_allclose(extremes.adjusted_estimate[0], worst, rtol=1e-12)
    turned = darfur(estimate=-found.estimate).extremes((1.0, 0.5), points=30)
    np.testing.assert_array_equal(turned.adjusted_estimate, -extremes.adjusted_estimate)
    assert extremes.benchmarks["1 x female"] == pytest.approx(0.0091642867, abs=1e-9)


def test_a_group_of_benchmarks_is_as_strong_as_its_covariates_together():
    table = ec.load_dataset("lalonde-cps")
    found = omitted_variable_bias(table, {"earnings": ["re74", "re75"], "age": ["age"]}, multiples=[1])
    columns = {name: table.frame[name].to_numpy(float) for name in table.covariates}
    strengths = []
    for of, beside in ((table.treatment_values, []), (table.outcome_values, [table.treatment_values])):
        left = []
        for names in (set(columns) - {"re74", "re75"}, set(columns)):
            design = np.column_stack(
                [np.ones(table.rows), *beside, *(columns[name] for name in sorted(names))]
            )
            design = design / np.abs(design).max(0)
            left.append(np.linalg.lstsq(design, of, rcond=None)[1][0])
        strengths.append(1 - left[1] / left[0])
    assert found.benchmarks["earnings"] == pytest.approx(tuple(strengths), abs=1e-10)
    alone = omitted_variable_bias(table, ["age"], multiples=[1])
    assert found.benchmarks["age"] == alone.benchmarks["age"]


# Words and warnings


def test_one_sentence_names_both_tipping_points_and_the_covariate_to_compare_with():
    text = darfur().text
    assert "explains 13.88% of what the covariates leave of both" in text
    assert "explains 7.63% of both would make its 95% interval hold zero" in text
    assert "one like female, the covariate that would bias it most, explains 0.92% of the treatment" in text
    assert "would not do for the estimate" in text
    assert "take 50% of the estimate 0.09732 away" in darfur(q=0.5).text
    weak = darfur(estimate=0.01, benchmarks={})
    assert weak.text.endswith("and its 95% interval holds zero without any.")
    assert "which would do for the estimate" in darfur(estimate=0.01).text


def test_robust_errors_are_warned_about():
    assert (
        "robust, and the theory is for independent errors of one variance"
        in darfur(errors="robust").warnings[0]
    )
    assert darfur().warnings == ()


def test_errors_of_uneven_variance_are_warned_about():
    draws = np.random.default_rng(0)
    t = draws.normal(size=800)
    frame = pd.DataFrame({"t": t, "y": t + draws.normal(size=800) * (0.1 + t**2)})
    (warning,) = omitted_variable_bias(ec.CausalTable(frame, "t", "y")).warnings
    assert warning.startswith("The robust standard error (HC1) is")
    even = frame.assign(y=t + draws.normal(size=800))
    assert omitted_variable_bias(ec.CausalTable(even, "t", "y")).warnings == ()


def test_pictures_of_t_and_of_extremes():
    axes = darfur().plot(of="t")
    assert axes.get_xlabel()
    plt.close(axes.figure)
    axes = darfur().extremes().plot()
    assert len(axes.get_legend().get_texts()) == 3
    plt.close(axes.figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: darfur().extremes((0.5, 1.1)), r"r2_outcome must be in \(0, 1\]; got 1.1"),
        (lambda: darfur().extremes(points=1), "points must be 2 or more; got 1"),
        (lambda: darfur().adjusted_critical_value(1.0, 0.1), r"r2_treatment must be in \[0, 1\); got 1"),
        (lambda: darfur().adjusted_interval(0.1, -0.1), r"r2_outcome must be in \[0, 1\); got -0.1"),
        (lambda: grouped({"g": []}), r"Group 'g' must be a list of covariates; got \[\]"),
        (lambda: grouped({"g": ["age", "wage"]}), "Benchmark 'wage' is not among the covariates"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def grouped(benchmarks):
    return omitted_variable_bias(ec.load_dataset("lalonde-nsw"), benchmarks)


def test_unknown_errors_are_refused(unchecked):
    with pytest.raises(ArgumentError, match="errors must be 'classical' or 'robust'; got 'HC1'"):
        darfur(errors="HC1")
