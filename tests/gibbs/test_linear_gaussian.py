"""MATH.md G1: the linear-Gaussian energy, in closed form and on a lattice."""

import math

import pytest
import torch

import ebm_causal as ec

BETAS = {0.5: -1.10363017674, 1.0: 0.33212627563, 2.0: 0.70343091154, 10.0: 0.60690066706}


@pytest.fixture
def energy():
    weight = torch.tensor([[1, 0.5], [-0.3, 0.8], [0.2, -0.7]], dtype=torch.float64)
    offset = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    return ec.LinearGaussianEnergy(weight, offset=offset, scale=0.5)


@pytest.fixture
def y():
    return torch.tensor([[1.0, -0.5, 0.25]], dtype=torch.float64)


def test_the_minimizer(energy, y):
    assert energy.minimum(y)[0].tolist() == pytest.approx([0.70156600, 0.09865772], abs=5e-9)


def test_the_free_energy_at_zero_temperature(energy, y):
    exact = ec.free_energy(energy, given={"y": y}, beta=math.inf)
    assert exact.value.item() == pytest.approx(0.38158836689, abs=5e-12)
    assert exact.method == "exact"
    assert energy(y=y, z=energy.minimum(y)).item() == pytest.approx(exact.value.item(), rel=1e-10)


def test_the_log_determinant(energy):
    assert torch.logdet(energy.latent_precision()).item() == pytest.approx(3.57682995031, abs=5e-12)


@pytest.mark.parametrize(("beta", "value"), BETAS.items())
def test_the_free_energy_in_closed_form(energy, y, beta, value):
    found = ec.free_energy(energy, given={"y": y}, beta=beta)
    assert found.method == "exact"
    assert found.standard_error.item() == 0
    assert found.value.item() == pytest.approx(value, abs=5e-12)


@pytest.mark.parametrize(("beta", "value"), BETAS.items())
def test_the_free_energy_on_a_lattice(energy, y, beta, value):
    found = ec.free_energy(energy, given={"y": y}, beta=beta, method="lattice")
    assert found.method == "lattice"
    assert found.warnings == ()
    assert found.value.item() == pytest.approx(value, abs=1e-8)


def test_the_log_density(energy, y):
    assert energy.log_likelihood(y).item() == pytest.approx(-2.84737739998, abs=5e-12)
    density = ec.GibbsDensity(energy, over="y")
    assert density.normalized_log_prob(y).item() == pytest.approx(-2.84737739998, abs=5e-12)


def test_the_score(energy, y):
    known = pytest.approx([-0.59642058, 0.67382550, 0.48501119], abs=5e-9)
    assert energy.score(y)[0].tolist() == known
    assert ec.GibbsDensity(energy, over="y").score(y)[0].tolist() == known


def test_the_log_partition(energy):
    found = ec.log_partition(energy, over=("y", "z"))
    assert found.value.shape == ()
    assert found.value.item() == pytest.approx(2.51525112434, abs=5e-12)


def test_the_posterior_is_normal(energy, y):
    posterior = ec.sample(energy, over="z", given={"y": y}, beta=2.0, draws=20_000, chains=1)
    z = posterior.values["z"][0, :, 0]
    covariance = energy.posterior_covariance(2.0).detach()
    error = (covariance.diagonal() / len(z)).sqrt()
    assert ((z.mean(0) - energy.minimum(y)[0].detach()).abs() < 5 * error).all()
    assert torch.allclose(
        torch.cov(z.T), covariance, atol=5 * float(covariance.max()) * math.sqrt(2 / len(z))
    )


def test_closed_forms_agree_with_a_lattice_at_other_weights(y):
    generator = torch.Generator().manual_seed(0)
    weight, inputs = (torch.randn(3, k, generator=generator, dtype=torch.float64) for k in (2, 4))
    energy = ec.LinearGaussianEnergy(weight, inputs, scale=0.3, regularizer_weight=1.7)
    x, rows = torch.randn(5, 4, generator=generator, dtype=torch.float64), y.repeat(5, 1)
    for beta in (0.4, 1.0, 3.0):
        exact = ec.free_energy(energy, given={"x": x, "y": rows}, beta=beta)
        lattice = ec.free_energy(energy, given={"x": x, "y": rows}, beta=beta, method="lattice")
        assert torch.allclose(exact.value, lattice.value, atol=1e-8, rtol=1e-8)


def test_draws_of_three_observed_dimensions_are_exact(energy):
    density = ec.GibbsDensity(energy, over="y", beta=2.0)
    torch.manual_seed(0)
    draws = density.sample((40_000,))
    covariance = energy.outcome_covariance(2.0).detach()
    assert draws.shape == (40_000, 3)
    assert torch.allclose(
        draws.mean(0), energy.decoder.offset.detach(), atol=5 * math.sqrt(covariance.max() / 4e4)
    )
    assert torch.allclose(
        torch.cov(draws.T), covariance, atol=7 * float(covariance.max()) * math.sqrt(1 / 4e4)
    )


def test_rows_of_inputs_give_rows_of_densities():
    weight = torch.tensor([[1.0], [0.5], [-1.0]], dtype=torch.float64)
    energy = ec.LinearGaussianEnergy(weight, input_weight=2 * weight)
    x = torch.tensor([[0.0], [10.0]], dtype=torch.float64)
    density = ec.GibbsDensity(energy, over="y", given={"x": x})
    torch.manual_seed(0)
    draws = density.sample((4000,))
    assert draws.shape == (4000, 2, 3)
    assert torch.allclose(draws.mean(0), x @ (2 * weight).mT, atol=0.15)
    exact = torch.distributions.MultivariateNormal(x @ (2 * weight).mT, energy.outcome_covariance())
    assert torch.allclose(density.normalized_log_prob(draws[:5]), exact.log_prob(draws[:5]))


def test_the_posterior_as_a_density(energy, y):
    density = ec.GibbsDensity(energy, over="z", given={"y": y}, beta=1.5)
    z = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    exact = torch.distributions.MultivariateNormal(energy.minimum(y), energy.posterior_covariance(1.5))
    assert torch.allclose(density.normalized_log_prob(z), exact.log_prob(z))
    torch.manual_seed(0)
    assert torch.allclose(density.sample((20_000,)).mean(0), exact.mean, atol=0.02)


def test_float32_stays_float32(y):
    energy = ec.LinearGaussianEnergy(torch.ones(3, 1))
    found = ec.free_energy(energy, given={"y": y.float()}, method="lattice")
    assert found.value.dtype == torch.float32
    exact = ec.free_energy(energy, given={"y": y.float()})
    assert exact.value.dtype == torch.float32
    assert torch.allclose(found.value, exact.value, atol=1e-5)
