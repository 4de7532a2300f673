"""What information cannot be asked about, and how it is said."""

import pytest
import torch
from torch import nn
from uncertainty.latent_line import linear, mechanism, number

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError

F64 = torch.float64


class Net(nn.Module):
    def __init__(self, activation):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(2, 3), activation, nn.Linear(3, 1)).double()

    def forward(self, x):
        return self.layers(x)


X = torch.randn(7, 2, generator=torch.Generator().manual_seed(0), dtype=F64)


def test_variables_and_parameters_at_once():
    with pytest.raises(ArgumentError, match="wrt mixes the variable 'y' with 'w'"):
        linear(("y", "w"))


def test_a_latent_that_is_integrated_out():
    with pytest.raises(ArgumentError, match="'z' must be in over, or in given"):
        linear("z")


def test_the_location_of_a_finite_variable():
    energy = ec.energy(lambda a, b: -(a * b).sum(-1), a=ec.Variable(1, ec.finite([-1, 1])), b=1)
    with pytest.raises(ArgumentError, match="'a' is not a real vector"):
        ec.fisher_information(energy, "a", "a", {"b": [[1.0]]})


def test_gauss_newton_where_it_does_not_serve():
    with pytest.raises(ArgumentError, match="that of parameters of mechanisms"):
        linear("w", kind="ggn")
    with pytest.raises(ArgumentError, match=r"of an energy with latents needs data=\{...\}"):
        ec.fisher_information(mechanism(), "input_weight", given={"x": [[3.0]]}, kind="ggn")
    scaled = ec.Mechanism("y", "x", Net(nn.Tanh()), ec.SquaredError(number(0.5)))
    with pytest.raises(EnergyError, match=r"no prediction of \['y'\] depends on '.*'"):
        ec.fisher_information(ec.Energy([scaled]), given={"x": X}, kind="ggn")
    heavy = ec.Mechanism("y", "x", Net(nn.Tanh()), ec.StudentTCost())
    with pytest.raises(ArgumentError, match="curvature of the cost of 'y' depends on its value"):
        ec.fisher_information(ec.Energy([heavy]), given={"x": X}, kind="ggn")


def test_data_and_rows_and_draws_where_they_do_not_fit():
    with pytest.raises(ArgumentError, match=r"the opg information needs data=\{...\}"):
        linear("w", kind="opg")
    with pytest.raises(ArgumentError, match="draws serve the latents of energies of mechanisms"):
        linear("w", kind="observed", data={"y": [[1.0]]}, draws=10)
