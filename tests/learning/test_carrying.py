"""A confounded energy at another strength: linear ones fit as well as before, others nearly."""

import copy

import pytest
import torch

from ebm_causal.energies import Strength, confounded_energy, strengths_of
from ebm_causal.inference import MarginalLikelihood
from ebm_causal.learning import HELD, fit
from ebm_causal.learning.carrying import carry


def rows(*, binary: bool):
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(120, 2, generator=generator, dtype=torch.float64)
    a, b = torch.randn(2, 120, 1, generator=generator, dtype=torch.float64)
    t = w[:, :1] + a
    t = (t > 0).to(w) if binary else t
    return {"w": w, "t": t, "y": t - w[:, 1:] + b}


def height(energy, data):
    with torch.no_grad():
        return float(MarginalLikelihood(energy, data, ["z"]).log_likelihood().sum())


@pytest.mark.parametrize(("dim", "alignments"), [(1, (1.0, -1.0)), (2, (0.4, -0.7))])
def test_a_linear_energy_fits_as_well_at_any_strength(dim, alignments):
    data, (one, other) = rows(binary=False), alignments
    start = Strength(treatment=0.3, outcome=0.2, alignment=one)
    energy = confounded_energy(2, binary_treatment=False, latent_dim=dim, strength=start)
    with torch.no_grad():
        for parameter in energy.parameters():
            parameter.add_(0.1)
    strengths_of(energy).set(start)
    before = height(energy, data)
    carry(energy, data, Strength(treatment=0.6, outcome=0.4, alignment=other))
    assert height(energy, data) == pytest.approx(before, abs=1e-6)
    assert float(torch.sigmoid(strengths_of(energy).treatment.detach())) == pytest.approx(0.6)


def test_a_binary_treatment_starts_nearer_its_optimum_than_where_it_was():
    data = rows(binary=True)
    start, strong = Strength(treatment=0.3, outcome=0.2), Strength(treatment=0.6, outcome=0.4, alignment=-1.0)
    energy = confounded_energy(2, binary_treatment=True, strength=start)
    energy = fit(energy, data, method="svi", fixed=HELD).energy
    best, left = height(energy, data), copy.deepcopy(energy)
    strengths_of(left).set(strong)
    carry(energy, data, strong)
    assert best - height(energy, data) < 0.2 * (best - height(left, data))
