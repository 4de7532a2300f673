"""A class under do, as treatment and as effect: energy, Pyro model and Predictive agree with quadrature."""

import numpy as np
import pyro
import pytest
import torch
from pyro.infer import Predictive

import ebm_causal as ec
from ebm_causal.errors import EnergyError

F64 = torch.float64
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)


def logits(z):
    return torch.cat([0 * z, z, 2 * z - 1], -1)


def classes():
    """k, one of three classes, and y = k^2 + 2 z + noise; z moves both."""
    k = ec.Mechanism("k", "z", logits, ec.CategoricalCost())
    return (
        k
        + ec.Mechanism("y", ("k", "z"), lambda k, z: k**2 + 2 * z, ec.SquaredError())
        + ec.GaussianRegularizer(1)
    )


def chances():
    """P(k | z) at the nodes of z's law, ``[nodes, 3]``, and the weights of the nodes."""
    return logits(torch.tensor(NODES)[:, None]).softmax(-1).numpy(), WEIGHTS / WEIGHTS.sum()


@pytest.fixture(autouse=True)
def _fresh_store():
    with pyro.get_param_store().scope():
        yield


def test_setting_a_class_and_seeing_it():
    chance, weight = chances()
    slopes = (weight @ (chance * NODES[:, None])) / (weight @ chance)
    settings = {"k": [0.0, 1.0, 2.0]}
    for world in (classes(), ec.pyro_model(classes())):
        done = ec.interventional(world, settings)
        seen = ec.observational(world, settings)
        for found, known in ((done, [0, 1, 4]), (seen, np.array([0, 1, 4]) + 2 * slopes)):
            error = 4 * found.standard_error.flatten() + 1e-9
            assert ((found.mean.flatten() - torch.as_tensor(known)).abs() <= error).all()


def test_predictive_under_do_of_a_class():
    for value in (0.0, 2.0):
        done = pyro.do(ec.pyro_model(classes(), rows=2000), data={"k": torch.full((1, 1), value, dtype=F64)})
        pyro.set_rng_seed(1)
        y = Predictive(done, num_samples=1)()["y"].flatten()
        assert y.mean().item() == pytest.approx(value**2, abs=4 * y.std().item() / len(y) ** 0.5)


def test_a_class_keeps_its_law_where_its_effect_is_set():
    chance, weight = chances()
    known = weight @ chance @ np.arange(3)
    for world in (classes(), ec.pyro_model(classes())):
        found = ec.interventional(world, {"y": 2.0}, query="k")
        assert found.mean.item() == pytest.approx(known, abs=4 * found.standard_error.item() + 1e-9)


def test_a_class_that_is_none_is_refused():
    for world in (classes(), ec.pyro_model(classes())):
        with pytest.raises(ec.errors.EnergyError, match="'k' must be in its support"):
            ec.interventional(world, {"k": 1.5})


@pytest.mark.parametrize(
    "ask",
    [
        lambda energy: ec.do(energy, k=3.0),
        lambda energy: ec.interventional(energy, do={"k": [0.0, 3.0]}),
        lambda energy: ec.observational(energy, given={"k": 3.0}),
        lambda energy: ec.counterfactual(energy, {"k": 1.0, "y": 1.0}, do={"k": 7.0}),
    ],
)
def test_a_class_that_the_decoder_does_not_have_is_refused(ask):
    with pytest.raises(EnergyError, match="'k' cannot be held at its value: a categorical cost of 3 classes"):
        ask(classes())
