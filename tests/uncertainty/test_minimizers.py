"""Variance through a minimum: MATH.md section 8, the Schur complement, and where there is no derivative."""

from dataclasses import replace

import pytest
import torch

import ebm_causal as ec
import ebm_causal.uncertainty.posing as posing_module
from ebm_causal.calculus import minimum_slopes
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError

F64 = torch.float64
COVARIANCE = [[0.01, -0.005], [-0.005, 0.04]]
GIVEN = {"x": 2.0, "z": 5.0}


def quartic():
    return ec.energy(lambda y, x, z: (y**4 / 4 + y**2 / 2 - y * x * z).sum(-1), y=1, x=1, z=1)


def through(energy=None, over="y", given=GIVEN, covariance=COVARIANCE, **options):
    return ec.propagate_through_minimum(energy or quartic(), over, given, covariance, **options)


@pytest.mark.parametrize(
    ("method", "known"),
    [("first_order", 0.00183431953), ("second_order", 0.00183641914), ("third_order", 0.00184107227)],
)
def test_the_argmin_of_a_quartic_to_each_order(method, known):
    found = through(method=method)
    assert found.covariance.item() == pytest.approx(known, abs=5e-12)
    assert found.noise.item() == pytest.approx(1 / 13)
    assert (found.names, found.outputs) == (("x", "z"), ("y",))


def test_its_derivative_and_its_shares():
    y, u = torch.tensor([[2.0]], dtype=F64), torch.tensor([[2.0, 5.0]], dtype=F64)
    slopes = minimum_slopes(lambda v, u: (v**4 / 4 + v**2 / 2 - v * u.prod(-1, keepdim=True)).sum(-1), y, u)
    assert slopes.jacobian().flatten().tolist() == pytest.approx([5 / 13, 2 / 13], abs=1e-12)
    assert through().mean.tolist() == pytest.approx([2.0])
    assert through().shares[0].tolist() == pytest.approx([0.645161, 0.354839], abs=5e-7)
    assert through(shares="shapley").shares[0].tolist() == pytest.approx([0.636089, 0.363911], abs=5e-7)


def test_sigma_points_and_draws_minimize_at_every_point():
    assert through(method="sigma_points").covariance.item() == pytest.approx(0.00184112836, rel=2e-4)
    drawn = through(method="monte_carlo", draws=4000)
    assert abs(drawn.covariance.item() - 0.00184112836) < 4 * drawn.covariance_standard_error.item()
    checked = through(cross_check=True, draws=2000)
    assert checked.warnings == ()
    assert checked.check.method == "monte_carlo"


def test_the_noise_goes_with_beta_and_the_covariance_does_not():
    warm, cold = through(), through(beta=4.0)
    assert torch.equal(warm.covariance, cold.covariance)
    assert torch.allclose(cold.noise, warm.noise / 4)


WEIGHT = torch.tensor([[1.0, 0.5], [-0.3, 0.8], [0.2, -0.7]], dtype=F64)


def joint():
    """y follows z and x, z follows x."""

    def function(y, z, x):
        return (
            ((y - z @ WEIGHT.mT - x) ** 2).sum(-1) / 2
            + ((z - x[..., :2]) ** 2).sum(-1)
            + (y[..., 0] * x[..., 1]) ** 2 / 5
        )

    return ec.energy(function, y=3, z=2, x=3)


def test_y_and_z_together_by_the_schur_complement():
    sigma = 0.1 * torch.eye(3, dtype=F64) + 0.02
    x = torch.tensor([[1.0, -0.5, 2.0], [0.3, 0.1, -1.0]], dtype=F64)
    found = ec.propagate_through_minimum(joint(), ("y", "z"), {"x": x}, sigma)
    assert found.mean.shape == (2, 5)
    assert found.outputs == ("y[0]", "y[1]", "y[2]", "z[0]", "z[1]")

    def function(v, u):
        return joint().reduced({"y": v[..., :3], "z": v[..., 3:], "x": u})

    slopes = minimum_slopes(function, found.mean, x)
    H, B = slopes.hessian, slopes.cross
    yy, yz, zz = H[:, :3, :3], H[:, :3, 3:], H[:, 3:, 3:]
    back = yz @ torch.linalg.inv(zz)
    jacobian = -torch.linalg.inv(yy - back @ yz.mT) @ (B[:, :3] - back @ B[:, 3:])
    assert torch.allclose(found.covariance[:, :3, :3], jacobian @ sigma @ jacobian.mT)


def test_the_derivative_is_that_of_the_closed_form():
    """A linear-Gaussian energy: z* = M^-1 W'(y - b) / s^2."""
    energy = ec.LinearGaussianEnergy(WEIGHT, scale=0.5)
    y = torch.tensor([[1.0, -0.5, 0.25]], dtype=F64)
    sigma = torch.diag(torch.tensor([0.1, 0.2, 0.3], dtype=F64))
    found = ec.propagate_through_minimum(energy, "z", {"y": y}, sigma)
    precision = torch.eye(2, dtype=F64) + WEIGHT.mT @ WEIGHT / 0.25
    jacobian = torch.linalg.solve(precision, WEIGHT.mT / 0.25)
    assert torch.allclose(found.covariance[0], jacobian @ sigma @ jacobian.mT)
    assert torch.allclose(found.noise[0], torch.linalg.inv(precision))


