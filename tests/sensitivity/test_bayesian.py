"""A prior on the strengths: what the data leave alone, coverage over worlds, and sampled energies."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import ebm_causal as ec
from ebm_causal.data import linear_world
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.learning import StrengthPrior
from ebm_causal.sensitivity import OmittedVariableBias, calibrated_prior, omitted_variable_bias
from ebm_causal.sensitivity.strength_draws import draw_strengths, linear_draws


def nhefs(**options):
    return ec.bayesian_sensitivity(ec.load_dataset("nhefs"), **{"method": "linear", **options})


def within(draws, wanted):
    """Whether the mean of draws is the wanted one, by four of its standard errors."""
    return abs(draws.mean() - wanted) < 4 * draws.std() / np.sqrt(len(draws))


# Known answers


def test_the_prior_is_beta_with_the_mean_of_the_strongest_covariate_k_times():
    table = ec.load_dataset("nhefs")
    bounds = omitted_variable_bias(table, "all", multiples=(3,)).bounds
    found = nhefs(multiple=3)
    assert found.prior.treatment == pytest.approx(bounds["r2_treatment"].max(), rel=1e-12)
    assert found.prior.outcome == pytest.approx(bounds["r2_outcome"].max(), rel=1e-12)
    for name, mean in (("r2_treatment", found.prior.treatment), ("r2_outcome", found.prior.outcome)):
        assert within(found.prior_draws[name], mean)
        law = stats.beta(1, (1 - mean) / mean)
        assert stats.kstest(found.prior_draws[name], law.cdf).pvalue > 1e-3
    assert "3 times as the strongest observed covariate" in found.text


def test_linear_data_leave_the_strengths_at_their_prior():
    found = nhefs(multiple=3)
    for name in ("r2_treatment", "r2_outcome"):
        assert stats.ks_2samp(getattr(found, name), found.prior_draws[name]).pvalue > 1e-3


def test_the_linear_posterior_has_the_mean_and_variance_of_its_formula():
    omitted, prior = (
        OmittedVariableBias.from_statistics(2.0, 0.5, 60),
        StrengthPrior(treatment=0.2, outcome=0.3),
    )
    found = linear_draws(omitted, prior, 200_000, np.random.default_rng(0))
    assert within(found.effect, 2.0)
    d, y = (stats.beta(1, (1 - mean) / mean) for mean in (0.2, 0.3))
    grid = (np.arange(4000) + 0.5) / 4000
    shared = y.mean() * (d.ppf(grid) / (1 - d.ppf(grid))).mean()  # E[R_Y R_D / (1 - R_D)]
    wanted = 0.5**2 * 60 / 58 * (1 + 61 * shared)
    squares = (found.effect - 2.0) ** 2
    assert within(squares, wanted)


def test_a_confounder_of_no_strength_leaves_the_regression():
    found = nhefs(strength=(1e-9, 1e-9))
    omitted = omitted_variable_bias(ec.load_dataset("nhefs"))
    assert found.mean == pytest.approx(omitted.estimate, abs=4 * omitted.standard_error / 100)
    assert found.effect.std() == pytest.approx(omitted.standard_error, rel=0.03)
    assert found.probability_of_sign_change == 0.0


def test_two_sides_that_need_not_line_up_do_less_harm():
    prior = {dim: StrengthPrior(treatment=0.2, outcome=0.2, latent_dim=dim) for dim in (1, 2, 4)}
    draws = {dim: draw_strengths(prior[dim], 50_000, np.random.default_rng(0))[2] for dim in prior}
    assert set(draws[1]) == {-1.0, 1.0}
    for dim in (2, 4):  # the cosine between two random directions
        assert within(draws[dim] ** 2, 1 / dim)
    omitted = OmittedVariableBias.from_statistics(1.0, 0.1, 500)
    spread = [
        linear_draws(omitted, prior[dim], 20_000, np.random.default_rng(1)).effect.std() for dim in (1, 4)
    ]
    assert spread[1] < 0.8 * spread[0]


def test_intervals_cover_the_effect_in_1000_worlds_whose_strengths_come_from_the_prior():
    draws, prior = np.random.default_rng(3), StrengthPrior(treatment=0.15, outcome=0.2)
    treatment, outcome, sign = draw_strengths(prior, 1000, draws)
    covered = 0
    for d, y, s in zip(treatment, outcome, sign, strict=True):
        effect, z, e_t, e_y = draws.normal(), *draws.standard_normal((3, 120))
        t = np.sqrt(d) * z + np.sqrt(1 - d) * e_t
        loading = s * np.sqrt(
            y / (1 - y) / (1 - d)
        )  # the variance of z given t is 1 - d, that of the noise 1
        found = statistics(t, effect * t + loading * z + e_y)
        posterior = linear_draws(found, prior, 2000, draws).effect
        covered += np.quantile(posterior, 0.025) < effect < np.quantile(posterior, 0.975)
    assert stats.binom(1000, 0.95).ppf(1e-4) <= covered <= stats.binom(1000, 0.95).ppf(1 - 1e-4)


def statistics(t, outcome):
    t, outcome = t - t.mean(), outcome - outcome.mean()
    slope, dof = t @ outcome / (t @ t), len(t) - 2
    error = np.sqrt(((outcome - slope * t) ** 2).sum() / dof / (t @ t))
    return OmittedVariableBias.from_statistics(slope, error, dof)


# Energies


def binary_world(rows=200, seed=1):
    return linear_world(
        rows, covariates=2, binary_treatment=True, treatment_on_latent=0.5, outcome_on_latent=0.5, seed=seed
    ).table()


def test_a_binary_treatment_is_fitted_and_not_put_into_the_linear_formula():
    table = binary_world()
    found = ec.bayesian_sensitivity(table, strengths=4, draws=4000, strength=(0.1, 0.1))
    assert found.method == "energy"
    linear = ec.bayesian_sensitivity(table, method="linear", strength=(0.1, 0.1))
    assert found.mean == pytest.approx(linear.mean, abs=linear.standard_error)
    assert set(found.draws) == {"effect", "bias", "r2_treatment", "r2_outcome"}
    assert len(np.unique(found.r2_treatment)) == 4


@pytest.mark.slow
def test_sampling_the_energy_agrees_with_fits_over_the_prior():
    table, strength = binary_world(), (0.1, 0.1)
    fitted = ec.bayesian_sensitivity(table, strengths=32, strength=strength)
    sampled = ec.bayesian_sensitivity(table, method="mcmc", draws=1200, strength=strength)
    assert sampled.method == "mcmc"
    error = sampled.effect.std() / np.sqrt(100)  # the chains' effective size
    assert sampled.mean == pytest.approx(fitted.mean, abs=4 * error)
    assert sampled.effect.std() == pytest.approx(fitted.effect.std(), rel=0.3)
    assert abs(sampled.bias.mean()) < 4 * sampled.bias.std() / np.sqrt(100)


@pytest.mark.slow
def test_a_binary_outcome_is_sampled_with_a_bias(unchecked):
    frame = binary_world(120).frame.assign(outcome=lambda f: (f["outcome"] > 0.5).astype(float))
    table = ec.CausalTable(frame, "treatment", "outcome", ["w1"])
    found = ec.bayesian_sensitivity(table, method="mcmc", draws=32, strength=(0.1, 0.1))
    assert found.bias.shape == found.effect.shape
    assert np.abs(found.effect).max() < 1
    assert found.bias.min() < 0 < found.bias.max()  # either sign of the confounder
    # effect + bias is the contrast that is seen, which the data know
    assert (found.effect + found.bias).std() < 0.2
    with pytest.raises(ArgumentError, match="there are draws of effect, bias, .*; got 'slope'"):
        found.plot(of="slope")


# The rest


def test_the_same_seed_gives_the_same_draws():
    np.testing.assert_array_equal(nhefs(seed=5).effect, nhefs(seed=5).effect)
    assert (nhefs(seed=5).effect != nhefs(seed=6).effect).any()


def test_prior_and_posterior_reach_arviz_in_chains():
    data = nhefs(draws=1000).to_arviz()
    assert data["posterior"]["effect"].shape == (4, 250)
    assert data["prior"]["r2_outcome"].shape == (4, 250)


def test_the_probability_of_another_sign_counts_draws_beyond_zero():
    found = nhefs(multiple=6)
    assert found.probability_of_sign_change == (found.effect <= 0).mean() > 0
    table = ec.load_dataset("nhefs")
    frame = table.frame.assign(turned=-table.outcome_values)
    turned = ec.CausalTable(
        frame, "qsmk", "turned", table.covariates, categorical=table.categorical, squares=table.squares
    )
    mirror = ec.bayesian_sensitivity(turned, method="linear", multiple=6, seed=1)
    error = np.sqrt(2 * found.probability_of_sign_change / len(found.effect))
    assert mirror.probability_of_sign_change == pytest.approx(found.probability_of_sign_change, abs=4 * error)


def test_a_summary_a_repr_and_pictures():
    found = nhefs(draws=500)
    summary = found.summary()
    assert summary.loc["effect", "posterior_mean"] == found.mean
    assert np.isfinite(summary.loc["r2_treatment", "prior_mean"])
    assert "95 % interval" in repr(found)
    for name, labels in (
        ("effect", ["as if nothing were hidden", "posterior"]),
        ("r2_outcome", ["prior", "posterior"]),
    ):
        axes = found.plot(of=name)
        assert [text.get_text() for text in axes.get_legend().get_texts()] == labels
        plt.close(axes.figure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": (0.0, 0.1)}, r"toward the treatment must be in \(0, 1\); got 0"),
        ({"strength": (0.1, 1.0)}, r"toward the outcome must be in \(0, 1\); got 1"),
        ({"multiple": 0.0}, "multiple must be positive and finite; got 0"),
        ({"level": 1.0}, "level must be between 0 and 1; got 1"),
        ({"draws": 1}, "draws must be 2 or more; got 1"),
        ({"method": "mcmc", "latent_dim": 2}, "serves a latent of dimension 1; got 2"),
    ],
)
def test_numbers_that_cannot_be_are_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        nhefs(**options)


def test_a_method_that_is_not_there_or_does_not_serve_is_refused(unchecked):
    with pytest.raises(
        ArgumentError, match="method must be 'auto', 'linear', 'energy' or 'mcmc'; got 'nuts'"
    ):
        nhefs(method="nuts")
    deaths = ec.CausalTable(ec.load_dataset("nhefs").frame, "qsmk", "death", ["age"])
    with pytest.raises(ArgumentError, match="'death' is binary, and the linear formula takes it for normal"):
        ec.bayesian_sensitivity(deaths, method="linear")


def test_without_covariates_the_prior_says_that_nothing_calibrates_it():
    table = ec.CausalTable(ec.load_dataset("nhefs").frame, "qsmk", "wt82_71")
    prior = calibrated_prior(table, omitted_variable_bias(table))
    assert (prior.treatment, prior.outcome) == (0.1, 0.1)
    assert "no covariate to compare with" in prior.source


def test_a_saturated_regression_is_refused():
    frame = pd.DataFrame({"t": [0.0, 1.0, 3.0], "y": [1.0, 0.0, 2.0], "w": [2.0, 5.0, 1.0]})
    with pytest.raises(TableError, match="too few"):
        ec.bayesian_sensitivity(ec.CausalTable(frame, "t", "y", ["w"]))


@pytest.mark.parametrize("strengths", [0, 1, 3])
def test_strengths_that_fill_no_prior_are_refused(strengths):
    with pytest.raises(ArgumentError, match=f"a power of two, 2 or more; got {strengths}"):
        nhefs(strengths=strengths)


@pytest.mark.parametrize("strength", [(0.1,), 0.1])
def test_a_prior_of_one_side_alone_is_refused(unchecked, strength):
    with pytest.raises(ArgumentError, match="strength must be the two prior means"):
        nhefs(strength=strength)
