"""Many chains with one metric: known moments, whatever the target's shape and the frame they begin with."""

import math

import pytest
import torch

from ebm_causal.sampling import Frame, mixing, run_pooled

F64 = torch.float64


def plain_frame(dim, dense=None):
    size = dim if dense is None else dense
    return Frame(
        center=torch.zeros(dim, dtype=F64),
        block=torch.eye(size, dtype=F64),
        scales=torch.ones(dim - size, dtype=F64),
    )


def normal(covariance):
    precision = torch.linalg.inv(covariance)

    def potential(position):
        gradient = position @ precision
        return 0.5 * (position * gradient).sum(-1), gradient

    return potential


def tilted(dim):
    """Standard deviations from .01 to 10 and strong correlations."""
    generator = torch.Generator().manual_seed(1)
    turn, _ = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=F64))
    return turn @ torch.logspace(-4, 2, dim, dtype=F64).diag() @ turn.mT


@pytest.mark.parametrize("dense", [None, 2])
def test_a_stretched_normal_has_its_covariance_from_a_frame_that_knows_nothing(dense):
    scales = torch.logspace(-2, 1, 6, dtype=F64)
    covariance = tilted(6) if dense is None else scales.square().diag()
    generator = torch.Generator().manual_seed(0)
    start = 0.1 * torch.randn(16, 6, generator=generator, dtype=F64)
    chains = run_pooled(normal(covariance), start, (300, 200), generator, frame=plain_frame(6, dense))
    mixed = mixing(chains.draws)
    assert mixed.r_hat.max().item() < 1.02
    assert mixed.ess_bulk.min().item() > 1000
    whitened = torch.linalg.solve(torch.linalg.cholesky(covariance), chains.draws.flatten(0, 1).mT)
    found = whitened @ whitened.mT / whitened.shape[1]
    assert (found - torch.eye(6, dtype=F64)).abs().max().item() < 5 * math.sqrt(2 / 1000)


def test_a_round_normal_needs_about_one_draw_for_one():
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(64, 25, generator=generator, dtype=F64)
    chains = run_pooled(normal(torch.eye(25, dtype=F64)), start, (60, 200), generator, frame=plain_frame(25))
    assert mixing(chains.draws).ess_bulk.min().item() > 0.5 * 64 * 200
    assert chains.acceptance.mean().item() == pytest.approx(0.85, abs=0.1)
    assert bool((chains.accepted.double().mean(1) > 0.6).all())
    assert int(chains.divergent.sum()) == int(chains.non_finite.sum()) == 0


def test_two_wells_do_not_stretch_the_frame():
    """Wells of width .05 at -1 and 1: chains stay in theirs, and move."""

    def potential(x):
        logits = torch.stack([-((x - m) ** 2).sum(-1) / (2 * 0.05**2) for m in (-1.0, 1.0)])
        weights = torch.softmax(logits, 0)[..., None]
        gradient = (weights[0] * (x + 1) + weights[1] * (x - 1)) / 0.05**2
        return -torch.logsumexp(logits, 0), gradient

    generator = torch.Generator().manual_seed(0)
    start = torch.tensor([-1.0, 1.0] * 8, dtype=F64)[:, None].expand(-1, 2).clone()
    chains = run_pooled(potential, start, (100, 100), generator, frame=plain_frame(2))
    assert chains.draws[::2].std(1).mean().item() == pytest.approx(0.05, rel=0.15)
    assert mixing(chains.draws).r_hat.max().item() > 1.5


def test_the_seed_decides():
    def run(seed):
        generator = torch.Generator().manual_seed(seed)
        return run_pooled(
            normal(torch.eye(2, dtype=F64)),
            torch.zeros(4, 2, dtype=F64),
            (20, 10),
            generator,
            frame=plain_frame(2),
        ).draws

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))


def test_proposals_beyond_a_wall_are_counted_and_refused():
    """A normal cut at -2: what lies below has no density. Its mean is phi(2) / Phi(2)."""

    def potential(x):
        inside = x[..., 0] > -2
        return torch.where(inside, 0.5 * (x**2).sum(-1), math.inf), torch.where(inside[:, None], x, math.nan)

    generator = torch.Generator().manual_seed(0)
    chains = run_pooled(potential, torch.ones(32, 1, dtype=F64), (100, 300), generator, frame=plain_frame(1))
    assert int(chains.non_finite.sum()) > 0
    assert bool((chains.draws > -2).all())
    error = 1 / math.sqrt(mixing(chains.draws).ess_bulk.item())
    assert chains.draws.mean().item() == pytest.approx(0.05524786, abs=5 * error)
