"""Rows in one batch: each with its own scale, until its chains agree; rows that do not are told apart."""

import math

import pytest
import torch

from ebm_causal.sampling import REASONS, Goal, Metric, RowChains, metric_of, mixing, run_rows, weighted_metric

F64 = torch.float64
SCALES = torch.tensor([1e-3, 1.0, 1e4], dtype=F64)


def isotropic(rows, dim):
    return Metric(
        center=torch.zeros(rows, dim, dtype=F64), factor=torch.eye(dim, dtype=F64).expand(rows, dim, dim)
    )


def run(select, rows, dim, goal, seed=0, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    start = spread * torch.randn(goal.chains, rows, dim, generator=generator, dtype=F64)
    return run_rows(select, start, isotropic(rows, dim), goal, generator)


@pytest.mark.parametrize(("kernel", "dim"), [("hmc", 1), ("hmc", 4), ("hmc", 12), ("mala", 1), ("mala", 4)])
def test_rows_of_different_scale_have_their_moments(kernel, dim):
    """Correlated normals, in the third row ten million times as wide as in the first."""
    factor = torch.eye(dim, dtype=F64) + 0.5 * torch.ones(dim, dim, dtype=F64).tril(-1)
    inverse = torch.linalg.inv(factor)

    def select(rows):
        scale = SCALES[rows][:, None]
        return lambda z: 0.5 * (((z / scale - 1) @ inverse.mT) ** 2).sum(-1)

    found = run(select, 3, dim, Goal(chains=4, draws=500, enough=400, kernel=kernel))
    assert found.reason.tolist() == [0, 0, 0]
    white = (found.draws / SCALES[:, None] - 1) @ inverse.mT
    error = 1 / found.ess_bulk.sqrt()[:, None]
    assert float((white.mean((0, 1)) / error).abs().max()) < 4.5
    square_error = math.sqrt(2) / mixing(white**2).ess_bulk.sqrt()
    assert float((((white**2).mean((0, 1)) - 1) / square_error).abs().max()) < 4.5


def test_rows_leave_when_they_are_done_and_the_others_go_on():
    """A narrow bent valley needs longer than a normal; both keep as many draws."""
    evaluated = []

    def select(rows):
        valley = (rows == 1).to(F64)

        def energy(z):
            evaluated.append((rows.tolist(), z.shape[0]))
            x, y = z.unbind(-1)
            return valley * (10 * (y - x**2) ** 2 + 0.5 * x**2) + (1 - valley) * 0.5 * (x**2 + y**2)

        return energy

    found = run(select, 2, 2, Goal(chains=4, draws=300, enough=300))
    assert found.draws.shape == (4, 300, 2, 2)
    assert found.reason.tolist() == [0, 0]
    assert evaluated[0][0] == [0, 1]
    assert evaluated[-1][0] == [1]
    x = found.draws[:, :, 1, 0]
    assert float(x.var()) == pytest.approx(1.0, abs=4.5 * math.sqrt(2 / float(found.ess_bulk[1])))


def test_chains_that_stay_in_their_modes_disagree():
    def select(rows):
        return lambda z: 40 * ((z[..., 0] ** 2 - 1) ** 2) + 0.5 * (z[..., 1] ** 2)

    found = run(select, 1, 2, Goal(chains=4, draws=200, enough=200), spread=0.7)
    assert REASONS[int(found.reason)] == "chains disagree (R-hat)"
    assert float(found.r_hat_modes) > 1.2


def test_a_density_that_cannot_be_normalized_is_called_so():
    found = run(lambda rows: lambda z: 0 * z.sum(-1), 1, 2, Goal(chains=4, draws=200, enough=200))
    assert "may not be normalizable" in REASONS[int(found.reason)]


def test_the_same_seed_gives_the_same_draws():
    def select(rows):
        return lambda z: 0.5 * (z**2).sum(-1)

    goal = Goal(chains=2, draws=20, enough=10)
    first, second, other = (run(select, 2, 1, goal, seed=seed).draws for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_unadjusted_kernel_has_the_variance_that_its_step_gives():
    found = run(
        lambda rows: lambda z: 0.5 * (z**2).sum(-1), 200, 1,
        Goal(chains=4, draws=500, enough=100, kernel="langevin"),
    )  # fmt: skip
    known = 1 / (1 - found.step_size / 2)
    assert float((known - 1).mean()) > 0.02
    error = math.sqrt(2 / float(found.ess_bulk.sum()))
    assert float((found.draws.var((0, 1))[:, 0] / known).mean()) == pytest.approx(1.0, abs=5 * error)


def test_metrics_make_draws_standard():
    generator = torch.Generator().manual_seed(0)
    factor = torch.tensor([[2.0, 0.0], [1.5, 0.5]], dtype=F64)
    points = 5 + torch.randn(4000, 1, 2, generator=generator, dtype=F64) @ factor.mT
    white = metric_of(points, isotropic(1, 2)).inward(points)[:, 0]
    assert torch.allclose(white.T.cov(), torch.eye(2, dtype=F64), atol=0.02)
    outward = metric_of(points, isotropic(1, 2)).outward(white[:, None])
    assert torch.allclose(outward, points)


def test_weighted_metrics_are_those_of_the_target():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(4000, 1, 2, generator=generator, dtype=F64)
    log_weights = -0.5 * (3 * points**2).sum(-1)  # a standard normal to one of variance 1/4
    metric = weighted_metric(points, log_weights, isotropic(1, 2))
    assert torch.allclose(metric.factor[0].diagonal(), torch.full((2,), 0.5, dtype=F64), rtol=0.05)


def test_a_row_whose_draws_do_not_vary_keeps_its_metric():
    kept = metric_of(torch.zeros(10, 1, 2, dtype=F64), isotropic(1, 2))
    assert torch.equal(kept.factor, isotropic(1, 2).factor)


def test_parts_are_put_in_their_rows():
    found = run(lambda rows: lambda z: 0.5 * (z**2).sum(-1), 3, 1, Goal(chains=2, draws=10, enough=5))
    part = RowChains(*(entry[..., :1, :] if entry.ndim == 4 else entry[..., :1] for entry in found))
    whole = found.put(torch.tensor([2]), part)
    assert torch.equal(whole.draws[:, :, 2], found.draws[:, :, 0])
    assert torch.equal(whole.draws[:, :, :2], found.draws[:, :, :2])
