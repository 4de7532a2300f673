"""Several minima of one row: two futures, all wells, in unconstrained coordinates and in the variables themselves."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError
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


def test_each_row_may_have_its_own_temperature():
    energy = ec.energy(lambda y, z: ((y - z) ** 2).sum(-1), y=1, z=1) + ec.GaussianRegularizer(1)
    restriction = restrict(energy, "z", {"y": torch.ones(3, 1, dtype=F64)}, 1.0)
    betas = torch.tensor([0.1, 1.0, 10.0], dtype=F64)
    modes = find_modes(replace(restriction, beta=betas), 4, generator(), most=1)
    assert modes.energies[0].numpy() == pytest.approx((betas / 3).numpy(), rel=1e-12)
    assert modes.precision[0].flatten().numpy() == pytest.approx((3 * betas).numpy(), rel=1e-12)


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
    assert modes.precision[0].item() == pytest.approx(
        4.0, rel=1e-3
    )  # half a unit away it has risen by a half


def test_rows_without_a_finite_energy_have_no_mode():
    energy = ec.energy(lambda y, z: (z**2 + (y - 2).log()).sum(-1), y=1, z=1)
    modes = find_modes(restrict(energy, "z", {"y": [[1.0], [3.0]]}, 1.0), 4, generator(), most=1)
    assert modes.found.tolist() == [[False, True]]
    assert modes.energies[0, 0].item() == math.inf


def test_states_are_not_modes():
    spin = ec.energy(lambda s: s.sum(-1), s=ec.Variable(1, ec.finite([-1, 1])))
    with pytest.raises(EnergyError, match=r"\['s'\] have finite support: they have states, not modes"):
        find_modes(restrict(spin, "s", None, 1.0), 4, generator(), most=1)


def test_both_futures_of_every_row():
    energy = ec.energy(lambda x, y: ((y**2 - (1 + x**2) ** 2) ** 2).sum(-1), x=1, y=1)
    x = torch.linspace(-1, 1, 21, dtype=F64)[:, None]
    found = ec.minimize(energy, over="y", given={"x": x}, modes=4)
    modes = found.modes
    assert modes.count.tolist() == [2] * 21
    assert modes.values["y"][0].numpy() == pytest.approx(-(1 + x.numpy() ** 2), abs=1e-9)
    assert modes.values["y"][1].numpy() == pytest.approx(1 + x.numpy() ** 2, abs=1e-9)
    assert modes.starts.sum(0).tolist() == [8] * 21
    assert torch.equal(found.values["y"], modes.values["y"][0])


def test_the_double_well():
    well = ec.energy(lambda x: 2 * (x.squeeze(-1) ** 2 - 1) ** 2, x=1)
    modes = ec.minimize(well, over="x", modes=2).modes
    assert modes.values["x"][:, 0, 0].numpy() == pytest.approx([-1, 1], abs=1e-12)
    assert modes.smallest_eigenvalue[:, 0].numpy() == pytest.approx([16, 16], abs=1e-9)
    assert bool(modes.converged.all())


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_all_wells_when_given_enough_starts(dim):
    energy = ec.energy(lambda z: ((z**2 - 1) ** 2).sum(-1), z=dim)
    modes = ec.minimize(energy, over="z", starts=12 * 2**dim, modes=2**dim + 2).modes
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=dim)), dtype=F64)
    assert modes.count.tolist() == [2**dim]
    assert modes.values["z"][: 2**dim, 0].numpy() == pytest.approx(corners.numpy(), abs=1e-9)


def test_what_is_not_there_is_infinite_and_never_nan():
    energy = ec.energy(lambda y, z: ((y - z) ** 2).sum(-1), y=1, z=1)
    modes = ec.minimize(energy, over="z", given={"y": [[1.0], [2.0]]}, modes=3).modes
    assert modes.found.tolist() == [[True, True], [False, False], [False, False]]
    assert modes.energy[1:].eq(math.inf).all()
    assert torch.equal(modes.values["z"][1], modes.values["z"][0])
    assert not any(entry.isnan().any() for entry in (modes.gradient_norm, modes.smallest_eigenvalue))
    assert modes.energy.neg().exp().sum(0).numpy() == pytest.approx(1, abs=1e-12)
    assert len(modes.summary()) == 2
    assert repr(modes) == "LocalMinima(over=['z'], 2 in 2 rows, at most 3 each)"


@pytest.mark.parametrize(
    ("function", "dim", "count"),
    [
        pytest.param(lambda z: (z[..., 0] + z[..., 1] - 1) ** 2, 2, 1, id="a straight valley is one"),
        pytest.param(lambda z: (z.abs() - 1).abs().sum(-1), 1, 2, id="two kinks are two"),
        pytest.param(lambda z: ((z - 1) ** 4).sum(-1), 1, 1, id="a flat bottom is one"),
        pytest.param(lambda z: 1e-6 * ((z**2 - 1) ** 2).sum(-1), 1, 2, id="two shallow wells are two"),
        pytest.param(lambda z: 1e6 * ((z**2 - 1) ** 2).sum(-1), 1, 2, id="two deep wells are two"),
        pytest.param(
            lambda z: ((z.abs() - 2).round() ** 2).sum(-1), 1, 2, id="two plateaus without a gradient"
        ),
    ],
)
def test_what_is_one_minimum_and_what_two(function, dim, count):
    assert ec.minimize(ec.energy(function, z=dim), over="z", modes=2 + count).modes.count.tolist() == [count]


def test_both_ends_of_an_interval_are_minima():
    energy = ec.energy(lambda z: -((z - 0.4) ** 2).sum(-1), z=ec.Variable(1, constraints.interval(0.0, 1.0)))
    modes = ec.minimize(energy, over="z", modes=3).modes
    assert modes.values["z"][:2, 0, 0].tolist() == [1, 0]
    assert modes.count.tolist() == [2]


def test_each_state_is_a_minimum():
    energy = ec.energy(
        lambda s, z: ((z - s) ** 2).sum(-1) + 0.1 * s.sum(-1), s=ec.Variable(1, ec.finite([-1, 1])), z=1
    )
    modes = ec.minimize(energy, over=("s", "z"), modes=4).modes
    assert modes.count.tolist() == [2]
    assert modes.values["s"][:2, 0, 0].tolist() == [-1, 1]
    assert modes.energy[:2, 0].numpy() == pytest.approx([-0.1, 0.1], abs=1e-12)
    spins = ec.energy(lambda s: (s * torch.tensor([1.0, 0.5])).sum(-1), s=ec.Variable(2, ec.finite([-1, 1])))
    lowest = ec.minimize(spins, over="s", modes=3).modes
    assert lowest.values["s"][:, 0].tolist() == [[-1, -1], [-1, 1], [1, -1]]


def test_modes_of_images_have_their_shape():
    energy = ec.energy(lambda x: ((x**2 - 1) ** 2).sum((-2, -1)) + 0.3 * x.sum((-2, -1)), x=(1, 2))
    modes = ec.minimize(energy, over="x", starts=64, modes=4).modes
    assert tuple(modes.values["x"].shape) == (4, 1, 1, 2)
    assert modes.count.tolist() == [4]


def test_energies_of_modes_have_gradients():
    height = torch.nn.Parameter(torch.tensor(0.2, dtype=F64))
    energy = ec.energy(lambda z: ((z**2 - 1) ** 2 + height * z).sum(-1), z=1)
    modes = ec.minimize(energy, over="z", modes=2).modes
    for k in range(2):
        (gradient,) = torch.autograd.grad(modes.energy[k, 0], height, retain_graph=True)
        assert gradient.item() == pytest.approx(modes.values["z"][k, 0, 0].item(), abs=1e-12)


def test_no_mode_at_all_is_refused():
    with pytest.raises(ArgumentError, match="modes must be at least 1; got 0"):
        ec.minimize(ec.energy(lambda z: (z**2).sum(-1), z=1), over="z", modes=0)
