"""Backpropagation as stationarity: multipliers, residuals and gradients, against autograd and by hand."""

import copy
import math

import pytest
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal.calculus import backpropagate, stationarity_residuals
from ebm_causal.errors import EnergyError

F64 = torch.float64


def squared(z, y):
    return 0.5 * (z - y).square().flatten(1).sum(-1)


def perceptron():
    return [nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.SiLU(), nn.Linear(5, 3)]


def convolutional():
    return [nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(32, 3)]


def residual():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(4, 7), nn.Mish(), nn.Linear(7, 4))
            self.scale = nn.Parameter(torch.tensor(0.3))

        def forward(self, z):
            return z + self.scale * self.inner(z)

    return [Block(), nn.LayerNorm(4), Block()]


NETS = {
    "perceptron": (perceptron, (8, 4), (8, 3), squared),
    "one layer": (lambda: [nn.Linear(4, 3)], (8, 4), (8, 3), squared),
    "images, in place": (convolutional, (5, 1, 6, 6), (5, 3), squared),
    "blocks": (residual, (8, 4), (8, 4), squared),
    "mean cost": (perceptron, (8, 4), (8, 3), nn.functional.mse_loss),
    "cost of the package": (perceptron, (8, 4), (8, 3), ec.SquaredError(0.7)),
    "rows mixed": (lambda: [nn.Linear(4, 3), nn.BatchNorm1d(3)], (8, 4), (8, 3), squared),
}
every_net = pytest.mark.parametrize(("build", "shape", "target", "cost"), NETS.values(), ids=NETS.keys())


def case(build, shape, target):
    torch.manual_seed(0)
    net = nn.Sequential(*build()).double()
    return net, torch.randn(shape, dtype=F64), torch.randn(target, dtype=F64)


def autograd(net, cost, x, y):
    """The oracle: one backward pass through the whole net."""
    states = [x]
    for layer in copy.deepcopy(net):  # in-place layers would change the states
        states.append(layer(states[-1].clone()))
        states[-1].retain_grad()
    total = cost(net(x), y).sum()
    gradients = torch.autograd.grad(total, list(net.parameters()))
    cost(states[-1], y).sum().backward()
    return dict(zip(dict(net.named_parameters()), gradients, strict=True)), [z.grad for z in states[1:]]


def close(found, known):
    return bool((found - known).abs().max() <= 1e-10 * (1 + known.abs().max()))


@every_net
def test_gradients_are_those_of_autograd(build, shape, target, cost):
    net, x, y = case(build, shape, target)
    found = backpropagate(net, cost, x, y)
    gradients, _ = autograd(net, cost, x, y)
    assert list(found.gradients) == list(gradients)
    assert all(close(found.gradients[name], gradients[name]) for name in gradients)
    assert found.cost.item() == pytest.approx(cost(net(x), y).sum().item(), rel=1e-14)


@every_net
def test_a_multiplier_is_minus_the_gradient_of_the_cost_in_the_next_state(build, shape, target, cost):
    net, x, y = case(build, shape, target)
    found = backpropagate(net, cost, x, y)
    _, slopes = autograd(net, cost, x, y)
    assert len(found.multipliers) == len(net)
    assert all(close(-m, slope) for m, slope in zip(found.multipliers, slopes, strict=True))


@every_net
def test_the_lagrangian_is_stationary_in_states_and_multipliers_and_its_slope_in_weights_is_the_gradient(
    build, shape, target, cost
):
    net, x, y = case(build, shape, target)
    found = backpropagate(net, cost, x, y)
    assert max(value.abs().max().item() for value in found.residuals.states) < 1e-12
    assert max(value.abs().max().item() for value in found.residuals.multipliers) < 1e-12
    for name, gradient in found.gradients.items():
        assert close(found.residuals.weights[name], gradient)


def test_a_chain_of_two_by_hand():
    # z1 = sin x, z2 = w z1, C = (z2 - y)^2 / 2
    x, w, y = 0.5, 3.0, 1.0
    net = [torch.sin, lambda z, w: w * z]
    weights = [None, torch.tensor(w, dtype=F64)]
    found = backpropagate(net, lambda z, y: 0.5 * (z - y) ** 2, [x], y, weights=weights)
    error = w * math.sin(x) - y
    assert found.multipliers[1].item() == pytest.approx(-error, rel=1e-15)
    assert found.multipliers[0].item() == pytest.approx(-w * error, rel=1e-15)
    assert found.gradients["1.w"].item() == pytest.approx(error * math.sin(x), rel=1e-15)
    assert [state.item() for state in found.states] == pytest.approx([x, math.sin(x), w * math.sin(x)])


