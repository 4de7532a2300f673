import math

import pytest
import torch
from uncertainty.latent_line import Linear, linear, number

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError

F64 = torch.float64


def test_names_that_are_no_parameters():
    with pytest.raises(
        ArgumentError, match=r"'q' is not a parameter; the energy's parameters are \['w', 'v'"
    ):
        linear("q")


def test_a_parameter_that_is_not_used():
    class Idle(Linear):
        def __init__(self):
            super().__init__()
            self.idle = number(1.0)

    energy = ec.energy(Idle(), x=1, y=1, z=1)
    for options in ({}, {"kind": "observed", "data": {"y": [[1.0]]}}):
        with pytest.raises(
            EnergyError, match="the energy does not use 'idle': there is no information about it"
        ):
            ec.fisher_information(energy, given={"x": [[3.0]]}, **options)


def test_an_energy_without_parameters():
    energy = ec.energy(lambda y: (y**2).sum(-1), y=1)
    with pytest.raises(ArgumentError, match="the energy has no free parameters"):
        ec.fisher_information(energy)


def test_observed_without_data():
    with pytest.raises(ArgumentError, match=r"the observed information needs data=\{...\}"):
        linear("w", kind="observed")


def test_kinds_that_are_unknown(unchecked):
    with pytest.raises(ArgumentError, match=r"kind must be one of \['expected', .*; got 'magic'"):
        linear("w", kind="magic")


def test_beta_where_it_is_not_served():
    with pytest.raises(ArgumentError, match="beta is served by kind='expected'"):
        linear(("w", "beta"), kind="observed", data={"y": [[1.0]]})


def test_draws_where_they_do_not_serve():
    with pytest.raises(ArgumentError, match="draws serve energies of mechanisms"):
        linear("w", draws=10)
    energy = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64))
    with pytest.raises(ArgumentError, match="draws must be at least 1; got 0"):
        ec.fisher_information(energy, draws=0)


def test_an_outcome_of_three_dimensions():
    energy = ec.LinearGaussianEnergy(torch.ones(3, 1, dtype=F64))
    with pytest.raises(
        EnergyError, match=r"needs one or two real dimensions .*give draws=... to simulate it"
    ):
        ec.fisher_information(energy)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_an_inverse_temperature_that_is_not_positive(beta):
    energy = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64))
    with pytest.raises(ArgumentError, match="beta is an inverse temperature and must be positive"):
        ec.fisher_information(energy, beta=beta)
