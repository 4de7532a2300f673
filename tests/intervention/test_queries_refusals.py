import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError, IdentificationError


def world(a=1.0, b=2.0, d=1.0, s_x=1.0, s_y=1.0, weight=1.0):
    """z ~ N(0, 1/weight), x = a z + e_x, y = d x + b z + e_y."""
    x = ec.Mechanism("x", "z", lambda z: a * z, ec.SquaredError(s_x))
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: d * x + b * z, ec.SquaredError(s_y))
    return x + y + ec.GaussianRegularizer(1, weight)


def covariate_world():
    x = ec.Mechanism("x", ("w", "z"), lambda w, z: w + z, ec.SquaredError())
    y = ec.Mechanism("y", ("w", "x", "z"), lambda w, x, z: 3 * w + x + 2 * z, ec.SquaredError())
    return x + y + ec.GaussianRegularizer(1)


def test_a_query_that_is_no_variable():
    with pytest.raises(EnergyError, match="unknown query 'w'; ask for 'energy' or one of"):
        ec.interventional(world(), do={"x": 1.0}, query="w")


def test_a_query_that_is_held():
    with pytest.raises(EnergyError, match="the query 'x' is itself held; ask for another variable"):
        ec.observational(world(), given={"x": 1.0}, query="x")


def test_a_variable_without_a_law():
    for ask in (
        lambda: ec.interventional(covariate_world(), do={"x": 1.0}),
        lambda: ec.observational(covariate_world(), given={"x": 1.0}),
        lambda: ec.confounding_gap(covariate_world(), x=1.0),
    ):
        with pytest.raises(EnergyError, match=r"'w' has neither a mechanism nor a prior: give data=\{...\}"):
            ask()


def test_too_few_draws():
    with pytest.raises(
        EnergyError, match="draws must be a whole number, at least two for a Monte Carlo error; got 1"
    ):
        ec.interventional(world(), do={"x": 1.0}, draws=1)


def test_what_is_too_unlikely_to_be_seen():
    """With rows the causes cannot be drawn given what is seen: they are weighed."""
    x = ec.Mechanism("x", ("w", "z"), lambda w, z: w + z.sum(-1, keepdim=True), ec.SquaredError(0.01))
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x, ec.SquaredError())
    rows = {"w": [0.0, 1.0], "x": [0.0, 1.0], "y": [0.0, 1.0]}
    with pytest.raises(
        ConvergenceError, match=r"what is seen of \['x'\] is so unlikely that 100 draws are worth"
    ):
        ec.observational(x + y + ec.GaussianRegularizer(3), given={"x": 40.0}, data=rows, draws=100)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_an_inverse_temperature_that_is_not_positive(beta):
    with pytest.raises(ValueError, match="beta is an inverse temperature and must be positive"):
        ec.interventional(world(), do={"x": 1.0}, beta=beta)


def test_a_factor_without_direction():
    stray = world() + ec.energy(lambda y, z: (y * z).sum(-1), y=1, z=1)
    for ask in (
        lambda: ec.interventional(stray, do={"x": 1.0}),
        lambda: ec.observational(stray, given={"x": 1.0}),
        lambda: ec.confounding_gap(stray, x=1.0),
    ):
        with pytest.raises(IdentificationError, match="has no direction"):
            ask()


def tied_roots():
    """x and w have no law of their own; in the rows they go together."""
    rows = torch.linspace(-1, 1, 50, dtype=torch.float64)
    y = ec.Mechanism("y", ("x", "w"), lambda x, w: x + w, ec.SquaredError())
    return ec.Energy([y]), {"x": rows, "w": rows, "y": 2 * rows}


def test_seeing_what_only_rows_tie_to_another_cause():
    """Setting x leaves w as in the rows; what seeing x tells of w was left out without a word."""
    energy, rows = tied_roots()
    done = ec.interventional(energy, do={"x": 1.0}, data=rows, draws=5000)
    assert done.mean.item() == pytest.approx(1.0, abs=1e-9)
    for ask in (
        lambda: ec.observational(energy, given={"x": 1.0}, data=rows),
        lambda: ec.confounding_gap(energy, x=1.0, data=rows),
    ):
        with pytest.raises(IdentificationError, match="what 'x' tells of 'w' only rows of both could say"):
            ask()
    both = ec.observational(energy, given={"x": 1.0, "w": 2.0})
    assert both.mean.item() == pytest.approx(3.0)


def test_one_mechanism_is_an_energy_too():
    y = ec.Mechanism("y", "x", lambda x: 2 * x, ec.SquaredError())
    assert ec.interventional(y, do={"x": 3.0}).mean.item() == 6.0
    assert ec.observational(y, given={"x": 3.0}).mean.item() == 6.0
    assert ec.counterfactual(y, {"x": 1.0, "y": 0.0}, do={"x": 3.0}).mean.item() == pytest.approx(4.0)
    assert list(ec.do(y, x=1.0).variables) == ["y"]


def test_a_variable_that_is_set_already():
    with pytest.raises(EnergyError, match="'x' is set already, by do"):
        ec.interventional(ec.do(world(), x=1.0), do={"x": 2.0})


@pytest.mark.usefixtures("unchecked")
def test_arguments_of_another_kind():
    with pytest.raises(EnergyError, match="values are given by name"):
        ec.interventional(world(), do=1.0)
    with pytest.raises(EnergyError, match="values are given by name"):
        ec.observational(world(), given=[1.0])
    with pytest.raises(EnergyError, match="a query is a variable's name, 'energy' or a function"):
        ec.interventional(world(), do={"x": 1.0}, query=3)
    with pytest.raises(EnergyError, match="query max does not tell the names of its arguments"):
        ec.interventional(world(), do={"x": 1.0}, query=max)
    with pytest.raises(EnergyError, match="policy of 'x' does not tell the names of its arguments"):
        ec.interventional(world(), do={"x": max})
    with pytest.raises(EnergyError, match="draws must be a whole number"):
        ec.interventional(world(), do={"x": 1.0}, draws=math.nan)
    with pytest.raises(ArgumentError, match="seed must be a whole number"):
        ec.interventional(world(), do={"x": 1.0}, seed=None)


def test_what_is_set_but_causes_nothing_that_is_asked_for():
    zero = "no directed path leads from 'y' to 'x': the effect is zero."
    assert ec.interventional(world(), do={"y": 1.0}, query="x", draws=10).warnings == (zero,)
    assert ec.counterfactual(world(), {"x": 1.0, "y": 1.0}, {"y": 0.0}, "x", draws=10).warnings == (zero,)
    assert ec.interventional(world(), do={"x": 1.0}, query=lambda y: y, draws=10).warnings == ()
