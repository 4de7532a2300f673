"""The score as an object: known in closed form, of mean zero, its variance the information."""

import pytest
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal.errors import ArgumentError

F64 = torch.float64
DRAWS = 20_000


class Linear(nn.Module):
    """E = s (y - w x - v z)^2 / 2 + tau z^2 / 2; at beta = 1.5 y given x is normal of mean 2 x and variance .5."""

    def __init__(self):
        super().__init__()
        self.w, self.v, self.s, self.tau = (
            nn.Parameter(torch.tensor(value, dtype=F64)) for value in (2.0, 0.5, 2.0, 1.0)
        )

    def forward(self, x, y, z):
        error = y - self.w * x - self.v * z
        return (0.5 * self.s * error**2 + 0.5 * self.tau * z**2).sum(-1)


ENERGY = ec.energy(Linear(), x=1, y=1, z=1)
GIVEN = {"x": torch.tensor([[3.0], [-1.0]], dtype=F64)}


def density(over="y", given=GIVEN):
    return ec.GibbsDensity(ENERGY, over=over, given=given, beta=1.5)


def test_the_score_in_y_with_the_latent_integrated_out():
    y = torch.tensor([[6.4], [-2.5]], dtype=F64)
    known = -(y - 2 * GIVEN["x"]) / 0.5
    assert torch.allclose(density().score(y), known, atol=1e-7)
    assert torch.allclose(density().score(y, "y"), known, atol=1e-7)


def test_the_score_in_what_is_given_and_in_parameters():
    """Of log N(y; w x, S) with S = 1 / (beta s) + v^2 / (beta tau)."""
    y = torch.tensor([[[6.4], [-2.5]], [[5.0], [0.0]]], dtype=F64)
    error = y - 2 * GIVEN["x"]
    assert torch.allclose(density().score(y, "x"), 2 * error / 0.5, atol=1e-6)
    found = density().score(y, "parameters")
    assert found.shape == (2, 2, 4)
    by_variance = -0.5 / 0.5 + 0.5 * error**2 / 0.25
    slopes = {"v": 2 * 0.5 / 1.5, "s": -1 / (1.5 * 4), "tau": -0.25 / 1.5}
    known = torch.cat([error * GIVEN["x"] / 0.5, *(slope * by_variance for slope in slopes.values())], -1)
    assert torch.allclose(found, known, atol=1e-5)
    assert torch.allclose(density().score(y, ("s",)), known[..., 2:3], atol=1e-5)


@pytest.mark.parametrize(
    ("over", "given", "wrt"),
    [
        ("y", {"x": [[3.0]]}, "y"),
        ("y", {"x": [[3.0]]}, "x"),
        ("y", {"x": [[3.0]], "z": [[0.3]]}, "z"),
        ("z", {"x": [[3.0]], "y": [[6.4]]}, "z"),
        ("y", {"x": [[3.0]]}, "parameters"),
    ],
)
def test_the_mean_is_zero_and_the_variance_is_the_information(over, given, wrt):
    torch.manual_seed(1)
    law = density(over, {name: torch.tensor(value, dtype=F64) for name, value in given.items()})
    scores = law.score(law.sample((DRAWS,)), wrt)[:, 0]
    error = scores.std(0) / DRAWS**0.5
    assert (scores.mean(0).abs() < 5 * error).all()
    information = ec.fisher_information(ENERGY, wrt, over, given, beta=1.5).matrix
    products = scores[:, :, None] * scores[:, None, :]
    spread = products.std(0) / DRAWS**0.5
    assert ((products.mean(0) - information).abs() < 5 * spread).all()


def test_a_joint_density_s_score_by_name():
    both = density(("y", "z"))
    value = torch.tensor([[6.4, 0.3], [-2.0, 0.1]], dtype=F64)
    whole = both.score(value)
    assert torch.equal(both.score(value, "z"), whole[:, 1:])
    error = value[:, :1] - 2 * GIVEN["x"] - 0.5 * value[:, 1:]
    known = torch.cat([-1.5 * 2 * error, 1.5 * (2 * 0.5 * error - value[:, 1:])], -1)
    assert torch.allclose(whole, known)


def test_gradients_through_what_is_given_are_counted_once():
    """The free energy of rows that are computed from a leaf, and of rows computed from a parameter."""
    leaf = torch.tensor([[0.4]], dtype=F64, requires_grad=True)
    plain = torch.tensor([[6.4]], dtype=F64, requires_grad=True)
    known = torch.autograd.grad(
        ec.free_energy(ENERGY, "z", {"x": [[3.0]], "y": plain}, beta=1.5).value.sum(), plain
    )[0]
    moved = ec.free_energy(ENERGY, "z", {"x": [[3.0]], "y": (leaf + 6.0) * 1.0}, beta=1.5).value
    assert torch.allclose(torch.autograd.grad(moved.sum(), leaf)[0], known)
    weight = ENERGY.get_parameter(next(n for n, _ in ENERGY.named_parameters() if n.endswith("w")))
    own = ec.free_energy(ENERGY, "z", {"x": [[3.0]], "y": [[6.4]]}, beta=1.5).value
    tangled = ec.free_energy(ENERGY, "z", {"x": [[3.0]], "y": (weight + 4.4).reshape(1, 1)}, beta=1.5).value
    (direct,) = torch.autograd.grad(own.sum(), weight)
    (total,) = torch.autograd.grad(tangled.sum(), weight)
    assert torch.allclose(total, direct + known.squeeze())


def test_names_that_are_nothing_or_of_several_kinds():
    y = torch.zeros(2, 1, dtype=F64)
    with pytest.raises(ArgumentError, match="wrt mixes"):
        density().score(y, ("y", "x"))
    with pytest.raises(ArgumentError, match="'q' is not a parameter"):
        density().score(y, "q")
    bare = ec.GibbsDensity(ec.energy(lambda y: (y**2).sum(-1), y=1))
    with pytest.raises(ArgumentError, match="the energy has no parameters"):
        bare.score(torch.zeros(1, dtype=F64), "parameters")
