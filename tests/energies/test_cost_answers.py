"""What single costs are known to be, and what they refuse."""

import math

import pyro
import pytest
import torch
from energies.catalog import F64
from scipy import stats

import ebm_causal as ec
from ebm_causal.energies.counts import count_series
from ebm_causal.errors import ArgumentError, EnergyError, IdentificationError


def column(*numbers):
    return torch.tensor([[number] for number in numbers], dtype=F64)


def test_one_scale_per_coordinate():
    cost = ec.SquaredError(torch.tensor([1.0, 10.0], dtype=F64))
    assert cost(torch.zeros(2, dtype=F64), torch.tensor([1.0, 10.0], dtype=F64)).item() == pytest.approx(1.0)
    assert cost.log_normalizer(torch.zeros(2, dtype=F64), 1.0).item() == pytest.approx(
        math.log(2 * math.pi) + math.log(10)
    )


def test_a_categorical_cost_is_torch_s_cross_entropy():
    logits = torch.randn(5, 4, dtype=F64, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 3, 1, 1, 2])
    known = torch.nn.functional.cross_entropy(logits, classes, reduction="none")
    assert torch.allclose(ec.CategoricalCost(4)(logits, classes[:, None].to(F64)), known)


def test_a_poisson_cost_is_minus_the_log_probability_of_a_poisson_law():
    counts = column(0.0, 1.0, 7.0, 40.0)
    known = -stats.poisson.logpmf(counts.numpy(), 3.5).sum(-1)
    assert ec.PoissonCost()(torch.full((4, 1), math.log(3.5), dtype=F64), counts).numpy() == pytest.approx(
        known
    )


@pytest.mark.parametrize("rate", [200.0, 900.0, 2.0e5])
@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_the_series_of_counts_follows_its_asymptotic_expansion(rate, beta):
    r"""Gaunt et al. (2019), equation 1.8, whose error is of order (beta rate)^-3."""
    normalizer = ec.PoissonCost().log_normalizer(column(math.log(rate)), beta).item()
    x, square = beta * rate, beta**2 - 1
    series = 1 + square / (24 * x) + square * (beta**2 + 23) / (1152 * x**2)
    known = -0.5 * (beta - 1) * math.log(2 * math.pi * rate) - 0.5 * math.log(beta) + math.log(series)
    assert normalizer == pytest.approx(known, abs=max(1 / x**3, 1e-9))


def test_the_window_of_counts_grows_until_its_tails_are_certified():
    counts, _ = count_series(torch.tensor([0.0], dtype=F64), torch.tensor([0.01], dtype=F64))
    assert counts.max() > 500  # at beta .01 the law of rate one has a long tail
    known = math.log(math.fsum(math.exp(-0.01 * (1 + math.lgamma(k + 1))) for k in range(20_000)))
    assert ec.PoissonCost().log_normalizer(column(0.0), 0.01).item() == pytest.approx(known, abs=1e-12)


def test_counts_that_no_window_holds():
    with pytest.raises(ArgumentError, match=r"needs more than 67108864 terms here \(rates up to 2.69e\+43"):
        ec.PoissonCost().log_normalizer(column(100.0), 2.0)


def test_a_huber_cost_is_torch_s_huber_loss_at_scale_one():
    error = torch.linspace(-4, 4, 33, dtype=F64)[:, None]
    known = torch.nn.functional.huber_loss(torch.zeros_like(error), error, reduction="none", delta=1.3)
    assert torch.allclose(ec.HuberCost(1.0, 1.3)(torch.zeros_like(error), error), known[:, 0])


def test_draws_of_a_huber_law_follow_its_distribution_function():
    """A normal body with exponential tails, by Kolmogorov and Smirnov; p > .001 for a true law."""
    torch.manual_seed(0)
    cost, beta, threshold = ec.HuberCost(0.5, 1.0), 2.0, 1.0
    draws = cost.distribution(torch.full((1,), 3.0, dtype=F64), beta).sample((20_000,))[:, 0].numpy()
    body = math.sqrt(2 * math.pi / beta) * math.erf(threshold * math.sqrt(beta / 2))
    tail = math.exp(-beta * threshold**2 / 2) / (beta * threshold)

    def distribution(values):
        u = (values - 3.0) / 0.5
        middle = math.sqrt(2 * math.pi / beta) * (
            stats.norm.cdf(u.clip(-threshold, threshold) * math.sqrt(beta))
            - stats.norm.cdf(-threshold * math.sqrt(beta))
        )
        left = tail * torch.tensor(beta * threshold * (u + threshold)).clamp_max(0.0).exp().numpy()
        right = tail * (1 - torch.tensor(-beta * threshold * (u - threshold)).clamp_max(0.0).exp().numpy())
        return (left + middle + right) / (body + 2 * tail)

    assert stats.kstest(draws, distribution).pvalue > 0.001


