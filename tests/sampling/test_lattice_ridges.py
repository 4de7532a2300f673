"""Ridges that curve in three dimensions: an ellipse along an angle or a line, y integrated in closed form."""

import math

import pytest
import torch
from torch.distributions import constraints

import ebm_causal as ec

F64 = torch.float64
ANGLE = ec.Variable(1, constraints.interval(-math.pi, math.pi))


def ridge(weight, *axes):
    """The weighted squared distance of y to the point of an ellipse at the angle z."""
    radii = torch.tensor(axes, dtype=F64)

    def energy(y, z):
        return weight * ((y - radii * torch.cat([z.cos(), z.sin()], -1)) ** 2).sum(-1)

    return energy


def right(energy, known, beta):
    """Within the error stated, which is small, and without a warning."""
    found = ec.log_partition(energy, over=("y", "z"), beta=beta)
    assert found.warnings == ()
    assert found.standard_error.item() < 2e-3
    assert found.value.item() == pytest.approx(known, abs=found.standard_error.item())


@pytest.mark.parametrize(
    ("weight", "axes", "beta"),
    [
        (0.5, (2.0, 1.5), 10.0),
        (0.5, (2.0, 1.5), 30.0),
        (1.0, (2.0, 1.5), 3.0),
        (1.0, (1.0, 1.0), 10.0),
        (1.0, (3.0, 1.0), 10.0),
        (0.5, (3.0, 1.0), 30.0),
    ],
)
def test_an_ellipse_along_an_angle(weight, axes, beta):
    known = math.log(math.pi / (weight * beta)) + math.log(2 * math.pi)
    right(ec.energy(ridge(weight, *axes), y=2, z=ANGLE), known, beta)


@pytest.mark.parametrize(("weight", "axes", "beta"), [(1.0, (2.0, 1.5), 1.0), (0.5, (3.0, 1.0), 3.0)])
def test_an_ellipse_wound_along_a_line(weight, axes, beta):
    known = math.log(math.pi / (weight * beta)) + 0.5 * math.log(2 * math.pi / (0.1 * beta))
    energy = ec.energy(ridge(weight, *axes), y=2, z=1) + ec.GaussianRegularizer(1, weight=0.1)
    right(energy, known, beta)


def rotated(angle, energy):
    """An energy of two coordinates that are turned by an angle."""
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=F64)
    return ec.energy(lambda z: energy(*(z @ turn).unbind(-1)), z=2)


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("bend", [1.0, 3.0, 10.0])
def test_a_parabola_for_a_ridge_at_any_angle(bend, angle):
    """Its arms reach far out of the first box, where cells must not become coarse."""
    energy = rotated(angle, lambda u, v: 0.5 * u**2 + 0.5 * bend**2 * (v - u**2) ** 2)
    found = ec.log_partition(energy, over="z")
    assert (found.warnings, found.method) == ((), "lattice")
    assert found.value.item() == pytest.approx(math.log(2 * math.pi / bend), abs=1e-5)


def funnel(spread, angle):
    """A funnel whose log scale has a standard deviation of half the spread, and its log integral."""
    energy = rotated(angle, lambda u, v: 0.5 * (u / spread) ** 2 + 0.5 * u + 0.5 * v**2 * torch.exp(-u))
    return energy, math.log(2 * math.pi * spread)


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.8])
def test_a_funnel_at_any_angle(angle):
    energy, known = funnel(1.0, angle)
    assert ec.log_partition(energy, over="z").value.item() == pytest.approx(known, abs=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.8])
def test_a_funnel_too_wide_for_any_grid_is_warned_about(angle):
    energy, _ = funnel(3.0, angle)
    with pytest.warns(UserWarning, match="did not pass its self-check"):
        ec.log_partition(energy, over="z")
