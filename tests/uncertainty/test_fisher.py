"""MATH.md section 9: every known answer, exact and simulated, and what is refused."""

import math

import pytest
import torch
from torch import nn
from uncertainty.latent_line import Ising, linear, mixture, number

import ebm_causal as ec
from ebm_causal.energies import Strength, confounded_energy

F64 = torch.float64


# E = s (y - w x - v z)^2 / 2 + tau z^2 / 2 at w = 2, v = .5, s = 2, tau = 1, beta = 1.5, x = 3.


def test_the_slope_of_a_linear_energy_is_complete_minus_missing():
    found = linear("w")
    assert found.matrix.item() == pytest.approx(18, rel=1e-8)
    assert found.complete.item() == pytest.approx(27, rel=1e-8)
    assert found.missing.item() == pytest.approx(9, rel=1e-8)
    assert found.cramer_rao.item() == pytest.approx(1 / 18, rel=1e-8)
    assert found.names == ("w",)


def test_four_parameters_of_one_variance_have_rank_one():
    found = linear(("v", "s", "tau", "beta"))
    assert found.rank == 1
    assert len(found.unidentified) == 3
    assert found.cramer_rao is None
    assert found.names == ("v", "s", "tau", "beta")


def test_all_five_parameters_have_rank_two():
    found = linear(("w", "v", "s", "tau", "beta"))
    assert found.rank == 2
    assert len(found.unidentified) == 3
    assert found.smallest_eigenvalue == pytest.approx(0, abs=1e-6)
    for direction in found.unidentified:
        assert sum(weight**2 for weight in direction.weights.values()) == pytest.approx(1)
        assert direction.weights["w"] == pytest.approx(0, abs=1e-6)


def test_the_variance_s_derivatives_give_the_rank_one_matrix():
    """S = 1/(beta s) + v^2/(beta tau); I = (dS)(dS)' / (2 S^2)."""
    v, s, tau, beta, S = 0.5, 2.0, 1.0, 1.5, 0.5
    slopes = torch.tensor(
        [2 * v / (beta * tau), -1 / (beta * s**2), -(v**2) / (beta * tau**2), -S / beta], dtype=F64
    )
    known = torch.outer(slopes, slopes) / (2 * S**2)
    assert torch.allclose(linear(("v", "s", "tau", "beta")).matrix, known, atol=1e-8)


def test_the_same_energy_by_mechanisms():
    decoder_weight, slope = torch.full((1, 1), 0.5, dtype=F64), torch.full((1, 1), 2.0, dtype=F64)
    energy = ec.LinearGaussianEnergy(decoder_weight, slope, scale=2**-0.5, regularizer_weight=1.0)
    found = ec.fisher_information(energy, wrt="input_weight", given={"x": [[3.0]]}, beta=1.5)
    assert found.matrix.item() == pytest.approx(18, rel=1e-8)
    assert found.complete.item() == pytest.approx(27, rel=1e-8)
    observed = ec.fisher_information(
        energy, wrt="input_weight", given={"x": [[3.0]]}, kind="observed", data={"y": [[6.4]]}, beta=1.5
    )
    assert observed.matrix.item() == pytest.approx(18, rel=1e-8)
    assert observed.missing.item() == pytest.approx(9, rel=1e-8)


# Logistic regression as a Gibbs density.


class Logistic(nn.Module):
    def __init__(self):
        super().__init__()
        self.theta = number([0.5, 1.0])

    def forward(self, x, y):
        return -(y * (x @ self.theta)[..., None]).sum(-1)


LOGISTIC = {
    1.0: [[0.838404, -0.2439427], [-0.2439427, 1.2611508]],
    2.0: [[1.960901, -0.9139699], [-0.9139699, 1.7963498]],
}
X = torch.stack([torch.ones(5, dtype=F64), torch.arange(-2, 3, dtype=F64)], -1)


@pytest.mark.parametrize(("beta", "known"), LOGISTIC.items())
def test_logistic_regression(beta, known):
    bit = ec.Variable(1, torch.distributions.constraints.boolean)
    energy = ec.energy(Logistic(), x=2, y=bit)
    found = ec.fisher_information(energy, over="y", given={"x": X}, beta=beta)
    assert torch.allclose(found.matrix, torch.tensor(known, dtype=F64), atol=5e-7)
    assert found.names == ("theta[0]", "theta[1]")
    assert found.rank == 2
    probability = torch.sigmoid(beta * X @ torch.tensor([0.5, 1.0], dtype=F64))
    exact = beta**2 * X.mT @ ((probability * (1 - probability))[:, None] * X)
    assert torch.allclose(found.matrix, exact, atol=1e-10)


