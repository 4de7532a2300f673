"""Minimizers that take no gradient: kinks, ridges, staircases, spins, and what each of them cannot do."""

import itertools
import math

import numpy as np
import pytest
import torch

import ebm_causal.sampling.annealed_search as annealing
from ebm_causal.sampling import geometric_schedule, search_annealed, search_coordinates, search_evolving

F64 = torch.float64
CENTER = torch.tensor([0.3, -1 / 3], dtype=F64)
SCHEDULE = geometric_schedule(0.1, 1e3, 200)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed), dtype=F64)


def same_for_all(energy):
    return lambda rows: energy


def annealed(select, starts, generator, **options):
    return search_annealed(select, starts, SCHEDULE, generator, **options)


KINKS = {
    "a distance by coordinates": lambda z: (z - CENTER).abs().sum(-1),
    "a ridge across the axes": lambda z: 10 * (z[:, 0] - z[:, 1]).abs() + 0.1 * (z[:, 0] + z[:, 1] - 1).abs(),
    "a ridge at an angle": lambda z: 10 * (z[:, 0] - 2 * z[:, 1]).abs() + (z[:, 0] - 1) ** 2,
    "a staircase": lambda z: ((z - 3).round() ** 2).sum(-1),
    "a shift of a million": lambda z: ((z - 1) ** 2).sum(-1) + 1e6,
}


@pytest.mark.parametrize("name", KINKS)
def test_coordinates_find_the_bottom_of(name):
    found = search_coordinates(same_for_all(KINKS[name]), draws(3, 2, 2), generator())
    lowest = 1e6 if name == "a shift of a million" else 0.0
    assert found.energies.numpy() == pytest.approx(lowest, abs=1e-5)
    assert bool(found.arrived.all())


def test_each_row_has_its_own_minimum():
    target = draws(5, 3, seed=1)
    found = search_coordinates(
        lambda rows: lambda z: (z - target[rows]).abs().sum(-1), draws(2, 5, 3), generator()
    )
    assert found.points.numpy() == pytest.approx(target.expand(2, 5, 3).numpy(), abs=1e-12)


def test_a_batch_is_a_loop():
    target = draws(3, 2, seed=1)

    def select(rows):
        return lambda z: (z - target[rows]).abs().sum(-1) + (z[:, 0] - z[:, 1]) ** 2

    starts = draws(2, 3, 2)
    whole = search_coordinates(select, starts, generator(), sweeps=15)
    for row in range(3):
        alone = search_coordinates(
            lambda rows, row=row: select(rows + row), starts[:, row : row + 1], generator(), sweeps=15
        )
        assert alone.energies[:, 0].numpy() == pytest.approx(whole.energies[:, row].numpy(), abs=1e-6)


@pytest.mark.parametrize("function", [lambda z: -z.sum(-1), lambda z: -(z**2).sum(-1)], ids=["slope", "hill"])
def test_coordinates_do_not_arrive_where_there_is_no_bottom(function):
    found = search_coordinates(same_for_all(function), draws(2, 1, 2), generator())
    assert not bool(found.arrived.any())


def test_a_start_without_a_finite_energy_stays_infinite():
    found = search_coordinates(
        same_for_all(lambda z: z.log().sum(-1) * math.nan), torch.ones(1, 1, 1, dtype=F64), generator()
    )
    assert found.energies.item() == math.inf
    assert not bool(found.arrived)


@pytest.mark.parametrize("method", [search_coordinates, annealed])
def test_spins_with_few_states_end_in_the_lowest(method):
    couplings = draws(8, 8, seed=2)
    couplings = couplings + couplings.mT

    def energy(s):
        return -0.5 * ((s @ couplings) * s).sum(-1)

    states = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=8)), dtype=F64)
    starts = states[torch.randperm(256, generator=generator())[:24]][:, None]
    found = method(same_for_all(energy), starts, generator(), values=[(-1.0, 1.0)] * 8)
    assert found.energies.amin().item() == pytest.approx(energy(states).amin().item(), abs=1e-12)
    assert set(found.points.unique().tolist()) == {-1.0, 1.0}


def test_what_coordinates_call_done_no_single_flip_lowers():
    couplings = draws(20, 20, seed=3)
    couplings = couplings + couplings.mT

    def energy(s):
        return -0.5 * ((s @ couplings) * s).sum(-1)

    starts = draws(4, 3, 20, seed=4).sign()
    found = search_coordinates(same_for_all(energy), starts, generator(), values=[(-1.0, 1.0)] * 20)
    for i in range(20):
        flipped = found.points.clone()
        flipped[..., i] *= -1
        assert bool((energy(flipped.flatten(0, 1)).reshape(4, 3) >= found.energies - 1e-12).all())
    assert bool(found.arrived.all())


def test_mixed_values_and_reals():
    def energy(p):
        return (p[:, 0] * p[:, 1] - 1.5).abs() + (p[:, 2] - p[:, 0]).abs()

    values = [(-1.0, 1.0, 2.0), None, None]
    starts = torch.cat([torch.full((4, 1, 1), -1.0, dtype=F64), draws(4, 1, 2)], -1)
    found = search_coordinates(same_for_all(energy), starts, generator(), values=values)
    assert found.energies.amin().item() == pytest.approx(0, abs=1e-9)
    assert set(found.points[..., 0].flatten().tolist()) <= {-1.0, 1.0, 2.0}


