"""Scaled energies stay true under surgery, fits and queries: a weight is a temperature."""

import math

import pytest
import torch
from energies.catalog import F64
from torch import nn

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError


def confounded(cost=None):
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError(1.0))
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, cost or ec.SquaredError(1.0))
    return x + y + ec.GaussianRegularizer(1)


def location_and_precision(prediction, y):
    location, log_precision = prediction.unbind(-1)
    return 0.5 * (y.squeeze(-1) - location) ** 2 * log_precision.exp()


def heteroscedastic():
    """The mechanism of the mathematics' example, whose normalizer depends on z."""
    decoder = lambda x, z: torch.cat(torch.broadcast_tensors(x, x * z), -1)
    return ec.Mechanism("y", ("x", "z"), decoder, location_and_precision) + ec.GaussianRegularizer(1)


def test_surgery_on_a_scaled_energy_is_the_scaled_surgery():
    energy = confounded(ec.HingeCost())
    values = {"y": torch.tensor([[1.0], [-1.0]], dtype=F64), "z": torch.tensor([[0.3], [1.2]], dtype=F64)}
    first, second = ec.do(2.0 * energy, x=0.5), 2.0 * ec.do(energy, x=0.5)
    assert torch.allclose(first.reduced(values, 0.7), second.reduced(values, 0.7))
    assert torch.allclose(first.reduced(values, 0.7), ec.do(energy, x=0.5).reduced(values, 1.4))


@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_a_latent_upstream_stays_where_it_was_under_do(weight):
    """Clamped in the raw sum z would move to -1/2 (weight 1); under do it has mean zero, variance 1/weight."""
    z = torch.linspace(-8, 8, 161, dtype=F64)[:, None]
    cut = ec.do(weight * heteroscedastic(), x=1.0)
    log_prob = ec.GibbsDensity(cut, over="z").log_prob(z)
    assert (log_prob.softmax(0) @ z).item() == pytest.approx(0.0, abs=1e-6)
    variance = (log_prob.softmax(0) @ z**2).item()
    assert variance == pytest.approx(1 / weight, abs=1e-6)


def test_the_law_of_a_scaled_mechanism_is_colder():
    scaled = 4.0 * ec.Mechanism("y", "z", lambda z: z, ec.SquaredError(2.0))
    law = scaled.distribution({"z": torch.zeros(3, 1, dtype=F64)})
    assert law.base_dist.scale.flatten().tolist() == [1.0] * 3


def test_interventional_draws_of_a_scaled_energy_spread_less():
    """y under do(x) has variance (1 + 4)/weight."""
    found = ec.interventional(5.0 * confounded(), do={"x": 1.0}, query="y", draws=20_000, seed=0)
    variance = found.values.var(0).item()
    error = math.sqrt(2 / 20_000)
    assert found.mean.item() == pytest.approx(1.0, abs=4.5 * found.standard_error.item())
    assert variance == pytest.approx(1.0, abs=4.5 * error)


def test_a_weight_of_one_factor_alone():
    mechanism = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError())
    energy = 0.5 * mechanism + ec.GaussianRegularizer(1) * 3.0
    assert list(energy.factors) == ["y", "R(z)"]
    ones = torch.ones(1, 1, dtype=F64)
    assert energy(y=3 * ones, z=ones).item() == pytest.approx(0.5 * 2.0 + 3.0 * 0.5)


def test_a_fit_learns_a_weight_as_the_temperature_that_it_is():
    """E = w (y - mu)^2/2 is a normal of variance 1/w: its maximum likelihood is one over that of the data."""
    y = torch.tensor([[0.0], [1.0], [3.0], [4.0]], dtype=F64)

    class Center(nn.Module):
        def __init__(self):
            super().__init__()
            self.mu = nn.Parameter(torch.zeros(1, dtype=F64))

        def forward(self, x):
            return self.mu + 0 * x

    weight = nn.Parameter(torch.tensor(1.0, dtype=F64))
    energy = ec.Energy([weight * ec.Mechanism("y", "x", Center(), ec.SquaredError())])
    fit = ec.fit(energy, {"x": torch.zeros(4, 1, dtype=F64), "y": y}, latents=(), method="map")
    found = dict(fit.summary()["mean"])
    assert found["y.decoder.mu[0]"] == pytest.approx(2.0, abs=1e-4)
    assert abs(found["y.cost.weight"]) == pytest.approx(1 / 2.5, abs=1e-4)


def test_a_scaled_quadrature_is_the_normalizer_at_that_temperature():
    mechanism = heteroscedastic().factors["y"]
    parents = {"x": torch.ones(3, 1, dtype=F64), "z": torch.tensor([[-1.0], [0.0], [1.0]], dtype=F64)}
    known = 0.5 * (math.log(2 * math.pi / 6.0) - parents["z"][:, 0])
    assert torch.allclose((3.0 * mechanism).log_normalizer(parents, 2.0), known, atol=1e-10)
    betas = torch.tensor([0.5, 1.0, 2.0], dtype=F64)
    rows = mechanism.log_normalizer(parents, betas)
    assert torch.allclose(rows, 0.5 * ((2 * math.pi / betas).log() - parents["z"][:, 0]), atol=1e-10)


def test_energies_may_be_subtracted_by_a_negative_weight():
    energy = ec.energy(lambda a: (a**2).sum(-1), a=1)
    assert (energy + -0.25 * energy)(a=2.0).item() == pytest.approx(3.0)


@pytest.mark.parametrize(
    "weight", [0.0, -2.0, nn.Parameter(torch.tensor(-2.0))], ids=["zero", "minus", "parameter"]
)
def test_weights_that_leave_a_law_without_normalizer(weight):
    reason = r"cannot be weighted by (0|-2): exp\(-beta E\) would grow with the cost and have no normalizer"
    with pytest.raises(ArgumentError, match=f"the mechanism of 'x' {reason}"):
        weight * confounded()
    with pytest.raises(ArgumentError, match=f"the regularizer of 'z' {reason}"):
        ec.GaussianRegularizer(1) * weight


@pytest.mark.parametrize("weight", [math.nan, math.inf, torch.ones(2), True, "2"], ids=str)
def test_weights_that_are_no_number(weight, unchecked):
    with pytest.raises(
        ArgumentError, match="a weight must be one finite number, or a tensor without dimensions; got"
    ):
        ec.energy(lambda a: a.sum(-1), a=1) * weight


def test_terms_that_are_no_factors(unchecked):
    with pytest.raises(EnergyError, match="an energy is a sum of factors and energies; got function"):
        confounded() + (lambda x: x.sum(-1))
    with pytest.raises(EnergyError, match="got int"):
        confounded() + 1
