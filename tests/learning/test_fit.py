"""Fits of energies whose maximum marginal likelihood is known in closed form."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.distributions import Normal

import ebm_causal as ec
from ebm_causal.energies import named_parameters

F64 = torch.float64


def factor_rows(rows=500, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.tensor([[1.0], [-0.6], [0.3], [0.8]], dtype=F64)
    z = torch.randn(rows, 1, generator=generator, dtype=F64)
    noise = torch.randn(rows, 4, generator=generator, dtype=F64)
    return torch.tensor([0.5, -1.0, 0.0, 2.0], dtype=F64) + z @ weight.mT + 0.5 * noise


def closed_form(y, latents=1):
    """Tipping and Bishop (1999), equations 7 and 8: weights, noise and the largest mean log likelihood."""
    mean, covariance = y.mean(0), torch.cov(y.T, correction=0)
    values, vectors = torch.linalg.eigh(covariance)
    noise = values[:-latents].mean()
    weight = vectors[:, -latents:] * (values[-latents:] - noise).sqrt()
    model = weight @ weight.mT + noise * torch.eye(len(mean), dtype=F64)
    density = torch.distributions.MultivariateNormal(mean, model)
    return weight, noise.sqrt().item(), mean, density.log_prob(y).mean().item()


def start(latents=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(4, latents, generator=generator, dtype=F64)
    return ec.LinearGaussianEnergy(weight, offset=torch.zeros(4, dtype=F64), scale=1.0)


@pytest.mark.parametrize("method", ["map", "svi"])
@pytest.mark.parametrize("latents", [1, 2])
def test_the_maximum_marginal_likelihood_of_a_linear_energy(method, latents):
    y = factor_rows(500 if latents == 1 else 150)
    weight, noise, mean, best = closed_form(y, latents)
    fit = ec.fit(start(latents), {"y": y}, method=method)
    found = fit.energy.decoder.latent_weight.detach()
    scale = math.sqrt(fit.energy.noise_variance.item())
    assert fit.diagnostics.ok
    assert fit.guide == "collapsed"
    assert fit.log_likelihood.mean().item() == pytest.approx(best, abs=1e-6)
    assert scale == pytest.approx(noise, abs=1e-3)
    assert torch.allclose(fit.energy.decoder.offset.detach(), mean, atol=1e-3)
    assert torch.allclose(found @ found.mT, weight @ weight.mT, atol=2e-3)


def test_the_curvature_is_the_observed_information():
    y = factor_rows()
    fit = ec.fit(start(), {"y": y}, method="map")
    information = ec.fisher_information(fit.energy, kind="observed", data={"y": y})
    assert torch.allclose(fit.curvature, information.matrix, rtol=1e-5, atol=1e-3)


def test_an_offset_s_standard_deviation_is_that_of_a_mean():
    y = factor_rows()
    fit = ec.fit(start(), {"y": y}, method="map")
    known = (y.var(0).mean() / len(y)).sqrt().item()
    sd = fit.summary().loc[[f"y.decoder.offset[{i}]" for i in range(4)], "sd"]
    assert sd.mean() == pytest.approx(known, rel=0.1)


def test_the_caller_s_energy_is_not_changed():
    energy = start()
    before = [p.detach().clone() for p in energy.parameters()]
    ec.fit(energy, {"y": factor_rows(50)}, method="map")
    assert all(torch.equal(a, b) for a, b in zip(before, energy.parameters(), strict=True))
    assert not energy.decoder.latent_weight.grad


@pytest.mark.parametrize("method", ["map", "mcmc"])
def test_the_same_seed_gives_the_same_numbers(method):
    options = (
        {"method": method, "chains": 2, "draws": 5, "warmup": 3} if method == "mcmc" else {"method": method}
    )
    options["fixed"] = ("latent_weight", "y.cost.scale")
    first, second = (ec.fit(start(), {"y": factor_rows(60)}, seed=5, **options) for _ in range(2))
    assert torch.equal(first.mean, second.mean)
    if method == "mcmc":
        other = ec.fit(start(), {"y": factor_rows(60)}, seed=6, **options)
        assert torch.equal(first.draws, second.draws)
        assert not torch.equal(first.draws, other.draws)


def test_data_come_as_a_frame_a_mapping_or_arrays():
    y = factor_rows(80)
    by_tensor = ec.fit(start(), {"y": y}, method="map").mean
    columns = {f"y[{i}]": y[:, i].numpy() for i in (2, 0, 3, 1)}
    by_frame = ec.fit(start(), pd.DataFrame({**columns, "other": 1.0}), method="map").mean
    by_array = ec.fit(start(), {"y": y.numpy()}, method="map").mean
    assert torch.equal(by_tensor, by_array)
    assert torch.allclose(by_tensor, by_frame, rtol=1e-6)


def test_float32_parameters_take_float64_rows():
    energy = ec.LinearGaussianEnergy(torch.ones(4, 1), scale=1.0)
    fit = ec.fit(energy, {"y": factor_rows(100)}, method="map")
    assert fit.data["y"].dtype == torch.float32
    assert fit.energy.decoder.latent_weight.dtype == torch.float32
    assert fit.log_likelihood.isfinite().all()


def test_what_is_fixed_stays():
    energy = start()
    fit = ec.fit(energy, {"y": factor_rows(100)}, method="map", fixed=("offset", "y.cost.scale"))
    assert torch.equal(fit.energy.decoder.offset, energy.decoder.offset)
    assert fit.energy.noise_variance.item() == 1.0
    assert list(fit.labels) == [f"y.decoder.latent_weight[{i}, 0]" for i in range(4)]


def test_priors_act():
    y = factor_rows(200)
    free = ec.fit(start(), {"y": y}, method="map")
    held = ec.fit(start(), {"y": y}, method="map", priors={"offset": Normal(10.0, 1e-4)})
    assert torch.allclose(held.energy.decoder.offset.detach(), torch.full((4,), 10.0, dtype=F64), atol=0.01)
    assert free.energy.decoder.offset.max().item() < 3
    assert list(held.priors) == ["y.decoder.offset"]


def test_a_normal_prior_shrinks_as_it_should():
    """y ~ N(mu, 1) with mu ~ N(0, s^2): the mode is mean n / (n + 1 / s^2)."""
    mu = nn.Parameter(torch.zeros(1, dtype=F64))

    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.mu = mu

        def forward(self, x):
            return self.mu + 0 * x

    y = torch.randn(30, 1, generator=torch.Generator().manual_seed(0), dtype=F64) + 2
    energy = ec.Energy([ec.Mechanism("y", "x", Mean(), ec.SquaredError(1.0))])
    fit = ec.fit(energy, {"x": 0 * y, "y": y}, latents=(), method="map", priors={"mu": Normal(0.0, 0.2)})
    assert fit.mean.item() == pytest.approx(y.mean().item() * 30 / (30 + 25), abs=1e-5)
    assert fit.summary()["sd"].item() == pytest.approx(55**-0.5, rel=1e-6)


def test_beta_scales_what_is_learned():
    y = factor_rows()
    _, noise, _, best = closed_form(y)
    fit = ec.fit(start(), {"y": y}, method="map", beta=4.0)
    assert fit.log_likelihood.mean().item() == pytest.approx(best, abs=1e-6)
    assert math.sqrt(fit.energy.noise_variance.item() / 4) == pytest.approx(noise, abs=1e-3)


def test_a_cost_without_a_known_normalizer_is_learned_by_quadrature():
    """The scale of a squared error, written as a bare callable: without its normalizer it would run away."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.log_scale = nn.Parameter(torch.zeros((), dtype=F64))

        def forward(self, prediction, value):
            return 0.5 * ((value - prediction) * (-self.log_scale).exp()).square().sum(-1)

    y = 3 * torch.randn(200, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    energy = ec.Energy([ec.Mechanism("y", "x", lambda x: x, Scaled())])
    fit = ec.fit(energy, {"x": 0 * y, "y": y}, latents=(), method="map")
    assert fit.mean.exp().item() == pytest.approx(y.square().mean().sqrt().item(), rel=1e-3)


def test_a_plain_prior_s_parameters_are_learned_with_its_normalizer():
    """z has a plain quadratic factor of weight lam; y = z + noise, so Var(y) = 1 / lam + s^2."""

    class Quadratic(nn.Module):
        def __init__(self):
            super().__init__()
            self.lam = nn.Parameter(torch.ones((), dtype=F64))

        def forward(self, z):
            return 0.5 * self.lam.abs() * z.square().sum(-1)

    y = 2 * torch.randn(300, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    energy = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError(0.5)) + ec.energy(Quadratic(), z=1)
    fit = ec.fit(energy, {"y": y}, method="map")
    assert 1 / fit.mean.item() == pytest.approx(y.square().mean().item() - 0.25, rel=1e-3)


def test_a_parameter_that_the_data_do_not_identify():
    """The weight of the regularizer and the loading trade off: an infinite standard deviation, and a note."""
    y = factor_rows(100)[:, :1]
    weight = ec.LinearGaussianEnergy(
        torch.ones(1, 1, dtype=F64), scale=0.5, regularizer_weight=nn.Parameter(torch.ones((), dtype=F64))
    )
    fit = ec.fit(weight, {"y": y}, method="map", fixed=("y.cost.scale",))
    assert fit.covariance is None
    assert np.isinf(fit.summary()["sd"]).all()
    assert set(fit.summary()["note"]) == {"not identified by the data"}


def test_predictions_have_the_conditional_law():
    generator = torch.Generator().manual_seed(0)
    x, z = torch.randn(2, 400, 1, generator=generator, dtype=F64)
    y = torch.cat([x + z, 2 * x - z, z], -1) + 0.3 * torch.randn(400, 3, generator=generator, dtype=F64)
    energy = ec.LinearGaussianEnergy(torch.ones(3, 1, dtype=F64), torch.zeros(3, 1, dtype=F64), scale=0.5)
    fit = ec.fit(energy, {"x": x, "y": y}, method="map")
    drawn = fit.predict("y", given={"x": [[0.0], [1.0]]}, draws=20_000)
    law = fit.energy.outcome_law(torch.tensor([[0.0], [1.0]], dtype=F64))
    assert drawn.shape == (20_000, 2, 3)
    assert torch.allclose(drawn.mean(0), law.mean.detach(), atol=0.05)
    assert torch.allclose(torch.cov(drawn[:, 1].T), law.covariance_matrix[1].detach(), atol=0.08)
    assert torch.equal(drawn, fit.predict("y", given={"x": [[0.0], [1.0]]}, draws=20_000))


class Times(nn.Module):
    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.full((), 0.5, dtype=F64))

    def forward(self, z):
        return self.slope * z


