"""Densities with kinks and walls against closed forms and scipy: the error that a lattice states covers its own."""

import math
from itertools import pairwise

import pytest
import torch
from scipy.integrate import quad

import ebm_causal as ec
from ebm_causal.gibbs import restrict
from ebm_causal.gibbs.quadrature import lattice_log_integral, lattice_moments
from ebm_causal.sampling import adapt_lattice

F64 = torch.float64
DIMS = pytest.mark.parametrize("dim", [1, 2, 3])
MOSTLY_PLANE = pytest.mark.parametrize("dim", [1, 2, pytest.param(3, marks=pytest.mark.slow)])


def covered(energy, known, given=None, *, within):
    """Whether the error covers what is off in each row, is small, and all is trusted."""
    found = lattice_log_integral(restrict(energy, "z", given, 1.0))
    off = (found.value - torch.as_tensor(known, dtype=F64)).abs()
    assert bool(found.trusted.all())
    assert bool((off <= found.error).all()), (off / found.error).max()
    assert found.error.max() <= within


def function(energy, dim):
    return ec.energy(energy, z=dim)


@MOSTLY_PLANE
@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_a_laplace_prior(dim, weight):
    prior = ec.LaplaceRegularizer(dim, weight=weight)
    flat = ec.energy(lambda z: 0 * z.sum(-1), z=dim)
    covered(prior + flat, dim * math.log(2 / weight), within=2e-3)


@DIMS
def test_a_laplace_law_whose_kinks_lie_anywhere(dim):
    draws = torch.Generator().manual_seed(dim)
    center = torch.rand(dim, generator=draws, dtype=F64)
    turn = torch.linalg.qr(torch.randn(dim, dim, generator=draws, dtype=F64))[0]
    covered(function(lambda z: ((z - center) @ turn).abs().sum(-1), dim), dim * math.log(2), within=5e-3)


def laplace_posterior(y, noise):
    """The log integral of exp(-(y - z)^2 / 2 s^2 - |z|) over z, by the scaled complementary error function."""
    one, other = (torch.special.erfcx((noise**2 + sign * y) / (noise * math.sqrt(2))) for sign in (-1, 1))
    return (noise * math.sqrt(math.pi / 2) * (one + other)).log() - y**2 / (2 * noise**2)


@MOSTLY_PLANE
@pytest.mark.parametrize("noise", [1.0, 0.3])
def test_a_laplace_prior_under_a_normal_likelihood(dim, noise):
    y = 1.5 * torch.randn((8, 3, 1)[dim - 1], dim, generator=torch.Generator().manual_seed(0), dtype=F64)
    energy = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError(noise), dim=dim) + ec.LaplaceRegularizer(dim)
    covered(energy, laplace_posterior(y, noise).sum(-1), {"y": y}, within=2e-3)


def relu_posterior(y, noise=0.3, slope=3.0):
    """One coordinate by scipy, in pieces between the kink and the mode."""

    def energy(z):
        return 0.5 * ((y - slope * max(z, 0.0)) / noise) ** 2 + 0.5 * z * z

    edges = [-9.0, 0.0, max(y / slope, 0.1), 9.0]
    least = min(energy(z) for z in edges)
    pieces = [quad(lambda z: math.exp(least - energy(z)), a, b, epsabs=1e-13)[0] for a, b in pairwise(edges)]
    return math.log(sum(pieces)) - least


@MOSTLY_PLANE
def test_a_relu_decoder(dim):
    y = torch.linspace(-1, 3, 6, dtype=F64).reshape(dim, -1).T[: 4 - dim]
    known = torch.tensor([sum(map(relu_posterior, row)) for row in y.tolist()], dtype=F64)
    energy = ec.Mechanism("y", "z", lambda z: torch.relu(3 * z), ec.SquaredError(0.3), dim=dim)
    covered(energy + ec.GaussianRegularizer(dim), known, {"y": y}, within=1e-2)


@MOSTLY_PLANE
@pytest.mark.parametrize("delta", [0.3, 0.01])
def test_a_huber_cost_of_small_delta(dim, delta):
    """Its density is normal within delta and exponential outside."""
    root = math.sqrt(2 * math.pi * delta)
    one = math.log(root * math.erf(math.sqrt(delta / 2)) + 2 * math.exp(-delta / 2))

    def huber(z):
        far = (z - 0.23).abs()
        return torch.where(far <= delta, 0.5 * far**2 / delta, far - delta / 2).sum(-1)

    covered(function(huber, dim), dim * one, within=2e-3)


@DIMS
@pytest.mark.parametrize("wall", [0.0, 0.37, -1.0])
def test_half_of_a_normal_density(dim, wall):
    def energy(z):
        return torch.where((z > wall).all(-1), 0.5 * (z * z).sum(-1), math.inf)

    one = math.log(math.sqrt(2 * math.pi) * 0.5 * math.erfc(wall / math.sqrt(2)))
    covered(function(energy, dim), dim * one, within=5e-3)


@pytest.mark.parametrize(("dim", "width"), [(1, 0.1), (1, 1.0), (2, 0.1), (2, 1.0), (2, 3.3), (3, 1.0)])
def test_a_box_between_walls(dim, width):
    def energy(z):
        return torch.where(((z > 0) & (z < width)).all(-1), 0.0 * z.sum(-1), math.inf)

    covered(function(energy, dim), dim * math.log(width), within=5e-3)


def test_moments_between_walls_are_those_of_a_box():
    energy = function(lambda z: torch.where(((z > 0) & (z < 1)).all(-1), 0.0 * z.sum(-1), math.inf), 2)
    found = lattice_moments(restrict(energy, "z", None, 1.0))
    assert torch.allclose(found.mean, torch.full((1, 2), 0.5, dtype=F64), atol=2e-3)
    assert torch.allclose(found.covariance, torch.eye(2, dtype=F64)[None] / 12, atol=1e-3)


def test_a_free_energy_with_a_wall_is_the_lattices_and_raises_no_alarm():
    wall = ec.energy(lambda z: torch.where((z > 0) & (z < 0.1), 0.0 * z, math.inf).squeeze(-1), z=1)
    found = ec.log_partition(wall, over="z")
    assert (found.method, found.warnings) == ("lattice", ())
    assert found.value.item() == pytest.approx(math.log(0.1), abs=found.standard_error.item())


def test_draws_within_a_wall_have_the_moments_of_half_a_normal_density():
    def energy(points):
        return torch.where((points > 0).all(-1), 0.5 * (points**2).sum(-1), math.inf)

    lattice = adapt_lattice(energy, 1, 2, like=torch.zeros(1, dtype=F64))
    x = lattice.draw(energy, 20_000, torch.Generator().manual_seed(0))[:, 0]
    assert bool((x > 0).all())
    assert torch.allclose(x.mean(0), torch.full((2,), math.sqrt(2 / math.pi), dtype=F64), atol=5 * 0.6 / 141)


def test_gradients_go_through_shifted_lattices():
    """The log integral of a Laplace law is log(2 / w) in each dimension: its slope is -1 / w."""
    weight = torch.tensor(1.7, dtype=F64, requires_grad=True)
    energy = ec.energy(lambda z: weight * z.abs().sum(-1), z=2)
    lattice_log_integral(restrict(energy, "z", None, 1.0)).value.sum().backward()
    assert weight.grad.item() == pytest.approx(-2 / 1.7, rel=2e-3)