def test_residuals_away_from_the_sweeps_by_hand():
    # L = C(z1) + lambda (z1 - w x), C = z1^2 / 2, at z1 = 5, lambda = 2, w = 3, x = 4
    z = [torch.tensor([4.0], dtype=F64), torch.tensor([5.0], dtype=F64)]
    multiplier, w = torch.tensor([2.0], dtype=F64), torch.tensor(3.0, dtype=F64)
    found = stationarity_residuals(
        [lambda z, w: w * z], lambda z, y: 0.5 * z**2, z, [multiplier], None, weights=[w]
    )
    assert found.states[0].item() == 5 + 2
    assert found.multipliers[0].item() == 5 - 3 * 4
    assert found.weights["0.w"].item() == -2 * 4


def test_weights_are_stationary_too_where_the_net_is_trained():
    torch.manual_seed(1)
    x, y = torch.randn(20, 2, dtype=F64), torch.randn(20, 1, dtype=F64)
    net = nn.Sequential(nn.Linear(2, 1)).double()
    design = torch.cat([x, torch.ones(20, 1, dtype=F64)], 1)
    best = torch.linalg.lstsq(design, y).solution.flatten()
    with torch.no_grad():
        net[0].weight.copy_(best[None, :2])
        net[0].bias.copy_(best[2:])
    found = backpropagate(net, squared, x, y)
    assert found.summary()["residual_weights"].item() < 1e-13


def test_a_layer_used_twice_has_a_gradient_for_each_use():
    torch.manual_seed(2)
    shared = nn.Linear(3, 3).double()
    x, y = torch.randn(4, 3, dtype=F64), torch.randn(4, 3, dtype=F64)
    found = backpropagate([shared, torch.tanh, shared], squared, x, y)
    total = squared(shared(torch.tanh(shared(x))), y).sum()
    (known,) = torch.autograd.grad(total, shared.weight)
    assert close(found.gradients["0.weight"] + found.gradients["2.weight"], known)
    assert not close(found.gradients["0.weight"], known)


def test_frozen_parameters_have_no_gradient():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)).double()
    net[0].requires_grad_(False)
    found = backpropagate(net, squared, torch.ones(3, 2, dtype=F64), torch.ones(3, 1, dtype=F64))
    assert list(found.gradients) == ["1.weight", "1.bias"]


def test_the_net_is_left_as_it_was():
    net = nn.Sequential(nn.Linear(2, 2), nn.Tanh()).double()
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        found = backpropagate(net, squared, torch.ones(3, 2, dtype=F64), torch.ones(3, 2, dtype=F64))
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    values = [*found.states, *found.multipliers, *found.gradients.values(), *found.residuals.states]
    assert not any(value.requires_grad for value in values)


def test_the_first_layer_may_take_integers():
    torch.manual_seed(3)
    net = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 4)).double()
    words, labels = torch.tensor([0, 2, 4]), torch.tensor([1, 3, 0])
    found = backpropagate(net, nn.functional.cross_entropy, words, labels)
    known = torch.autograd.grad(nn.functional.cross_entropy(net(words), labels), list(net.parameters()))
    assert all(close(a, b) for a, b in zip(found.gradients.values(), known, strict=True))


def test_rows_are_independent_where_layers_do_not_mix_them():
    net, x, y = case(perceptron, (8, 4), (8, 3))
    whole = backpropagate(net, squared, x, y)
    for row in range(8):
        one = backpropagate(net, squared, x[row : row + 1], y[row : row + 1])
        for a, b in zip(one.multipliers, whole.multipliers, strict=True):
            assert close(a[0], b[row])


def test_dtype_follows_the_input():
    net = nn.Sequential(*perceptron())
    found = backpropagate(net, squared, torch.ones(2, 4), torch.ones(2, 3))
    assert {value.dtype for value in (*found.states, *found.multipliers)} == {torch.float32}


def test_the_summary_has_a_row_per_layer_and_the_repr_the_largest_residuals():
    net, x, y = case(perceptron, (8, 4), (8, 3))
    found = backpropagate(net, squared, x, y)
    frame = found.summary()
    assert frame["layer"].tolist() == ["Linear", "Tanh", "Linear", "SiLU", "Linear"]
    assert frame["gradient_norm"][1] == 0.0
    known = torch.cat([found.gradients["0.weight"].flatten(), found.gradients["0.bias"]]).norm()
    assert frame["gradient_norm"][0] == pytest.approx(known.item())
    assert repr(found).startswith("Backpropagation(5 layers, cost=")


