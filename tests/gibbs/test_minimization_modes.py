"""Several minima of one row: two futures, all wells, in unconstrained coordinates and in the variables themselves."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.errors import EnergyError
from ebm_causal.gibbs import restrict
from ebm_causal.gibbs.searching import find_modes

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def wells(x):
    return ((x**2 - 1) ** 2).sum(-1) + 0.5 * x.sum(-1)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_all_wells_are_modes(dim):
    restriction = restrict(ec.energy(wells, x=dim), "x", None, 2.0)
    modes = find_modes(restriction, 40 * 2**dim, generator(), most=12)
    assert modes.found[:, 0].sum().item() == 2**dim
    assert bool(modes.stationary[: 2**dim].all())
    minima = [root.real for root in np.roots([4, 0, -4, 0.5]) if 12 * root.real**2 > 4]
    corners = [sum((x * x - 1) ** 2 + 0.5 * x for x in xs) for xs in itertools.product(minima, repeat=dim)]
    assert modes.energies[: 2**dim, 0].numpy() == pytest.approx(2 * np.sort(corners), abs=1e-12)
    assert modes.energies[2**dim :].isinf().all()
    curvature = torch.diag_embed(2 * (12 * modes.points**2 - 4))
    assert modes.precision[: 2**dim].numpy() == pytest.approx(curvature[: 2**dim].numpy(), abs=1e-9)


def test_the_volume_of_a_support_belongs_to_the_density():
    # x log-normal: in u = log x the density of exp(-E) dx = exp(-E + u) du has its mode at the mean
    energy = ec.energy(
        lambda y, x: ((x.log() - y) ** 2 / 2 + x.log()).sum(-1), y=1, x=ec.Variable(1, constraints.positive)
    )
    y = torch.tensor([[0.3], [-2.0]], dtype=F64)
    modes = find_modes(restrict(energy, "x", {"y": y}, 1.0), 8, generator(), most=2)
    assert modes.points[0].numpy() == pytest.approx(y.numpy(), abs=1e-9)
    assert modes.energies[0].numpy() == pytest.approx(0, abs=1e-12)
    assert modes.precision[0].flatten().numpy() == pytest.approx(1, abs=1e-9)
    assert modes.found.tolist() == [[True, True], [False, False]]


def test_blocks_of_rows_are_as_one(monkeypatch):
    y = torch.linspace(-1, 1, 9, dtype=F64)[:, None]
    energy = ec.energy(lambda y, z: ((y - z**2) ** 2 + 0.1 * z).sum(-1), y=1, z=1)
    whole = find_modes(restrict(energy, "z", {"y": y}, 1.0), 8, generator(), most=2)
    monkeypatch.setattr("ebm_causal.gibbs.restriction.BLOCK", 100)
    parts = find_modes(restrict(energy, "z", {"y": y}, 1.0), 8, generator(), most=2)
    assert whole.points.numpy() == pytest.approx(parts.points.numpy(), abs=1e-9)
    assert torch.equal(whole.found, parts.found)


@pytest.mark.parametrize("dim", [32, 40])
def test_many_dimensions_by_either_descent(dim):
    scales = torch.linspace(1, 5, dim, dtype=F64)
    energy = ec.energy(lambda z: 0.5 * (scales * (z - 1) ** 2).sum(-1), z=dim)
    modes = find_modes(restrict(energy, "z", None, 3.0), 4, generator(), most=3)
    assert modes.found[:, 0].tolist() == [True, False, False]
    assert modes.points[0, 0].numpy() == pytest.approx(1, abs=1e-6)
    assert modes.precision[0, 0].numpy() == pytest.approx(torch.diag(3 * scales).numpy(), abs=1e-9)
    assert modes.ends[:, 0].tolist() == [4, 0, 0]


def test_where_no_descent_arrives_the_lowest_end_stands_in():
    energy = ec.energy(lambda y, z: (z - y).abs().sum(-1), y=1, z=1)
    modes = find_modes(restrict(energy, "z", {"y": [[1 / 3]]}, 1.0), 4, generator(), most=2)
    assert modes.found[:, 0].tolist() == [True, False]
    assert not modes.stationary.any()
    assert modes.points[0].item() == pytest.approx(1 / 3, abs=1e-2)
    assert modes.precision[0].item() == 1.0


def test_rows_without_a_finite_energy_have_no_mode():
    energy = ec.energy(lambda y, z: (z**2 + (y - 2).log()).sum(-1), y=1, z=1)
    modes = find_modes(restrict(energy, "z", {"y": [[1.0], [3.0]]}, 1.0), 4, generator(), most=1)
    assert modes.found.tolist() == [[False, True]]
    assert modes.energies[0, 0].item() == math.inf


def test_states_are_not_modes():
    spin = ec.energy(lambda s: s.sum(-1), s=ec.Variable(1, ec.finite([-1, 1])))
    with pytest.raises(EnergyError, match=r"\['s'\] have finite support: they have states, not modes"):
        find_modes(restrict(spin, "s", None, 1.0), 4, generator(), most=1)