def test_draws_of_a_huber_law_move_with_location_and_scale():
    location = torch.zeros(2, 1, dtype=F64, requires_grad=True)
    scale = torch.nn.Parameter(torch.tensor(2.0, dtype=F64))
    torch.manual_seed(0)
    draws = ec.HuberCost(scale).distribution(location, 1.0).rsample((50,))
    slopes = torch.autograd.grad(draws.sum(), [location, scale])
    assert torch.allclose(slopes[0], torch.full((2, 1), 50.0, dtype=F64))
    assert slopes[1].item() == pytest.approx((draws / 2.0).sum().item())


def test_a_hinge_is_zero_beyond_the_margin():
    scores = column(2.0, 0.25, -1.0)
    assert ec.HingeCost()(scores, torch.ones(3, 1, dtype=F64)).tolist() == [0.0, 0.75, 2.0]


def test_a_cosine_cost_compares_directions():
    cost = ec.CosineCost()
    first = torch.tensor([[1.0, 0.0]], dtype=F64)
    others = torch.tensor([[5.0, 0.0], [0.0, 2.0], [-0.1, 0.0], [0.0, 0.0]], dtype=F64)
    assert cost(first, others).tolist() == [0.0, 1.0, 2.0, 1.0]


def directed(cost=None):
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: torch.cat([x, z], -1), cost or ec.CosineCost(), dim=2)
    return x + y + ec.GaussianRegularizer(1)


REFUSED = "the mechanism of 'y' is no conditional law: a cosine cost ignores the length of the value"


def test_surgery_on_what_has_no_normalizer():
    with pytest.raises(IdentificationError, match=REFUSED):
        ec.do(directed(), x=1.0)
    assert list(ec.do(directed(), y=[1.0, 0.0]).factors) == ["x", "R(z)"]


def test_queries_and_models_of_what_has_no_normalizer():
    data = {"x": torch.zeros(3, 1, dtype=F64), "y": torch.ones(3, 2, dtype=F64)}
    with pytest.raises(IdentificationError, match=REFUSED):
        ec.interventional(directed(), do={"x": 1.0}, query="y", draws=4)
    with pytest.raises(IdentificationError, match=REFUSED):
        pyro.poutine.trace(ec.pyro_model(directed(), rows=2)).get_trace()
    with pytest.raises(IdentificationError, match=REFUSED):
        ec.fit(directed_with_parameter(), data, method="map")


def directed_with_parameter():
    return directed() * torch.nn.Parameter(torch.tensor(1.0, dtype=F64))


def test_the_raw_sum_with_a_cosine_cost_is_an_energy_all_the_same():
    energy = directed()
    values = {
        "x": torch.ones(1, 1, dtype=F64),
        "y": torch.ones(1, 2, dtype=F64),
        "z": torch.ones(1, 1, dtype=F64),
    }
    assert energy(**values).item() == pytest.approx(0.5)
    assert ec.minimize(energy, over="z", given={"x": values["x"], "y": values["y"]}).energy.item() <= 0.5


@pytest.mark.parametrize("method", ["log_normalizer", "distribution", "mean"])
def test_a_cosine_cost_asked_for_its_law(method):
    with pytest.raises(IdentificationError, match="a cosine cost ignores the length"):
        getattr(ec.CosineCost(), method)(torch.ones(1, 2), 1.0)


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_scales_that_are_not_positive(scale):
    for make in (ec.SquaredError, ec.HuberCost, ec.HingeCost, lambda s: ec.StudentTCost(1.0, s)):
        with pytest.raises(ArgumentError, match="a scale must be positive; got"):
            make(scale)


def test_a_tail_too_heavy_for_its_temperature():
    cost = ec.StudentTCost(1.0, 2.0)
    for beta in (0.2, torch.tensor([1.0, 0.2])):
        with pytest.raises(
            ArgumentError, match=r"cannot be normalized at beta 0.2: beta \(nu \+ 1\) must exceed 1"
        ):
            cost.log_normalizer(torch.zeros(2, 1), beta)


def test_classes_that_are_one_hot():
    with pytest.raises(
        EnergyError, match=r"takes 1 class indices per row and 3 logits for each; got values \[2, 3\]"
    ):
        ec.CategoricalCost(3)(torch.zeros(2, 3), torch.eye(3)[:2])


def test_logits_of_another_number_of_classes():
    with pytest.raises(EnergyError, match="a cost of 3 classes takes as many logits; got 4"):
        ec.CategoricalCost(3).log_normalizer(torch.zeros(2, 4), 2.0)
    wrong = ec.Mechanism("y", "z", lambda z: z, ec.CategoricalCost(3)) + ec.GaussianRegularizer(2)
    with pytest.raises(EnergyError, match=r"the decoder of 'y' must give \[..., 3\]; got \[5, 2\]"):
        wrong(y=torch.zeros(5, 1), z=torch.zeros(5, 2))


def test_one_class():
    with pytest.raises(ArgumentError, match="a categorical cost needs at least two classes; got 1"):
        ec.CategoricalCost(1)
