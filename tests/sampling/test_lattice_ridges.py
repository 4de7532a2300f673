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
