"""The latent energy of a table: held strengths move the effect by the omitted-variable formula."""

import math

import numpy as np
import pytest
import torch

import ebm_causal as ec
from ebm_causal.energies import Strength, confounded_energy, named_parameters, strengths_of
from ebm_causal.errors import ArgumentError

F64 = torch.float64


@pytest.fixture(scope="module")
def rows():
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(400, 2, generator=generator, dtype=F64)
    noise = torch.randn(2, 400, 1, generator=generator, dtype=F64)
    t = w[:, :1] - 0.5 * w[:, 1:] + noise[0]
    y = 0.7 * t + w[:, :1] + 0.8 * noise[1]
    return {"w": w, "t": t, "y": y}


@pytest.fixture(scope="module")
def least_squares(rows):
    design = torch.cat([rows["t"], torch.ones(400, 1, dtype=F64), rows["w"]], -1).numpy()
    coefficients, residual, *_ = np.linalg.lstsq(design, rows["y"].numpy(), rcond=None)
    dof = 400 - 4
    error = math.sqrt(residual[0] / dof * np.linalg.inv(design.T @ design)[0, 0])
    return float(coefficients[0, 0]), error, dof


def fitted_effect(rows, strength, latent_dim=1):
    energy = confounded_energy(2, binary_treatment=False, strength=strength, latent_dim=latent_dim)
    fixed = [name for name in named_parameters(energy) if "strengths" in name]
    fit = ec.fit(energy, rows, method="map", fixed=fixed)
    assert fit.diagnostics.ok
    return float(fit.energy.factors["y"].decoder.effect.detach())


def bias(least_squares, treatment, outcome):
    _, error, dof = least_squares
    return error * math.sqrt(dof) * math.sqrt(outcome * treatment / (1 - treatment))


def test_without_strength_it_is_least_squares(rows, least_squares):
    found = fitted_effect(rows, Strength(treatment=0.0, outcome=0.0))
    assert found == pytest.approx(least_squares[0], abs=1e-5)


@pytest.mark.parametrize(("treatment", "outcome"), [(0.1, 0.1), (0.3, 0.05), (0.02, 0.4), (0.5, 0.5)])
@pytest.mark.parametrize("alignment", [1.0, -1.0])
def test_strengths_move_the_effect_by_the_omitted_variable_formula(
    rows, least_squares, treatment, outcome, alignment
):
    found = fitted_effect(rows, Strength(treatment=treatment, outcome=outcome, alignment=alignment))
    known = least_squares[0] - alignment * bias(least_squares, treatment, outcome)
    assert found == pytest.approx(known, abs=1e-4)


def test_a_confounder_that_moves_one_side_alone_does_not_bias(rows, least_squares):
    for strength in (Strength(treatment=0.3, outcome=0.0), Strength(treatment=0.0, outcome=0.3)):
        assert fitted_effect(rows, strength) == pytest.approx(least_squares[0], abs=1e-4)


def test_a_second_dimension_of_the_latent_weakens_the_alignment(rows, least_squares):
    """Along the outcome's direction z has variance 1 - a^2 R_D left given the treatment."""
    treatment, outcome, alignment = 0.3, 0.2, 0.5
    found = fitted_effect(
        rows, Strength(treatment=treatment, outcome=outcome, alignment=alignment), latent_dim=2
    )
    left = (1 - treatment) / (1 - treatment * alignment**2)
    known = least_squares[0] - alignment * math.sqrt(left) * bias(least_squares, treatment, outcome)
    assert found == pytest.approx(known, abs=1e-4)


def test_the_held_outcome_strength_is_the_partial_r2_of_the_energy_itself():
    """In draws of the energy, z explains the stated share of what treatment and covariates leave."""
    energy = confounded_energy(0, binary_treatment=False, strength=Strength(treatment=0.3, outcome=0.2))
    z = torch.randn(200_000, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    generator = torch.Generator().manual_seed(1)
    t = energy.factors["t"].sample({"z": z}, 1.0, generator).detach()
    y = energy.factors["y"].sample({"z": z, "t": t}, 1.0, generator).detach()
    assert torch.corrcoef(torch.cat([t, z], -1).T)[0, 1].item() ** 2 == pytest.approx(0.3, abs=0.01)

    def left(value):
        return value - t * (t * value).mean() / (t * t).mean()

    partial = (left(y) * left(z)).mean() ** 2 / (left(y).square().mean() * left(z).square().mean())
    assert partial.item() == pytest.approx(0.2, abs=0.01)


def test_a_binary_treatment_with_a_heavy_tailed_outcome_is_an_energy_of_its_rows():
    energy = confounded_energy(
        3, binary_treatment=True, tail="heavy", strength=Strength(treatment=0.1, outcome=0.1)
    )
    assert sorted(energy.graph.edges) == sorted([("w", "t"), ("z", "t"), ("w", "y"), ("t", "y"), ("z", "y")])
    values = {
        "w": torch.zeros(4, 3, dtype=F64),
        "t": torch.ones(4, 1, dtype=F64),
        "y": torch.ones(4, 1, dtype=F64),
    }
    assert energy(**values, z=torch.zeros(4, 1, dtype=F64)).shape == (4,)
    assert energy.variables["w"].dim == 3


def test_no_covariates_and_a_binary_outcome():
    energy = confounded_energy(
        0, binary_treatment=True, binary_outcome=True, strength=Strength(treatment=0.1, outcome=0.1)
    )
    assert set(energy.variables) == {"t", "y", "z"}
    assert energy.variables["y"].support is torch.distributions.constraints.boolean


def test_strengths_can_be_held_anew():
    energy = confounded_energy(1, binary_treatment=False, strength=Strength(treatment=0.1, outcome=0.2))
    held = strengths_of(energy)
    held.set(Strength(treatment=0.25, outcome=0.0, alignment=-1.0))
    assert torch.sigmoid(held.treatment).item() == pytest.approx(0.25)
    assert torch.sigmoid(held.outcome).item() == pytest.approx(0, abs=1e-11)
    assert held.alignment.item() == -1


@pytest.mark.parametrize("value", [-0.1, 1.0, math.nan])
def test_strengths_that_are_no_partial_r2(value):
    with pytest.raises(ArgumentError, match=r"the partial R\^2 toward the treatment must be in \[0, 1\)"):
        Strength(treatment=value, outcome=0.1)
    with pytest.raises(ArgumentError, match=r"toward the outcome must be in \[0, 1\)"):
        Strength(treatment=0.1, outcome=value)


def test_an_alignment_that_is_no_cosine():
    with pytest.raises(ArgumentError, match=r"an alignment is a cosine, in \[-1, 1\]; got 2"):
        Strength(treatment=0.1, outcome=0.1, alignment=2.0)


def test_a_latent_without_dimension():
    with pytest.raises(ArgumentError, match="latent_dim must be at least one; got 0"):
        confounded_energy(
            1, binary_treatment=False, latent_dim=0, strength=Strength(treatment=0.1, outcome=0.1)
        )
