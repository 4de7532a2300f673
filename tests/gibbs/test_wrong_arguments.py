"""Arguments of a wrong type or out of range, for every function of a Gibbs law: refused by name, never by torch."""

import inspect
import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ConvergenceError, EbmCausalError, EnergyError

pytestmark = pytest.mark.usefixtures("unchecked")
F64 = torch.float64
ENERGY = ec.energy(lambda y, z: ((y - z) ** 2).sum(-1) + 0.5 * (z**2).sum(-1), y=1, z=1)
GIVEN = {"y": torch.zeros(2, 1, dtype=F64)}
FUNCTIONS = (ec.free_energy, ec.log_partition, ec.thermodynamics, ec.minimize, ec.GibbsDensity)
NO_NAMES = [3, None, (3,), (), "w", ("z", "z")]
NO_VALUES = [
    5, "a", [1], {"y": "a"}, {"y": None}, {"y": [["a"]]}, {3: 1.0}, {"y": torch.zeros(2, 1) * 1j},
    {"y": torch.zeros(0, 1)},
]  # fmt: skip
WRONG = {
    "energy": ([None, 3, lambda z: z], "an energy is made by ec.energy"),
    "over": (NO_NAMES, "given by name|neither in over|unknown variable|twice|names none|over"),
    "given": (NO_VALUES, "given by name|numeric|unknown variable|complex|no rows"),
    "beta": ([None, "a", math.nan, -1, True, [1, "a"], 1j, [1.0, math.nan], {}], "beta|schedule|numeric"),
    "seed": (["a", None, 1.5, 2**70, True], "seed must be a whole number of up to 64 bits"),
    "method": ([7, None, "magic"], "method must be one of"),
    "draws": ([1.5, "a", 10], "draws must be"),
    "starts": ([2.5, None, 0, "8"], "starts must be"),
    "modes": ([1.5, None, 0], "modes must be"),
    "progress": ([3], "progress must be callable"),
    "schedule": ([3, "a", [1], [2, 1]], "schedule|numeric|beta must rise"),
    "proposal": ([3, "normal"], "a proposal must be a Pyro distribution"),
}
BESIDE = {"proposal": {"method": "importance"}, "schedule": {"method": "annealing"}}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_arguments(function, name):
    known = inspect.signature(function).parameters
    wrong, message = WRONG[name]
    for value in wrong if name in known else []:
        options = {"energy": ENERGY, "over": "z", "given": GIVEN, **BESIDE.get(name, {}), name: value}
        with pytest.raises(EbmCausalError, match=message):
            function(**options)


@pytest.mark.parametrize("method", ["log_prob", "score", "normalized_log_prob"])
def test_values_that_no_density_weighs(method):
    density = ec.GibbsDensity(ENERGY, over="z", given=GIVEN)
    for value in (3, "a", None, torch.ones(2, 1) * 1j):
        with pytest.raises(EnergyError, match=r"a value of \['z'\] must be a floating tensor"):
            getattr(density, method)(value)
    for value in (torch.ones(3, 2), torch.ones(5, 1), torch.tensor(1.0)):
        with pytest.raises(EnergyError, match=r"a value of \['z'\] must be \[..., 2, 1\]; got"):
            getattr(density, method)(value)


@pytest.mark.parametrize("shape", ["a", (2.5,), (-1,), 2.5])
def test_numbers_of_draws(shape):
    with pytest.raises(EbmCausalError, match="each size of a sample must be"):
        ec.GibbsDensity(ENERGY, over="z", given=GIVEN).sample(shape)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_an_energy_that_is_nan_on_a_part_of_the_line(dim):
    energy = ec.energy(lambda z: (z - z.log()).sum(-1), z=dim)
    for function in (ec.log_partition, ec.free_energy, ec.minimize):
        with pytest.raises(
            EnergyError, match=r"is NaN at some values of \['z'\], as at .* in row 0: state the"
        ):
            function(energy, over="z")
    positive = ec.energy(
        lambda z: (z - z.log()).sum(-1), z=ec.Variable(1, torch.distributions.constraints.positive)
    )
    assert float(ec.log_partition(positive, over="z").value) == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_an_energy_of_a_single_precision_that_is_nan_everywhere(dim):
    energy = ec.energy(lambda z: (z * math.nan).sum(-1), z=dim)
    for function in (ec.log_partition, ec.minimize, ec.sample):
        with pytest.raises(ConvergenceError, match=r"not finite in rows \[0\]: it is NaN at every value"):
            function(energy, over="z")


@pytest.mark.parametrize("function", [ec.free_energy, ec.minimize, ec.sample])
def test_an_energy_that_mixes_rows(function):
    energy = ec.energy(lambda y, z: ((y - y.mean(0) - z) ** 2).sum(-1) + (z**2).sum(-1), y=1, z=1)
    with pytest.raises(
        EnergyError, match=r"of row 0, at the same values of \['z'\], is another beside other rows"
    ):
        function(energy, over="z", given={"y": [[1.0], [2.0], [4.0]]})


def test_a_partition_function_of_weights_that_are_no_numbers():
    energy = ec.LinearGaussianEnergy(torch.full((1, 1), math.nan, dtype=F64))
    with pytest.raises(ConvergenceError, match="its parameters are not finite"):
        ec.log_partition(energy, over=("y", "z"))


def test_energies_of_whole_numbers_and_of_truth_values():
    z = ec.Variable(1, ec.finite([-1, 0, 2]))
    whole = ec.energy(lambda z: (z**2).sum(-1).long(), z=z)
    truth = ec.energy(lambda z: z.squeeze(-1) > 0, z=z)
    assert ec.minimize(whole, over="z").values["z"].item() == 0.0
    assert ec.minimize(truth, over="z").energy.item() == 0.0
    log_z = math.log(1 + math.exp(-1) + math.exp(-4))
    assert float(ec.log_partition(whole, over="z").value) == pytest.approx(log_z, rel=1e-12)
    steps = ec.energy(lambda z: z.round().long().abs().sum(-1), z=2)
    found = ec.minimize(steps, over="z")
    assert (found.energy.item(), found.converged.item()) == (0.0, True)
    bound = ec.energy(
        lambda k: (k - 3).abs().sum(-1),
        k=ec.Variable(2, torch.distributions.constraints.integer_interval(0, 9)),
    )
    assert ec.minimize(bound, over="k").values["k"].tolist() == [[3.0, 3.0]]
