"""Abduction, action, prediction."""

import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError, IdentificationError

F64 = torch.float64


def linear(a=1.0, b=2.0, d=1.0):
    x = ec.Mechanism("x", "z", lambda z: a * z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: d * x + b * z, ec.SquaredError())
    return x + y + ec.GaussianRegularizer(1)


def binary(strength=1.5):
    x = ec.Mechanism("x", "z", lambda z: z, ec.BernoulliCost())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: strength * x + z - 0.5, ec.BernoulliCost())
    return x + y + ec.GaussianRegularizer(1)


# Known answers.


def test_a_linear_world_moves_each_row_by_the_slope():
    """y_{x'} = y + d (x' - x), row by row and in every draw (Pearl 2009, section 7.1)."""
    observed = {"x": torch.tensor([0.0, 1.0, -2.0], dtype=F64), "y": torch.tensor([1.0, 5.0, 0.3], dtype=F64)}
    found = ec.counterfactual(linear(d=1.7), observed, do={"x": 3.0}, draws=200)
    known = observed["y"] + 1.7 * (3 - observed["x"])
    torch.testing.assert_close(found.mean[:, 0], known, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.values, known[None, :, None].expand(200, -1, -1), rtol=1e-12, atol=1e-12)
    assert found.standard_error.max() < 1e-12


@pytest.mark.parametrize(
    "cost",
    [ec.SquaredError(0.5), ec.StudentTCost(0.5, 4.0), ec.HuberCost(0.5)],
    ids=lambda cost: type(cost).__name__,
)
def test_additive_noise_is_kept(cost):
    """y = x exp(z) + u: the counterfactual is y + (x' - x) E[exp z | x, y], z from a grid of our own."""
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x * z.exp(), cost)
    found = ec.counterfactual(x + y + ec.GaussianRegularizer(1), {"x": 0.5, "y": 1.0}, do={"x": 1.5})
    z = torch.linspace(-8, 8, 20001, dtype=F64)[:, None]
    weights = (
        -cost(0.5 * z.exp(), torch.ones(1, 1, dtype=F64)) - 0.5 * (0.5 - z[:, 0]) ** 2 - 0.5 * z[:, 0] ** 2
    ).softmax(0)
    known = 1 + float((weights * z[:, 0].exp()).sum())
    assert found.mean.item() == pytest.approx(known, abs=4 * found.standard_error.item())


def test_the_observed_world_itself_comes_back():
    observed = {"x": [0.0, 1.0], "y": [1.0, 0.0]}
    for energy in (linear(), binary()):
        found = ec.counterfactual(energy, observed, do={"x": [0.0, 1.0]}, draws=500)
        torch.testing.assert_close(
            found.values, torch.tensor([[1.0], [0.0]], dtype=F64).expand(500, -1, -1), rtol=0, atol=1e-12
        )


def test_a_binary_outcome_follows_the_monotone_coupling():
    """P(y_1 = 1 | x = 0, y = 0) = E[(p_1 - p_0)/(1 - p_0) | x = 0, y = 0], z from a grid of our own."""
    found = ec.counterfactual(binary(), {"x": 0.0, "y": 0.0}, do={"x": 1.0}, draws=40_000)
    z = torch.linspace(-8, 8, 20001, dtype=F64)
    p0, p1 = torch.sigmoid(z - 0.5), torch.sigmoid(z + 1.0)
    weights = (1 - torch.sigmoid(z)) * (1 - p0) * torch.exp(-0.5 * z * z)
    known = float((weights * (p1 - p0) / (1 - p0)).sum() / weights.sum())
    assert found.mean.item() == pytest.approx(known, abs=4 * found.standard_error.item())
    assert any("monotone" in note for note in found.warnings)


def test_counts_keep_their_quantile():
    """A rate twice as high, the count's place in its law kept: from the law's table by hand."""
    y = ec.Mechanism("y", "x", lambda x: x, ec.PoissonCost())
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    energy = x + y + ec.GaussianRegularizer(1)
    found = ec.counterfactual(energy, {"x": 0.0, "y": 2.0}, do={"x": math.log(2.0)}, draws=40_000)
    low, high = (torch.distributions.Poisson(torch.tensor(rate, dtype=F64)) for rate in (1.0, 2.0))
    counts = torch.arange(60, dtype=F64)
    was, now = low.log_prob(counts).exp().cumsum(0), high.log_prob(counts).exp().cumsum(0)
    u = was[1] + (was[2] - was[1]) * torch.linspace(0, 1, 100_001, dtype=F64)[1:-1]
    known = torch.searchsorted(now, u).to(F64).mean().item()
    assert found.mean.item() == pytest.approx(known, abs=4 * found.standard_error.item() + 1e-4)
    assert found.values.min() >= 2


