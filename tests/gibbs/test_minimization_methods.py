"""Every method of minimize: kinks, bounds, spins, energies without a gradient, images, and what certifies each."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.sampling import geometric_schedule

F64 = torch.float64
UNIT = constraints.interval(0.0, 1.0)
SPIN = ec.finite([-1, 1])


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.mark.parametrize(
    ("center", "expected"),
    [(-1.0, 0.0), (2.0, 1.0), (0.0, 0.0), (0.3, 0.3)],
    ids=["0", "1", "at 0", "inside"],
)
@pytest.mark.parametrize("method", ["auto", "lbfgs", "gradient", "coordinate", "cmaes"])
def test_a_minimum_on_a_closed_bound(method, center, expected):
    energy = ec.energy(lambda z: ((z - center) ** 2).sum(-1), z=ec.Variable(1, UNIT))
    found = ec.minimize(energy, over="z", method=method)
    assert found.values["z"].item() == pytest.approx(expected, abs=1e-7)
    assert (found.converged.item(), found.warnings) == (True, ())
    assert found.gradient_norm.item() == pytest.approx(0, abs=1e-6)
    assert found.smallest_eigenvalue.item() == pytest.approx(math.inf if expected in (0, 1) else 2, abs=1e-6)


def test_bounds_coordinate_by_coordinate():
    target = torch.tensor([-1.0, 0.3, 5.0], dtype=F64)
    energy = ec.energy(lambda z: ((z - target) ** 2 * target.abs()).sum(-1), z=ec.Variable(3, UNIT))
    found = ec.minimize(energy, over="z")
    assert found.values["z"][0].numpy() == pytest.approx([0, 0.3, 1], abs=1e-9)
    assert found.values["z"][0, [0, 2]].tolist() == [0, 1]
    assert found.smallest_eigenvalue.item() == pytest.approx(0.6, abs=1e-9)  # of the free coordinate alone


def test_a_slope_that_leads_inward_keeps_a_point_off_the_bound():
    energy = ec.energy(lambda z: ((z - 1e-8) ** 2 * 1e8).sum(-1), z=ec.Variable(1, constraints.nonnegative))
    assert ec.minimize(energy, over="z").values["z"].item() == pytest.approx(1e-8, abs=1e-12)


def test_an_open_bound_has_no_minimum():
    energy = ec.energy(lambda z: z.sum(-1), z=ec.Variable(1, constraints.positive))
    found = ec.minimize(energy, over="z")
    assert found.converged.tolist() == [False]
    assert "toward an open bound" in found.warnings[0]


@pytest.mark.parametrize("method", ["auto", "coordinate", "annealing", "cmaes"])
def test_the_lasso(method):
    energy = ec.energy(lambda y, z: ((y - z) ** 2).sum(-1) / 2 + z.abs().sum(-1), y=3, z=3)
    y = torch.tensor([[0.5, 2.0, -3.0], [0.0, -0.7, 1.5]], dtype=F64)
    found = ec.minimize(energy, over="z", given={"y": y}, starts=3, method=method)
    soft = y.sign() * (y.abs() - 1).clamp_min(0)
    assert found.values["z"].numpy() == pytest.approx(soft.numpy(), abs=1e-6)
    assert bool(found.converged.all())


@pytest.mark.parametrize(
    "cost",
    [
        pytest.param(lambda r: r.abs(), id="Laplace"),
        pytest.param(lambda r: torch.where(r.abs() < 0.1, r**2 / 0.2, r.abs() - 0.05), id="Huber"),
        pytest.param(lambda r: (1 - r).clamp_min(0) + 0.1 * r.abs(), id="hinge"),
    ],
)
def test_costs_with_kinks(cost):
    inputs = torch.tensor([[1.0, 0.5], [0.3, -1.0], [-0.7, 2.0], [1.5, 1.0], [0.1, 0.9]], dtype=F64)

    def loss(z):
        return cost(z @ inputs.T - torch.tensor([1.0, -0.5, 0.2, 2.0, 0.0], dtype=F64)).sum(-1)

    found = ec.minimize(ec.energy(loss, z=2), over="z", starts=3)
    axis = torch.linspace(-3, 3, 601, dtype=F64)
    lowest = loss(torch.cartesian_prod(axis, axis)).amin()
    assert found.energy.item() <= lowest.item() + 1e-9
    assert bool(found.converged.all())


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda z: ((z - 3).round() ** 2).sum(-1), id="a staircase"),
        pytest.param(lambda z: ((z - 3).detach() ** 2).sum(-1), id="a detached energy"),
        pytest.param(lambda z: (z.abs() > 0.5).to(z).sum(-1), id="a count"),
    ],
)
def test_energies_without_a_gradient_are_searched_by_values(function):
    found = ec.minimize(ec.energy(function, z=2), over="z")
    assert found.energy.item() == 0
    assert (found.method, found.warnings) == ("coordinate, as the energy has no gradient", ())
    assert found.gradient_norm is None
    assert found.smallest_eigenvalue is None
    assert list(found.summary().columns) == ["z[0]", "z[1]", "energy", "converged", "agreement"]


def test_slopes_are_asked_for_where_there_are_none():
    weight = torch.nn.Parameter(torch.ones(1, dtype=F64))
    energy = ec.energy(lambda z: (weight * (z.detach() - 1) ** 2).sum(-1), z=1)
    with pytest.raises(EnergyError, match="minimize by method='coordinate'"):
        ec.minimize(energy, over="z", method="newton")
    assert ec.minimize(energy, over="z").values["z"].item() == pytest.approx(1, abs=1e-8)


def test_a_hundred_spins_are_annealed():
    def chain(field, s):
        return -(s[..., 1:] * s[..., :-1]).sum(-1) - (field * s).sum(-1)

    energy = ec.energy(chain, field=100, s=ec.Variable(100, SPIN))
    field = 0.5 * torch.ones(2, 100, dtype=F64) * torch.tensor([[1.0], [-1.0]], dtype=F64)
    told = []
    found = ec.minimize(
        energy,
        over="s",
        given={"field": field},
        starts=1,
        progress=lambda share, what: told.append((share, what)),
    )
    assert found.method == "annealing, then coordinate"
    assert torch.equal(found.values["s"], field.sign())
    assert found.energy.tolist() == [-149, -149]
    assert bool(found.converged.all())
    assert told[-1] == (1.0, "temperature 100 of 100")


def test_spins_with_fields_against_couplings_by_dynamic_programming():
    couplings, fields = draws(29, seed=1), draws(30, seed=2)

    def glass(s):
        return -(couplings * s[..., 1:] * s[..., :-1]).sum(-1) - (fields * s).sum(-1)

    best = torch.tensor([fields[0], -fields[0]])  # of the chain up to here, its last spin down or up
    for coupling, field in zip(couplings, fields[1:], strict=True):
        best = torch.stack(
            [min(best[i] - coupling * (2 * i - 1) * s - field * s for i in (0, 1)) for s in (-1, 1)]
        )
    found = ec.minimize(ec.energy(glass, s=ec.Variable(30, SPIN)), over="s", starts=2)
    assert found.energy.item() == pytest.approx(best.min().item(), abs=1e-9)


@pytest.mark.parametrize("method", ["auto", "coordinate", "annealing"])
def test_finite_and_real_variables_together(method):
    def function(s, y, z):
        return ((y - s * z) ** 2).sum(-1) + ((z - 1) ** 2).sum(-1) + 0.1 * s.sum(-1)

    energy = ec.energy(function, s=ec.Variable(1, SPIN), y=1, z=1)
    given = {"y": torch.tensor([[2.0], [-3.0], [0.01]], dtype=F64)}
    found = ec.minimize(energy, over=("z", "s"), given=given, method=method)
    assert found.values["s"].flatten().tolist() == [1.0, -1.0, -1.0]
    assert found.values["z"].flatten().numpy() == pytest.approx([1.5, 2.0, 0.495], abs=1e-9)
    assert bool(found.converged.all())


@pytest.mark.parametrize("method", ["newton", "lbfgs", "gradient", "coordinate"])
@pytest.mark.parametrize("shape", [(3, 4), (2, 2, 3), (5, 1)], ids=["image", "channels", "sequence"])
def test_images_and_sequences(method, shape):
    dims = tuple(range(-len(shape), 0))
    energy = ec.energy(lambda y, x: ((y - x) ** 2).sum(dims) + 0.1 * (x**4).sum(dims), y=shape, x=shape)
    y = draws(2, *shape)
    found = ec.minimize(energy, over="x", given={"y": y}, method=method)
    x = found.values["x"]
    assert tuple(x.shape) == (2, *shape)
    assert (2 * (x - y) + 0.4 * x**3).abs().max().item() < 1e-6
    assert bool(found.converged.all())


def rastrigin(z):
    return (z**2 - 10 * (2 * math.pi * z).cos() + 10).sum(-1)


@pytest.mark.parametrize("method", ["annealing", "cmaes"])
def test_rugged_energies(method):
    found = ec.minimize(ec.energy(rastrigin, z=3), over="z", method=method)
    assert found.energy.item() == pytest.approx(0, abs=1e-12)
    assert found.smallest_eigenvalue.item() == pytest.approx(2 + 40 * math.pi**2, rel=1e-9)


def test_the_argmin_of_the_implicit_function():
    energy = ec.energy(lambda x, y, z: (y**4 / 4 + y**2 / 2 - y * x * z).sum(-1), x=1, y=1, z=1)
    found = ec.minimize(energy, over="y", given={"x": 2.0, "z": 5.0})
    assert found.values["y"].item() == pytest.approx(2, abs=1e-12)
    assert found.smallest_eigenvalue.item() == pytest.approx(13, abs=1e-10)


def test_a_latent_with_full_rank_explains_noise():
    def capacity(rank, weight):
        matrix = draws(3, 3, seed=3)[:, :rank]
        energy = ec.energy(
            lambda y, z: ((y - z @ matrix.T) ** 2).sum(-1) + weight * (z**2).sum(-1), y=3, z=rank
        )
        y = draws(5, 3, seed=4)
        found = ec.minimize(energy, over="z", given={"y": y}).energy
        inverse = torch.linalg.inv(matrix @ matrix.T + weight * torch.eye(3, dtype=F64))
        return found, weight * torch.einsum("ri,ij,rj->r", y, inverse, y)

    for rank, weight in itertools.product((1, 2, 3), (10.0, 0.1, 1e-6)):
        found, known = capacity(rank, weight)
        assert found.numpy() == pytest.approx(known.numpy(), rel=1e-8, abs=1e-12)
    assert bool((capacity(3, 1e-9)[0] < 1e-6).all())
    assert bool((capacity(2, 1e-9)[0] > 1e-3).all())


@pytest.mark.parametrize("starts", [1, 8])
def test_one_start_misses_the_ellipse_and_eight_do_not(starts):
    axes = torch.tensor([2.0, 1.5], dtype=F64)

    def on_ellipse(y, z):
        return ((y - axes * torch.cat([z.cos(), z.sin()], -1)) ** 2).sum(-1)

    y = 2 * draws(2000, 2, seed=1)
    angle = ec.Variable(1, constraints.interval(-math.pi, math.pi))
    found = ec.minimize(ec.energy(on_ellipse, y=2, z=angle), over="z", given={"y": y}, starts=starts).energy
    grid = torch.linspace(-math.pi, math.pi, 4001, dtype=F64)[:, None]
    lowest = torch.cat([on_ellipse(rows[:, None], grid).amin(1) for rows in y.split(200)])
    missed = int((found > lowest + 1e-9).sum())
    assert missed == 0 if starts == 8 else missed > 0


def test_a_schedule_of_ones_own():
    energy = ec.energy(rastrigin, z=1)
    found = ec.minimize(energy, over="z", method="annealing", schedule=geometric_schedule(0.01, 10, 100))
    assert found.energy.item() == pytest.approx(0, abs=1e-12)
    with pytest.raises(ArgumentError, match="a schedule is for method='annealing'; got method='auto'"):
        ec.minimize(energy, over="z", schedule=[0.1, 1.0])
    with pytest.raises(ArgumentError, match="annealing cools: beta must rise; it falls from 1 to 0.1"):
        ec.minimize(energy, over="z", method="annealing", schedule=[1.0, 0.1])


def test_evolution_of_finite_variables_is_refused():
    energy = ec.energy(lambda s: s.sum(-1), s=ec.Variable(1, SPIN))
    with pytest.raises(ArgumentError, match=r"method='cmaes' serves real variables, and \['s'\] are finite"):
        ec.minimize(energy, over="s", method="cmaes")


@pytest.mark.parametrize("method", ["auto", "coordinate", "annealing", "cmaes"])
def test_the_same_seed_gives_the_same_minimum(method):
    energy = ec.energy(lambda y, z: (y - z).abs().sum(-1) + 0.1 * rastrigin(z), y=2, z=2)
    y = draws(3, 2)
    one, two = (
        ec.minimize(energy, over="z", given={"y": y}, starts=2, method=method, seed=4) for _ in range(2)
    )
    assert torch.equal(one.values["z"], two.values["z"])
    assert np.isfinite(one.summary().to_numpy(dtype=float)).all()


@pytest.mark.parametrize(
    "support", [constraints.interval(0.0, 1.0), constraints.real], ids=["at a bound", "inside"]
)
def test_an_energy_without_a_lower_end_is_refused(support):
    energy = ec.energy(lambda z: z.abs().log().sum(-1), z=ec.Variable(1, support))
    with pytest.raises(ConvergenceError, match=r"falls to minus infinity over \['z'\] in 1 rows"):
        ec.minimize(energy, over="z")


def test_kinks_in_more_dimensions_than_newton_serves():
    found = ec.minimize(ec.energy(lambda z: (z - 1 / 3).abs().sum(-1), z=40), over="z", starts=2)
    assert found.method == "lbfgs, then others in 1 rows"
    assert found.energy.item() == pytest.approx(0, abs=1e-9)
    assert bool(found.converged)