@pytest.mark.parametrize(("beta", "known"), LOGISTIC.items())
def test_logistic_regression_by_a_mechanism_exact_and_simulated(beta, known):
    theta = number([0.5, 1.0])

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.theta = theta

        def forward(self, x):
            return (x @ self.theta)[..., None]

    y = ec.Mechanism("y", "x", Decoder(), ec.BernoulliCost())
    energy = ec.Energy([y])
    exact = ec.fisher_information(energy, over="y", given={"x": X}, beta=beta)
    assert torch.allclose(exact.matrix, torch.tensor(known, dtype=F64), atol=5e-7)
    simulated = ec.fisher_information(energy, over="y", given={"x": X}, beta=beta, draws=1000)
    assert ((simulated.matrix - exact.matrix).abs() < 5 * simulated.standard_error).all()
    assert simulated.standard_error.max() < 0.2


SPIN = ec.Variable(1, ec.finite([-1, 1]))


def test_two_spins():
    found = ec.fisher_information(ec.energy(Ising(0.5, 0.0), a=SPIN, b=SPIN), wrt="J", over=("a", "b"))
    assert found.matrix.item() == pytest.approx(0.7864477330, abs=5e-11)
    assert found.matrix.item() == pytest.approx(math.cosh(0.5) ** -2, rel=1e-10)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_two_spins_at_other_temperatures(beta):
    found = ec.fisher_information(
        ec.energy(Ising(0.5, 0.0), a=SPIN, b=SPIN), wrt="J", over=("a", "b"), beta=beta
    )
    assert found.matrix.item() == pytest.approx(beta**2 * math.cosh(0.5 * beta) ** -2, rel=1e-10)


def test_two_spins_observed_is_the_curvature_of_the_log_density():
    found = ec.fisher_information(
        ec.energy(Ising(0.5, 0.0), a=SPIN, b=SPIN),
        wrt="J",
        over=("a", "b"),
        kind="observed",
        data={"a": [1.0], "b": [1.0]},
    )
    assert found.matrix.item() == pytest.approx(0.7864477330, abs=5e-11)


# A mixture of two normals, weights 1/2, means 0 and 2, at y = .5.


def test_the_observed_information_of_a_mixture_is_indefinite():
    found = ec.fisher_information(mixture(), kind="observed", data={"y": [0.5]})
    known = torch.tensor([[0.6819056, -0.1474589], [-0.1474589, -0.1734354]], dtype=F64)
    assert torch.allclose(found.matrix, known, atol=5e-8)
    assert found.smallest_eigenvalue < 0
    assert found.rank == 1
    assert found.cramer_rao is None


def test_the_expected_information_of_a_mixture():
    found = ec.fisher_information(mixture())
    known = torch.tensor([[0.321078, -0.0458778], [-0.0458778, 0.321078]], dtype=F64)
    assert torch.allclose(found.matrix, known, atol=5e-7)
    assert torch.allclose(found.complete, 0.5 * torch.eye(2, dtype=F64), atol=1e-8)


# Simulation, rows, and a table's energy.


def test_simulated_information_agrees_within_its_error():
    energy = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64), torch.ones(1, 1, dtype=F64), scale=0.6)
    x = torch.linspace(-1, 1, 8, dtype=F64)[:, None]
    exact = ec.fisher_information(energy, given={"x": x})
    simulated = ec.fisher_information(energy, given={"x": x}, draws=600, seed=1)
    z = (simulated.matrix - exact.matrix).abs() / simulated.standard_error.clamp_min(1e-9)
    assert z.max() < 5


def test_information_adds_over_rows():
    energy = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64), torch.ones(1, 1, dtype=F64))
    rows = [ec.fisher_information(energy, given={"x": [[v]]}).matrix for v in (0.5, 2.0)]
    both = ec.fisher_information(energy, given={"x": [[0.5], [2.0]]}).matrix
    assert torch.allclose(both, rows[0] + rows[1], atol=1e-8)


def test_the_strengths_of_a_hidden_confounder_are_not_identified():
    strength = Strength(treatment=0.2, outcome=0.3)
    energy = confounded_energy(1, binary_treatment=False, strength=strength)
    w = torch.linspace(-1, 1, 6, dtype=F64)[:, None]
    found = ec.fisher_information(energy, over=("t", "y"), given={"w": w})
    assert len(found.names) == 10 - 1
    assert found.rank == len(found.names) - 2
    assert len(found.unidentified) == 2
    for direction in found.unidentified:
        strengths = [weight for name, weight in direction.weights.items() if "strengths" in name]
        assert max(map(abs, strengths)) > 0.05


def test_summary_and_repr():
    found = linear("w")
    assert found.summary().loc["w", "standard_error"] == pytest.approx(18**-0.5)
    assert repr(found).startswith("FisherInformation(expected, rank 1 of 1")