ACTIVATIONS = (
    *(torch.nn.Tanh(), torch.nn.SiLU(), torch.nn.GELU()),
    *(torch.nn.Softplus(), torch.nn.ELU(), torch.nn.Mish()),
)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_the_derivative_is_the_slope_of_the_minimizer_under_no_grad(activation):
    def function(y, x):
        return (
            ((y - activation(x @ WEIGHT)) ** 2).sum(-1) / 2
            + 0.3 * activation(y * x[..., :1]).sum(-1)
            + (y**4).sum(-1)
        )

    energy = ec.energy(function, y=2, x=3)
    x = torch.tensor([[1.2, -0.5, 0.7]], dtype=F64)
    with torch.no_grad():
        found = ec.propagate_through_minimum(energy, "y", {"x": x}, torch.eye(3, dtype=F64))
    columns, h = [], 1e-5
    for shift in h * torch.eye(3, dtype=F64):
        ends = [ec.minimize(energy, "y", {"x": x + sign * shift}).values["y"] for sign in (1, -1)]
        columns.append((ends[0] - ends[1]) / (2 * h))
    jacobian = torch.stack(columns, -1)[0]
    assert torch.allclose(found.covariance[0], jacobian @ jacobian.mT, rtol=1e-6)


# Where there is no derivative.


def test_a_point_that_is_five_percent_off():
    with pytest.raises(ConvergenceError, match=r"not stationary in rows \[0\]: Newton's step .* up to 0.09"):
        through(at={"y": 2.1})
    assert through(at={"y": 2.0}).covariance.item() == pytest.approx(0.00183431953, abs=5e-12)
    with pytest.raises(ArgumentError, match="'y' is missing"):
        through(at={"q": 2.0})


def test_a_singular_hessian():
    flat = ec.energy(lambda y, x: (y.sum(-1) - x.sum(-1)) ** 2, y=2, x=1)
    with pytest.raises(ConvergenceError, match="singular or indefinite in rows .* smallest eigenvalue is"):
        through(flat, given={"x": 1.0}, covariance=[[1.0]])


def test_a_quartic_bottom_is_singular():
    bottom = ec.energy(lambda y, x: ((y - x) ** 4).sum(-1), y=1, x=1)
    with pytest.raises(ConvergenceError, match="singular or indefinite"):
        through(bottom, given={"x": 1.0}, covariance=[[1.0]], at={"y": 1.0})


def test_an_indefinite_hessian():
    saddle = ec.energy(lambda y, x: y[..., 0] ** 2 - y[..., 1] ** 2 + 0 * x.sum(-1), y=2, x=1)
    with pytest.raises(ConvergenceError, match="singular or indefinite in rows .* smallest eigenvalue is -2"):
        through(saddle, given={"x": 1.0}, covariance=[[1.0]], at={"y": [0.0, 0.0]})


def test_a_minimum_on_a_bound():
    support = ec.Variable(1, torch.distributions.constraints.interval(0.0, 1.0))
    energy = ec.energy(lambda y, x: ((y - x) ** 2).sum(-1), y=support, x=1)
    with pytest.raises(ConvergenceError, match=r"'y' is on its bound 1 in rows \[0\]"):
        through(energy, given={"x": 2.0}, covariance=[[1.0]])
    inside = through(energy, given={"x": 0.4}, covariance=[[0.01]])
    assert inside.covariance.item() == pytest.approx(0.01)


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_a_minimum_on_a_kink(x):
    energy = ec.energy(lambda y, x: ((y - x).abs() + 0.1 * y**2).sum(-1), y=1, x=1)
    with pytest.raises(ConvergenceError, match="kink"):
        through(energy, given={"x": x}, covariance=[[1.0]], at={"y": x})


def test_a_kink_of_the_gradient():
    energy = ec.energy(lambda y, x: (y**2 / 2 + torch.relu(y - x) ** 2).sum(-1), y=1, x=1)
    with pytest.raises(ConvergenceError, match="kink at the minimum"):
        through(energy, given={"x": 0.0}, covariance=[[1.0]])


def test_finite_variables():
    energy = ec.energy(lambda y, x: (y * x).sum(-1), y=ec.Variable(1, ec.finite([-1, 1])), x=1)
    with pytest.raises(EnergyError, match="'y' takes finitely many values"):
        through(energy, given={"x": 1.0}, covariance=[[1.0]])


def test_no_uncertain_inputs():
    with pytest.raises(ArgumentError, match="given_means is empty"):
        ec.propagate_through_minimum(quartic(), "y", {}, [[1.0]], given=GIVEN)


def test_a_search_that_does_not_arrive(monkeypatch):
    found = replace(ec.minimize(quartic(), "y", {"x": [2.0], "z": [5.0]}), converged=torch.tensor([False]))
    monkeypatch.setattr(posing_module, "minimize", lambda *_, **__: found)
    with pytest.raises(ConvergenceError, match=r"no minimum over \['y'\] was reached in rows \[0\]"):
        through()
