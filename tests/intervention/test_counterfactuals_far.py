"""Latents of two values, rows far out in a tail, impossible classes, policies that meet moved causes."""

import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import EnergyError

F64 = torch.float64
PRIOR = ec.GaussianRegularizer(1)


def assigned():
    return ec.Mechanism("x", "z", lambda z: z, ec.SquaredError()) + PRIOR


def test_draws_of_a_latent_tell_nothing_of_the_noise():
    """u in {0, 1}, both equally likely before: E[(p_1 - p_0)/(1 - p_0) | x = 0, y = 0] by the sum over u.

    The draws of u and of the noise came from one seed, and 2,000 draws were off by five standard errors.
    """
    even = ec.energy(lambda u: 0 * u.sum(-1), u=ec.Variable(1, ec.finite((0, 1))))
    x = ec.Mechanism("x", "u", lambda u: 2 * u - 1, ec.BernoulliCost())
    y = ec.Mechanism("y", ("x", "u"), lambda x, u: x + 2 * u - 1, ec.BernoulliCost())
    u = torch.tensor([0.0, 1.0], dtype=F64)
    p0, p1 = torch.sigmoid(2 * u - 1), torch.sigmoid(2 * u)
    weights = (1 - torch.sigmoid(2 * u - 1)) * (1 - p0)
    known = float((weights * (p1 - p0) / (1 - p0)).sum() / weights.sum())
    found = [
        ec.counterfactual(
            x + y + even, {"x": 0.0, "y": 0.0}, do={"x": 1.0}, draws=10_000, seed=seed
        ).mean.item()
        for seed in range(3)
    ]
    error = math.sqrt(known * (1 - known) / 30_000)
    assert sum(found) / 3 == pytest.approx(known, abs=4 * error)


@pytest.mark.parametrize("count", [0.0, 3.0, 30.0, 400.0])
@pytest.mark.parametrize("beta", [1.0, 1.5])
def test_a_count_far_out_comes_back_where_nothing_is_changed(count, beta):
    """At a rate of 1.1 the chance of more than 18 rounds to nothing: such rows came back as 18."""
    energy = assigned() + ec.Mechanism("y", "x", lambda x: 0.1 * x, ec.PoissonCost())
    found = ec.counterfactual(energy, {"x": 1.0, "y": count}, do={"x": 1.0}, draws=50, beta=beta)
    assert found.values.flatten().tolist() == [count] * 50


def test_a_count_far_out_keeps_its_place_in_the_tail():
    """Rate 1 to rate 5: the place of 30 in the tail of the first, from the second's tail in logs by hand."""
    energy = assigned() + ec.Mechanism("y", "x", lambda x: x, ec.PoissonCost())
    found = ec.counterfactual(energy, {"x": 0.0, "y": 30.0}, do={"x": math.log(5.0)}, draws=500)
    counts = torch.arange(200, dtype=F64)
    left = {
        rate: torch.distributions.Poisson(torch.tensor(rate, dtype=F64))
        .log_prob(counts).flip(0).logcumsumexp(0).flip(0)
        for rate in (1.0, 5.0)
    }  # fmt: skip
    least, most = ((left[5.0] > left[1.0][30 + more]).sum().item() - 1 for more in (0, 1))
    assert least <= found.values.min() <= found.values.max() <= most
    assert least > 40


def test_a_class_that_was_impossible_is_not_gone_to_where_it_stays_so():
    def logits(x):
        return torch.cat([0 * x, x, torch.full_like(x, -math.inf)], -1)

    energy = assigned() + ec.Mechanism("y", "x", logits, ec.CategoricalCost(3))
    found = ec.counterfactual(energy, {"x": 1.0, "y": 1.0}, do={"x": -1.0}, draws=4000)
    assert set(found.values.flatten().tolist()) == {0.0, 1.0}


def test_a_class_that_becomes_certain_is_gone_to():
    energy = assigned() + ec.Mechanism(
        "y", "x", lambda x: torch.cat([0 * x, -800 * x], -1), ec.CategoricalCost(2)
    )
    found = ec.counterfactual(energy, {"x": 1.0, "y": 0.0}, do={"x": -1.0}, draws=500)
    assert found.values.flatten().tolist() == [1.0] * 500


def test_a_shift_meets_the_value_that_other_causes_would_have_brought():
    """x = w + u with u = .5 seen: w := 3 brings 3.5, the shift 4.5, and y = x + 1 as in the row."""
    w = ec.GaussianRegularizer(1, variable="w")
    x = ec.Mechanism("x", "w", lambda w: w, ec.SquaredError())
    energy = w + x + ec.Mechanism("y", "x", lambda x: x, ec.SquaredError())
    row = {"w": 1.0, "x": 1.5, "y": 2.5}
    found = ec.counterfactual(energy, row, do={"w": 3.0, "x": lambda x: x + 1}, draws=20)
    assert found.values.flatten().tolist() == pytest.approx([5.5] * 20)


def test_what_is_missing_of_a_row_is_asked_for_among_what_was_observed():
    energy = assigned() + ec.Mechanism("y", ("x", "w"), lambda x, w: x + w, ec.SquaredError())
    with pytest.raises(
        EnergyError, match=r"'w' has neither a mechanism nor a prior: give its value in observed="
    ):
        ec.counterfactual(energy, {"x": 1.0}, do={"x": 2.0})
