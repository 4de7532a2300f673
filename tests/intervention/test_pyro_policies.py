"""Policies in Pyro models of one's own, and what is refused by name."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError


def linear():
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    x = pyro.sample("x", dist.Normal(z, 1.0))
    return pyro.sample("y", dist.Normal(x + 2 * z, 1.0))


def mixed():
    """A truth value, a class, and a plate of the model's own."""
    t = pyro.sample("t", dist.Bernoulli(0.5))
    k = pyro.sample("k", dist.Categorical(torch.tensor([0.2, 0.3, 0.5])))
    width = pyro.sample("w", dist.Uniform(0.0, 1.0 + t))
    with pyro.plate("two", 2):
        pyro.sample("y", dist.Normal(t + k + width, 1.0))


def energy():
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
    return x + y + ec.GaussianRegularizer(1)


POLICIES = {
    "rule": lambda z: 2 * z + 1,
    "shift": lambda x: x + 1,
    "both": lambda x, z: torch.where(z > 0, x, 0 * x),
    "constant": lambda z: torch.tensor(3.0),
}


@pytest.mark.parametrize("name", ["rule", "shift", "both"])
@pytest.mark.parametrize("query", ["y", "x", "z", lambda x, y: x * y])
def test_a_policy_does_the_same_in_a_model_and_in_its_energy(name, query):
    do = {"x": POLICIES[name]}
    ours, theirs = ec.interventional(energy(), do, query), ec.interventional(linear, do, query)
    error = (ours.standard_error**2 + theirs.standard_error**2).sqrt()
    assert ((ours.mean - theirs.mean).abs() <= 4.5 * error).all()


def test_a_policy_that_sets_one_number_is_that_number():
    led = ec.interventional(linear, {"x": POLICIES["constant"]})
    done = ec.interventional(linear, {"x": 3.0})
    assert torch.equal(led.values, done.values)
    both = ec.interventional(linear, {"z": 1.5, "x": lambda z: 2 * z}, draws=50)
    assert torch.equal(both.values, ec.interventional(linear, {"z": 1.5, "x": 3.0}, draws=50).values)


def test_the_energy_leaves_out_the_law_of_what_follows_a_policy():
    """-log p(z) - log p(y | x, z): a half each beside the logs of the normalizers."""
    found = ec.interventional(linear, {"x": lambda z: 2 * z}, query="energy")
    assert found.mean.item() == pytest.approx(1 + math.log(2 * math.pi), abs=4 * found.standard_error.item())


def test_policies_on_truth_values_classes_and_plates():
    found = ec.interventional(
        mixed, {"t": lambda t: 1 - t, "k": lambda t: 2 * t}, query=lambda t, k: k - 2 * t
    )
    assert found.values.unique().tolist() == [0.0]
    moved = ec.interventional(mixed, {"y": lambda y: y + 10})
    plain = ec.interventional(mixed, {}, query="y")
    assert torch.allclose(moved.values, plain.values + 10)


def test_rules_that_do_not_fit_are_refused_by_name():
    law = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    for do, message in (
        ({"x": lambda w: w}, "policy of 'x' takes 'w', which is no site"),
        ({"x": lambda y: y}, "policy of 'x' looks at 'y', which the model draws after 'x'"),
        ({"x": lambda z: 3}, "policy of 'x' must give .* got int"),
        ({"x": lambda z: z[:5]}, "policy of 'x' must give .* got .5"),
        ({"x": lambda z: z / 0}, "'x' is not finite"),
        ({"x": max}, "policy of 'x' does not tell the names of its arguments"),
        ({"x": law}, "a new law of 'x' is written into the Pyro model"),
    ):
        with pytest.raises(EnergyError, match=message):
            ec.interventional(linear, do)
    with pytest.raises(EnergyError, match="'x' must be numeric; got function"):
        ec.observational(linear, {"x": lambda z: z})


def test_values_outside_a_support_are_refused_by_name():
    for do in ({"t": 0.5}, {"t": lambda t: t + 0.5}):
        with pytest.raises(EnergyError, match="'t' must be in its support, Boolean"):
            ec.interventional(mixed, do)
    with pytest.raises(EnergyError, match="'k' must be in its support"):
        ec.interventional(mixed, {"k": 3.0})
    assert ec.interventional(mixed, {"w": 1.5}).mean.isfinite().all()  # that of w depends on t


@pytest.mark.usefixtures("unchecked")
def test_arguments_of_another_kind():
    for wrong in (None, 1.0, [1.0]):
        with pytest.raises(EnergyError, match="values are given by name"):
            ec.interventional(linear, wrong)
        with pytest.raises(EnergyError, match="values are given by name"):
            ec.observational(linear, wrong)
    for wrong in (None, 3):
        with pytest.raises(EnergyError, match="a query is a site's name, 'energy' or a function of sites"):
            ec.interventional(linear, {"x": 1.0}, wrong)
    with pytest.raises(EnergyError, match="query max does not tell the names of its arguments"):
        ec.interventional(linear, {"x": 1.0}, max)
    for wrong in (None, 2.5, "9", True, 1):
        with pytest.raises(EnergyError, match="draws must be a whole number, at least two"):
            ec.interventional(linear, {"x": 1.0}, draws=wrong)
    for wrong in (None, 0.5, "a"):
        with pytest.raises(ArgumentError, match="seed must be a whole number"):
            ec.confounding_gap(linear, x=1.0, seed=wrong)
    for wrong in (2.0, "a", None, torch.ones(2)):
        with pytest.raises(ArgumentError, match="data= and beta= are for energies"):
            ec.interventional(linear, {"x": 1.0}, beta=wrong)
    with pytest.raises(EnergyError, match="'x' has no rows"):
        ec.interventional(linear, {"x": torch.zeros(0)})
    with pytest.raises(ArgumentError, match="the model must run without arguments .*'scale'"):
        ec.interventional(lambda scale: linear(), {"x": 1.0})
    with pytest.raises(EnergyError, match="an energy or a Pyro model is needed; got int"):
        ec.interventional(3, {"x": 1.0})
