"""Deterministic annealing: where it arrives, and that it is a plain fit where there is nothing to anneal."""

import pytest
import torch
from torch.distributions import Normal

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.sampling import constant_schedule, geometric_schedule

F64 = torch.float64
CENTERS = torch.tensor([[-6.0, 0.0], [-4.0, 0.0], [4.0, 0.0], [6.0, 0.0]], dtype=F64)


def clusters():
    noise = torch.randn(4, 40, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    return (CENTERS[:, None] + 0.3 * noise).reshape(-1, 2)


def mixture(codes):
    book = ec.CodebookRegularizer(codes.clone())
    return ec.Mechanism("y", "z", book.codebook, ec.SquaredError(0.3), dim=2) + book


def linear():
    weight = torch.tensor([[1.0], [-0.6]], dtype=F64)
    return ec.LinearGaussianEnergy(weight, offset=torch.zeros(2, dtype=F64), scale=0.5)


@pytest.mark.parametrize("seed", range(2))
def test_annealing_finds_the_clusters_from_starts_where_a_cold_fit_does_not(seed):
    y = clusters()
    start = 0.5 * torch.randn(4, 2, generator=torch.Generator().manual_seed(seed), dtype=F64)
    best, cold = (
        ec.fit(mixture(codes), {"y": y}, method="map").log_likelihood.mean() for codes in (CENTERS, start)
    )
    fit = ec.fit(mixture(start), {"y": y}, method="map", beta=geometric_schedule(0.002, 1.0, 12))
    codes = fit.mean.reshape(4, 2)
    assert cold < best - 2.5  # nats per row
    assert fit.log_likelihood.mean().item() == pytest.approx(best.item(), abs=1e-6)
    assert fit.diagnostics.ok
    assert torch.allclose(codes[codes[:, 0].argsort()], CENTERS, atol=5 * 0.3 / 40**0.5)


@pytest.mark.parametrize("method", ["map", "svi"])
def test_a_fit_along_a_constant_schedule_is_the_plain_fit(method):
    rows = {"y": clusters()}
    plain = ec.fit(linear(), rows, method=method, beta=2.0)
    along = ec.fit(linear(), rows, method=method, beta=constant_schedule(2.0, 3))
    sd = torch.as_tensor(plain.summary()["sd"].to_numpy().copy())
    assert along.beta == 2.0
    assert bool(((along.mean - plain.mean).abs() < 0.02 * sd).all())  # as near as a fit claims to arrive
    assert torch.allclose(along.log_likelihood.sum(), plain.log_likelihood.sum(), atol=1e-3)
    assert along.diagnostics.evaluations > plain.diagnostics.evaluations


def test_chains_run_at_the_last_beta():
    y = 1.0 + torch.randn(60, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    energy = ec.Energy([ec.Mechanism("y", (), Constant(), ec.SquaredError(1.0))])
    fit = ec.fit(
        energy, {"y": y}, latents=(), method="mcmc", beta=[0.1, 0.5, 4.0], chains=2, draws=200, warmup=60,
        priors={"level": Normal(0.0, 100.0)},
    )  # fmt: skip
    draws, sd = fit.draws.flatten(), (4.0 * 60) ** -0.5
    worth = float(fit.chain_statistics["ess_bulk"][0])
    assert draws.mean().item() == pytest.approx(y.mean().item(), abs=5 * sd / worth**0.5)
    assert draws.std().item() == pytest.approx(sd, rel=5 / (2 * worth) ** 0.5)


class Constant(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(1, dtype=F64))

    def forward(self):
        return self.level[None]


def test_progress_rises_over_all_stages_and_tells_beta():
    told = []
    ec.fit(
        linear(), {"y": clusters()}, method="map", beta=[0.5, 1.0], progress=lambda *step: told.append(step)
    )
    shares = [share for share, _ in told]
    assert max(shares[: len(shares) // 4]) <= 0.5
    assert any(text.startswith("beta 0.5: log likelihood") for _, text in told)
    assert told[-1][1].startswith("beta 1: log likelihood")
    assert 0.5 <= shares[-1] <= 1.0


def test_an_amortized_fit_carries_its_guide_along():
    rows = {"y": clusters()}
    fit = ec.fit(linear(), rows, guide="amortized", beta=[0.5, 1.0], steps=60, seed=1)
    again = ec.fit(linear(), rows, guide="amortized", beta=[0.5, 1.0], steps=60, seed=1)
    alone = ec.fit(linear(), rows, guide="amortized", beta=1.0, steps=60, seed=2)
    assert torch.equal(fit.mean, again.mean)
    assert fit.diagnostics.evaluations == 120
    assert fit.diagnostics.history[0] > alone.diagnostics.history[0]  # it did not start anew


def test_a_bad_schedule_is_refused():
    with pytest.raises(ArgumentError, match="at least two inverse temperatures"):
        ec.fit(linear(), {"y": clusters()}, beta=[1.0])