def test_predictions_of_a_cause_from_its_effect():
    x = ec.Mechanism("x", "z", Times(), ec.SquaredError())
    y = ec.Mechanism("y", "x", lambda x: x, ec.SquaredError())
    generator = torch.Generator().manual_seed(0)
    z, e, f = torch.randn(3, 500, 1, generator=generator, dtype=F64)
    fit = ec.fit(x + y + ec.GaussianRegularizer(1), {"x": z + e, "y": z + e + f}, method="map")
    variance = 1 + fit.mean.item() ** 2
    drawn = fit.predict("x", given={"y": [[2.0]]}, draws=5000)
    assert drawn.mean().item() == pytest.approx(2 * variance / (variance + 1), abs=0.07)


def test_to_arviz_has_latents_data_and_log_likelihood():
    y = factor_rows(40)
    data = ec.fit(start(), {"y": y}, method="map").to_arviz(draws=50)
    assert data.posterior["z"].shape == (1, 50, 40, 1)
    assert np.array_equal(data.observed_data["y"].to_numpy(), y.numpy())
    assert data.log_likelihood["rows"].shape == (1, 50, 40)


def test_repr_and_progress():
    seen = []
    fit = ec.fit(
        start(), {"y": factor_rows(40)}, method="map", progress=lambda share, text: seen.append((share, text))
    )
    assert repr(fit).startswith("Fit(method='map', rows=40, parameters=9, converged:")
    assert all(0 < share <= 1 for share, _ in seen)
    assert seen[0][1].startswith("log likelihood")
    assert set(named_parameters(fit.energy)) == {
        "y.decoder.latent_weight",
        "y.decoder.offset",
        "y.cost.scale",
    }


