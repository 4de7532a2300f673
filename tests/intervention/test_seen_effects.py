"""Queries where an effect of the query is itself seen."""

import pytest

import ebm_causal as ec
from ebm_causal.errors import EnergyError


def seen_downstream():
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    m = ec.Mechanism("m", "x", lambda x: x, ec.SquaredError())
    y = ec.Mechanism("y", ("m", "z"), lambda m, z: m + 2 * z, ec.SquaredError())
    return x + m + y + ec.GaussianRegularizer(1)


@pytest.mark.parametrize(
    ("given", "query", "truth"),
    [({"m": 2.0}, "x", 4 / 3), ({"x": 1.0, "y": 3.0}, "m", 1.25)],
)
def test_an_effect_that_is_seen_tells_of_the_query(given, query, truth):
    found = ec.observational(seen_downstream(), given=given, query=query, draws=40_000)
    assert abs(found.mean.item() - truth) < 4 * found.standard_error.item()
    assert found.standard_error.item() < 0.02


def test_a_gap_of_nothing_is_refused():
    with pytest.raises(EnergyError, match="needs a variable"):
        ec.confounding_gap(seen_downstream())


def test_draws_are_whole_numbers(unchecked):
    with pytest.raises(EnergyError, match="draws must be a whole number"):
        ec.interventional(seen_downstream(), do={"x": 1.0}, draws=100.5)


@pytest.mark.parametrize("seen", [1.0, 8.0, 30.0])
def test_an_effect_seen_far_out_tells_of_its_cause_by_its_own_draws(seen):
    """Cov(x, y) = 4 and Var(y) = 11: where causes are drawn given y, the mean of x given z alone is not x given y."""
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
    found = ec.observational(x + y + ec.GaussianRegularizer(1), given={"y": seen}, query="x")
    assert (found.mean - 4 / 11 * seen).abs().item() < 4.5 * found.standard_error.item()
    assert found.standard_error.item() < 0.02
