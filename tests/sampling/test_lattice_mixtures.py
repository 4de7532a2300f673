"""Normal mixtures on one lattice: no part is left out in silence when the search zooms in from far off."""

import math

import pytest
import torch

import ebm_causal as ec

F64 = torch.float64


def mixture(means, deviations, weights, *, scale, center=0.0):
    """The energy of a normal mixture with axis-parallel parts, whose log integral is dim times log scale."""
    mean, sd, weight = (torch.tensor(part, dtype=F64) for part in (means, deviations, weights))
    logs = weight.log() - sd.log().sum(-1) - 0.5 * mean.shape[-1] * math.log(2 * math.pi)

    def energy(z):
        parts = (z / scale - center)[..., None, :] - mean
        return -torch.logsumexp(logs - 0.5 * ((parts / sd) ** 2).sum(-1), -1)

    return ec.energy(energy, z=mean.shape[-1])


def right(energy, known):
    """Without a warning, within the error stated."""
    found = ec.log_partition(energy, over="z", method="lattice")
    assert found.warnings == ()
    assert found.standard_error.item() < 3e-3
    assert found.value.item() == pytest.approx(known, abs=found.standard_error.item() + 1e-8)


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0])
def test_a_spike_that_one_look_met_and_finer_ones_step_over_is_found_again(scale):
    right(mixture([[0.0], [0.0]], [[1.0], [0.02]], [0.5, 0.5], scale=scale), math.log(scale))


@pytest.mark.parametrize(("center", "scale"), [(1e3, 1.0), (-1e3, 1.0), (0.0, 1e-3)])
def test_unequal_modes_far_off_or_narrow_are_not_cut_off_where_lattices_are_shifted(center, scale):
    means, deviations = [[2.956], [2.034], [-2.898]], [[0.8], [0.16], [0.11]]
    energy = mixture(means, deviations, [0.48, 0.4, 0.12], scale=scale, center=center)
    right(energy, math.log(scale))


@pytest.mark.parametrize("scale", [1.0, 1e-2])
def test_unequal_modes_in_the_plane(scale):
    means = [[1.837, -4.977], [3.636, -2.268], [4.743, 4.465]]
    deviations = [[1.72, 0.97], [0.77, 0.53], [0.55, 0.23]]
    right(mixture(means, deviations, [0.375, 0.392, 0.233], scale=scale), 2 * math.log(scale))
