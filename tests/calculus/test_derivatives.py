import math

import pytest
import torch

from ebm_causal.calculus import batched_jacobian, hessian, inverse_or_none, spectrum
from ebm_causal.errors import ArgumentError

F64 = torch.float64


def test_the_hessian_of_a_quadratic_is_its_matrix():
    matrix = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, -1.0], [0.0, -1.0, 5.0]], dtype=F64)
    a, b = torch.ones(2, dtype=F64, requires_grad=True), torch.ones((), dtype=F64, requires_grad=True)
    flat = torch.cat([a, b[None]])
    assert torch.allclose(hessian(0.5 * flat @ matrix @ flat, [a, b]), matrix)


@pytest.mark.parametrize("activation", [torch.nn.functional.silu, torch.nn.functional.mish, torch.tanh])
def test_the_hessian_is_that_of_torch(activation):
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(4, generator=generator, dtype=F64)
    x = torch.randn(7, 4, generator=generator, dtype=F64)
    known = torch.autograd.functional.hessian(lambda v: activation(x @ v).square().sum(), w)
    leaf = w.clone().requires_grad_()
    assert torch.allclose(hessian(activation(x @ leaf).square().sum(), [leaf]), known)


def test_a_parameter_that_is_not_used_has_no_curvature():
    used, unused = (torch.ones(2, dtype=F64, requires_grad=True) for _ in range(2))
    matrix = hessian((used**3).sum() + 4 * unused.sum(), [used, unused])
    assert torch.equal(matrix, torch.diag(torch.tensor([6.0, 6.0, 0.0, 0.0], dtype=F64)))


def test_the_jacobian_of_rows():
    points = torch.tensor([[0.1, 0.2], [1.0, -2.0]], dtype=F64)

    def function(u):
        return torch.stack([u[..., 0] * u[..., 1], u[..., 0].sin(), u[..., 1] ** 3], -1)

    value, jacobian = batched_jacobian(function, points)
    for row, (x, z) in enumerate(points.tolist()):
        known = [[z, x], [math.cos(x), 0], [0, 3 * z**2]]
        assert torch.allclose(jacobian[row], torch.tensor(known, dtype=F64))
    assert torch.equal(value, function(points))
    assert not jacobian.requires_grad


def test_the_rank_of_a_matrix():
    direction = torch.tensor([1.0, 2.0, 2.0], dtype=F64) / 3
    values, vectors, rank = spectrum(torch.outer(direction, direction))
    assert rank == 1
    assert values[-1].item() == pytest.approx(1)
    assert (vectors[:, -1] @ direction).abs().item() == pytest.approx(1)
    assert spectrum(torch.zeros(2, 2, dtype=F64))[2] == 0


def test_the_inverse_only_of_positive_definite_matrices():
    matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=F64)
    assert torch.allclose(inverse_or_none(matrix) @ matrix, torch.eye(2, dtype=F64))
    assert inverse_or_none(torch.diag(torch.tensor([1.0, 0.0], dtype=F64))) is None
    assert inverse_or_none(torch.diag(torch.tensor([1.0, -1.0], dtype=F64))) is None


def test_functions_that_are_not_of_rows():
    points = torch.ones(3, 2)
    with pytest.raises(
        ArgumentError, match=r"must map \[\*batch, n\] to \[\*batch, m\]; it maps \[3, 2\] to \[2\]"
    ):
        batched_jacobian(lambda u: u.sum(0), points)
    with pytest.raises(ArgumentError, match="does not depend on its input by differentiable steps"):
        batched_jacobian(lambda u: torch.ones_like(u), points)
