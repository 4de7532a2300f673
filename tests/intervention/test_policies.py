"""Interventions that set no number: policies, shifts, new laws; and queries that are functions."""

import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError, EnergyError

F64 = torch.float64


def world(a=1.0, b=2.0, d=1.5):
    """z hidden; w -> x, w -> y; z -> x, z -> y; x -> y."""
    w = ec.GaussianRegularizer(1, variable="w")
    x = ec.Mechanism("x", ("w", "z"), lambda w, z: 0.5 * w + a * z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "w", "z"), lambda x, w, z: d * x + w + b * z, ec.SquaredError())
    return w + x + y + ec.GaussianRegularizer(1)


def near(found, known):
    assert found.mean.item() == pytest.approx(known, abs=4 * found.standard_error.item() + 1e-9)


def test_a_policy_sets_x_by_what_comes_before_it():
    """x = 2w: E[y w] = d 2 + 1, E[y] = 0."""
    done = ec.do(world(), x=lambda w: 2 * w)
    assert set(done.variables) == {"w", "z", "y"}
    assert ("w", "y") in done.graph.edges
    near(ec.interventional(world(), do={"x": lambda w: 2 * w}), 0.0)
    near(ec.interventional(world(), do={"x": lambda w: 2 * w}, query=lambda y, w: y * w), 4.0)


def test_a_shift_moves_what_would_have_been_and_keeps_its_confounding():
    """y = d (x + 1) + w + b z, where x keeps its law given z: E[y] = d; a query's x is the shifted one, so that
    E[y (x + 1)] = d E[(x + 1)^2] + cov(x, w + b z)."""
    shifted = {"x": lambda x: x + 1}
    near(ec.interventional(world(), do=shifted), 1.5)
    variance = 0.25 + 1 + 1
    near(ec.interventional(world(), do=shifted, query=lambda y, x: y * x), 1.5 * (variance + 1) + 0.5 + 2)
    near(ec.interventional(world(), do=shifted, query="x"), 1.0)
    assert "x" in ec.do(world(), **shifted).variables


def test_a_new_law_takes_the_place_of_a_mechanism():
    """x ~ N(w, 1/4) instead: E[y x] = d (1 + 1/4) + 1, without the part through z."""
    law = ec.Mechanism("x", "w", lambda w: w, ec.SquaredError(0.5))
    near(ec.interventional(world(), do={"x": law}, query=lambda y, x: y * x), 1.5 * 1.25 + 1)
    assert ("z", "x") not in ec.do(world(), x=law).graph.edges


def test_a_constant_policy_is_the_hard_intervention():
    generator = torch.Generator().manual_seed(0)
    values = {name: torch.randn(7, 1, generator=generator, dtype=F64) for name in ("w", "y", "z")}
    hard, soft = ec.do(world(), x=0.7), ec.do(world(), x=lambda w: 0 * w + 0.7)
    torch.testing.assert_close(hard(**values), soft(**values), rtol=1e-12, atol=1e-12)


def test_a_shift_by_nothing_is_no_intervention():
    generator = torch.Generator().manual_seed(0)
    values = {name: torch.randn(7, 1, generator=generator, dtype=F64) for name in ("w", "x", "y", "z")}
    torch.testing.assert_close(
        ec.do(world(), x=lambda x: x)(**values), world()(**values), rtol=1e-12, atol=1e-12
    )


def test_a_policy_for_one_variable_and_a_number_for_another():
    found = ec.interventional(world(), do={"w": 2.0, "x": lambda w: 2 * w})
    near(found, 1.5 * 4 + 2)


def test_the_dose_under_a_policy_can_be_asked():
    near(ec.interventional(world(), do={"x": lambda w: 2 * w + 3}, query="x"), 3.0)
    near(ec.interventional(world(), do={"x": lambda w: 2 * w + 3}, query=lambda x, w: x * w), 2.0)


def chain():
    """z hidden; z -> a -> b, and y = a + 10 b + e."""
    a = ec.Mechanism("a", "z", lambda z: z, ec.SquaredError())
    b = ec.Mechanism("b", "a", lambda a: a, ec.SquaredError())
    return (
        a
        + b
        + ec.Mechanism("y", ("a", "b"), lambda a, b: a + 10 * b, ec.SquaredError())
        + ec.GaussianRegularizer(1)
    )


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_policy_meets_what_another_one_sets_in_whatever_order_they_are_given(first):
    """a := 5, b := a + 1: y is 65; a := a + 5, b := a: y is 11 (a + 5), 55 on average."""
    for policies, known in (
        ({"a": lambda z: 0 * z + 5, "b": lambda a: a + 1}, 65.0),
        ({"a": lambda a: a + 5, "b": lambda a: a}, 55.0),
    ):
        given = dict(sorted(policies.items(), reverse=first == "b"))
        near(ec.interventional(chain(), do=given), known)


