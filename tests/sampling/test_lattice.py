"""Lattices against adaptive quadrature and closed forms: narrow, wide, far off, several modes, correlated."""

import math
from itertools import pairwise

import pytest
import torch
from scipy.integrate import quad

from ebm_causal.errors import ArgumentError
from ebm_causal.sampling import adapt_lattice

F64 = torch.float64
LIKE = torch.zeros(1, dtype=F64)


def normal(center, scale):
    center, scale = (torch.as_tensor(v, dtype=F64).reshape(-1) for v in (center, scale))
    return lambda points: 0.5 * ((points[..., 0] - center) / scale) ** 2


def lay(energy, rows=1, dim=1, **options):
    return adapt_lattice(energy, rows, dim, like=LIKE, **options)


@pytest.mark.parametrize("scale", [1e-6, 0.001, 0.01, 0.1, 1.0, 10.0, 1e4])
def test_wide_and_narrow_normals(scale):
    lattice = lay(normal(0.3 * scale, scale))
    assert bool(lattice.resolved.all())
    assert lattice.log_partition().item() == pytest.approx(
        math.log(scale) + 0.5 * math.log(2 * math.pi), abs=1e-9
    )
    assert lattice.mean().item() == pytest.approx(0.3 * scale, abs=1e-9 * scale)
    assert lattice.covariance().item() == pytest.approx(scale**2, rel=1e-9)


@pytest.mark.parametrize("center", [-1000.0, -30.0, 7.0, 12.0, 500.0])
@pytest.mark.parametrize("scale", [0.05, 1.0])
def test_centers_far_off(center, scale):
    lattice = lay(normal(center, scale))
    assert bool(lattice.resolved.all())
    assert lattice.mean().item() == pytest.approx(center, abs=1e-8)
    assert lattice.log_partition().item() == pytest.approx(
        math.log(scale) + 0.5 * math.log(2 * math.pi), abs=1e-9
    )


@pytest.mark.parametrize("noise", [1.0, 0.3, 0.1, 0.03, 0.01])
def test_posteriors_of_a_bent_decoder(noise):
    y = 0.4

    def energy(z):
        return 0.5 * ((y - math.tanh(2 * z) * math.cos(z)) / noise) ** 2 + 0.5 * z * z

    def on_points(points):
        z = points[..., 0]
        return 0.5 * ((y - torch.tanh(2 * z) * z.cos()) / noise) ** 2 + 0.5 * z * z

    lattice = lay(on_points)
    edges = [-9, -5, -3, -2, -1, -0.5, 0, 0.1, 0.2, 0.25, 0.3, 0.5, 0.8, 1, 1.1, 1.2, 1.3, 1.5, 2, 3, 5, 9]
    known = sum(
        quad(lambda z: math.exp(-energy(z)), a, b, epsabs=1e-14, limit=200)[0] for a, b in pairwise(edges)
    )
    assert bool(lattice.resolved.all())
    assert lattice.log_partition().item() == pytest.approx(math.log(known), abs=1e-8)


@pytest.mark.parametrize("distance", [1.0, 3.0, 6.0, 20.0])
@pytest.mark.parametrize("scale", [0.2, 1.0])
def test_two_modes_of_unequal_weight(distance, scale):
    centers, weights = torch.tensor([-distance, distance], dtype=F64), torch.tensor([0.2, 0.8], dtype=F64)

    def energy(points):
        return -torch.logsumexp(weights.log() - 0.5 * ((points - centers) / scale) ** 2, -1)

    lattice = lay(energy)
    assert bool(lattice.resolved.all())
    assert lattice.log_partition().item() == pytest.approx(
        math.log(scale) + 0.5 * math.log(2 * math.pi), abs=1e-8
    )
    assert lattice.expectation((lattice.points[..., 0] > 0).double()).item() == pytest.approx(
        0.2 + 0.6 * (1 + math.erf(distance / scale / math.sqrt(2))) / 2, abs=0.05
    )


