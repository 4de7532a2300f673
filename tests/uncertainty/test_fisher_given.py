"""Information where what is given has causes of its own: the density given it, in closed form."""

import pytest
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal.errors import ArgumentError

F64 = torch.float64


def number(value):
    return nn.Parameter(torch.tensor(value, dtype=F64))


class Outcome(nn.Module):
    def __init__(self, d, b):
        super().__init__()
        self.d, self.b = number(d), number(b)

    def forward(self, x, z):
        return self.d * x + self.b * z


class Treatment(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.a = number(a)

    def forward(self, z):
        return self.a * z


def world(a=1.0, d=1.0, b=2.0):
    """z ~ N(0, 1), x = a z + e_x, y = d x + b z + e_y, all of variance one."""
    x = ec.Mechanism("x", "z", Treatment(a), ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), Outcome(d, b), ec.SquaredError())
    return x + y + ec.GaussianRegularizer(1)


def log_density(theta, x, y):
    """y given x is normal with mean (d + a b / (1 + a^2)) x and variance 1 + b^2 / (1 + a^2)."""
    a, d, b = theta
    variance = 1 + b**2 / (1 + a**2)
    mean = (d + a * b / (1 + a**2)) * x
    return -0.5 * (y - mean) ** 2 / variance - 0.5 * variance.log()


def expected(a, d, b, x):
    theta = torch.tensor([a, d, b], dtype=F64)
    slope = torch.autograd.functional.jacobian(lambda t: (t[1] + t[0] * t[2] / (1 + t[0] ** 2)) * x, theta)
    width = torch.autograd.functional.jacobian(lambda t: 1 + t[2] ** 2 / (1 + t[0] ** 2), theta)
    variance = 1 + b**2 / (1 + a**2)
    return torch.outer(slope, slope) / variance + torch.outer(width, width) / (2 * variance**2)


def test_the_exact_information_given_an_effect_of_the_latent():
    found = ec.fisher_information(world(), given={"x": [[1.0]]})
    assert torch.allclose(found.matrix, expected(1.0, 1.0, 2.0, 1.0), atol=1e-7)


def test_the_observed_information_given_an_effect_of_the_latent():
    found = ec.fisher_information(world(), given={"x": [[1.0]]}, kind="observed", data={"y": [[0.5]]})
    theta = torch.tensor([1.0, 1.0, 2.0], dtype=F64)
    known = -torch.autograd.functional.hessian(lambda t: log_density(t, 1.0, 0.5), theta)
    assert torch.allclose(found.matrix, known, atol=1e-7)


def test_the_observed_complete_information_is_that_of_the_exact_one_on_average():
    """Quadratic in y and z, so that three outcomes with Hermite weights give the mean."""
    mean, deviation = 2.0, 3**0.5
    parts = [
        ec.fisher_information(
            world(), given={"x": [[1.0]]}, kind="observed", data={"y": [[mean + deviation * n]]}
        )
        for n in (-(3**0.5), 0.0, 3**0.5)
    ]
    exact = ec.fisher_information(world(), given={"x": [[1.0]]})
    for name in ("matrix", "complete"):
        low, middle, high = (getattr(part, name) for part in parts)
        assert torch.allclose((low + 4 * middle + high) / 6, getattr(exact, name), atol=1e-6)


@pytest.mark.parametrize("x", [[[1.0]], [[1.0], [-2.0], [0.5]]])
def test_the_simulated_information_given_an_effect_of_the_latent(x):
    known = sum(expected(1.0, 1.0, 2.0, value) for (value,) in x)
    found = ec.fisher_information(world(), given={"x": x}, draws=6000)
    assert ((found.matrix - known).abs() < 5 * found.standard_error).all()
    assert found.standard_error.max() < 0.05


def test_the_prior_of_a_given_variable_tells_nothing():
    """Given z, the weight of its prior has no information; d and b have those of a regression."""
    y = ec.Mechanism("y", ("x", "z"), Outcome(1.0, 2.0), ec.SquaredError())
    energy = y + ec.GaussianRegularizer(1, number(0.7))
    given = {"x": [[1.0]], "z": [[3.0]]}
    known = torch.zeros(3, 3, dtype=F64)
    known[:2, :2] = torch.tensor([[1.0, 3.0], [3.0, 9.0]])
    for options in ({}, {"kind": "observed", "data": {"y": [[0.5]]}}):
        found = ec.fisher_information(energy, given=given, **options)
        assert torch.allclose(found.matrix, known, atol=1e-7)
    simulated = ec.fisher_information(energy, given=given, draws=4000)
    assert ((simulated.matrix - known).abs() <= 5 * simulated.standard_error).all()


def test_the_complete_information_of_a_prior_s_weight():
    """MATH.md section 9 by mechanisms, tau a parameter: one half per row over tau squared."""
    y = ec.Mechanism("y", ("x", "z"), Outcome(2.0, 0.5), ec.SquaredError(2**-0.5))
    energy = y + ec.GaussianRegularizer(1, number(1.6))
    name = next(n for n in ec.energies.named_parameters(energy) if "weight" in n)
    found = ec.fisher_information(
        energy,
        wrt=name,
        given={"x": [[3.0], [1.0]]},
        kind="observed",
        data={"y": [[6.4], [1.0]]},
        beta=1.5,
    )
    assert found.complete.item() == pytest.approx(2 * 0.5 / 1.6**2, rel=1e-8)
    exact = ec.fisher_information(energy, wrt=name, given={"x": [[3.0], [1.0]]}, beta=1.5)
    assert exact.complete.item() == pytest.approx(2 * 0.5 / 1.6**2, rel=1e-8)


# How many rows, where nothing is given.


def test_so_many_rows_alike():
    """x alone is normal with variance 1 + a^2 = 2: per row (2 a)^2 / (2 (2)^2) about a."""
    x = ec.Mechanism("x", "z", Treatment(1.0), ec.SquaredError()) + ec.GaussianRegularizer(1)
    exact = ec.fisher_information(x, over="x", rows=400)
    assert exact.matrix.item() == pytest.approx(400 / 2, rel=1e-8)
    assert exact.complete.item() == pytest.approx(400, rel=1e-8)
    found = ec.fisher_information(x, over="x", draws=20, rows=400)
    assert abs(found.matrix.item() - 200) < 5 * found.standard_error.item()
    assert found.standard_error.item() < 10


def test_both_of_a_pair_are_simulated_where_nothing_is_given():
    found = ec.fisher_information(world(), over=("x", "y"), draws=40, rows=100)
    exact = ec.fisher_information(world(), over=("x", "y"), rows=100)
    assert ((found.matrix - exact.matrix).abs() < 5 * found.standard_error).all()


@pytest.mark.parametrize("options", [{}, {"draws": 2}])
def test_a_number_of_rows_that_does_not_fit(options):
    with pytest.raises(ArgumentError, match="rows=3 must be positive, and serves where given holds one row"):
        ec.fisher_information(world(), given={"x": [[1.0], [2.0]]}, rows=3, **options)
    with pytest.raises(ArgumentError, match="rows must be at least 1; got 0"):
        ec.fisher_information(world(), given={"x": [[1.0], [2.0]]}, rows=0, **options)


def test_the_observed_information_has_its_own_rows():
    with pytest.raises(ArgumentError, match="has the rows of its data; leave rows out"):
        ec.fisher_information(world(), given={"x": [[1.0]]}, kind="observed", data={"y": [[0.5]]}, rows=2)