def test_classes_follow_the_gumbel_coupling():
    """Averaged over what is seen, the counterfactual classes have the law of doing, and no class that became less
    likely than the one seen is gone to (Oberst and Sontag 2019)."""

    def logits(x):
        return torch.cat([0 * x, x, -x], -1)

    y = ec.Mechanism("y", "x", logits, ec.CategoricalCost(3))
    energy = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError()) + y + ec.GaussianRegularizer(1)
    before, after = (
        logits(torch.tensor([0.3], dtype=F64)).softmax(-1),
        logits(torch.tensor([1.0], dtype=F64)).softmax(-1),
    )
    shares = []
    for seen in (0.0, 1.0, 2.0):
        found = ec.counterfactual(energy, {"x": 0.3, "y": seen}, do={"x": 1.0}, draws=40_000)
        shares.append(torch.tensor([(found.values == k).to(F64).mean() for k in range(3)]))
        assert any("Gumbel" in note for note in found.warnings)
    mixed = sum(p * share for p, share in zip(before, shares, strict=True))
    torch.testing.assert_close(mixed, after, rtol=0, atol=4 * 0.5 / math.sqrt(40_000))
    assert shares[1][1] == 1  # the class that gained most is left by none


def test_what_happened_before_x_stays_and_what_comes_after_moves():
    """w -> x -> m -> y, w -> y: by hand in a linear world without a latent."""
    w = ec.GaussianRegularizer(1, variable="w")
    x = ec.Mechanism("x", "w", lambda w: w, ec.SquaredError())
    m = ec.Mechanism("m", "x", lambda x: 2 * x, ec.SquaredError())
    y = ec.Mechanism("y", ("m", "w"), lambda m, w: m - w, ec.SquaredError())
    energy = w + x + m + y
    seen = {"w": 1.0, "x": 0.5, "m": 2.0, "y": 0.0}
    assert ec.counterfactual(energy, seen, do={"x": 1.5}, draws=10).mean.item() == pytest.approx(2.0)
    assert ec.counterfactual(energy, seen, do={"x": 1.5}, query="m", draws=10).mean.item() == pytest.approx(
        4.0
    )
    assert ec.counterfactual(energy, seen, do={"x": 1.5}, query="w", draws=10).mean.item() == pytest.approx(
        1.0
    )


def test_an_effect_that_was_not_seen_is_predicted():
    """Without y, the row tells of z through x alone: E[y_{x'} | x] = d x' + b E[z | x] = 3 + 2 (1/2)."""
    found = ec.counterfactual(linear(), {"x": 1.0}, do={"x": 3.0})
    assert found.mean.item() == pytest.approx(3 + 2 * 0.5, abs=4 * found.standard_error.item())
    assert found.values.var().item() == pytest.approx(1 + 4 * 0.5, rel=0.1)


def test_a_mediator_that_was_not_seen_is_abducted():
    """x -> m -> y, m hidden: m given x, y is N((2x/1 + y)/2, ..); the row's own noise of y is kept.

    y_{x'} = m' + u_y with m' = 2 x' + u_m, so y_{x'} = y + 2 (x' - x) exactly.
    """
    x = ec.GaussianRegularizer(1, variable="x")
    m = ec.Mechanism("m", "x", lambda x: 2 * x, ec.SquaredError())
    y = ec.Mechanism("y", "m", lambda m: m, ec.SquaredError())
    found = ec.counterfactual(x + m + y, {"x": 1.0, "y": 5.0}, do={"x": 2.0}, draws=100)
    torch.testing.assert_close(found.values, torch.full((100, 1, 1), 7.0, dtype=F64), rtol=0, atol=1e-10)


def test_a_policy_and_a_shift_of_what_was_given():
    found = ec.counterfactual(
        linear(d=1.5), {"x": [1.0, 2.0], "y": [0.0, 1.0]}, do={"x": lambda x: x + 2}, draws=50
    )
    torch.testing.assert_close(found.mean[:, 0], torch.tensor([3.0, 4.0], dtype=F64), rtol=0, atol=1e-10)


