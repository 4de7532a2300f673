"""Arguments of a wrong type or out of range, for fits and Pyro models: refused by name, never by torch."""

import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import EbmCausalError

pytestmark = pytest.mark.usefixtures("unchecked")
WHOLE = [1.5, "a", (), {}, math.nan, True, 1j]
WRONG = {
    "method": ([[], {}, 3, None], "method must be 'svi', 'mcmc' or 'map'"),
    "latents": ([None, 3, 1j, (3,)], "given by name"),
    "fixed": ([None, 3, (3,)], "given by name"),
    "priors": ([3, "a", [1], {"offset": 3}, {"offset": torch.distributions.Normal}], "distribution"),
    "steps": (WHOLE, "steps must be a whole number"),
    "chains": ([*WHOLE, None], "chains must be a whole number"),
    "draws": ([*WHOLE, None], "draws must be a whole number"),
    "warmup": ([*WHOLE, None], "warmup must be a whole number"),
    "learning_rate": ([0, -1, "a", None, math.nan], "learning_rate must be positive and finite"),
    "seed": (["a", None, 1.5, 2**70], "seed must be a whole number of up to 64 bits"),
    "progress": ([3, "a"], "progress must be callable"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("method", ["svi", "mcmc", "map"])
def test_arguments_of_fits(method, name):
    energy = ec.LinearGaussianEnergy(torch.ones(2, 1), offset=torch.zeros(2), scale=0.5)
    wrong, message = WRONG[name]
    for value in wrong:
        with pytest.raises(EbmCausalError, match=message):
            ec.fit(energy, {"y": torch.zeros(5, 2)}, **{"method": method, name: value})


def test_arguments_of_pyro_models():
    energy = ec.GaussianRegularizer(1) + ec.Mechanism("y", "z", lambda z: z, ec.SquaredError())
    for value in (None, 3, "a", {}):
        with pytest.raises(EbmCausalError, match="an energy is made by ec.energy"):
            ec.pyro_model(value)
    for value in (0, -1, 1.5, "a", True, []):
        with pytest.raises(EbmCausalError, match="rows must be"):
            ec.pyro_model(energy, rows=value)
