import math

import pytest
import torch

from ebm_causal.sampling import begin, hmc_step, run_chains

F64 = torch.float64


def normal(position):
    return 0.5 * (position**2).sum(-1), position


def quartic(position):
    """Two wells; E x^2 = .852136152178 and E x^4 = .977136152178."""
    return 2 * ((position**2 - 1) ** 2).sum(-1), 8 * position * (position**2 - 1)


def run(potential, dim, draws=3000, seed=0, chains=8):
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(chains, dim, generator=generator, dtype=F64)
    return run_chains(potential, start, (300, draws), generator)


def test_a_normal_has_its_moments():
    chains = run(normal, 5)
    x = chains.draws
    error = 5 / math.sqrt(x[..., 0].numel() / 3)  # an autocorrelation time of three is generous
    assert x.shape == (8, 3000, 5)
    assert x.mean((0, 1)).abs().max().item() < error
    assert (x**2).mean((0, 1)).tolist() == pytest.approx([1.0] * 5, abs=math.sqrt(2) * error)
    assert int(chains.divergences.sum()) == 0
    assert chains.acceptance.mean().item() == pytest.approx(0.8, abs=0.1)


def test_wells_have_their_moments():
    x = run(quartic, 1).draws
    assert (x**2).mean().item() == pytest.approx(0.852136152178, abs=0.02)
    assert (x**4).mean().item() == pytest.approx(0.977136152178, abs=0.04)


def test_the_same_seed_gives_the_same_chains():
    first, second, third = (run(normal, 2, draws=20, seed=seed).draws for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_a_small_step_conserves_the_energy():
    generator = torch.Generator().manual_seed(0)
    state = begin(quartic, torch.full((50, 1), 0.5, dtype=F64))
    _, info = hmc_step(state, quartic, 1e-3, 20, generator)
    assert info.acceptance.min().item() > 0.999


def test_proposals_that_are_not_finite_are_rejected_and_counted():
    def cliff(position):
        value, gradient = normal(position)
        beyond = position[:, 0] > 0.5
        return torch.where(beyond, torch.nan, value), torch.where(beyond[:, None], torch.nan, gradient)

    generator = torch.Generator().manual_seed(0)
    state = begin(cliff, torch.zeros(200, 1, dtype=F64))
    after, info = hmc_step(state, cliff, 0.5, 3, generator)
    assert 0 < int(info.divergent.sum()) < 200
    assert bool((~info.accepted[info.divergent]).all())
    assert bool(after.potential.isfinite().all())
    assert bool((after.position[info.divergent] == 0).all())