@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.9, 0.99, 0.999])
@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.05, 3.0)])
def test_correlated_normals_in_the_plane(correlation, scales):
    spread = torch.tensor(scales, dtype=F64)
    covariance = torch.tensor([[1, correlation], [correlation, 1]], dtype=F64) * spread * spread[:, None]
    center, precision = torch.tensor([0.7, -1.3], dtype=F64), torch.linalg.inv(covariance)

    def energy(points):
        error = points - center
        return 0.5 * ((error @ precision) * error).sum(-1)

    lattice = lay(energy, dim=2)
    assert bool(lattice.resolved.all())
    known = math.log(2 * math.pi) + 0.5 * torch.logdet(covariance).item()
    assert lattice.log_partition().item() == pytest.approx(known, abs=1e-8)
    assert torch.allclose(lattice.mean()[0], center, atol=1e-8)
    assert torch.allclose(lattice.covariance()[0], covariance, rtol=1e-7, atol=1e-9)


def test_each_row_has_its_own_box():
    centers, scales = [-50.0, 0.0, 2.0, 300.0], [0.01, 1.0, 30.0, 5.0]
    lattice = lay(normal(centers, scales), rows=4)
    assert bool(lattice.resolved.all())
    assert torch.allclose(lattice.mean()[:, 0], torch.tensor(centers, dtype=F64), atol=1e-7)
    assert torch.allclose(
        lattice.log_partition() - torch.tensor(scales, dtype=F64).log(),
        torch.full((4,), 0.5 * math.log(2 * math.pi), dtype=F64),
        atol=1e-8,
    )


def test_the_self_check_bounds_the_error():
    def energy(points):
        return (points[..., 0] ** 2 - 1) ** 2

    fine = lay(energy).log_partition()
    for step in (1.5, 1.0, 0.5):
        coarse = lay(energy, step=step)
        assert (coarse.log_partition() - fine).abs() <= coarse.error + 1e-10


@pytest.mark.parametrize(
    "energy",
    [
        pytest.param(lambda p: 0 * p[..., 0], id="flat"),
        pytest.param(lambda p: -(p[..., 0] ** 2), id="upside down"),
        pytest.param(lambda p: p[..., 0], id="linear"),
        pytest.param(lambda p: 0.4 * torch.log1p(p[..., 0] ** 2), id="improper tails"),
        pytest.param(lambda p: p[..., 0] * math.nan, id="nan"),
        pytest.param(lambda p: p[..., 0] * 0 + math.inf, id="infinite"),
    ],
)
def test_what_cannot_be_normalized_is_not_resolved(energy):
    assert not bool(lay(energy).resolved.any())


def test_one_bad_row_leaves_the_others_alone():
    def energy(points):
        good = 0.5 * points[..., 0] ** 2
        return torch.cat([good[:, :1], 0 * good[:, 1:2], good[:, 2:] * math.nan], 1)

    lattice = lay(energy, rows=3)
    assert lattice.resolved.tolist() == [True, False, False]
    assert lattice.log_partition()[0].item() == pytest.approx(0.5 * math.log(2 * math.pi), abs=1e-9)


@pytest.mark.parametrize("draws", [1, 10, 20_000])
def test_draws_have_the_moments(draws):
    rows = 20_000 // draws
    lattice = lay(normal([2.0] * rows, [0.5] * rows), rows=rows)
    x = lattice.draw(normal([2.0] * rows, [0.5] * rows), draws, torch.Generator().manual_seed(0)).flatten()
    assert len(x) == 20_000
    assert x.mean().item() == pytest.approx(2, abs=5 * 0.5 / math.sqrt(20_000))
    assert x.var().item() == pytest.approx(0.25, rel=5 * math.sqrt(2 / 20_000))
    assert ((x - 2) ** 4).mean().item() == pytest.approx(3 / 16, rel=5 * math.sqrt(11 / 20_000))


def test_draws_from_two_modes():
    def energy(points):
        return 5 * (points[..., 0] ** 2 - 1) ** 2 + 0.3 * points[..., 0]

    lattice = lay(energy)
    x = lattice.draw(energy, 20_000, torch.Generator().manual_seed(0)).flatten()
    weights = quad(lambda v: math.exp(-5 * (v**2 - 1) ** 2 - 0.3 * v), 0, 4)[0]
    total = weights + quad(lambda v: math.exp(-5 * (v**2 - 1) ** 2 - 0.3 * v), -4, 0)[0]
    assert (x > 0).double().mean().item() == pytest.approx(weights / total, abs=5 * 0.5 / math.sqrt(20_000))


def test_a_lattice_in_four_dimensions_is_refused():
    with pytest.raises(ArgumentError, match="serves one to three dimensions; got 4: use a sampler"):
        lay(lambda points: points.sum(-1), dim=4)
