"""Posteriors of parameters, latents integrated out, against closed forms; amortized SVI."""

import math

import numpy as np
import pyro
import pytest
import torch
from torch import nn
from torch.distributions import Normal

import ebm_causal as ec

F64 = torch.float64
FLAT = {"input_weight": Normal(0.0, 3.0), "offset": Normal(0.0, 3.0)}
HELD = ("latent_weight", "y.cost.scale")


def regression(rows=60):
    """y = 0.5 + 1.5 x + z + noise, z hidden: a normal regression with variance 1 + .25 and known weights."""
    generator = torch.Generator().manual_seed(0)
    x, z, e = torch.randn(3, rows, 1, generator=generator, dtype=F64)
    energy = ec.LinearGaussianEnergy(
        torch.ones(1, 1, dtype=F64), torch.zeros(1, 1, dtype=F64), torch.zeros(1, dtype=F64), scale=0.5
    )
    return energy, {"x": x, "y": 0.5 + 1.5 * x + z + 0.5 * e}


def exact(data):
    """Mean and covariance of slope and offset under Normal(0, 3) priors."""
    design = torch.cat([data["x"], torch.ones_like(data["x"])], -1)
    precision = design.mT @ design / 1.25 + torch.eye(2, dtype=F64) / 9
    covariance = torch.linalg.inv(precision)
    return covariance @ design.mT @ data["y"][:, 0] / 1.25, covariance


@pytest.fixture(scope="module")
def fitted():
    energy, data = regression()
    fit = ec.fit(energy, data, method="mcmc", priors=FLAT, fixed=HELD, chains=4, draws=250, warmup=100)
    return fit, data


def test_the_posterior_of_the_parameters_is_normal(fitted):
    fit, data = fitted
    mean, covariance = exact(data)
    frame = fit.summary()
    assert list(frame.index) == ["y.decoder.input_weight[0, 0]", "y.decoder.offset[0]"]
    error = covariance.diagonal().sqrt().numpy() / np.sqrt(frame["ess_bulk"])
    assert (np.abs(frame["mean"] - mean.numpy()) < 5 * error).all()
    assert frame["sd"].to_numpy() == pytest.approx(covariance.diagonal().sqrt().numpy(), rel=0.15)
    assert torch.allclose(fit.covariance, covariance, atol=0.3 * float(covariance.max()))


def test_the_chains_mixed_and_say_so(fitted):
    fit, _ = fitted
    frame = fit.summary()
    assert list(frame.columns) == ["mean", "sd", "r_hat", "ess_bulk", "ess_tail", "prior"]
    assert frame["prior"].tolist() == ["Normal(loc: 0.0, scale: 3.0)"] * 2
    assert (frame["r_hat"] < 1.03).all()
    assert (frame["ess_bulk"] > 200).all()
    assert fit.diagnostics.ok
    assert fit.draws.shape == (4, 250, 2)
    assert "largest R-hat" in fit.diagnostics.text


def test_the_energy_stands_at_the_posterior_mean(fitted):
    fit, _ = fitted
    assert fit.energy.decoder.offset.item() == pytest.approx(fit.mean[1].item())
    assert torch.equal(fit.mean, fit.draws.mean((0, 1)))


def test_to_arviz_carries_the_log_likelihood_of_each_draw(fitted):
    fit, data = fitted
    tree = fit.to_arviz()
    slope = tree.posterior["y.decoder.input_weight"].to_numpy()
    assert slope.shape == (4, 250, 1, 1)
    assert tree.posterior["z"].shape == (4, 250, 60, 1)
    offset = tree.posterior["y.decoder.offset"].to_numpy()[..., 0]
    known = Normal(
        torch.tensor(offset[2, 7] + slope[2, 7, 0, 0] * data["x"][:, 0].numpy()), math.sqrt(1.25)
    ).log_prob(data["y"][:, 0])
    assert tree.log_likelihood["rows"].to_numpy()[2, 7] == pytest.approx(known.numpy(), abs=1e-7)


def test_the_latents_are_drawn_given_the_rows(fitted):
    fit, data = fitted
    z = fit.latent_draws(2000)["z"][0]
    energy = fit.energy
    assert torch.allclose(z.mean(0), energy.minimum(data["y"], data["x"]).detach(), atol=0.05)
    assert z.var(0).mean().item() == pytest.approx(energy.posterior_covariance().item(), rel=0.05)


def test_scales_are_positive_in_every_draw():
    energy, data = regression(30)
    fit = ec.fit(energy, data, method="mcmc", fixed=("latent_weight",), chains=2, draws=20, warmup=20)
    scale = fit.draws[..., list(fit.labels).index("y.cost.scale")]
    assert bool((scale > 0).all())


