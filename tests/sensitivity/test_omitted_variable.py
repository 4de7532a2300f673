import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit
from scipy.stats import binom

from ebm_causal.data import CausalTable, linear_world, load_dataset, village_world
from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity import OmittedVariableBias, omitted_variable_bias

# Cinelli and Hazlett 2020, Darfur: the numbers of the article to more digits.
DARFUR = {"estimate": 0.0973158193, "standard_error": 0.0232565378, "dof": 783}
FEMALE = {"female": (0.0090810652, 0.1090339154)}
PUBLISHED = {
    1: (0.0091642867, 0.1246409230, 0.0752202712, 0.0218733278, 3.4389038602, 0.0322829657, 0.1181575767),
    2: (0.0183285734, 0.2493240642, 0.0529151724, 0.0203500621, 2.6002462391, 0.0129680348, 0.0928623099),
    3: (0.0274928600, 0.3740504710, 0.0303960235, 0.0186700648, 1.6280620213, -0.0062532823, 0.0670453292),
}
NUMBERS = [
    "r2_treatment",
    "r2_outcome",
    "adjusted_estimate",
    "adjusted_standard_error",
    "adjusted_t",
    "lower",
    "upper",
]


def darfur(**changes):
    return OmittedVariableBias.from_statistics(**{**DARFUR, "benchmarks": FEMALE, **changes})


def test_darfur_robustness():
    found = darfur()
    assert found.t == pytest.approx(4.1844499848, abs=1e-8)
    assert found.partial_r2 == pytest.approx(0.0218730933, abs=1e-10)
    assert found.robustness_value == pytest.approx(0.1387763539, abs=1e-9)
    assert found.robustness_value_alpha == pytest.approx(0.0762579655, abs=1e-9)
    assert darfur(q=0.5).robustness_value == pytest.approx(0.0720269758, abs=1e-9)


@pytest.mark.parametrize("multiple", PUBLISHED)
def test_darfur_bounds(multiple):
    bounds = darfur().bounds.set_index("multiple")
    assert bounds.loc[multiple, "benchmark"] == "female"
    np.testing.assert_allclose(bounds.loc[multiple, NUMBERS].astype(float), PUBLISHED[multiple], atol=2e-8)


TABLES = {
    "lalonde-cps": (0.00999015, 0.0, None),
    "nhefs": (0.18169148, 0.13998571, 0.03877717),
}


@pytest.mark.parametrize("name", TABLES)
def test_robustness_of_the_regressions(name):
    robustness, robustness_alpha, partial_r2 = TABLES[name]
    found = omitted_variable_bias(load_dataset(name))
    assert found.robustness_value == pytest.approx(robustness, abs=5e-9)
    assert found.robustness_value_alpha == pytest.approx(robustness_alpha, abs=5e-9)
    if partial_r2 is not None:
        assert found.partial_r2 == pytest.approx(partial_r2, abs=5e-9)


def test_robustness_of_the_experiment():
    table = load_dataset("lalonde-nsw")
    assert omitted_variable_bias(table).robustness_value == pytest.approx(0.11817476, abs=5e-9)
    plain = omitted_variable_bias(CausalTable(table.frame, "treat", "re78"))
    assert plain.robustness_value == pytest.approx(0.12594197, abs=5e-9)
    assert plain.robustness_value_alpha == pytest.approx(0.04038708, abs=5e-9)
    assert plain.partial_r2 == pytest.approx(0.01782339, abs=5e-9)


# Laws


def test_at_the_true_strengths_the_adjusted_estimate_is_the_regression_with_the_confounder():
    for seed, strength in ((0, 1.0), (1, -0.7), (2, 0.1)):
        world = linear_world(200, treatment_on_latent=strength, covariates=2, seed=seed)
        short = omitted_variable_bias(world.table())
        frame = world.frame.assign(z=world.latent)
        long = omitted_variable_bias(CausalTable(frame, "treatment", "outcome", ["w1", "w2", "z"]))
        noise = [np.linalg.lstsq(*system, rcond=None)[1][0] for system in systems(frame)]
        r2_treatment, r2_outcome = 1 - noise[1] / noise[0], 1 - noise[3] / noise[2]
        bias = abs(short.estimate - long.estimate)
        assert short.bias(r2_treatment, r2_outcome) == pytest.approx(bias, abs=1e-9)
        if abs(long.estimate) < abs(short.estimate):
            assert short.adjusted_estimate(r2_treatment, r2_outcome) == pytest.approx(long.estimate, abs=1e-9)
        error = short.adjusted_standard_error(r2_treatment, r2_outcome)
        assert error == pytest.approx(long.standard_error, abs=1e-9)


