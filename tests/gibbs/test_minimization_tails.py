"""Points that rounding alone makes stationary are no minima; plateaus, hinges and flat bottoms are."""

import math

import pytest
import torch
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.gibbs import minimum_free_energy

F64 = torch.float64
TAILS = {
    "an exponential": lambda z: torch.exp(-z).sum(-1),
    "an exponential above five": lambda z: 5 + torch.exp(-z).sum(-1),
    "a narrow exponential": lambda z: torch.exp(-100 * z).sum(-1),
    "an exponential beside a parabola": lambda z: torch.exp(-z[..., 0]) + (z[..., -1] - 3) ** 2 * (z.shape[-1] - 1),
    "one over a square": lambda z: (1 / (1 + z**2)).sum(-1),
    "softplus": lambda z: torch.nn.functional.softplus(z).sum(-1),
    "a sigmoid": lambda z: torch.sigmoid(z).sum(-1),
    "tanh, which rounds to one": lambda z: torch.tanh(z).sum(-1),
    "a hill": lambda z: torch.exp(-(z**2)).sum(-1),
}  # fmt: skip
MINIMA = {
    "a parabola": lambda z: (z**2).sum(-1),
    "a wide parabola": lambda z: 1e-6 * (z**2).sum(-1),
    "a quartic": lambda z: (z**4).sum(-1),
    "an eighth power": lambda z: (z**8).sum(-1),
    "a kink": lambda z: z.abs().sum(-1),
    "a hinge": lambda z: torch.relu(1 - z).sum(-1),
    "a squared hinge": lambda z: (torch.relu(1 - z) ** 2).sum(-1),
    "a hinge to the fourth": lambda z: (torch.relu(1 - z) ** 4).sum(-1),
    "a hinge of a sum beside a parabola": lambda z: torch.relu(1 - z.sum(-1)) + (z[..., 0] - z[..., -1]) ** 2,
    "a flat bottom": lambda z: torch.relu(z.abs() - 1).sum(-1),
    "a constant": lambda z: 0 * z.sum(-1),
    "a valley": lambda z: (z.sum(-1) - 1) ** 2,
    "a hyperbola": lambda z: torch.sqrt(1 + z**2).sum(-1),
}


@pytest.mark.parametrize("name", TAILS)
def test_what_falls_forever_is_not_called_converged(name):
    for dim in (1, 3):
        found = ec.minimize(ec.energy(TAILS[name], z=dim), over="z")
        assert found.converged.tolist() == [False]
        assert "no minimum over ['z'] was reached in 1 rows" in found.warnings[0]


@pytest.mark.parametrize("method", ["lbfgs", "gradient", "coordinate"])
def test_nor_by_any_method(method):
    for name in ("an exponential above five", "an exponential beside a parabola", "one over a square"):
        found = ec.minimize(ec.energy(TAILS[name], z=2), over="z", method=method)
        assert found.converged.tolist() == [False], name


@pytest.mark.parametrize("name", MINIMA)
def test_minima_without_much_curvature_are_called_converged(name):
    for dim in (1, 3):
        found = ec.minimize(ec.energy(MINIMA[name], z=dim), over="z")
        assert found.converged.tolist() == [True]
        assert found.warnings == ()


def test_the_warning_says_where_the_energy_still_falls():
    energy = ec.energy(lambda y, z: torch.exp(-z[..., 1] * y[..., 0]) + z[..., 0] ** 2, y=1, z=2)
    found = ec.minimize(energy, over="z", given={"y": [[1.0], [-1.0]]})
    assert (
        "in 2 rows, the first of them [0, 1]: the energy still falls toward larger z[1]" in found.warnings[0]
    )
    found = ec.minimize(energy, over="z", given={"y": [[-1.0]]})
    assert "still falls toward smaller z[1], where it has no slope left" in found.warnings[0]
    found = minimum_free_energy(energy, over="z", given={"y": [[1.0]]})
    assert "still falls toward larger z[1]" in found.warnings[0]


def test_rows_are_judged_apart():
    energy = ec.energy(lambda a, z: torch.exp(-z).sum(-1) + a[..., 0] * (z**2).sum(-1), a=1, z=2)
    found = ec.minimize(energy, over="z", given={"a": [[1.0], [0.0], [1e-3]]})
    assert found.converged.tolist() == [True, False, True]


def test_many_dimensions_in_which_there_is_no_hessian():
    falls = ec.energy(lambda z: torch.exp(-z[..., 0]) + (z[..., 1:] ** 2).sum(-1), z=80)
    assert ec.minimize(falls, over="z").converged.tolist() == [False]
    rests = ec.energy(lambda z: (z**4).sum(-1) + torch.relu(1 - z[..., 0]), z=80)
    assert ec.minimize(rests, over="z").converged.tolist() == [True]


def test_single_precision():
    exp, hinge, quartic = (
        ec.minimize(ec.energy(f, a=1, z=2), over="z", given={"a": torch.zeros(1, 1)})
        for f in (
            lambda a, z: a[..., 0] + torch.exp(-z).sum(-1),
            lambda a, z: a[..., 0] + torch.relu(1 - z).sum(-1),
            lambda a, z: a[..., 0] + (z**4).sum(-1),
        )
    )
    assert [found.converged.tolist() for found in (exp, hinge, quartic)] == [[False], [True], [True]]


@pytest.mark.parametrize(
    ("support", "function", "converged"),
    [
        (constraints.positive, lambda x: (1 / x).sum(-1), False),
        (constraints.positive, lambda x: (x - x.log()).sum(-1), True),
        (constraints.interval(0.0, 3.0), lambda x: torch.exp(-x).sum(-1), True),
        (constraints.interval(1.0, 3.0), lambda x: x.sum(-1), True),
        (constraints.interval(-1.0, 3.0), lambda x: (x**4).sum(-1), True),
        (constraints.greater_than_eq(1.0), lambda x: torch.exp(x - 1).sum(-1), True),
        (constraints.greater_than_eq(1.0), lambda x: torch.exp(1 - x).sum(-1), False),
    ],
    ids=["1/x", "x - log x", "a falling end", "an end", "inside", "a half line's end", "a half line without"],
)
def test_bounds(support, function, converged):
    found = ec.minimize(ec.energy(function, x=ec.Variable(2, support)), over="x")
    assert found.converged.tolist() == [converged]


def test_an_energy_without_slopes():
    steps = ec.energy(lambda z: torch.floor(z.abs()).sum(-1), z=2)
    assert ec.minimize(steps, over="z").converged.tolist() == [True]
    falls = ec.energy(lambda z: torch.exp(-z.detach()).sum(-1), z=2)
    found = ec.minimize(falls, over="z")
    assert found.converged.tolist() == [False]
    assert "still falls toward larger z" in found.warnings[0]


def test_several_modes_of_which_some_are_none():
    energy = ec.energy(lambda z: ((z**2 - 4) ** 2 / 100 * torch.exp(-z) ** 2).squeeze(-1), z=1)
    found = ec.minimize(energy, over="z", modes=3, starts=16)
    assert found.modes is not None
    near = found.modes.values["z"].flatten().abs() < 3
    assert bool(found.modes.converged.flatten()[near & found.modes.found.flatten()].all())
    assert math.isclose(float(found.modes.energy[0, 0]), 0.0, abs_tol=1e-12)
