"""Annealing: each move leaves its law as it is, and the log integral comes out within its errors."""

import math

import pytest
import torch

from ebm_causal.sampling import Path, anneal
from ebm_causal.sampling.moves import (
    Pace,
    move_along_differences,
    move_along_gradient,
    move_among_values,
    move_to_marginals,
)
from ebm_causal.sampling.paths import Population

COUNT = 20_000
COVARIANCE = torch.tensor([[1.0, 0.6, 0.0], [0.6, 2.0, -0.3], [0.0, -0.3, 0.5]], dtype=torch.float64)
PRECISION = torch.linalg.inv(COVARIANCE)


def gaussian(points):
    return 0.5 * torch.einsum("pri,ij,prj->pr", points, PRECISION, points)


def path_to(energy, dim, choices=None):
    return Path(energy=energy, scale=torch.ones(dim, dtype=torch.float64), choices=choices or (None,) * dim)


def exact_population(path):
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn((COUNT, 1, 3), generator=generator, dtype=torch.float64)
    return path.weigh(normal @ torch.linalg.cholesky(COVARIANCE).T)


def by_gradient(population, path, share, generator):
    pace = Pace(torch.zeros(1, dtype=torch.float64), torch.ones(1, 3, dtype=torch.float64))
    return move_along_gradient(population, path, share, pace, generator)[0]


@pytest.mark.parametrize("move", [by_gradient, move_along_differences, move_to_marginals])
def test_a_move_leaves_a_gaussian_as_it_is(move):
    path, generator = path_to(gaussian, 3), torch.Generator().manual_seed(1)
    start = exact_population(path)
    population = start
    for _ in range(20):
        population = move(population, path, torch.ones(1, dtype=torch.float64), generator)
    moved = (population.points != start.points).any(-1).double().mean()
    points = population.points[:, 0]
    assert float(moved) > 0.9
    torch.testing.assert_close(population.target, path.weigh(population.points).target)
    error = 4.5 / math.sqrt(COUNT)  # of a mean in standard deviations; of a covariance about as much
    scale = COVARIANCE.diagonal().sqrt()
    assert float((points.mean(0) / scale).abs().max()) < error
    difference = (points.T.cov() - COVARIANCE) / (scale[:, None] * scale)
    assert float(difference.abs().max()) < 1.5 * error


@pytest.mark.parametrize("move", [move_along_differences, move_to_marginals])
def test_a_move_carries_particles_between_two_wells(move):
    """Weights of 1/4 and 3/4 in the wells at -3 and 3, a barrier of 81 between: from even halves to the truth."""
    wells = torch.tensor([-3.0, 3.0], dtype=torch.float64)

    def energy(points):
        return -torch.logsumexp(
            torch.log(torch.tensor([0.25, 0.75], dtype=torch.float64)) - 0.5 * ((points - wells) / 0.2) ** 2,
            -1,
        )

    path, generator = path_to(energy, 1), torch.Generator().manual_seed(2)
    start = wells.repeat(COUNT // 2)[:, None, None] + 0.2 * torch.randn(
        (COUNT, 1, 1), generator=generator, dtype=torch.float64
    )
    population = path.weigh(start)
    for _ in range(150):
        population = move(population, path, torch.ones(1, dtype=torch.float64), generator)
    right = float((population.points > 0).double().mean())
    assert right == pytest.approx(0.75, abs=5 * math.sqrt(0.75 * 0.25 / COUNT) * 1.5)


def test_values_of_finite_coordinates_come_in_their_shares():
    field = 0.4
    spins = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    path = path_to(lambda points: -field * points.sum(-1), 3, (spins,) * 3)
    generator = torch.Generator().manual_seed(3)
    population = path.draw(COUNT, 1, generator)
    for _ in range(60):
        population = move_among_values(population, path, torch.ones(1, dtype=torch.float64), generator)
    mean = population.points.mean((0, 1))
    torch.testing.assert_close(
        mean, torch.full((3,), math.tanh(field), dtype=torch.float64), rtol=0, atol=4.5 / math.sqrt(COUNT)
    )


def test_the_log_integral_of_a_gaussian_lies_within_its_errors():
    truth = 0.5 * (3 * math.log(2 * math.pi) + float(torch.linalg.slogdet(COVARIANCE)[1]))
    scores = []
    for seed in range(8):
        found = anneal(path_to(gaussian, 3), 1, torch.Generator().manual_seed(seed), particles=512)
        for value, error in (
            (found.forward, found.forward_error),
            (found.backward, found.backward_error),
        ):
            scores.append(float((value - truth) / error))
    # scores of eight islands are t with seven degrees of freedom, variance 7/5
    assert sum(score**2 for score in scores) / len(scores) < 1.4 * (1 + 5 * math.sqrt(2 / 16))
    assert max(map(abs, scores)) < 6


def test_rows_are_annealed_apart():
    """Rows of widths 0.1 to 5 in one batch, each with its own rungs."""
    widths = torch.tensor([0.1, 1.0, 5.0], dtype=torch.float64)
    path = path_to(lambda points: 0.5 * ((points / widths[:, None]) ** 2).sum(-1), 2)
    found = anneal(path, 3, torch.Generator().manual_seed(5))
    truth = math.log(2 * math.pi) + 2 * widths.log()
    middle, error = 0.5 * (found.forward + found.backward), 0.5 * (found.forward_error + found.backward_error)
    assert bool(((middle - truth).abs() < 4 * error + 0.02).all())
    assert bool((found.spreading < 1.2).all())


def test_walls_are_never_entered():
    def energy(points):
        return torch.where(points[..., 0] > 0, points[..., 0], torch.inf)

    found = anneal(path_to(energy, 1), 1, torch.Generator().manual_seed(6))
    assert float(found.population.min()) > 0
    assert float(found.forward) == pytest.approx(0.0, abs=5 * float(found.forward_error))


def test_a_population_keeps_its_energies_through_a_choice():
    path = path_to(gaussian, 3)
    population = path.draw(16, 2, torch.Generator().manual_seed(7))
    index = torch.randint(16, (16, 2), generator=torch.Generator().manual_seed(8))
    taken = population.take(index)
    assert isinstance(taken, Population)
    torch.testing.assert_close(taken.target, path.weigh(taken.points).target)
