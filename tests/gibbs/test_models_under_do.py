"""Predictive under do gives the interventional mean, whatever the cost: mechanisms are sites, never bare factors."""

import math

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import Predictive

import ebm_causal as ec

F64 = torch.float64
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
DRAWS = 1000


def averaged(function):
    """The mean of a function of a standard normal z."""
    return float((WEIGHTS / WEIGHTS.sum() * function(NODES)).sum())


def one_sided(prediction, value):
    """A bare callable: an exponential tail to the right, a normal one to the left; mean by a ratio of integrals."""
    error = (value - prediction).sum(-1)
    return torch.where(error > 0, error, 0.5 * error**2)


LEAN = (1 - 1) / (1 + math.sqrt(math.pi / 2))  # the integrals of e times each tail cancel: 1 and -1

CASES = {
    "SquaredError": (ec.SquaredError(), 1.0),
    "StudentT": (ec.StudentTCost(degrees_of_freedom=5.0), 1.0),
    "Huber": (ec.HuberCost(), 1.0),
    "Bernoulli": (ec.BernoulliCost(), averaged(lambda z: 1 / (1 + np.exp(-(1 + 0.5 * z))))),
    "Poisson": (ec.PoissonCost(), math.exp(1 + 0.125)),
    "a callable": (one_sided, 1.0 + LEAN),
}


def confounded(cost):
    """x = z + noise; the prediction of y is x + z / 2. Under do(x = 1) it is 1 + z / 2, z standard normal."""
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 0.5 * z, cost)
    return x + y + ec.GaussianRegularizer(1)


@pytest.fixture(autouse=True)
def _fresh_store():
    with pyro.get_param_store().scope():
        yield


@pytest.mark.parametrize("name", CASES)
def test_predictive_under_do_is_the_interventional_mean(name):
    cost, known = CASES[name]
    model = ec.pyro_model(confounded(cost), rows=DRAWS)
    done = pyro.do(model, data={"x": torch.ones(1, 1, dtype=F64)})
    pyro.set_rng_seed(0)
    y = Predictive(done, num_samples=1)()["y"].flatten()
    assert len(y) == DRAWS
    assert y.mean().item() == pytest.approx(known, abs=5 * y.std().item() / math.sqrt(DRAWS))


@pytest.mark.parametrize("name", CASES)
def test_no_site_is_a_bare_factor(name):
    trace = pyro.poutine.trace(ec.pyro_model(confounded(CASES[name][0]), rows=3)).get_trace()
    drawn = {site for site, node in trace.nodes.items() if node["type"] == "sample" and site != "rows"}
    assert drawn == {"x", "y", "z"}
    assert not any(trace.nodes[site]["is_observed"] for site in drawn)


def test_seen_and_done_differ_where_z_moves_both():
    """Given x = 1, z has mean 1/2, so that y has 1.25 where it has 1 under do."""
    x = torch.ones(DRAWS, 1, dtype=F64)
    pyro.set_rng_seed(0)
    trace = pyro.poutine.trace(ec.pyro_model(confounded(ec.SquaredError()))).get_trace(x=x)
    trace.compute_log_prob()
    weights = torch.softmax(trace.nodes["x"]["log_prob"], 0)
    assert (weights * trace.nodes["y"]["value"].flatten()).sum().item() == pytest.approx(1.25, abs=0.15)


def test_replicas_of_a_model_in_a_plate_of_samples():
    """Predictive in parallel puts a plate of its own to the left."""
    model = ec.pyro_model(confounded(ec.SquaredError()), rows=5)
    assert Predictive(model, num_samples=7, parallel=True)()["y"].shape == (7, 5, 1)


def test_a_callable_cost_in_parallel():
    model = ec.pyro_model(confounded(one_sided), rows=3)
    assert Predictive(model, num_samples=2, parallel=True)()["y"].shape == (2, 3, 1)
