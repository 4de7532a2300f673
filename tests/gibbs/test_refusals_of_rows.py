"""What used to pass in silence or end in an error of torch: no rows, doubled names, lone factors, NaN weights."""

import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ConvergenceError, EnergyError

F64 = torch.float64


def quadratic():
    return ec.energy(lambda y, z: (0.5 * (y - z) ** 2 + 0.5 * z**2).sum(-1), y=1, z=1)


@pytest.mark.parametrize("function", [ec.free_energy, ec.minimize, ec.sample, ec.thermodynamics])
def test_no_rows(function):
    with pytest.raises(EnergyError, match="'y' has no rows: give at least one"):
        function(quadratic(), over="z", given={"y": torch.ones(0, 1, dtype=F64)})


@pytest.mark.parametrize("function", [ec.free_energy, ec.minimize, ec.sample, ec.thermodynamics])
def test_a_variable_that_stands_twice_in_over(function):
    with pytest.raises(EnergyError, match=r"'z' stands twice in \['z', 'z'\]"):
        function(quadratic(), over=("z", "z"), given={"y": [[1.0]]})


def test_a_lone_factor_is_an_energy(unchecked):
    mechanism = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError(2.0))
    found = ec.log_partition(mechanism, over="y", given={"z": [[0.3]]})
    assert float(found.value) == pytest.approx(0.5 * math.log(2 * math.pi) + math.log(2), abs=1e-8)
    found = ec.log_partition(ec.GaussianRegularizer(2), over="z")
    assert float(found.value) == pytest.approx(math.log(2 * math.pi), abs=1e-8)
    assert float(ec.minimize(mechanism, over="y", given={"z": [[0.3]]}).values["y"]) == pytest.approx(0.3)


def test_what_is_no_energy(unchecked):
    with pytest.raises(EnergyError, match=r"made by ec.energy\(function, x=1, ...\).* got function"):
        ec.free_energy(lambda z: z, over="z")


def test_closed_forms_of_weights_that_are_no_numbers():
    for weight in (math.nan, 1e200):
        energy = ec.LinearGaussianEnergy(torch.tensor([[weight]], dtype=F64))
        with pytest.raises(ConvergenceError, match="its parameters are not finite"):
            ec.free_energy(energy, given={"y": [[1.0]]})


def test_inputs_of_closed_forms():
    row = torch.ones(1, 1, dtype=F64)
    alone, driven = ec.LinearGaussianEnergy(row), ec.LinearGaussianEnergy(row, row)
    with pytest.raises(EnergyError, match="this energy has no x: leave it out"):
        alone.free_energy(row, row)
    with pytest.raises(EnergyError, match="this energy has an x: give it too"):
        driven.free_energy(row)
    with pytest.raises(EnergyError, match=r"y must be \[..., 1\]; got \[1, 3\]"):
        alone.minimum(torch.ones(1, 3, dtype=F64))


def test_one_logit_for_three_classes():
    energy = ec.Mechanism("k", "z", lambda z: 5 * z, ec.CategoricalCost(3)) + ec.GaussianRegularizer(1)
    with pytest.raises(EnergyError, match=r"the decoder of 'k' must give \[..., 3\]; got \[1, 1\]"):
        energy(k=[[1.0]], z=[[2.0]])