def test_several_settings_of_one_row_share_its_noise():
    found = ec.counterfactual(binary(), {"x": 0.0, "y": 1.0}, do={"x": [0.0, 1.0]}, draws=1000)
    assert (found.values[:, 1] >= found.values[:, 0]).all()
    difference, error = found.contrast(1, 0)
    assert difference.item() == pytest.approx(0.0, abs=1e-12)
    assert error.item() < 1e-12


def test_the_energy_as_a_query():
    """C_y + R in the other world: the noise of y stays, so the cost of y stays, and R is that of z given the row."""
    found = ec.counterfactual(linear(), {"x": 1.0, "y": 4.0}, do={"x": 3.0}, query="energy")
    mean, variance = (1 + 2 * 3) / 6, 1 / 6
    known = 0.5 * ((3 - 2 * mean) ** 2 + 4 * variance) + 0.5 * (mean**2 + variance)
    assert found.mean.item() == pytest.approx(known, abs=4 * found.standard_error.item())


def test_averaged_over_the_model_a_counterfactual_is_an_intervention():
    """E over (x, y) of the model of P(y_{x'} | x, y) is P(y | do(x'))."""
    z = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    generator = torch.Generator().manual_seed(1)
    x = torch.bernoulli(torch.sigmoid(z), generator=generator)
    y = torch.bernoulli(torch.sigmoid(1.5 * x + z - 0.5), generator=generator)
    found = ec.counterfactual(binary(), {"x": x, "y": y}, do={"x": 1.0}, draws=20)
    done = ec.interventional(binary(), do={"x": 1.0}, draws=40_000)
    error = math.hypot(found.mean.std().item() / math.sqrt(4000), done.standard_error.item())
    assert found.mean.mean().item() == pytest.approx(done.mean.item(), abs=4 * error)


def test_beta_narrows_the_noise_and_leaves_the_answer_of_a_linear_world():
    found = ec.counterfactual(linear(), {"x": 1.0, "y": 4.0}, do={"x": 2.0}, beta=[0.5, 2.0], draws=50)
    torch.testing.assert_close(found.mean.flatten(), torch.tensor([5.0, 5.0], dtype=F64), rtol=0, atol=1e-10)


def test_the_same_seed_gives_the_same_draws():
    a, b, c = (
        ec.counterfactual(binary(), {"x": 0.0, "y": 0.0}, do={"x": 1.0}, draws=100, seed=s).values
        for s in (0, 0, 1)
    )
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


# Refusals.


def test_what_cannot_be_answered_is_refused_by_name():
    energy = linear()
    with pytest.raises(EnergyError, match="unknown variable 'w'"):
        ec.counterfactual(energy, {"w": 1.0}, do={"x": 1.0})
    with pytest.raises(EnergyError, match="query 'x' is itself held"):
        ec.counterfactual(energy, {"x": 1.0}, do={"x": 1.0}, query="x")
    with pytest.raises(EnergyError, match="'y' is not finite in 1 rows"):
        ec.counterfactual(energy, {"x": [1.0, 2.0], "y": [math.nan, 1.0]}, do={"x": 1.0})
    with pytest.raises(EnergyError, match="needs what was observed"):
        ec.counterfactual(energy, {}, do={"x": 1.0})
    with pytest.raises(EnergyError, match="needs what to set"):
        ec.counterfactual(energy, {"x": 1.0}, do={})
    with pytest.raises(ArgumentError, match="beta"):
        ec.counterfactual(energy, {"x": 1.0}, do={"x": 1.0}, beta=0.0)


def test_a_cost_that_says_nothing_of_its_noise_is_refused():
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, lambda p, v: ((v - p) ** 4).sum(-1))
    energy = x + y + ec.GaussianRegularizer(1)
    with pytest.raises(IdentificationError, match="does not say what the noise of 'y' is"):
        ec.counterfactual(energy, {"x": 0.0, "y": 1.0}, do={"x": 1.0})


def test_a_cause_that_was_neither_seen_nor_has_a_prior_is_asked_for():
    y = ec.Mechanism("y", ("x", "w"), lambda x, w: x + w, ec.SquaredError())
    energy = y + ec.Mechanism("x", "z", lambda z: z, ec.SquaredError()) + ec.GaussianRegularizer(1)
    with pytest.raises(EnergyError, match="'w' has neither a mechanism nor a prior"):
        ec.counterfactual(energy, {"x": 0.0, "y": 1.0}, do={"x": 1.0})
