"""Laws over every cost: its normalizer, its distribution and its mean say the same."""

import math

import pytest
import torch
from scipy.integrate import quad

import ebm_causal as ec
from ebm_causal.errors import ArgumentError

F64 = torch.float64
COSTS = {
    "squared": ec.SquaredError(0.7),
    "squared, parameter": ec.SquaredError(torch.nn.Parameter(torch.tensor(1.3, dtype=F64))),
    "squared, negative parameter": ec.SquaredError(torch.nn.Parameter(torch.tensor(-1.3, dtype=F64))),
    "squared, computed": ec.SquaredError(lambda: torch.tensor(0.4, dtype=F64)),
    "student": ec.StudentTCost(0.8, 5.0),
    "student, Cauchy": ec.StudentTCost(2.0, 1.0),
    "bernoulli": ec.BernoulliCost(),
}
BETAS = (0.7, 1.0, 3.0)
PREDICTIONS = torch.tensor([[-2.0], [0.0], [0.4], [3.0]], dtype=F64)
every_cost = pytest.mark.parametrize("cost", COSTS.values(), ids=COSTS.keys())
every_beta = pytest.mark.parametrize("beta", BETAS)


def integral(cost, prediction, beta, weight=lambda value: 1.0):
    def term(value):
        return weight(value) * math.exp(-beta * cost(prediction, torch.tensor([value], dtype=F64)).item())

    if isinstance(cost, ec.BernoulliCost):
        return term(0.0) + term(1.0)
    center = prediction.item()
    left = quad(term, -math.inf, center, epsabs=1e-12)[0]
    return left + quad(term, center, math.inf, epsabs=1e-12)[0]


@every_cost
@every_beta
def test_the_normalizer_is_the_integral(cost, beta):
    for prediction in PREDICTIONS:
        known = math.log(integral(cost, prediction, beta))
        assert cost.log_normalizer(prediction, beta).item() == pytest.approx(known, abs=2e-8)


@every_cost
@every_beta
def test_the_distribution_is_the_normalized_cost(cost, beta):
    value = torch.tensor([[0.0], [1.0], [1.0], [0.0]], dtype=F64)
    known = -beta * cost(PREDICTIONS, value) - cost.log_normalizer(PREDICTIONS, beta)
    assert torch.allclose(cost.distribution(PREDICTIONS, beta).log_prob(value), known, rtol=1e-10)


@every_cost
@every_beta
def test_the_mean_is_that_of_the_law(cost, beta):
    if isinstance(cost, ec.StudentTCost) and cost.tail_at(cost.degrees_of_freedom(PREDICTIONS), beta) <= 1.2:
        pytest.skip("this law has no mean")
    for prediction in PREDICTIONS:
        known = integral(cost, prediction, beta, lambda value: value) / integral(cost, prediction, beta)
        assert cost.mean(prediction, beta).item() == pytest.approx(known, abs=1e-6)


@every_cost
def test_costs_add_over_coordinates(cost):
    prediction, value = PREDICTIONS.reshape(2, 2), torch.tensor([[0.0, 1.0], [1.0, 1.0]], dtype=F64)
    parts = [cost(prediction[:, [i]], value[:, [i]]) for i in range(2)]
    assert torch.allclose(cost(prediction, value), sum(parts))
    if not isinstance(cost, ec.BernoulliCost):
        both = cost.log_normalizer(prediction, 2.0)
        assert both.item() == pytest.approx(2 * cost.log_normalizer(prediction[:, :1], 2.0).item())


@every_cost
def test_the_dtype_follows_the_input(cost):
    prediction, value = PREDICTIONS.float(), torch.ones(4, 1)
    assert cost(prediction, value).dtype == torch.float32
    assert cost.log_normalizer(prediction, 2.0).dtype == torch.float32
    assert cost.distribution(prediction, 1.0).sample().dtype == torch.float32


@every_cost
def test_a_constant_normalizer_is_constant(cost):
    values = {cost.log_normalizer(p, 2.0).item() for p in PREDICTIONS}
    assert (len(values) == 1) == cost.constant_normalizer


def test_one_scale_per_coordinate():
    cost = ec.SquaredError(torch.tensor([1.0, 10.0], dtype=F64))
    assert cost(torch.zeros(2, dtype=F64), torch.tensor([1.0, 10.0], dtype=F64)).item() == pytest.approx(1.0)
    assert cost.log_normalizer(torch.zeros(2, dtype=F64), 1.0).item() == pytest.approx(
        math.log(2 * math.pi) + math.log(10)
    )


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_scales_that_are_not_positive(scale):
    with pytest.raises(ArgumentError, match="a scale must be positive; got"):
        ec.SquaredError(scale)
    with pytest.raises(ArgumentError, match="a scale must be positive"):
        ec.StudentTCost(1.0, scale)
    with pytest.raises(ArgumentError, match="a scale must be positive"):
        ec.GaussianRegularizer(1, weight=scale)


def test_a_tail_too_heavy_for_its_temperature():
    with pytest.raises(
        ArgumentError, match=r"cannot be normalized at beta 0.2: beta \(nu \+ 1\) must exceed 1"
    ):
        ec.StudentTCost(1.0, 2.0).log_normalizer(torch.zeros(1), 0.2)