def test_a_policy_over_rows_of_data():
    data = {
        "w": torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=F64),
        "x": torch.zeros(4, dtype=F64),
        "y": torch.zeros(4, dtype=F64),
    }
    energy = Energy([factor for name, factor in world(b=0.0).factors.items() if name != "R(w)"])
    found = ec.interventional(energy, do={"x": lambda w: (w > 1).to(w)}, data=data, draws=4000)
    near(found, 1.5 * 0.5 + 1.5)
    law = ec.Mechanism("x", "w", lambda w: w, ec.SquaredError(0.1))
    near(ec.interventional(energy, do={"x": law}, data=data, draws=4000), 1.5 * 1.5 + 1.5)


def test_parameters_stay_those_of_the_energy():
    decoder = torch.nn.Linear(2, 1, dtype=F64)
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.SquaredError())
    y.decoder = _Wrapped(decoder)
    energy = y + ec.Mechanism("x", "z", lambda z: z, ec.SquaredError()) + ec.GaussianRegularizer(1)
    kept = list(ec.do(energy, x=lambda x: 2 * x).parameters())
    assert any(p is decoder.weight for p in kept)


class _Wrapped(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, z):
        return self.inner(torch.cat([x, z], -1))


# Queries.


def test_a_query_may_be_a_probability():
    """P(y > 1 | do(x = 1)) with y ~ N(1.5, 1 + 1 + 4)."""
    found = ec.interventional(world(), do={"x": 1.0}, query=lambda y: y > 1)
    near(found, 0.5 * (1 + math.erf(0.5 / math.sqrt(2 * 6))))


def test_seeing_answers_functions_too():
    """z given x = 1 and nothing else: mean a/(a^2 + .25 + 1) = 1/2.25."""
    near(ec.observational(world(), given={"x": 1.0}, query=lambda z: z), 1 / 2.25)
    gap = ec.confounding_gap(world(), x=1.0, query=lambda y: y)
    near(gap, ec.confounding_gap(world(), x=1.0).mean.item())


def test_a_curve_with_bands_along_the_dose():
    from matplotlib.figure import Figure

    found = ec.interventional(world(), do={"x": [2.0, 0.0, 1.0]}, draws=4000)
    lower, upper = found.interval(0.9)
    wide = 1.6449 * math.sqrt(6)
    torch.testing.assert_close(
        (upper - lower).flatten(), torch.full((3,), 2 * wide, dtype=F64), rtol=0.06, atol=0
    )
    ax = found.plot(Figure().subplots())
    assert ax.get_xlabel() == "x"
    assert ax.lines[0].get_xdata().tolist() == [0.0, 1.0, 2.0]


# Refusals.


@pytest.mark.parametrize(
    ("do", "message"),
    [
        ({"x": lambda y: y}, "looks at 'y', which is an effect of 'x'"),
        ({"x": lambda v: v}, "takes 'v', which is no variable"),
        ({"v": lambda w: w}, "unknown variable 'v'"),
        ({"w": lambda z: z, "z": lambda w: w}, "form the circle"),
        ({"x": lambda w: torch.cat([w, w], -1)}, r"must give tensors \[..., 1\]; got"),
        ({"x": lambda w: w / 0}, "values that are not finite"),
        ({"x": ec.Mechanism("y", "w", lambda w: w, ec.SquaredError())}, "its child must be 'x'"),
        (
            {"x": ec.Mechanism("x", "y", lambda y: y, ec.SquaredError())},
            "looks at 'y', which is an effect of 'x'",
        ),
        (
            {"x": ec.Mechanism("x", "v", lambda v: v, ec.SquaredError())},
            "has the parent 'v', which is no variable",
        ),
    ],
)
def test_policies_that_do_not_fit_are_refused(do, message):
    with pytest.raises(EnergyError, match=message):
        ec.interventional(world(), do=do, draws=10)


def test_a_policy_outside_the_support_is_refused():
    x = ec.Mechanism("x", "z", lambda z: z, ec.BernoulliCost())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.SquaredError())
    with pytest.raises(EnergyError, match="'x' must be in its support"):
        ec.interventional(x + y + ec.GaussianRegularizer(1), do={"x": lambda x: x + 1}, draws=10)


@pytest.mark.usefixtures("unchecked")
def test_queries_that_do_not_fit_are_refused():
    with pytest.raises(EnergyError, match="takes 'v', which is no variable"):
        ec.interventional(world(), do={"x": 1.0}, query=lambda v: v)
    with pytest.raises(EnergyError, match=r"must give \[draws, rows\]"):
        ec.interventional(world(), do={"x": 1.0}, query=lambda y: y.mean())
    with pytest.raises(EnergyError, match="not finite"):
        ec.interventional(world(), do={"x": 1.0}, query=lambda y: y / 0)
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        ec.interventional(world(), do={"x": 1.0}, draws=10).interval(1.0)
    with pytest.raises(ArgumentError, match="no one number that differs"):
        ec.interventional(world(), do={"x": 1.0}, draws=10).plot()
