"""Log integrals in streams: gradients on demand, what is trusted, moments within supports."""

import math

import pytest
import torch
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.gibbs import restrict
from ebm_causal.gibbs.quadrature import lattice_log_integral, lattice_moments

F64 = torch.float64
Y = torch.tensor([[0.3], [-1.2], [2.0]], dtype=F64)


def value_of(energy, **given):
    return lattice_log_integral(restrict(energy, "z", given, 1.0)).value


class Slope(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([[1.3]], dtype=F64))

    def forward(self, z):
        return z @ self.weight


def known(weight, y):
    """The log integral of a normal posterior: log N(y | 0, 1 + w^2), but for its constant 2 pi."""
    variance = 1 + weight**2
    return (0.5 * math.log(2 * math.pi) - 0.5 * variance.log() - 0.5 * y**2 / variance).squeeze(-1)


def posterior(decoder):
    return ec.Mechanism("y", "z", decoder, ec.SquaredError(1.0)) + ec.GaussianRegularizer(1)


def test_gradients_in_parameters_and_in_what_is_given_are_those_of_the_closed_form():
    decoder, y = Slope(), Y.clone().requires_grad_()
    found = value_of(posterior(decoder), y=y)
    truth = known(decoder.weight, y)
    assert torch.allclose(found, truth, atol=1e-9)
    weights = torch.tensor([1.0, -2.0, 0.5], dtype=F64)
    mine = torch.autograd.grad((found * weights).sum(), [decoder.weight, y])
    theirs = torch.autograd.grad((truth * weights).sum(), [decoder.weight, y])
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-8)


def test_second_derivatives_are_those_of_the_closed_form():
    decoder, y = Slope(), Y.clone().requires_grad_()

    def second(value):
        first = torch.autograd.grad(value.sum(), [decoder.weight, y], create_graph=True)
        return torch.autograd.grad(first[0].sum() + (first[1] ** 2).sum(), [decoder.weight, y])

    for one, other in zip(
        second(value_of(posterior(decoder), y=y)), second(known(decoder.weight, y)), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-7)


def test_gradients_reach_tensors_that_no_module_owns():
    weight = torch.tensor(0.9, dtype=F64, requires_grad=True)
    bent = weight.exp() / 2  # not a leaf
    energy = posterior(lambda z: bent * z)
    (mine,) = torch.autograd.grad(value_of(energy, y=Y).sum(), weight, retain_graph=True)
    (theirs,) = torch.autograd.grad(known((weight.exp() / 2).reshape(1, 1), Y).sum(), weight)
    assert mine.item() == pytest.approx(theirs.item(), abs=1e-8)


def test_a_gradient_is_not_prepared_where_none_is_asked_for():
    assert not value_of(posterior(lambda z: z), y=Y).requires_grad
    with torch.no_grad():
        assert not value_of(posterior(Slope()), y=Y).requires_grad


def test_gradients_of_finite_sums():
    weight = torch.nn.Parameter(torch.tensor([0.7], dtype=F64))

    class Coupled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = weight

        def forward(self, y, z):
            return -(self.weight * y * z).sum(-1)

    energy = ec.energy(Coupled(), y=1, z=ec.Variable(1, ec.finite([-1, 1])))
    value_of(energy, y=Y).sum().backward()
    assert weight.grad.item() == pytest.approx((Y * torch.tanh(0.7 * Y)).sum().item(), abs=1e-12)


def test_each_row_says_whether_it_can_be_trusted():
    """The second row does not grow at infinity; the third has a cliff, which shifted lattices resolve."""

    def mixed(s, z):
        square, kind = (z**2).sum(-1), s[..., 0]
        return torch.where(kind == 0, 0.5 * square, torch.where(kind == 1, 0 * square, 1e6 * (square > 1)))

    kinds = torch.tensor([[0.0], [1.0], [2.0]], dtype=F64)
    found = lattice_log_integral(restrict(ec.energy(mixed, s=1, z=2), "z", {"s": kinds}, 1.0))
    assert found.trusted.tolist() == [True, False, True]
    assert (found.value[2] - math.log(math.pi)).abs() <= found.error[2] <= 1e-3
    assert found.value[0].item() == pytest.approx(math.log(2 * math.pi), abs=1e-8)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_random_normals_pass_the_self_check(dim):
    draws = torch.Generator().manual_seed(dim)
    root = torch.randn(20, dim, dim, generator=draws, dtype=F64)
    precision = root @ root.mT + 0.2 * torch.eye(dim, dtype=F64)

    def energy(a, z):
        return 0.5 * ((z[..., None, :] @ a)[..., 0, :] * z).sum(-1)

    found = lattice_moments(restrict(ec.energy(energy, a=(dim, dim), z=dim), "z", {"a": precision}, 1.0))
    truth = 0.5 * dim * math.log(2 * math.pi) - 0.5 * torch.logdet(precision)
    assert bool(found.integral.trusted.all())
    assert torch.allclose(found.integral.value, truth, rtol=0, atol=2e-8)
    assert torch.allclose(found.covariance, torch.linalg.inv(precision), rtol=1e-6, atol=1e-8)


def test_moments_are_those_within_the_support():
    exponential = ec.energy(lambda z: 3 * z.squeeze(-1), z=ec.Variable(1, constraints.positive))
    found = lattice_moments(restrict(exponential, "z", None, 1.0))
    assert found.mean.item() == pytest.approx(1 / 3, abs=1e-7)
    assert found.covariance.item() == pytest.approx(1 / 9, abs=1e-7)


def test_what_a_lattice_holds_does_not_grow_with_the_rows():
    """Many blocks of rows give what one block gives."""
    y = torch.linspace(-2, 2, 20_000, dtype=F64)[:, None]
    energy = posterior(lambda z: z)
    found = lattice_log_integral(restrict(energy, "z", {"y": y}, 1.0))
    assert torch.allclose(found.value, known(torch.ones(1, 1, dtype=F64), y), atol=1e-8)
    assert bool(found.trusted.all())
