"""The evidence lower bound and the importance weighted one, against closed forms and against Pyro's."""

import math

import pyro
import pytest
import torch
from pyro.infer import Trace_ELBO

import ebm_causal as ec
from ebm_causal.errors import ConvergenceError
from ebm_causal.inference import CompleteLikelihood, FlatGuide, ParameterVector, bounds_of, run_svi
from ebm_causal.inference.bounds import log_weights
from ebm_causal.inference.parameters import Places
from ebm_causal.inference.svi import _loss, _rise, _traced

F64 = torch.float64


def problem(rows=40):
    generator = torch.Generator().manual_seed(0)
    weight = torch.tensor([[1.0, 0.0], [0.5, 1.0], [0.0, -1.0]], dtype=F64)
    z, e = (
        torch.randn(rows, 2, generator=generator, dtype=F64),
        torch.randn(rows, 3, generator=generator, dtype=F64),
    )
    energy = ec.LinearGaussianEnergy(weight, scale=0.7)
    return energy, {"y": z @ weight.mT + 0.7 * e}


def posterior_guide(energy, data):
    """A flat guide with the posterior's means and its coordinates' conditional variances."""
    guide = FlatGuide({"z": 2}, data)
    precision = torch.linalg.inv(energy.posterior_covariance())
    scale = precision.diagonal().rsqrt().expand(len(data["y"]), 2)
    raw = torch.log(torch.expm1(scale)) - math.log(math.e - 1)
    guide.table.data = torch.cat([energy.minimum(data["y"]).detach(), raw], -1)
    return guide, precision


def test_the_gap_is_the_divergence_of_the_guide_from_the_posterior():
    """KL of a diagonal normal with the best variances from a normal: half the log of det(diag P) / det P, per row."""
    energy, data = problem()
    guide, precision = posterior_guide(energy, data)
    bounds, rows = bounds_of(
        CompleteLikelihood(energy, data, ("z",)), guide, data, torch.Generator().manual_seed(0)
    )
    known = energy.log_likelihood(data["y"])
    gap = 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision)).item() * len(data["y"])
    assert bounds.iwae <= known.sum().item() + 5 * bounds.standard_error
    assert known.sum().item() - bounds.elbo == pytest.approx(gap, abs=5 * bounds.standard_error)
    assert 0 < bounds.gap <= gap + 5 * bounds.standard_error
    assert torch.allclose(rows, known, atol=0.1)
    assert "gap=" in repr(bounds)


def test_the_bound_is_pyro_s():
    energy, data = problem(10)
    guide, _ = posterior_guide(energy, data)
    complete = CompleteLikelihood(energy, data, ("z",))
    noise = torch.randn((2000, 10, 2), generator=torch.Generator().manual_seed(0), dtype=F64)
    own = log_weights(complete, guide, data, noise).sum(-1).detach()
    with pyro.get_param_store().scope():
        pyro.set_rng_seed(0)
        loss = Trace_ELBO(num_particles=100).loss(ec.pyro_model(energy), guide, **data)
    assert -loss == pytest.approx(own.mean().item(), abs=5 * own.std().item() / math.sqrt(100))


@pytest.mark.parametrize("kind", ["flat", "amortized"])
def test_the_traced_climb_arrives_where_the_bound_is_tight(kind):
    energy, data = problem()
    run = run_svi(energy, data, {"z": 2}, setting=(250, 0.05, 1.0), seed=0, kind=kind)
    complete = CompleteLikelihood(energy, data, ("z",))
    bounds, _ = bounds_of(complete, run.guide, data, torch.Generator().manual_seed(0))
    assert len(run.elbo) == 250
    assert bounds.gap < 0.25 * len(data["y"])
    assert bounds.elbo == pytest.approx(sum(run.elbo[-40:]) / 40, abs=3.0)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")  # while Pyro traces, sizes are tensors
def test_pyro_s_svi_arrives_at_the_same_parameters():
    fits = []
    for kernel in ("auto", "pyro-svi"):
        energy, data = problem(150)
        fits.append(ec.fit(energy, data, guide="amortized", kernel=kernel, steps=1200, learning_rate=0.02))
    first, second = fits
    assert first.bounds.elbo == pytest.approx(second.bounds.elbo, abs=0.02 * abs(second.bounds.elbo))


def test_the_bound_is_climbed_as_a_graph():
    energy, data = problem(5)
    complete, learned = CompleteLikelihood(energy, data, ("z",)), ParameterVector(energy)
    guide = FlatGuide({"z": 2}, data)
    places = Places(guide, guide.parameters())
    loss = _loss((complete, learned, guide, data), places)
    flat = torch.cat([learned.get(), guide.table.detach().reshape(-1)]).requires_grad_()
    noise = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0), dtype=F64)
    graph = _traced(loss, flat, (noise[0], noise[1]))
    assert graph is not loss
    assert graph(flat + 0.3, noise[1]).item() == pytest.approx(loss(flat + 0.3, noise[1]).item())


def test_a_collapsed_fit_has_no_gap():
    energy, data = problem(30)
    fit = ec.fit(energy, data, method="svi", fixed=("latent_weight",))
    assert fit.bounds.gap == 0
    assert fit.bounds.elbo == pytest.approx(fit.log_likelihood.sum().item())
    assert "the guide is the posterior" in repr(fit.bounds)


def test_a_bound_that_still_rises_has_not_converged():
    rising = [0.01 * step for step in range(1000)]
    level = [math.sin(step) for step in range(1000)]
    assert _rise(rising)[0] == pytest.approx(1.5)
    assert abs(_rise(level)[0]) < 3 * _rise(level)[1]
    assert _rise([0.0] * 10)[0] == math.inf


def test_a_fit_that_stops_early_says_so():
    energy, data = problem(30)
    energy = ec.LinearGaussianEnergy(torch.full((3, 2), 0.1, dtype=F64), scale=3.0)
    fit = ec.fit(energy, data, guide="amortized", steps=60)
    assert not fit.diagnostics.ok
    assert "still changing: allow more steps" in fit.diagnostics.warnings[0]


def test_a_learning_rate_that_is_too_large():
    energy, data = problem(10)
    with pytest.raises(ConvergenceError, match="the evidence lower bound is .* lower the learning rate"):
        run_svi(energy, data, {"z": 2}, setting=(50, 1e200, 1.0), seed=0)
