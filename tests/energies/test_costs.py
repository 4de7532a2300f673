"""Laws over every cost: its normalizer, its distribution, its mean and its draws say the same."""

import math

import pytest
import torch
from energies.catalog import COSTS, F64, integral, mean_exists, predictions_of, values_of

import ebm_causal as ec

BETAS = (0.7, 1.0, 3.0)
DRAWS = 40_000
RARE = 1 / DRAWS  # what one draw more of a value that hardly occurs adds to an average
every_cost = pytest.mark.parametrize("name", COSTS)
every_beta = pytest.mark.parametrize("beta", BETAS)


def usual_values(cost):
    if isinstance(cost, ec.HingeCost):
        return torch.tensor([[-1.0], [1.0], [1.0], [-1.0]], dtype=F64)
    return torch.tensor([[0.0], [1.0], [1.0], [0.0]], dtype=F64)


@every_cost
@every_beta
def test_the_normalizer_is_the_integral_or_the_sum(name, beta):
    cost = COSTS[name]()
    for prediction in predictions_of(cost):
        known = math.log(integral(cost, prediction, beta))
        assert cost.log_normalizer(prediction, beta).item() == pytest.approx(known, abs=2e-8)


@every_cost
@every_beta
def test_the_distribution_is_the_normalized_cost(name, beta):
    cost = COSTS[name]()
    predictions, value = predictions_of(cost), usual_values(cost)
    known = -beta * cost(predictions, value) - cost.log_normalizer(predictions, beta)
    assert torch.allclose(cost.distribution(predictions, beta).log_prob(value), known, rtol=1e-10)


@every_cost
@every_beta
def test_the_mean_is_that_of_the_law(name, beta):
    cost = COSTS[name]()
    if not mean_exists(cost, beta):
        pytest.skip("this law has no mean")
    for prediction in predictions_of(cost):
        known = integral(cost, prediction, beta, lambda value: value) / integral(cost, prediction, beta)
        assert cost.mean(prediction, beta).item() == pytest.approx(known, abs=1e-6)


@every_cost
@every_beta
def test_draws_have_the_mean_of_the_law(name, beta):
    cost = COSTS[name]()
    if not mean_exists(cost, beta, moments=2):
        pytest.skip("draws of this law have no variance")
    torch.manual_seed(0)
    predictions = predictions_of(cost)
    draws = cost.distribution(predictions, beta).sample((DRAWS,))
    error = (draws.std(0) / DRAWS**0.5).clamp_min(RARE)
    assert draws.shape == (DRAWS, 4, 1)
    assert ((draws.mean(0)[:, 0] - cost.mean(predictions, beta).reshape(4)).abs() < 4.5 * error[:, 0]).all()


@every_cost
@every_beta
def test_the_average_cost_of_draws_is_the_slope_of_the_log_normalizer_in_beta(name, beta):
    """The internal energy: E[C] = -d log Z / d beta, by finite differences of the normalizer."""
    cost, predictions, step = COSTS[name](), predictions_of(COSTS[name]()), 1e-4
    torch.manual_seed(1)
    costs = cost(predictions, cost.distribution(predictions, beta).sample((DRAWS,)))
    above, below = (cost.log_normalizer(predictions, beta + sign * step) for sign in (1, -1))
    error = (costs.std(0) / DRAWS**0.5).clamp_min(RARE)
    assert ((costs.mean(0) + (above - below) / (2 * step)).abs() < 4.5 * error).all()


@every_cost
def test_draws_are_within_the_support(name):
    cost = COSTS[name]()
    torch.manual_seed(2)
    draws = cost.distribution(predictions_of(cost), 0.7).sample((100,))
    assert cost.support.check(draws).all()


@every_cost
def test_costs_add_over_coordinates(name):
    cost = COSTS[name]()
    if isinstance(cost, ec.CategoricalCost) and cost.classes is None:
        pytest.skip("without the number of classes there is one coordinate")
    parts, values = predictions_of(cost), usual_values(cost)
    pair, pair_values = parts.reshape(2, -1), values.reshape(2, 2)
    known = (cost(parts, values)).reshape(2, 2).sum(-1)
    assert torch.allclose(cost(pair, pair_values), known)
    normalizer = cost.log_normalizer(parts, 2.0).expand(4).reshape(2, 2).sum(-1)
    assert torch.allclose(cost.log_normalizer(pair, 2.0).expand(2), normalizer)
    joint = cost.distribution(parts, 2.0).log_prob(values).reshape(2, 2).sum(-1)
    assert torch.allclose(cost.distribution(pair, 2.0).log_prob(pair_values), joint)


