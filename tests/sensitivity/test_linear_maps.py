"""The note's linear quantities over many points and over draws of the latent."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError

ROWS = 200


def linear():
    return ec.LinearGaussianEnergy(
        torch.tensor([[2.0]]).double(),
        input_weight=torch.tensor([[3.0]]).double(),
        scale=0.5,
        regularizer_weight=2.0,
    )


def points(seed=0):
    x, y, z = torch.from_numpy(np.random.default_rng(seed).normal(size=(3, ROWS, 1)))
    return {"x": x, "y": y, "z": z}


def test_a_linear_gaussian_energy_has_its_own_numbers_at_every_point():
    at = points()
    found = ec.LinearSensitivity.from_energy(linear(), at)
    x, y, z = (at[name].numpy()[:, 0] for name in "xyz")
    residual = y - 3 * x - 2 * z
    np.testing.assert_allclose(found.alpha_x, 3.0, rtol=1e-12)
    np.testing.assert_allclose(found.alpha_z, 2.0, rtol=1e-12)
    np.testing.assert_allclose(found.beta_z, 2 * z, rtol=1e-12)
    np.testing.assert_allclose(found.delta, -residual / 0.25, rtol=1e-12)
    np.testing.assert_allclose(found.latent_variance, linear().posterior_covariance().item(), rtol=1e-12)
    np.testing.assert_allclose(found.bias, z, rtol=1e-10)


def test_the_spread_of_a_map_is_that_of_its_points():
    found = ec.LinearSensitivity.from_energy(linear(), points())
    row = found.summary().loc["bias"]
    z = points()["z"].numpy()
    assert row["value"] == pytest.approx(z.mean(), rel=1e-9)
    assert row["sd"] == pytest.approx(z.std(), rel=1e-9)
    assert (row["lower"], row["upper"]) == pytest.approx(tuple(np.quantile(z, [0.025, 0.975])), rel=1e-9)


def test_a_posterior_gives_draws_of_every_quantity_in_each_row():
    given = {name: points()[name][:3] for name in "xy"}
    posterior = ec.sample(linear(), given=given, draws=500, chains=4)
    found = ec.LinearSensitivity.from_posterior(linear(), posterior)
    assert found.bias.shape == (2000, 3)
    mean = linear().minimum(given["y"], given["x"]).detach().numpy()[:, 0]
    sd = linear().posterior_covariance().item() ** 0.5
    # bias = beta_z / alpha_z = z here
    np.testing.assert_allclose(found.bias.mean(0), mean, atol=4 * sd / 2000**0.5)
    np.testing.assert_allclose(found.bias.std(0), sd, rtol=4 / (2 * 2000) ** 0.5)
    np.testing.assert_allclose(found.bias, posterior.values["z"].flatten(0, 1)[..., 0], rtol=1e-12)


def test_a_colder_posterior_leaves_the_latent_less_variance():
    cold = ec.sample(linear(), given={name: points()[name][:2] for name in "xy"}, beta=4.0, draws=4, chains=2)
    found = ec.LinearSensitivity.from_posterior(linear(), cold)
    np.testing.assert_allclose(found.latent_variance, linear().posterior_covariance(4.0).item(), rtol=1e-12)


def test_draws_in_a_row_are_the_jacobians_there():
    energy = ec.LatentEnergy(
        lambda x: x, lambda h, z: h + torch.sin(z), ec.SquaredError(0.5), ec.GaussianRegularizer(1)
    )
    posterior = ec.sample(energy, given={name: points()[name][:4] for name in "xy"}, draws=5, chains=2)
    found = ec.LinearSensitivity.from_posterior(energy, posterior)
    drawn = posterior.values["z"].flatten(0, 1)
    here = {**{name: points()[name][2:3] for name in "xy"}, "z": drawn[7, 2:3]}
    alone = ec.LinearSensitivity.from_energy(energy, here)
    assert found.delta[7, 2] == pytest.approx(alone.delta[0], rel=1e-12)
    assert found.alpha_z[7, 2] == pytest.approx(np.cos(drawn[7, 2].item()), rel=1e-12)


def test_the_picture_shows_the_quantities_that_are_asked_for():
    ax = ec.LinearSensitivity.from_energy(linear(), points()).plot(of=("bias",))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["bias"]
    plt.close(ax.figure)


def test_what_cannot_be_drawn_is_refused():
    one = ec.LinearSensitivity(alpha_x=0, alpha_z=1, beta_x=0, beta_z=1, beta_y=0, delta=1)
    with pytest.raises(ArgumentError, match="one number has no spread"):
        one.plot()
    with pytest.raises(ArgumentError, match="got 'slope'"):
        one.plot(of=("slope",))


def test_a_point_without_a_printed_bias_leaves_it_out_of_the_summary_with_a_word():
    at = points()
    at["z"][5] = 0.0
    found = ec.LinearSensitivity.from_energy(linear(), at)
    assert "printed_bias" not in found.summary().index
    assert f"1 of {ROWS} points" in found.warnings[1]


def test_a_posterior_that_lacks_the_latent_or_has_a_schedule_is_refused():
    given = {name: points()[name][:2] for name in "xy"}
    ladder = ec.sample(linear(), given=given, beta=torch.tensor([0.5, 1.0]).double(), draws=4, chains=2)
    with pytest.raises(ArgumentError, match="schedule of betas"):
        ec.LinearSensitivity.from_posterior(linear(), ladder)
    other = ec.sample(linear(), over="y", given={"x": given["x"], "z": given["y"]}, draws=4, chains=2)
    with pytest.raises(ArgumentError, match=r"draws of \['y'\], not of 'z'"):
        ec.LinearSensitivity.from_posterior(linear(), other)
