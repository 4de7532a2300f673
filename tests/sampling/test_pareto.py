"""Pareto k: equal to ArviZ's, where its draws have been studied, and sensible where there is no tail."""

import math

import arviz
import pytest
import torch

from ebm_causal.errors import ArgumentError
from ebm_causal.sampling import pareto_k


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto distribution")
@pytest.mark.parametrize("spread", [0.2, 1.0, 2.0, 4.0])
def test_it_is_that_of_arviz(spread):
    generator = torch.Generator().manual_seed(1)
    log_weights = spread * torch.randn((4096, 3), generator=generator, dtype=torch.float64)
    log_weights[:50, 1] = -math.inf
    expected = [float(arviz.psislw(log_weights[:, row].numpy())[1]) for row in range(3)]
    torch.testing.assert_close(pareto_k(log_weights), torch.tensor(expected, dtype=torch.float64))


def test_equal_weights_have_no_tail():
    assert pareto_k(torch.zeros(100, 2, dtype=torch.float64)).tolist() == [-math.inf, -math.inf]


def test_one_weight_that_is_all_has_a_tail_without_a_mean():
    log_weights = torch.full((100,), -math.inf, dtype=torch.float64)
    log_weights[3] = 0.0
    assert float(pareto_k(log_weights)) > 1


def test_too_few_draws():
    with pytest.raises(ArgumentError, match="at least 25 draws; got 24"):
        pareto_k(torch.zeros(24))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_weights_that_are_no_numbers(bad):
    log_weights = torch.zeros(100)
    log_weights[0] = bad
    with pytest.raises(ArgumentError, match="log weights must be numbers below infinity"):
        pareto_k(log_weights)
