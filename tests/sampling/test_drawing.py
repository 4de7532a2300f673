"""Draws within the cells of a whole grid, by slopes of the energies and without another evaluation."""

import math
from dataclasses import replace

import pytest
import torch

from ebm_causal.sampling import draw_within, weighed

F64 = torch.float64


def grid_of(energy, shape, step, rows=1, offset=0.0):
    """A lattice on a whole grid around zero, steps apart, the same in all rows."""
    axes = [(torch.arange(size, dtype=F64) - size // 2) * step + offset for size in shape]
    points = torch.cartesian_prod(*axes).reshape(-1, 1, len(shape)).expand(-1, rows, -1)
    frame = (step * torch.eye(len(shape), dtype=F64)).expand(rows, -1, -1)
    return replace(weighed(points, energy(points), frame), shape=shape)


@pytest.mark.parametrize("step", [0.5, 0.9])
def test_a_normal_density_keeps_its_variance_and_its_tails(step):
    """Cells taken as flat would make the variance 1 + step^2/12."""
    lattice = grid_of(lambda p: 0.5 * p.square().sum(-1), (25,), step, offset=0.3)
    draws = draw_within(lattice, 400_000, torch.Generator().manual_seed(0)).flatten()
    assert draws.mean().item() == pytest.approx(0.0, abs=4 / math.sqrt(400_000))
    assert draws.var().item() == pytest.approx(1.0, abs=4 * math.sqrt(2 / 400_000))
    assert (draws > 2).double().mean().item() == pytest.approx(
        0.02275013, abs=4 * math.sqrt(0.0228 / 400_000)
    )


def test_a_bent_density_in_two_dimensions():
    """A crescent: moments by a grid twenty times as fine in each direction."""

    def energy(points):
        a, b = points.unbind(-1)
        return 0.5 * a.square() + 2 * (b - 0.4 * a.square()).square()

    lattice = grid_of(energy, (41, 41), 0.4)
    draws = draw_within(lattice, 200_000, torch.Generator().manual_seed(0))[:, 0]
    fine = grid_of(energy, (801, 801), 0.02)
    for what in (
        lambda p: p[..., 0],
        lambda p: p[..., 1],
        lambda p: p[..., 1].square(),
        lambda p: p.prod(-1),
    ):
        found, truth = what(draws), fine.expectation(what(fine.points))[0].item()
        assert found.mean().item() == pytest.approx(
            truth, abs=4 * found.std().item() / math.sqrt(200_000) + 2e-3
        )


def test_draws_are_stratified_and_each_row_has_an_order_of_its_own():
    lattice = grid_of(lambda p: 0.5 * p.square().sum(-1), (25,), 0.5, rows=200)
    draws = draw_within(lattice, 1000, torch.Generator().manual_seed(0))[..., 0]
    assert draws.mean(0).std().item() < 0.2 / math.sqrt(1000)  # five times less than of independent ones
    assert draws.sum(1).var().item() == pytest.approx(200, rel=4 * math.sqrt(2 / 1000) + 0.1)
    lagged = (draws[1:] * draws[:-1]).mean(0)
    assert lagged.std().item() == pytest.approx(1 / math.sqrt(1000), rel=0.35)


def test_walls_and_empty_cells_get_no_draw():
    """Infinite beyond one: all draws lie in cells with mass."""

    def energy(points):
        return torch.where(points[..., 0] < 1, 0.5 * points.square().sum(-1), math.inf)

    lattice = grid_of(energy, (41,), 0.25)
    draws = draw_within(lattice, 10_000, torch.Generator().manual_seed(0))
    assert draws.isfinite().all()
    assert draws.max().item() <= 0.75 + 0.125


def test_the_same_seed_gives_the_same_draws():
    lattice = grid_of(lambda p: 0.5 * p.square().sum(-1), (9, 9), 1.0, rows=3)
    first, second = (draw_within(lattice, 50, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, second)
