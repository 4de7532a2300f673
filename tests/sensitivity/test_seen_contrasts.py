"""The contrast of chances that is seen while a confounder is hidden."""

import numpy as np
import pytest
import torch

from ebm_causal.energies import Strength, confounded_energy, decoders_of
from ebm_causal.learning import average_effect
from ebm_causal.sensitivity.seen_contrasts import seen_contrast

DRAWS = 400_000


def confounded(binary_treatment, alignment=1.0, treatment=0.3):
    energy = confounded_energy(
        1, binary_treatment=binary_treatment, binary_outcome=True, latent_dim=1, tail="normal",
        strength=Strength(treatment=treatment, outcome=0.3, alignment=alignment),
    )  # fmt: skip
    first, second = decoders_of(energy)
    with torch.no_grad():
        first.covariates.fill_(0.4)
        second.effect.fill_(0.8)
        second.covariates.fill_(-0.3)
    return energy


def draws(energy, w):
    """Treatments, chances and latents of one covariate value, by plain simulation."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(DRAWS, 1, dtype=torch.float64, generator=generator)
    first, second = decoders_of(energy)
    with torch.no_grad():
        index = first(z=z, w=torch.full_like(z, w))
        if first.log_sd is None:
            t = (torch.rand(z.shape, dtype=z.dtype, generator=generator) < torch.sigmoid(index)).double()
        else:
            t = index + first.noise() * torch.randn(z.shape, dtype=z.dtype, generator=generator)
        chance = torch.sigmoid(second(t=t, z=z, w=torch.full_like(z, w)))
    return t[:, 0].numpy(), chance[:, 0].numpy()


@pytest.mark.parametrize("alignment", [1.0, -1.0])
def test_of_a_binary_treatment_it_is_the_difference_of_means_in_a_simulation(alignment):
    energy = confounded(True, alignment)
    rows = {
        "w": torch.full((1, 1), 0.7).double(),
        "t": torch.ones(1, 1).double(),
        "y": torch.ones(1, 1).double(),
    }
    t, chance = draws(energy, 0.7)
    means = [chance[t == level].mean() for level in (1, 0)]
    error = np.sqrt(sum(chance[t == level].var() / (t == level).sum() for level in (1, 0)))
    assert seen_contrast(energy, rows) == pytest.approx(means[0] - means[1], abs=4 * error)


def test_of_a_continuous_treatment_it_is_the_slope_of_means_in_a_simulation():
    energy = confounded(False)
    t, chance = draws(energy, 0.7)
    at = np.array([0.2, 0.6])
    between = torch.linspace(*at, 41, dtype=torch.float64)[:, None]
    rows = {"w": torch.full_like(between, 0.7), "t": between}
    near = [np.abs(t - point) < 0.05 for point in at]
    means = [chance[inside].mean() for inside in near]
    error = np.sqrt(sum(chance[inside].var() / inside.sum() for inside in near)) / 0.4
    slope = (means[1] - means[0]) / 0.4
    assert seen_contrast(energy, rows) == pytest.approx(slope, abs=4 * error)


@pytest.mark.parametrize("binary_treatment", [True, False])
def test_without_a_confounder_it_is_the_effect(binary_treatment):
    energy = confounded(binary_treatment, treatment=0.0)
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(50, 1, dtype=torch.float64, generator=generator)
    t = (torch.rand(50, 1, dtype=torch.float64, generator=generator) < 0.5).double()
    rows = {"w": w, "t": t, "y": t}
    assert seen_contrast(energy, rows) == pytest.approx(
        float(average_effect(energy, rows).detach()), abs=1e-6
    )


@pytest.mark.parametrize("binary_treatment", [True, False])
def test_a_confounder_moves_it_its_own_way(binary_treatment):
    w = torch.zeros(4, 1).double()
    rows = {"w": w, "t": torch.tensor([[0.0], [1.0], [0.0], [1.0]]).double(), "y": w}
    up, down = (confounded(binary_treatment, sign) for sign in (1.0, -1.0))
    assert seen_contrast(down, rows) < float(average_effect(up, rows).detach()) < seen_contrast(up, rows)