class TestRefusals:
    x = torch.ones(3, 2, dtype=F64)
    y = torch.zeros(3, 2, dtype=F64)

    def refused(self, layers, match, cost=squared, x=None, y=None, **options):
        with pytest.raises(EnergyError, match=match):
            backpropagate(layers, cost, self.x if x is None else x, self.y if y is None else y, **options)

    def test_what_is_not_a_sequence_of_callables(self, unchecked):
        self.refused(nn.Linear(2, 2), r"must be a list of callables or an nn.Sequential; got Linear")
        self.refused([], "layers is empty")
        self.refused([torch.tanh, 3], "layer 1 is not callable: it is 3")

    def test_weights_that_do_not_fit(self):
        self.refused([torch.tanh], "one for each of 1 layers; got 2", weights=[None, None])
        bad = [torch.tensor(math.nan)]
        self.refused([lambda z, w: w * z], "the weight of layer 0 .* is not finite", weights=bad)

    def test_states_of_the_wrong_shape(self):
        net = [nn.Linear(2, 4).double(), nn.Linear(3, 2).double()]
        self.refused(net, r"layer 1 \(Linear\) cannot take a state of shape \[3, 4\]: mat1")
        self.refused(
            [lambda z: z.sum(0)], r"layer 0 \(<lambda>\) must keep the rows; it maps \[3, 2\] to \[2\]"
        )
        self.refused([torch.tanh], "x must be rows", x=1.0)

    def test_layers_that_are_no_functions_of_their_state(self):
        self.refused([torch.tanh, torch.ones_like], "does not depend on its input by differentiable steps")
        self.refused([torch.tanh, lambda z: z.argmax(-1)], r"must give a real tensor; got torch.int64")
        self.refused([torch.tanh, lambda z: z.tolist()], r"must give a real tensor; got list")

    def test_random_layers(self):
        torch.manual_seed(0)
        self.refused(
            [torch.tanh, nn.Dropout(0.5)], r"layer 1 \(Dropout\) gave another output .* Call eval\(\)"
        )

    def test_parameters_that_a_layer_does_not_own(self):
        hidden = nn.Linear(2, 2).double()
        self.refused([lambda z: hidden(z)], "layer 0 .* uses parameters that are not its own")

    def test_values_that_are_not_finite(self):
        bad = torch.tensor([[1.0, 2.0], [math.nan, 0.0]], dtype=F64)
        self.refused([torch.tanh], r"x is not finite, first in rows \[1\]", x=bad)
        self.refused([torch.tanh], r"y is not finite, first in rows \[1\]", y=bad)
        self.refused(
            [torch.log, torch.log], r"the output of layer 1 \(log\) is not finite, first in rows \[0, 1"
        )
        self.refused([torch.tanh], "the cost is not finite", cost=lambda z, y: (z - z).log().sum(-1))
        zero = torch.zeros(3, 2, dtype=F64)
        self.refused([torch.tanh, torch.sqrt, torch.tanh, torch.sqrt], "multiplier of layer", x=zero)

    def test_costs_of_the_wrong_shape(self, unchecked):
        self.refused(
            [torch.tanh], r"one number for each of 3 rows, or one number; got \[3, 2\]", lambda z, y: z
        )
        self.refused([torch.tanh], "or one number; got float", lambda z, y: 1.0)
        self.refused(
            [torch.tanh], r"cannot take a last state of shape \[3, 2\]: The size", y=torch.ones(3, 5)
        )
        self.refused([torch.tanh], "the cost does not depend on the last state", lambda z, y: y.sum(-1))

    def test_states_and_multipliers_that_do_not_fit(self):
        z = torch.ones(3, 2, dtype=F64)
        with pytest.raises(EnergyError, match="1 layers have 2 states and 1 multipliers; got 2 and 2"):
            stationarity_residuals([torch.tanh], squared, [z, z], [z, z], z)
        with pytest.raises(EnergyError, match=r"must have the shape of state 1, \[3, 2\]; got \[2\]"):
            stationarity_residuals([torch.tanh], squared, [z, z], [z[0]], z)
        with pytest.raises(EnergyError, match=r"multiplier 0 is not finite, first in rows \[0, 1, 2\]"):
            stationarity_residuals([torch.tanh], squared, [z, z], [z * math.inf], z)


def test_a_layer_that_stands_in_two_places_has_a_gradient_in_each():
    torch.manual_seed(0)
    twice = nn.Linear(3, 3).to(F64)
    net, x, y = (
        nn.Sequential(twice, nn.Tanh(), twice),
        torch.randn(5, 3, dtype=F64),
        torch.randn(5, 3, dtype=F64),
    )
    found = backpropagate(net, squared, x, y).gradients
    (whole,) = torch.autograd.grad(squared(net(x), y).sum(), twice.weight)
    torch.testing.assert_close(found["0.weight"] + found["2.weight"], whole, rtol=1e-10, atol=1e-10)