def systems(frame):
    ones = np.ones(len(frame))
    seen = np.column_stack([ones, frame[["w1", "w2"]]])
    latent = np.column_stack([seen, frame["z"]])
    treated = np.column_stack([seen, frame["treatment"]])
    both = np.column_stack([treated, frame["z"]])
    return (
        (seen, frame["treatment"].to_numpy()),
        (latent, frame["treatment"].to_numpy()),
        (treated, frame["outcome"].to_numpy()),
        (both, frame["outcome"].to_numpy()),
    )


def test_a_turned_sign_mirrors_everything():
    found, turned = darfur(), darfur(estimate=-DARFUR["estimate"])
    assert turned.robustness_value == found.robustness_value
    assert turned.robustness_value_alpha == found.robustness_value_alpha
    assert turned.partial_r2 == found.partial_r2
    strengths = np.array([0.0, 0.1, 0.3]), np.array([0.2, 0.1, 0.9])
    np.testing.assert_array_equal(turned.adjusted_estimate(*strengths), -found.adjusted_estimate(*strengths))
    np.testing.assert_array_equal(turned.adjusted_t(*strengths), -found.adjusted_t(*strengths))
    for name, mirror in (("adjusted_estimate", "adjusted_estimate"), ("lower", "upper"), ("upper", "lower")):
        np.testing.assert_array_equal(turned.bounds[name], -found.bounds[mirror])


