"""Squared distances by a product are those by differences, or are not given where digits would be lost."""

import pytest
import torch

import ebm_causal as ec
from ebm_causal.energies.distances import MANY, squared_distance

F64 = torch.float64
UNIT = torch.tensor(2.0, dtype=F64)


def pair(points=MANY, rows=5, dim=3, far=0.0):
    draws = torch.Generator().manual_seed(0)
    prediction = torch.randn(points, 1, dim, generator=draws, dtype=F64) + far
    return prediction, torch.randn(rows, dim, generator=draws, dtype=F64) + far


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_they_are_those_of_differences_also_far_from_zero(far):
    prediction, value = pair(far=far)
    found = squared_distance(prediction, value, UNIT)
    assert torch.allclose(found, ((value - prediction) ** 2).sum(-1) / 2, rtol=1e-9, atol=1e-12)


def test_a_cost_and_its_gradients_are_the_same_either_way():
    prediction, value = (part.requires_grad_() for part in pair())
    cost = ec.SquaredError(0.3)
    at_once, one_by_one = cost(prediction, value), torch.stack([cost(p, value) for p in prediction])
    assert torch.allclose(at_once, one_by_one, rtol=1e-12, atol=1e-12)
    mine = torch.autograd.grad(at_once.sin().sum(), [prediction, value])
    theirs = torch.autograd.grad(one_by_one.sin().sum(), [prediction, value])
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("prediction", "value", "unit"),
    [
        pytest.param(*pair(), torch.tensor(1e-8, dtype=F64), id="digits would be lost"),
        pytest.param(*pair(points=MANY - 1), UNIT, id="few points"),
        pytest.param(*pair(rows=1), UNIT, id="one row"),
        pytest.param(pair()[0].expand(-1, 5, -1), pair()[1], UNIT, id="points of each row's own"),
        pytest.param(*pair(), torch.ones(3, dtype=F64), id="a scale for each coordinate"),
        pytest.param(pair()[0].float(), pair()[1].float(), UNIT.float(), id="single precision"),
    ],
)
def test_where_a_product_does_not_serve_none_is_given(prediction, value, unit):
    assert squared_distance(prediction, value, unit) is None