@every_cost
def test_one_beta_for_each_row_is_a_loop_over_them(name):
    cost = COSTS[name]()
    predictions, values = predictions_of(cost), usual_values(cost)
    betas = torch.tensor([0.7, 1.0, 2.0, 3.0], dtype=F64)
    rows = list(zip(predictions, values, betas.tolist(), strict=True))
    law = cost.distribution(predictions, betas)
    loops = {
        "log_normalizer": [cost.log_normalizer(p, b) for p, _, b in rows],
        "log_prob": [cost.distribution(p, b).log_prob(v) for p, v, b in rows],
        "mean": [cost.mean(p, b).squeeze(-1) for p, _, b in rows],
    }
    found = {
        "log_normalizer": cost.log_normalizer(predictions, betas),
        "log_prob": law.log_prob(values),
        "mean": cost.mean(predictions, betas).squeeze(-1),
    }
    for what, values_found in found.items():
        known = torch.stack([value.reshape(()) for value in loops[what]])
        assert torch.allclose(values_found, known, rtol=1e-10, atol=1e-12), what
    assert law.sample((2,)).shape == (2, 4, 1)


@every_cost
def test_a_column_of_betas_broadcasts_against_the_batch(name):
    cost = COSTS[name]()
    predictions, betas = predictions_of(cost), torch.tensor([[0.8], [2.0]], dtype=F64)
    wide = cost.log_normalizer(predictions, betas).expand(2, 4)
    for i, beta in enumerate((0.8, 2.0)):
        assert torch.allclose(wide[i], cost.log_normalizer(predictions, beta).expand(4), atol=1e-12)


@every_cost
def test_the_normalizer_has_a_gradient_in_beta(name):
    cost = COSTS[name]()
    predictions = predictions_of(cost)
    betas = torch.tensor([0.8, 1.0, 1.5, 2.0], dtype=F64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: cost.log_normalizer(predictions, b).sum(), (betas,))


@every_cost
def test_laws_expand_over_a_larger_batch(name):
    cost = COSTS[name]()
    predictions, values = predictions_of(cost), usual_values(cost)
    law = cost.distribution(predictions, 2.0)
    wider = law.expand(torch.Size([3, 4]))
    assert wider.batch_shape == (3, 4)
    assert torch.allclose(wider.log_prob(values), law.log_prob(values).expand(3, 4))
    assert wider.sample().shape == (3, 4, 1)


@every_cost
@pytest.mark.parametrize("beta", [1.0, 2.0, torch.full((4,), 2.0, dtype=F64)], ids=str)
def test_the_dtype_follows_the_input(name, beta):
    cost = COSTS[name]()
    prediction, value = predictions_of(cost).float(), usual_values(cost).float()
    assert cost(prediction, value).dtype == torch.float32
    assert cost.log_normalizer(prediction, beta).dtype == torch.float32
    assert cost.mean(prediction, beta).dtype == torch.float32
    assert cost.distribution(prediction, beta).sample().dtype == torch.float32


@every_cost
def test_a_constant_normalizer_is_constant(name):
    cost = COSTS[name]()
    values = {round(cost.log_normalizer(p, 2.0).item(), 12) for p in predictions_of(cost)}
    assert (len(values) == 1) == cost.constant_normalizer


def test_every_cost_of_a_few_values_can_be_enumerated_by_its_law():
    for name in ("categorical", "hinge"):
        cost = COSTS[name]()
        law = cost.distribution(predictions_of(cost), 1.0)
        states = law.enumerate_support()
        assert states[:, 0, 0].tolist() == [float(value) for value in values_of(cost)]
        assert torch.allclose(law.log_prob(states).exp().sum(0), torch.ones(4, dtype=F64))