def test_a_fit_that_ended_early_is_where_it_was_highest_and_says_that_it_has_not_converged():
    """A wide decoder leaves directions with hardly any information, along which no last step may leap."""

    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layers = nn.Sequential(nn.Linear(2, 12), nn.Tanh(), nn.Linear(12, 1)).double()

        def forward(self, x, z):
            return self.layers(torch.cat([x, z], -1))

    generator = torch.Generator().manual_seed(0)
    x, z, e = torch.randn(3, 40, 1, generator=generator, dtype=F64)
    scale = nn.Parameter(torch.tensor(0.5, dtype=F64))
    energy = ec.Mechanism("y", ("x", "z"), Wide(), ec.SquaredError(scale)) + ec.GaussianRegularizer(1)
    data = {"x": x, "y": torch.sin(x) + 0.5 * z + 0.1 * e}
    fit = ec.fit(energy, data, method="map", steps=10)
    assert not fit.diagnostics.converged
    assert any("the fit has not converged" in text for text in fit.diagnostics.warnings)
    found = fit.log_likelihood.sum().item()
    assert found == fit.diagnostics.history[-1]  # what is told is the likelihood there, not that of the leap
    assert _by_a_fine_grid(fit.energy, data) > _by_a_fine_grid(energy, data) + 50
    assert fit.predict("y", given={"x": [[-2.0], [2.0]]}).abs().max() < 5


def _by_a_fine_grid(energy, data):
    """The log likelihood by a sum over z that is fine and wide enough for any row."""
    z = torch.linspace(-9, 9, 20001, dtype=F64)[:, None, None]
    x = data["x"].expand(len(z), -1, 1)
    with torch.no_grad():
        decoder, scale = energy.factors["y"].decoder, dict(energy.named_parameters())
        (noise,) = (value.abs() for name, value in scale.items() if "scale" in name)
        mean = decoder(x, z.expand_as(x))
        law = Normal(mean, noise).log_prob(data["y"]) + Normal(0.0, 1.0).log_prob(z)
        return float((law[..., 0].logsumexp(0) + torch.log(z[1, 0] - z[0, 0])).sum())
