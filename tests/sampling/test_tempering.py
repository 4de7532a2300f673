"""Replicas on a ladder find modes in their known shares where chains stay in theirs."""

import math

import pytest
import torch

from ebm_causal.sampling import Goal, Metric, run_tempered

F64 = torch.float64


def wide(rows, dim, scale=3.0):
    factor = scale * torch.eye(dim, dtype=F64)
    return Metric(center=torch.zeros(rows, dim, dtype=F64), factor=factor.expand(rows, dim, dim))


def mixture(share, dim, apart=3.0, scale=0.5):
    """Two normals 2 apart sqrt(dim) / scale standard deviations from each other."""

    def select(rows):
        weights = share[rows]

        def energy(z):
            near = -0.5 * ((z - apart) ** 2).sum(-1) / scale**2 + weights.log()
            far = -0.5 * ((z + apart) ** 2).sum(-1) / scale**2 + (1 - weights).log()
            return -torch.logaddexp(near, far)

        return energy

    return select


@pytest.mark.slow
def test_modes_in_five_dimensions_have_their_shares():
    share = torch.tensor([0.5, 0.8], dtype=F64)
    generator = torch.Generator().manual_seed(0)
    found = run_tempered(mixture(share, 5), wide(2, 5), Goal(chains=4, draws=500, enough=100), generator)
    assert found.reason.tolist() == [0, 0]
    right = (found.draws[..., 0] > 0).double().mean((0, 1))
    error = (share * (1 - share) / found.ess_bulk).sqrt()
    assert float(((right - share) / error).abs().max()) < 4
    within = (found.draws.abs() - 3).var((0, 1))
    assert torch.allclose(within, torch.full_like(within, 0.25), rtol=0.25)


def test_a_double_well_has_its_moments():
    """E x^2 = .852136152178 at h = 2; half the mass on each side."""
    generator = torch.Generator().manual_seed(0)
    found = run_tempered(
        lambda rows: lambda x: 2 * ((x**2 - 1) ** 2).sum(-1), wide(1, 1, 1.0),
        Goal(chains=4, draws=500, enough=200), generator,
    )  # fmt: skip
    x, size = found.draws.flatten(), float(found.ess_bulk)
    assert int(found.reason) == 0
    assert float((x**2).mean()) == pytest.approx(0.852136152178, abs=4 * 0.5 / math.sqrt(size))
    assert float((x > 0).double().mean()) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(size))


def test_what_cannot_be_normalized_is_called_so():
    generator = torch.Generator().manual_seed(0)
    found = run_tempered(
        lambda rows: lambda z: 0 * z.sum(-1), wide(1, 2), Goal(chains=2, draws=20, enough=20), generator
    )
    assert int(found.reason) > 0


def test_infinite_energies_are_walls():
    """A normal cut at zero: mean sqrt(2 / pi)."""

    def cut(z):
        return torch.where(z[..., 0] > 0, 0.5 * (z**2).sum(-1), torch.inf)

    generator = torch.Generator().manual_seed(0)
    found = run_tempered(lambda rows: cut, wide(1, 1, 2.0), Goal(chains=4, draws=500, enough=100), generator)
    error = math.sqrt((1 - 2 / math.pi) / float(found.ess_bulk))
    assert float(found.draws.mean()) == pytest.approx(math.sqrt(2 / math.pi), abs=4 * error)
    assert bool((found.draws > 0).all())
