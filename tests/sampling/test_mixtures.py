"""Mixtures around modes: their densities are what scipy says, their draws have them, and Gaussians come out exact."""

import math

import pytest
import scipy.stats
import torch

from ebm_causal.sampling import Mixture, log_mean_weight, mixture_around

CENTERS = torch.tensor([[[0.0, 0.0]], [[3.0, -1.0]]], dtype=torch.float64)
PRECISION = torch.tensor([[[[2.0, 0.5], [0.5, 1.0]]], [[[4.0, 0.0], [0.0, 0.25]]]], dtype=torch.float64)
ENERGIES = torch.tensor([[0.0], [0.5]], dtype=torch.float64)


@pytest.fixture
def mixture() -> Mixture:
    return mixture_around(CENTERS, PRECISION, ENERGIES)[0]


def test_masses_are_those_of_the_quadratic_fits():
    _, log_mass = mixture_around(CENTERS, PRECISION, ENERGIES)
    expected = -ENERGIES[:, 0] + math.log(2 * math.pi) - 0.5 * torch.linalg.det(PRECISION[:, 0]).log()
    torch.testing.assert_close(log_mass[:, 0], expected)


def test_densities_are_those_of_scipy(mixture):
    points = mixture.draw(40, torch.Generator().manual_seed(0))
    normal, student = mixture.log_densities(points)
    weights, covariances = mixture.log_weights[:, 0].exp(), torch.linalg.inv(PRECISION[:, 0])
    for law, found in ((scipy.stats.multivariate_normal, normal), (scipy.stats.multivariate_t, student)):
        extra = {} if law is scipy.stats.multivariate_normal else {"df": 4}
        density = sum(
            float(weight) * law.pdf(points[:, 0].numpy(), center[0].numpy(), covariance.numpy(), **extra)
            for weight, center, covariance in zip(weights, CENTERS, covariances, strict=True)
        )
        torch.testing.assert_close(found[:, 0].exp(), torch.as_tensor(density))


def test_draws_have_the_density_that_is_claimed(mixture):
    """Weights of one mixture's draws to another's density have mean one, whatever the two are."""
    points = mixture.draw(200_000, torch.Generator().manual_seed(1))
    other = Mixture(centers=CENTERS + 0.3, factors=mixture.factors, log_weights=mixture.log_weights)
    log_weights = other.log_density(*other.log_densities(points)) - mixture.log_density(
        *mixture.log_densities(points)
    )
    found = log_mean_weight(log_weights)
    assert abs(float(found.value)) < 4 * float(found.standard_error)
    assert float(found.standard_error) < 0.003


def test_a_normal_target_is_exact_by_the_control_variate(mixture):
    points = mixture.draw(500, torch.Generator().manual_seed(2))
    normal, student = mixture.log_densities(points)
    density = mixture.log_density(normal, student)
    found = log_mean_weight(7.5 + normal - density, (normal - density).exp() - 1)
    assert float(found.value) == pytest.approx(7.5, abs=1e-12)
    assert float(found.standard_error) < 1e-12


def test_a_mode_of_no_mass_is_never_drawn():
    mixture, _ = mixture_around(CENTERS, PRECISION, torch.tensor([[math.inf], [0.0]], dtype=torch.float64))
    points = mixture.draw(1000, torch.Generator().manual_seed(3))
    assert float(points[..., 0].median()) == pytest.approx(3.0, abs=0.1)
    assert bool(mixture.log_density(*mixture.log_densities(points)).isfinite().all())


def test_the_error_of_a_log_mean_covers_the_truth():
    """Lognormal weights, mean exp(1/2): the deviations are as large as the errors say, over 400 repetitions."""
    generator = torch.Generator().manual_seed(4)
    log_weights = torch.randn((2000, 400), generator=generator, dtype=torch.float64)
    found = log_mean_weight(log_weights)
    scores = (found.value - 0.5) / found.standard_error
    assert float((scores**2).mean()) == pytest.approx(1.0, abs=5 * math.sqrt(2 / 400))