def test_annealing_finds_a_frustrated_ground_state_that_descent_misses():
    couplings = draws(40, 40, seed=5)
    couplings = couplings + couplings.mT

    def energy(s):
        return -0.5 * ((s @ couplings) * s).sum(-1)

    starts, values = draws(8, 1, 40, seed=6).sign(), [(-1.0, 1.0)] * 40
    down = search_coordinates(same_for_all(energy), starts, generator(), values=values)
    cold = annealed(same_for_all(energy), starts, generator(), values=values)
    assert cold.energies.mean() < down.energies.mean()
    assert cold.energies.amin() <= down.energies.amin()
    assert energy(cold.points[:, 0]).numpy() == pytest.approx(cold.energies[:, 0].numpy(), abs=1e-9)


def test_moves_at_one_temperature_draw_from_the_gibbs_law():
    def energy(s):
        return s[:, 0] + 0.5 * s[:, 1]

    moves = annealing.Moves(torch.tensor([[0.0, 1.0]] * 2, dtype=F64), torch.tensor([2, 2]), True)
    state = annealing.init(energy, torch.zeros(4000, 2, dtype=F64))
    beta = torch.full((4000,), 1.5, dtype=F64)
    for each in annealing.draw(60, state.point, moves, generator()):
        state = annealing.step(state, energy, beta, moves, each)
    for share, field in zip(state.point.mean(0).tolist(), (1.0, 0.5), strict=True):
        upper = 1 / (1 + math.exp(1.5 * field))
        assert share == pytest.approx(upper, abs=4 * math.sqrt(upper * (1 - upper) / 4000))


def test_moves_of_real_coordinates_draw_from_the_gibbs_law():
    moves = annealing.Moves(torch.full((1, 1), math.nan, dtype=F64), torch.tensor([0]), False)
    state = annealing.init(lambda z: 0.5 * (z**2).sum(-1), torch.zeros(4000, 1, dtype=F64))
    beta = torch.full((4000,), 4.0, dtype=F64)
    for each in annealing.draw(200, state.point, moves, generator()):
        fixed = state._replace(log_length=torch.zeros_like(state.log_length))  # adapting breaks the balance
        state = annealing.step(fixed, lambda z: 0.5 * (z**2).sum(-1), beta, moves, each)
    assert state.point.mean().item() == pytest.approx(0, abs=4 * math.sqrt(0.25 / 4000))
    assert state.point.var().item() == pytest.approx(0.25, abs=4 * 0.25 * math.sqrt(2 / 4000))


def test_temperatures_follow_the_scale_of_each_row():
    scales = torch.tensor([1e-4, 1.0, 1e4], dtype=F64)
    found = annealed(
        lambda rows: lambda z: scales[rows] * ((z - 1) ** 2).sum(-1), draws(4, 3, 2), generator()
    )
    assert bool((found.energies < 0.01 * scales).all())


def test_progress_is_told():
    told = []
    annealed(
        same_for_all(lambda z: z.abs().sum(-1)), draws(1, 1, 1), generator(), report=lambda *a: told.append(a)
    )
    assert told == [(k + 1, 200) for k in range(200)]


def rastrigin(z):
    return (z**2 - 10 * (2 * math.pi * z).cos() + 10).sum(-1)


def test_evolution_finds_the_lowest_of_many_wells():
    found = search_evolving(same_for_all(rastrigin), 2 * draws(16, 1, 2), generator())
    assert found.energies.amin().item() == pytest.approx(0, abs=1e-9)


def test_evolution_goes_along_a_crooked_valley():
    def rosenbrock(x):
        return 100 * (x[..., 1] - x[..., 0] ** 2) ** 2 + (1 - x[..., 0]) ** 2

    found = search_evolving(same_for_all(rosenbrock), draws(2, 3, 2), generator())
    assert found.points.numpy() == pytest.approx(1, abs=1e-5)


def test_evolution_leaves_the_global_state_alone_and_repeats_itself():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one, two = (
        search_evolving(same_for_all(rastrigin), draws(2, 2, 2), generator(3), generations=20)
        for _ in range(2)
    )
    assert torch.equal(one.points, two.points)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_evolution_ranks_infinite_energies_last():
    found = search_evolving(
        same_for_all(lambda z: torch.where(z[:, 0] > 0, (z**2).sum(-1), math.inf)),
        draws(4, 1, 2).abs(),
        generator(),
    )
    assert found.energies.amax().item() < 1e-6
    assert bool((found.points[..., 0] > 0).all())


def test_evolution_of_one_coordinate():
    found = search_evolving(same_for_all(lambda z: (z - 2).abs().sum(-1)), draws(2, 1, 1), generator())
    assert found.points.numpy() == pytest.approx(2, abs=1e-8)


@pytest.mark.parametrize("method", [search_coordinates, annealed, search_evolving])
def test_float32_stays_float32(method):
    found = method(same_for_all(lambda z: (z - 1).abs().sum(-1)), draws(2, 3, 2).float(), generator())
    assert {part.dtype for part in (found.points, found.energies)} == {torch.float32}
