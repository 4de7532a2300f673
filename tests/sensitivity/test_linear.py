"""The note's linear system: the right quantities, the printed ones, and a world that tells them apart."""

import numpy as np
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError


def system(**changes):
    numbers = {"alpha_x": 0.7, "alpha_z": 1.5, "beta_x": 0.2, "beta_z": 2.0, "beta_y": -0.3, "delta": 0.8}
    return ec.LinearSensitivity(
        **{**numbers, "latent_variance": 0.6, "decoder_noise_variance": 0.9, **changes}
    )


def test_bias_is_the_slope_of_z_on_dec_times_beta_z():
    found = system()
    assert found.bias == pytest.approx(1.5 * 2.0 * 0.6 / (1.5**2 * 0.6 + 0.9), rel=1e-12)
    assert found.observed_slope == pytest.approx(0.8 + found.bias, rel=1e-12)


def test_without_noise_in_dec_the_bias_is_beta_over_alpha_and_overlap_is_warned_of():
    found = system(decoder_noise_variance=0.0)
    assert found.bias == pytest.approx(2.0 / 1.5, rel=1e-12)
    assert "no overlap" in found.warnings[0]
    assert system().warnings == ()


def test_noise_free_total_effect_is_alpha_times_what_is_seen():
    found = system(decoder_noise_variance=0.0)
    assert found.total_effect_of_latent == pytest.approx(1.5 * found.observed_slope, rel=1e-12)
    assert found.total_effect_of_latent == pytest.approx(2.0 + 0.8 * 1.5, rel=1e-12)


def test_printed_formulas_are_the_notes_own():
    found = system()
    assert found.printed_bias == pytest.approx(1.5 / 2.0, rel=1e-12)
    assert found.printed_ate == pytest.approx(0.8 + 1.5 / 2.0, rel=1e-12)


def test_a_simulated_world_agrees_with_the_bias_and_not_with_the_printed_one():
    rows, draw = 200_000, np.random.default_rng(3)
    x, y, z = draw.normal(size=(3, rows))
    z *= np.sqrt(0.6)
    dec = 0.7 * x + 0.5 * z + np.sqrt(0.9) * draw.normal(size=rows)
    cost = 0.2 * x + 2.0 * z - 0.3 * y + 0.8 * dec + 0.1 * draw.normal(size=rows)
    columns = np.column_stack([np.ones(rows), dec, x, y])
    slopes, left = np.linalg.lstsq(columns, cost, rcond=None)[:2]
    error = np.sqrt(left[0] / rows * np.linalg.inv(columns.T @ columns)[1, 1])
    found = system(alpha_z=0.5)
    assert abs(slopes[1] - found.observed_slope) < 4 * error
    assert abs(slopes[1] - found.printed_ate) > 50 * error


def test_quantities_do_not_depend_on_the_scale_of_z():
    scaled = system(alpha_z=1.5 * 3, beta_z=2.0 * 3, latent_variance=0.6 / 9)
    assert scaled.bias == pytest.approx(system().bias, rel=1e-12)
    assert scaled.printed_bias == pytest.approx(system().printed_bias, rel=1e-12)


def test_from_energy_takes_jacobians_at_points():
    decoder = torch.nn.Linear(1, 1).double()
    energy = ec.LatentEnergy(
        lambda x: 3 * x,
        lambda h, z: decoder(h) + torch.sin(z),
        ec.SquaredError(0.5),
        ec.GaussianRegularizer(1, weight=2.0),
    )
    at = {"x": [[0.3], [1.0]], "y": [[1.0], [0.0]], "z": [[0.2], [-0.4]]}
    found = ec.LinearSensitivity.from_energy(energy, at)
    z, h = np.array([0.2, -0.4]), 3 * np.array([0.3, 1.0])
    weight, offset = decoder.weight.item(), decoder.bias.item()
    residual = np.array([1.0, 0.0]) - (weight * h + offset + np.sin(z))
    np.testing.assert_allclose(found.alpha_x, weight, rtol=1e-10)
    np.testing.assert_allclose(found.alpha_z, np.cos(z), rtol=1e-10)
    np.testing.assert_allclose(found.delta, -residual / 0.25, rtol=1e-10)
    np.testing.assert_allclose(found.beta_y, residual / 0.25, rtol=1e-10)
    np.testing.assert_allclose(found.beta_z, 2 * z, rtol=1e-10)
    curvature = (np.cos(z) ** 2 + residual * np.sin(z)) / 0.25 + 2.0
    np.testing.assert_allclose(found.latent_variance, np.where(curvature > 0, 1 / curvature, 0.5), rtol=1e-10)
    assert list(found.summary().columns) == ["value", "sd", "lower", "upper"]


def test_a_mechanism_stands_for_the_decoder_too():
    mechanism = ec.Mechanism("y", ("x", "z"), lambda x, z: 2 * x - 3 * z, ec.SquaredError(1.0))
    found = ec.LinearSensitivity.from_energy(
        mechanism + ec.GaussianRegularizer(1), {"x": 1.0, "y": 2.0, "z": 0.5}
    )
    assert (found.alpha_x[0], found.alpha_z[0], found.beta_z[0]) == (2.0, -3.0, 0.5)
    assert found.latent_variance[0] == pytest.approx(1 / (9 + 1), rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha_x": np.nan}, "alpha_x must be finite"),
        ({"latent_variance": -1.0}, "latent_variance cannot be negative"),
    ],
)
def test_numbers_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ArgumentError, match=message):
        system(**changes)


def test_bias_without_any_variation_of_dec_is_refused():
    with pytest.raises(ArgumentError, match="Dec does not vary"):
        _ = system(alpha_z=0.0, decoder_noise_variance=0.0).bias


def test_printed_bias_needs_an_effect_of_z():
    with pytest.raises(ArgumentError, match="not defined where beta_z = 0"):
        _ = system(beta_z=0.0).printed_bias
    assert "printed_bias" not in system(beta_z=0.0).summary().index
    assert "beta_z = 0: 1 of 1 points" in system(beta_z=0.0).warnings[0]


def test_an_energy_without_such_a_mechanism_is_refused():
    plain = ec.energy(lambda x, z: (x * z).sum(-1), x=1, z=1)
    with pytest.raises(EnergyError, match="need a mechanism of 'y'"):
        ec.LinearSensitivity.from_energy(plain, {"x": 1.0, "z": 1.0})


def test_numbers_whose_squares_overflow_have_their_bias_and_products_that_do_are_refused():
    far = system(alpha_z=1e200, beta_z=3e200)
    assert far.bias == pytest.approx(3.0, rel=1e-12)
    assert system(alpha_z=1e-200).bias == pytest.approx(1e-200 * 2.0 * 0.6 / 0.9, rel=1e-12)
    with pytest.raises(ArgumentError, match="the total effect is beyond what a computer can hold"):
        _ = system(alpha_z=1e200, delta=1e200).total_effect_of_latent
    assert "total_effect_of_latent" not in system(alpha_z=1e200, delta=1e200).summary().index


def test_more_than_one_dimension_is_refused():
    mechanism = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.SquaredError(1.0), dim=2)
    at = {"x": [[1.0, 2.0]], "y": [[1.0, 2.0]], "z": [[0.0, 0.0]]}
    with pytest.raises(EnergyError, match="dimension one"):
        ec.LinearSensitivity.from_energy(mechanism + ec.GaussianRegularizer(2), at)
