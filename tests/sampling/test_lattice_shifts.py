"""The matrix that turns shifted lattices off the axis planes."""

import itertools
import math

import pytest
import torch

from ebm_causal.sampling.shifting import turn

F64 = torch.float64


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_it_is_orthogonal(dim):
    matrix = turn(dim, torch.zeros(1, dtype=F64))
    assert torch.allclose(matrix @ matrix.T, torch.eye(dim, dtype=F64), atol=1e-14)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_no_whole_number_point_comes_near_an_axis_plane(dim):
    r"""The product of all factors 2 sin of an element is a norm, at least one: that of d of them its root."""
    matrix = turn(dim, torch.zeros(1, dtype=F64))
    points = torch.tensor(list(itertools.product(range(-12, 13), repeat=dim)), dtype=F64)
    points = points[(points != 0).any(-1)]
    least = (points @ matrix.T).prod(-1).abs().min().item()
    assert least >= math.sqrt(2 * dim + 1) ** -dim - 1e-9
