"""The capacity curve."""

import math

import numpy as np
import pytest
import torch

import ebm_causal as ec
from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.sensitivity import capacity_curve

F64 = torch.float64
WEIGHTS = (0.5, 1.0, 4.0, 16.0)


def world(a=1.0, b=2.0, d=1.0):
    x = ec.Mechanism("x", "z", lambda z: a * z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: d * x + b * z, ec.SquaredError())
    return x + y + ec.GaussianRegularizer(1)


def rows(count=60):
    generator = torch.Generator().manual_seed(0)
    z, u, v = torch.randn(3, count, generator=generator, dtype=F64)
    x = z + u
    return {"x": x, "y": x + 2 * z + v}


def test_gap_and_cost_are_those_of_the_linear_world():
    """s^2 = 1/weight: the gap of slopes is b a s^2/(a^2 s^2 + 1); the rows are jointly normal."""
    data = rows()
    curve = capacity_curve(world(), data, x=[0.0, 1.0], weights=WEIGHTS)
    for weight, gap, error, cost in zip(WEIGHTS, curve.gap, curve.standard_error, curve.cost, strict=True):
        s = 1 / weight
        assert gap == pytest.approx(2 * s / (s + 1), abs=4 * error)
        covariance = torch.tensor([[s + 1, s + 1 + 2 * s], [3 * s + 1, 9 * s + 1 + 1]], dtype=F64)
        law = torch.distributions.MultivariateNormal(torch.zeros(2, dtype=F64), covariance)
        known = -law.log_prob(torch.stack([data["x"], data["y"]], -1)).mean().item()
        assert cost == pytest.approx(known, abs=1e-8)


def test_the_cost_is_least_near_the_weight_that_made_the_rows():
    curve = capacity_curve(world(), rows(400), x=[0.0, 1.0], weights=(0.1, 1.0, 10.0), draws=200)
    assert curve.cost.argmin() == 1


def test_the_gap_of_a_world_without_confounding_is_zero_at_each_weight():
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
    data = rows()
    curve = capacity_curve(y + ec.GaussianRegularizer(1), data, x=[0.0, 1.0], weights=WEIGHTS, draws=200)
    assert (curve.gap == 0).all()
    assert "no confounding by construction" in curve.warnings[0]


def test_a_decoder_that_can_scale_its_latent_undoes_the_weight():
    """a and b learnable: z enters as a z, whose law at any weight can be that at one, so the fit is never worse."""
    a, b = (torch.nn.Parameter(torch.tensor(v, dtype=F64)) for v in (1.0, 2.0))

    class X(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = a

        def forward(self, z):
            return self.a * z

    class Y(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.b = b

        def forward(self, x, z):
            return x + self.b * z

    energy = ec.Mechanism("x", "z", X(), ec.SquaredError()) + ec.Mechanism(
        "y", ("x", "z"), Y(), ec.SquaredError()
    )
    energy = energy + ec.GaussianRegularizer(1)
    kept = capacity_curve(energy, rows(), x=[0.0, 1.0], weights=(1.0, 9.0), draws=2000)
    refitted = capacity_curve(energy, rows(), x=[0.0, 1.0], weights=(1.0, 9.0), draws=2000, refit=True)
    assert kept.cost[1] - kept.cost[0] > 0.1
    assert refitted.cost[1] == pytest.approx(refitted.cost[0], abs=1e-4)
    assert refitted.gap[1] == pytest.approx(refitted.gap[0], abs=4 * math.hypot(*refitted.standard_error))
    assert a.item() == 1.0


def test_where_the_latent_can_be_neglected_and_the_picture():
    from matplotlib.figure import Figure

    curve = capacity_curve(world(), rows(), x=[0.0, 1.0], weights=(64.0, 1.0, 4.0), draws=4000)
    assert curve.neglected_at(0.1) == 64.0
    assert curve.neglected_at(0.001) is None
    table = curve.summary()
    assert table["cost_above_least"].min() == 0
    ax = curve.plot(Figure().subplots())
    assert ax.lines[1].get_xdata().tolist() == [1.0, 4.0, 64.0]
    assert "CapacityCurve" in repr(curve)


def test_the_same_seed_gives_the_same_curve():
    first, second = (
        capacity_curve(world(), rows(), x=[0.0, 1.0], weights=(1.0,), draws=100).gap for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(EnergyError, match="give two levels or more"):
        capacity_curve(world(), rows(), x=1.0)
    with pytest.raises(EnergyError, match="give two levels or more"):
        capacity_curve(world(), rows())
    with pytest.raises(ArgumentError, match="weights must be positive and finite"):
        capacity_curve(world(), rows(), x=[0.0, 1.0], weights=(1.0, 0.0))
    with pytest.raises(EnergyError, match="'x' must be numeric"):
        capacity_curve(world(), rows(), x=lambda z: z)
    with pytest.raises(EnergyError, match="has no latent"):
        capacity_curve(Energy([ec.Mechanism("y", "x", lambda x: x, ec.SquaredError())]), rows(), x=[0.0, 1.0])
    with pytest.raises(ArgumentError, match="a share lies between 0 and 1"):
        capacity_curve(world(), rows(), x=[0.0, 1.0], weights=(1.0,), draws=100).neglected_at(1.5)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("weights", [3.0, ("a",), ()])
def test_what_are_no_weights_is_refused(weights):
    with pytest.raises(ArgumentError, match="weights must be positive and finite, at least one"):
        capacity_curve(world(), rows(), x=[0.0, 1.0], weights=weights)


def test_levels_of_a_vector_are_its_rows():
    x = ec.Mechanism("x", "z", lambda z: z.expand(*z.shape[:-1], 2), ec.SquaredError(), dim=2)
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x[..., :1] + z, ec.SquaredError())
    told = {"x": [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]], "y": [0.0, 1.0, 2.0]}
    found = capacity_curve(
        x + y + ec.GaussianRegularizer(1), told, x=[[0.0, 0.0], [1.0, 1.0]], weights=(1.0,)
    )
    assert found.gap[0] == pytest.approx(2 / 3, abs=4 * found.standard_error[0])
    with pytest.raises(EnergyError, match="give two levels or more"):
        capacity_curve(x + y + ec.GaussianRegularizer(1), told, x=[0.0, 1.0], weights=(1.0,))
