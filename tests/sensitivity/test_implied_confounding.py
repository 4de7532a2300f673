"""What a fitted latent energy implies, and what must not be done with its latent."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import ebm_causal as ec
from ebm_causal.data import linear_world
from ebm_causal.errors import ArgumentError
from ebm_causal.learning import HELD
from ebm_causal.sensitivity import ImpliedConfounding, fit_hidden, omitted_variable_bias

WORLD = linear_world(400, covariates=1, treatment_on_latent=1.0, outcome_on_latent=1.0, effect=1.0, seed=4)


@pytest.fixture(scope="module")
def fitted():
    table = WORLD.table()
    omitted = omitted_variable_bias(table, "all")
    hidden = fit_hidden(
        table, omitted, latent_dim=1, method="svi", seed=0, strength=(0.3, 0.3), strengths=8,
        progress=lambda share, what: None,
    )  # fmt: skip
    return table, omitted, hidden


def test_a_linear_energy_implies_the_strengths_at_which_it_is_held(fitted):
    _, omitted, hidden = fitted
    found = ImpliedConfounding.from_fits(hidden, omitted)
    held = np.array([(strength.treatment, strength.outcome) for strength in hidden.fits.strengths])
    np.testing.assert_allclose(found.r2_treatment, held[:, 0], atol=2e-3)
    np.testing.assert_allclose(found.r2_outcome, held[:, 1], atol=2e-3)


def test_its_bias_is_that_of_the_omitted_variable_with_its_sign(fitted):
    _, omitted, hidden = fitted
    found = ImpliedConfounding.from_fits(hidden, omitted)
    signs = np.array([strength.alignment for strength in hidden.fits.strengths])
    formula = signs * omitted.bias(found.r2_treatment, found.r2_outcome)
    np.testing.assert_allclose(found.bias, formula, rtol=0.02, atol=2e-3)
    np.testing.assert_allclose(found.effect, omitted.estimate - found.bias, rtol=0, atol=2e-3)
    assert set(signs) == {-1.0, 1.0}


def test_the_mean_of_the_latent_is_no_covariate(fitted):
    """Given the outcome too, it stands for the outcome: the regression that holds it has lost the effect."""
    table, omitted, hidden = fitted
    mean = hidden.fit.latent_draws(200)["z"][0].mean(0)[:, 0].numpy()
    plugged = omitted_variable_bias(
        ec.CausalTable(table.frame.assign(mean=mean), "treatment", "outcome", ["w1", "mean"])
    )
    adjusted = ImpliedConfounding.from_fits(hidden, omitted).effect
    assert (
        not adjusted.min() - omitted.standard_error
        < plugged.estimate
        < adjusted.max() + omitted.standard_error
    )
    assert "mean" not in hidden.names


def test_chains_agree_with_the_fit_that_they_sample(fitted):
    table, omitted, hidden = fitted
    sampled = ec.fit(
        hidden.fit.energy, hidden.fit.data, method="mcmc", fixed=HELD, chains=2, draws=40, warmup=40
    )
    found = ImpliedConfounding.from_chains(sampled, table)
    median = hidden.fits.prior.median(omitted.estimate)
    error = 4 * found.r2_treatment.std() / np.sqrt(20)
    assert found.r2_treatment.mean() == pytest.approx(median.treatment, abs=error)
    assert found.effect.mean() + found.bias.mean() == pytest.approx(
        omitted.estimate, abs=omitted.standard_error
    )
    assert found.effect.std() == pytest.approx(omitted.standard_error, rel=0.5)


def test_a_cloud_on_the_contour_and_a_summary(fitted):
    _, omitted, hidden = fitted
    found = ImpliedConfounding.from_fits(hidden, omitted)
    assert found.summary().loc["bias", "lower"] < 0 < found.summary().loc["bias", "upper"]
    assert "8 draws" in repr(found)
    axes = found.plot()
    assert any(line.get_marker() == "." for line in axes.get_lines())
    plt.close(axes.figure)


def test_a_fit_without_draws_is_refused(fitted):
    table, _, hidden = fitted
    with pytest.raises(ArgumentError, match="a fit by 'svi' has no draws; fit with method='mcmc'"):
        ImpliedConfounding.from_chains(hidden.fit, table)
