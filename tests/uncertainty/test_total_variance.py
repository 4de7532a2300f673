"""The law of total variance, against the closed form of a linear world."""

import pytest
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError

F64 = torch.float64
A, D, B = 1.5, 1.0, 2.0
ROWS = 60
X = 1.3 * torch.randn(ROWS, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
Y = 2.0 * X + torch.randn(ROWS, 1, generator=torch.Generator().manual_seed(1), dtype=F64)


class Outcome(nn.Module):
    def __init__(self, power=1):
        super().__init__()
        self.d, self.power = nn.Parameter(torch.tensor(D, dtype=F64)), power

    def forward(self, x, z):
        return self.d * x + B * z**self.power


def fitted(power=1):
    x = ec.Mechanism("x", "z", lambda z: A * z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), Outcome(power), ec.SquaredError(0.7))
    return ec.fit(x + y + ec.GaussianRegularizer(1), {"x": X, "y": Y}, method="map")


@pytest.fixture(scope="module")
def fit():
    return fitted()


def test_the_parts_of_a_linear_world_over_its_rows(fit):
    found = ec.decompose_variance(fit, draws=2000)
    d, spread = fit.mean.item(), X.var(correction=0).item()
    slope, left = A / (1 + A**2), 1 / (1 + A**2)  # of z given x
    known = {
        "x": d**2 * spread,
        "z": B**2 * (slope**2 * spread + left),
        "cov(x, z)": 2 * d * B * slope * spread,
        "bending": 0.0,
        "parameters": (X**2).mean().item() * fit.covariance.item(),
        "noise": 0.49,
    }
    assert list(found.parts) == list(known)
    for name, value in known.items():
        assert found.parts[name].item() == pytest.approx(value, rel=2e-3, abs=1e-8)
    assert found.total.item() == pytest.approx(sum(known.values()), rel=2e-3)
    assert torch.equal(found.epistemic, found.parts["parameters"])
    assert torch.allclose(found.aleatoric + found.epistemic, found.total)
    assert sum(share.item() for share in found.shares.values()) == pytest.approx(1.0)


def test_the_parts_where_the_causes_are_given(fit):
    found = ec.decompose_variance(fit, given={"x": [[0.0], [3.0]]}, draws=2000)
    assert list(found.parts) == ["z", "bending", "parameters", "noise"]
    apart = (found.parts["z"] - B**2 / (1 + A**2)).abs()
    assert (apart < 4 * found.standard_error).all()
    assert found.standard_error.max() < 0.05
    known = [0.0, 9.0 * fit.covariance.item()]
    assert found.parts["parameters"].flatten().tolist() == pytest.approx(known, abs=1e-12)


def test_a_square_of_the_latent_bends():
    """Given x = 0, z is normal with variance v: z^2 has the variance 2 v^2, none of it linear."""
    found = ec.decompose_variance(fitted(power=2), given={"x": [[0.0]]}, draws=4000)
    v = 1 / (1 + A**2)
    assert found.parts["bending"].item() == pytest.approx(
        B**2 * 2 * v**2, abs=4 * found.standard_error.item()
    )
    assert found.parts["z"].item() == pytest.approx(0.0, abs=0.02)


def test_summary_picture_and_repr(fit):
    found = ec.decompose_variance(fit, draws=50)
    table = found.summary()
    assert list(table.columns) == ["variance", "share", "kind"]
    assert table.loc["parameters", "kind"] == "epistemic"
    assert repr(found).startswith("VarianceDecomposition(y: variance ")
    assert found.plot().get_xlabel() == "variance of y"
    rows = ec.decompose_variance(fit, given={"x": [[0.0], [3.0]]}, draws=50).summary()
    assert "variance[1, 0]" in rows.columns


def test_a_variable_without_a_mechanism_or_with_effects(fit):
    with pytest.raises(EnergyError, match="'z' has no mechanism; those with one are"):
        ec.decompose_variance(fit, "z")
    with pytest.raises(EnergyError, match="'x' has effects of its own"):
        ec.decompose_variance(fit, "x")


def test_a_cause_that_is_missing(fit):
    with pytest.raises(EnergyError, match="'x' is a cause of 'y' and neither latent nor given"):
        ec.decompose_variance(fit, given={})


def test_parameters_that_are_not_identified():
    energy = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64), torch.ones(1, 1, dtype=F64))
    fit = ec.fit(energy, {"x": X, "y": Y}, method="map")
    with pytest.raises(ArgumentError, match="have no covariance: the data do not identify them"):
        ec.decompose_variance(fit)


def test_too_few_draws(fit):
    with pytest.raises(ArgumentError, match="draws must be at least 2; got 1"):
        ec.decompose_variance(fit, draws=1)


def test_a_law_without_a_variance():
    y = ec.Mechanism("y", ("x", "z"), Outcome(), ec.StudentTCost(1.0, 1.5))
    x = ec.Mechanism("x", "z", lambda z: A * z, ec.SquaredError())
    fit = ec.fit(x + y + ec.GaussianRegularizer(1), {"x": X[:20], "y": Y[:20]}, method="map")
    with pytest.raises(EnergyError, match="law of 'y' given its causes has no finite variance"):
        ec.decompose_variance(fit)
