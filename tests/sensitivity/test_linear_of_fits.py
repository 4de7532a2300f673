"""The note's linear quantities over a fit's posterior: of parameters and latents together, or of latents alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.sensitivity.drawn_parameters import energies_of

ROWS, SLOPE = 60, 1.5


def energy():
    slope = torch.nn.Linear(1, 1, bias=False).double()
    return ec.LatentEnergy(
        lambda x: x,
        Decoder(slope),
        ec.SquaredError(0.5),
        ec.GaussianRegularizer(1),
    )


class Decoder(torch.nn.Module):
    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, h, z):
        return self.slope(h) + 0.8 * z


def rows():
    x, z, noise = np.random.default_rng(1).standard_normal((3, ROWS, 1))
    return {"x": x, "y": SLOPE * x + 0.8 * z + 0.5 * noise}


@pytest.fixture(scope="module")
def sampled():
    return ec.fit(energy(), rows(), method="mcmc", chains=4, draws=60, warmup=60, seed=2)


@pytest.fixture(scope="module")
def found(sampled):
    return ec.LinearSensitivity.from_fit(sampled)


def test_each_draw_of_the_parameters_has_its_own_jacobians(sampled, found):
    slopes = sampled.draws.flatten(0, 1).numpy()
    np.testing.assert_allclose(found.alpha_x, np.broadcast_to(slopes, (240, ROWS)), rtol=1e-12)
    np.testing.assert_allclose(found.alpha_z, 0.8, rtol=1e-12)
    latents = sampled.replicas().latents["z"].flatten(0, 1)[..., 0].numpy()
    np.testing.assert_allclose(found.bias, latents / 0.8, rtol=1e-10)
    data = {name: value[:, 0] for name, value in rows().items()}
    np.testing.assert_allclose(
        found.delta, -(data["y"] - slopes * data["x"] - 0.8 * latents) / 0.25, rtol=1e-9
    )


def test_the_spread_is_that_of_parameters_and_latent_together(sampled, found):
    data = {name: value[:, 0] for name, value in rows().items()}
    # y - slope x is normal with variance .8^2 + .5^2, and z given it has mean gain (y - slope x)
    gain, own = 0.8 / (0.64 + 0.25), 1 / (1 + 0.64 / 0.25)
    slope = (data["x"] @ data["y"]) / (data["x"] @ data["x"])
    spread = (0.64 + 0.25) / (data["x"] @ data["x"])
    mean = gain * (data["y"] - slope * data["x"])
    sd = np.sqrt(own + (gain * data["x"]) ** 2 * spread)
    effective = sampled.chain_statistics["ess_bulk"].min()
    # the default prior's pull on the slope is far below its standard error
    np.testing.assert_allclose(0.8 * found.bias.mean(0), mean, atol=5 * sd.max() / np.sqrt(effective))
    np.testing.assert_allclose(0.8 * found.bias.std(0), sd, rtol=5 / np.sqrt(2 * effective))


def test_chains_are_thinned_to_the_draws_that_are_asked_for(sampled):
    found = ec.LinearSensitivity.from_fit(sampled, draws=20)
    thin = sampled.draws[:, ::12].flatten(0, 1).numpy()
    np.testing.assert_allclose(found.alpha_x, np.broadcast_to(thin, (20, ROWS)), rtol=1e-12)


def test_without_chains_the_latent_alone_is_drawn():
    fitted = ec.fit(energy(), rows(), method="map")
    found = ec.LinearSensitivity.from_fit(fitted, draws=200)
    assert found.bias.shape == (200, ROWS)
    assert np.ptp(found.alpha_x) == 0
    np.testing.assert_allclose(found.latent_variance, 1 / (1 + 0.64 / 0.25), rtol=1e-9)


def test_the_fit_itself_is_left_as_it_is(sampled):
    before = [value.clone() for value in sampled.energy.parameters()]
    assert len({next(iter(each.parameters())).item() for each in energies_of(sampled)}) > 100
    assert all(torch.equal(a, b) for a, b in zip(before, sampled.energy.parameters(), strict=True))


def test_what_has_no_such_posterior_is_refused(unchecked, sampled):
    with pytest.raises(ArgumentError, match="fit must be what ec.fit gives; got dict"):
        ec.LinearSensitivity.from_fit({})
    with pytest.raises(ArgumentError, match="draws must be 2 or more; got 1"):
        ec.LinearSensitivity.from_fit(sampled, draws=1)
    plain = ec.Mechanism("y", "x", lambda x: 2 * x, ec.SquaredError()) + ec.GaussianRegularizer(1)
    with pytest.raises(EnergyError, match="need a mechanism of 'y' given one cause and one latent"):
        ec.LinearSensitivity.from_fit(replace(sampled, energy=plain))
