"""Latents of more dimensions than a lattice serves: information by draws, and what is refused."""

import pytest
import torch

import ebm_causal as ec
import ebm_causal.uncertainty.latent_draws as latent_draws_module
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.uncertainty import fisher_operator

F64 = torch.float64
WEIGHT = torch.tensor([[0.5, -0.3, 0.8, 0.2]], dtype=F64)
GIVEN = {"x": [[3.0], [1.0]]}
VARIANCE = 0.49 + float((WEIGHT**2).sum())  # y | x ~ N(2 x, s^2 + |W|^2)


def wide():
    return ec.LinearGaussianEnergy(WEIGHT.clone(), torch.full((1, 1), 2.0, dtype=F64), scale=0.7)


def test_expected_information_of_four_latents_within_its_standard_error():
    found = ec.fisher_information(wide(), "input_weight", given=GIVEN, draws=300, seed=1)
    assert abs(found.matrix.item() - 10 / VARIANCE) < 4 * found.standard_error.item()
    assert found.standard_error.item() < 0.2 * found.matrix.item()
    assert found.complete.item() == pytest.approx(10 / 0.49, rel=0.1)
    assert torch.allclose(found.complete - found.missing, found.matrix)


def test_what_only_noise_tells_about_is_not_identified():
    """Slope and variance are: four weights and a scale move the variance alone."""
    found = ec.fisher_information(wide(), given=GIVEN, draws=200)
    assert found.rank == 2
    assert len(found.unidentified) == 4
    assert found.cramer_rao is None


def test_data_and_operators_say_what_serves():
    with pytest.raises(EnergyError, match=r"\['z'\] have 4 real dimensions.*give draws=\.\.\. to draw them"):
        ec.fisher_information(wide(), given=GIVEN, kind="observed", data={"y": [[1.0], [2.0]]})
    with pytest.raises(EnergyError, match="4 real dimensions.*take fisher_information"):
        fisher_operator(wide(), given=GIVEN)


def test_a_cause_of_what_is_given_that_no_lattice_integrates_out():
    weight = torch.ones(1, 3, dtype=F64)

    class Sum(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(weight.clone())

        def forward(self, z, x=None):
            return z @ self.weight.mT if x is None else z @ self.weight.mT + x

    energy = (
        ec.Mechanism("x", "z", Sum(), ec.SquaredError(1.0))
        + ec.Mechanism("y", ("x", "z"), Sum(), ec.SquaredError(1.0))
        + ec.GaussianRegularizer(3)
    )
    with pytest.raises(EnergyError, match=r"'z'.* have 3"):
        ec.fisher_information(energy, given={"x": [[1.0]]}, draws=10)
    with pytest.raises(EnergyError, match=r"density of what is given, \['x'\].* Put it into over"):
        ec.fisher_information(energy, given={"x": [[1.0]]}, kind="opg", data={"y": [[1.0]]}, draws=100)
    joint = ec.fisher_information(energy, over=("x", "y"), draws=50)
    assert joint.matrix.shape == (6, 6)


def test_latents_of_simulated_rows_that_do_not_mix(monkeypatch):
    class Bad:
        ok, warnings = False, ("it did not mix.",)

    posterior = type("Stub", (), {"diagnostics": Bad(), "values": {}})()
    monkeypatch.setattr(latent_draws_module, "sample", lambda *_, **__: posterior)
    with pytest.raises(ConvergenceError, match=r"posterior of \['z'\] has not converged: it did not mix"):
        ec.fisher_information(wide(), given=GIVEN, draws=10)


def test_progress_is_told_by_what_is_drawn(unchecked):
    told = []
    ec.fisher_information(
        ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64), torch.ones(1, 1, dtype=F64)),
        given=GIVEN, draws=30, beta=[0.5, 1.0], progress=lambda *step: told.append(step),
    )  # fmt: skip
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len({text for _, text in told}) >= 2
    with pytest.raises(ArgumentError, match="progress must be callable; got 3"):
        ec.fisher_information(wide(), given=GIVEN, draws=10, progress=3)
