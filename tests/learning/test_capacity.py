"""What a latent carries: closed forms of the linear-Gaussian energy, and a curve over the weight of R."""

import math

import pytest
import torch
from learning.toys import F64, normal

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.learning import Loop, RegularizedLatent, latent_capacity
from ebm_causal.learning.capacity import latent_rate


def linear(loading=1.0, scale=0.5):
    return ec.LinearGaussianEnergy(torch.full((3, 1), loading, dtype=F64), scale=scale)


def test_the_rate_of_a_linear_energy_is_known():
    """KL of N(m, v) from N(0, 1), (v + m^2 - 1 - log v) / 2 with v = 1 / (1 + W'W / s^2)."""
    y, energy = normal(20, dim=3), linear()
    law = energy.latent_law(y)
    mean, variance = law.mean.squeeze(-1), law.covariance_matrix.squeeze()
    known = 0.5 * (variance + mean**2 - 1 - variance.log())
    assert torch.allclose(latent_rate(energy, {"y": y}, ("z",)), known, atol=1e-6)


def plane(rows=200):
    """A cloud on a line in the plane, with a little noise: one latent can carry it, and should."""
    z, noise = normal(rows), normal(rows, 1, dim=2)
    return {"y": z @ torch.tensor([[1.0, -1.0]], dtype=F64) + 0.1 * noise}


def test_a_curve_over_the_weight_of_r():
    """G12: the rate falls with the weight, and F rises, on data and off."""
    energy = ec.LinearGaussianEnergy(torch.ones(2, 1, dtype=F64), scale=0.1)
    curve = latent_capacity(
        energy, plane(), [1e-3, 1.0, 1e3], fixed=("y.cost.scale",), steps=15, learning_rate=0.1,
        loop=Loop(batch=200, held_out=0),
    )  # fmt: skip
    assert curve.weights == (1e-3, 1.0, 1e3)
    assert list(curve.on_data) == sorted(curve.on_data)
    assert list(curve.off_data) == sorted(curve.off_data)
    assert all(math.isfinite(rate) and rate >= 0 for rate in curve.rate)
    assert curve.recommended in curve.weights
    assert curve.summary()["recommended"].sum() == 1
    assert repr(curve).startswith("CapacityCurve(3 weights from 0.001 to 1000, recommended ")


def test_a_latent_that_says_as_much_as_y_explains_anything():
    """G12: with A of full row rank F vanishes off the data as well as on them as the weight goes to zero."""
    x = normal(60)
    data = {"x": x, "y": torch.cat([x, -x], -1) + 0.1 * normal(60, 2, dim=2)}
    both = ec.LinearGaussianEnergy(
        torch.eye(2, dtype=F64), torch.zeros(2, 1, dtype=F64), scale=0.1, regularizer_weight=1e-5
    )
    fit = ec.fit(both, data, loss=RegularizedLatent(), steps=3, fixed=("y.cost.scale",))
    check = {c.name: c for c in fit.training.health}["capacity of the latent"]
    assert not check.ok
    assert check.value < check.threshold == 0.05
    assert "its capacity is too high: raise the weight of R" in check.text
    assert check.text in fit.diagnostics.warnings


@pytest.mark.parametrize(
    ("weights", "match"), [([1.0], "at least two positive"), ([0.0, 1.0], "at least two positive")]
)
def test_weights_that_make_no_curve(weights, match):
    with pytest.raises(ArgumentError, match=match):
        latent_capacity(linear(), {"y": normal(10, dim=3)}, weights)


def test_an_energy_without_a_regularizer():
    energy = ec.energy(lambda y: (y**2).sum(-1), y=1)
    with pytest.raises(ArgumentError, match="no regularizer whose weight could be changed"):
        latent_capacity(energy, {"y": normal(10)}, [1.0, 2.0])
