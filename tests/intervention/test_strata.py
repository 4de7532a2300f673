"""Causes that are spread evenly: means err less, and still tell how much they err."""

import math

import pytest
import torch
from scipy import stats

import ebm_causal as ec

F64 = torch.float64


def world(effect, prior=None, dim=1):
    y = ec.Mechanism("y", ("x", "z"), effect, ec.SquaredError(0.5))
    return y + (ec.GaussianRegularizer(dim) if prior is None else prior)


def additive(x, z):
    return torch.tanh(2 * x) * (1 + z) + torch.sin(z)


def product(x, z):
    return x * z.prod(-1, keepdim=True)


@pytest.mark.parametrize(("effect", "dim", "known"), [(additive, 1, math.tanh(2)), (product, 2, 0.0)])
def test_the_errors_told_are_those_made(effect, dim, known):
    """60 seeds: the errors in units of those told scatter as a t law of 24 degrees of freedom."""
    energy = world(effect, dim=dim)
    found = [ec.interventional(energy, do={"x": 1.0}, draws=200, seed=seed) for seed in range(60)]
    scores = torch.stack([(draws.mean - known) / draws.standard_error for draws in found]).flatten()
    assert stats.kstest(scores.numpy(), stats.t(24).cdf).pvalue > 1e-3


def test_an_additive_query_needs_a_thousandth_of_the_draws():
    """Plain draws of the mean of tanh(2)(1 + z) + sin z would err by its deviation over the root of their number."""
    done = ec.interventional(world(additive), do={"x": 1.0})
    z = torch.randn(10_000, 1, dtype=F64, generator=torch.Generator().manual_seed(0))
    plain = additive(torch.tensor(1.0, dtype=F64), z).std().item() / 100
    assert (plain / done.standard_error.item()) ** 2 > 1000
    assert done.mean.item() == pytest.approx(math.tanh(2), abs=5 * done.standard_error.item())


def test_what_is_no_sum_is_no_worse_than_with_plain_draws():
    done = ec.interventional(world(product, dim=2), do={"x": 1.0})
    assert done.standard_error.item() == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize("prior", [None, ec.LaplaceRegularizer(1)], ids=["normal", "Laplace"])
def test_each_draw_has_the_law_of_the_prior(prior):
    drawn = ec.interventional(world(additive, prior), do={"x": 1.0}, query="z", draws=5003).values.flatten()
    known = stats.norm if prior is None else stats.laplace
    assert len(drawn) == 5003
    assert stats.kstest(drawn.numpy(), known.cdf).statistic < 1.36 / math.sqrt(5003)
    assert abs(stats.spearmanr(drawn[:-1], drawn[1:]).statistic) < 4 / math.sqrt(5003)


def test_float32_stays_float32():
    x = torch.tensor([[1.0]], dtype=torch.float32)
    done = ec.interventional(world(additive), do={"x": x}, query="z")
    assert done.values.dtype == torch.float32
    assert done.values.isfinite().all()


def test_few_draws_are_plain():
    done = ec.interventional(world(additive), do={"x": 1.0}, draws=99)
    assert done.deviations.shape[0] == 99
    assert ec.interventional(world(additive), do={"x": 1.0}, draws=100).deviations.shape[0] == 25