@pytest.mark.parametrize("q", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("dof", [3, 20, 783])
@pytest.mark.parametrize("t", [0.3, 2.2, 4.2, 30.0])
def test_a_confounder_as_strong_as_the_robustness_value_takes_that_share_away(q, dof, t):
    found = OmittedVariableBias.from_statistics(t, 1.0, dof, q=q)
    strength = found.robustness_value
    assert found.adjusted_estimate(strength, strength) == pytest.approx((1 - q) * t, abs=1e-9 * max(1, t))


@pytest.mark.parametrize(("t", "dof"), [(4.18, 783), (2.2, 20), (9.0, 5), (30.0, 400), (40.0, 12)])
def test_just_past_its_robustness_value_the_interval_holds_zero(t, dof):
    found = OmittedVariableBias.from_statistics(t, 1.0, dof)
    limit, critical = found.robustness_value_alpha, stdtrit(dof - 1, 0.975)

    def smallest(strength):
        return found.adjusted_t(strength, np.linspace(0, strength, 20_001)).min()

    assert 0 < limit < 1
    assert smallest(limit * 0.999) > critical
    assert smallest(limit + (1 - limit) * 0.001) < critical


def test_an_estimate_within_chance_has_no_robustness():
    assert OmittedVariableBias.from_statistics(1.0, 0.6, 100).robustness_value_alpha == 0.0
    assert OmittedVariableBias.from_statistics(0.0, 1.0, 100).robustness_value == 0.0


def test_adjusted_numbers_are_vectorized():
    found = darfur()
    treatment, outcome = np.linspace(0, 0.4, 5), np.linspace(0, 0.9, 7)[:, None]
    grid = found.adjusted_estimate(treatment, outcome)
    assert grid.shape == (7, 5)
    assert grid[6, 4] == found.adjusted_estimate(treatment[4], outcome[6, 0])
    error = found.adjusted_standard_error(treatment, outcome)
    np.testing.assert_array_equal(found.adjusted_t(treatment, outcome), grid / error)
    assert isinstance(found.adjusted_estimate(0.1, 0.1), float)
    assert found.adjusted_estimate(0.0, 0.5) == found.estimate


# Benchmarks


def partial_r2(frame, of, group, given):
    sums = []
    for columns in (given, [*given, *group]):
        design = (
            np.column_stack([np.ones(len(frame)), frame[columns]]) if columns else np.ones((len(frame), 1))
        )
        sums.append(np.linalg.lstsq(design, frame[of], rcond=None)[1][0])
    return 1 - sums[1] / sums[0]


def test_a_benchmark_takes_all_columns_of_its_name():
    table = load_dataset("nhefs")
    names = list(table.design.names)
    scaled = (table.design.matrix() - table.design.matrix().mean(0)) / table.design.matrix().std(0)
    frame = pd.DataFrame(scaled, columns=names).assign(t=table.treatment_values, y=table.outcome_values)
    found = omitted_variable_bias(table, ["education", "age"], multiples=[1])
    for name in ("education", "age"):
        group = [column for column, source in zip(names, table.design.sources, strict=True) if source == name]
        rest = [column for column in names if column not in group]
        r2_treatment = partial_r2(frame, "t", group, rest)
        r2_outcome = partial_r2(frame, "y", group, [*rest, "t"])
        assert found.benchmarks[name] == pytest.approx((r2_treatment, r2_outcome), abs=1e-10)
    assert len([name for name in names if name.startswith("education")]) == 4


def test_a_village_is_a_benchmark_as_any_covariate_is():
    world = village_world(rows=400, villages=50, seed=1)
    table = world.table()
    found = omitted_variable_bias(table, ["female", "village"], multiples=[0.1])
    frame = pd.DataFrame(table.design.matrix(), columns=list(table.design.names))
    frame = frame.assign(t=table.treatment_values, y=table.outcome_values)
    for name in ("female", "village"):
        group = [
            column
            for column, source in zip(table.design.names, table.design.sources, strict=True)
            if source == name
        ]
        rest = [column for column in table.design.names if column not in group]
        wanted = partial_r2(frame, "t", group, rest), partial_r2(frame, "y", group, [*rest, "t"])
        assert found.benchmarks[name] == pytest.approx(wanted, abs=1e-10)


def test_all_covariates_serve_as_benchmarks():
    table = load_dataset("lalonde-cps")
    found = omitted_variable_bias(table, "all", multiples=(1, 2))
    assert found.bounds["benchmark"].unique().tolist() == list(table.covariates)
    assert found.bounds["multiple"].tolist() == [1.0, 2.0] * 8


def test_a_benchmark_too_strong_to_multiply_has_no_bounds_and_is_named():
    found = darfur(benchmarks={"strong": (0.6, 0.3), **FEMALE}, multiples=(1, 2))
    bounds = found.bounds
    assert bounds[NUMBERS].isna().all(axis=1).tolist() == [True, True, False, False]
    assert any("'strong'" in warning and "1 or more" in warning for warning in found.warnings)
    record = found.bounds_records()[0]
    assert record["benchmark"] == "strong"
    assert record["adjusted_estimate"] is None
    assert record["r2_treatment"] is None
    assert all(value is None or value == value for row in found.bounds_records() for value in row.values())


def test_a_benchmark_too_strong_for_the_outcome_keeps_its_strength_toward_the_treatment():
    found = darfur(benchmarks={"w": (0.1, 0.6)}, multiples=(1,))
    (record,) = found.bounds_records()
    assert record["r2_treatment"] == pytest.approx(1 / 9)
    assert [record[name] for name in NUMBERS[1:]] == [None] * 6
    (warning,) = found.warnings
    assert warning.startswith(
        "A confounder 1 times as strong as 'w' would have a partial R^2 of 1 or more with"
    )


def test_records_are_the_bounds():
    found = darfur()
    assert pd.DataFrame(found.bounds_records()).equals(found.bounds)


# The rest


def test_a_contour_holds_the_benchmarks_and_the_robustness_value():
    found = darfur()
    contour = found.contour(50)
    assert contour.adjusted_estimate.shape == (50, 50)
    assert contour.r2_treatment[-1] >= max(found.bounds["r2_treatment"].max(), found.robustness_value)
    assert contour.r2_outcome[-1] >= found.bounds["r2_outcome"].max()
    expected = found.adjusted_estimate(contour.r2_treatment[3], contour.r2_outcome[7])
    assert contour.adjusted_estimate[7, 3] == expected
    with pytest.raises(ArgumentError, match="points must be 2 or more; got 1"):
        found.contour(1)


def test_a_summary_a_repr_and_a_picture():
    found = darfur()
    summary = found.summary()["value"]
    assert summary["robustness_value"] == found.robustness_value
    assert "13.9 %" in repr(found)
    axes = found.plot()
    assert axes.get_xlabel()
    plt.close(axes.figure)


def test_intervals_at_the_confounders_own_strengths_cover_the_effect_in_1000_worlds():
    draws, dof, covered = np.random.default_rng(8), 58, 0
    for _ in range(1000):
        z, e_t, e_y = draws.standard_normal((3, dof + 2))
        t = 0.6 * z + e_t
        y = 1.0 * t + 0.8 * z + e_y
        t, y, z = (values - values.mean() for values in (t, y, z))
        slope = t @ y / (t @ t)
        noise = y - slope * t
        found = OmittedVariableBias.from_statistics(slope, np.sqrt(noise @ noise / dof / (t @ t)), dof)
        left = z - (t @ z / (t @ t)) * t
        strengths = (t @ z) ** 2 / (t @ t) / (z @ z), (left @ noise) ** 2 / (left @ left) / (noise @ noise)
        lower, upper = found.adjusted_interval(*strengths)
        covered += lower < 1.0 < upper
    assert binom(1000, 0.95).ppf(1e-4) <= covered <= binom(1000, 0.95).ppf(1 - 1e-4)