def test_too_few_draws_are_said_not_to_have_mixed():
    energy, data = regression(30)
    fit = ec.fit(energy, data, method="mcmc", fixed=HELD, chains=2, draws=6, warmup=5)
    assert not fit.diagnostics.ok
    assert "the chains have not mixed" in fit.diagnostics.warnings[-1]


def test_default_priors_are_stated(fitted):
    energy, data = regression(20)
    fit = ec.fit(energy, data, method="mcmc", fixed=HELD, chains=2, draws=6, warmup=5)
    assert set(fit.priors) == {"y.decoder.input_weight", "y.decoder.offset"}
    assert all("10" in text for text in fit.priors.values())


@pytest.mark.slow
def test_pyro_nuts_agrees():
    energy, data = regression()
    fit = ec.fit(
        energy,
        data,
        method="mcmc",
        kernel="pyro-nuts",
        priors=FLAT,
        fixed=HELD,
        chains=2,
        draws=300,
        warmup=100,
    )
    mean, covariance = exact(data)
    frame = fit.summary()
    error = covariance.diagonal().sqrt().numpy() / np.sqrt(frame["ess_bulk"])
    assert (np.abs(frame["mean"] - mean.numpy()) < 5 * error).all()
    assert frame["sd"].to_numpy() == pytest.approx(covariance.diagonal().sqrt().numpy(), rel=0.25)


@pytest.mark.slow
def test_a_nonlinear_energy_s_posterior_is_near_its_laplace_approximation():
    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.slope = nn.Parameter(torch.tensor(1.0, dtype=F64))
            self.load = nn.Parameter(torch.tensor(1.0, dtype=F64))

        def forward(self, x, z):
            return self.slope * x + self.load * torch.tanh(z)

    generator = torch.Generator().manual_seed(0)
    x, z, e = torch.randn(3, 400, 1, generator=generator, dtype=F64)
    data = {"x": x, "y": 1.3 * x + 0.9 * torch.tanh(z) + 0.4 * e}
    y = ec.Mechanism("y", ("x", "z"), Decoder(), ec.SquaredError(0.4))
    laplace = ec.fit(y + ec.GaussianRegularizer(1), data, method="map")
    sampled = ec.fit(y + ec.GaussianRegularizer(1), data, method="mcmc", chains=4, draws=200, warmup=100)
    sd = laplace.summary()["sd"].to_numpy()
    assert sampled.summary()["sd"].to_numpy() == pytest.approx(sd, rel=0.2)
    assert np.abs(sampled.mean.numpy() - laplace.mean.numpy()).max() < 0.5 * sd.max()


# Amortized SVI.


def amortized(steps, **options):
    generator = torch.Generator().manual_seed(0)
    z, e = (
        torch.randn(300, 1, generator=generator, dtype=F64),
        torch.randn(300, 3, generator=generator, dtype=F64),
    )
    y = z @ torch.tensor([[1.0, -0.6, 0.8]], dtype=F64) + 0.5 * e
    energy = ec.LinearGaussianEnergy(torch.full((3, 1), 0.3, dtype=F64), offset=torch.zeros(3, dtype=F64))
    best = ec.fit(energy, {"y": y}, method="map")
    fit = ec.fit(
        energy, {"y": y}, method="svi", guide="amortized", steps=steps, learning_rate=0.03, **options
    )
    return fit, best, y


def test_a_few_amortized_steps_raise_the_bound_and_leave_pyro_alone():
    with pyro.get_param_store().scope():
        fit, _, _ = amortized(60)
        assert len(pyro.get_param_store()) == 0
    history = fit.diagnostics.history
    assert len(history) == 60
    assert sum(history[-10:]) > sum(history[:10])
    assert fit.guide == "amortized"
    assert fit.latent_draws(7)["z"].shape == (1, 7, 300, 1)
    frame = fit.summary()
    assert frame["sd"].isna().all()
    assert set(frame["note"]) == {"a point: this method computes no standard deviation"}


@pytest.mark.slow
def test_amortized_svi_gets_near_the_maximum_likelihood():
    fit, best, y = amortized(1500)
    found = fit.energy.log_likelihood(y).mean().item()
    assert found == pytest.approx(best.log_likelihood.mean().item(), abs=0.02)
    assert fit.diagnostics.history[-1] / len(y) < best.log_likelihood.mean().item() + 0.2
    mean, _ = fit.network.moments({"y": y})["z"]
    exact_mean = fit.energy.minimum(y)
    assert torch.corrcoef(torch.cat([mean, exact_mean], -1).T)[0, 1].item() > 0.99


@pytest.mark.slow
def test_a_latent_of_four_dimensions_is_amortized_by_default():
    y = torch.randn(100, 6, generator=torch.Generator().manual_seed(0), dtype=F64)
    energy = ec.LinearGaussianEnergy(0.1 * torch.ones(6, 4, dtype=F64) * torch.arange(4), scale=1.0)
    fit = ec.fit(energy, {"y": y}, steps=40)
    assert fit.guide == "amortized"
