"""Schedules of the inverse temperature: end points, ratios, and the effective sample size they hold."""

import math
from itertools import pairwise

import pytest
import torch

from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.sampling import (
    check_schedule,
    constant_schedule,
    cosine_schedule,
    diffusion_schedule,
    effective_share,
    geometric_schedule,
    linear_schedule,
    next_beta,
)

F64 = torch.float64
BETWEEN = {"linear": linear_schedule, "geometric": geometric_schedule, "cosine": cosine_schedule}
ENDS = [(0.1, 1.0), (0.3, 7.0), (1e-8, 1e8), (5.0, 0.2), (2.0, 2.0)]
every_schedule = pytest.mark.parametrize("schedule", BETWEEN.values(), ids=BETWEEN.keys())


@every_schedule
@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("count", [2, 3, 10, 1001])
def test_end_points_are_exact_and_steps_have_one_direction(schedule, ends, count):
    betas = schedule(*ends, count)
    assert betas.shape == (count,)
    assert betas.dtype == F64
    assert (betas[0].item(), betas[-1].item()) == ends
    assert torch.equal(check_schedule(betas), betas)


@every_schedule
def test_a_schedule_run_backward_is_the_schedule_of_swapped_ends(schedule):
    assert torch.allclose(schedule(0.2, 5.0, 17).flip(0), schedule(5.0, 0.2, 17), rtol=1e-13)


def test_a_constant_schedule_is_constant():
    assert constant_schedule(0.3, 4).tolist() == [0.3] * 4


def test_linear_steps_are_equal():
    assert torch.allclose(linear_schedule(0.2, 5.0, 25).diff(), torch.full((24,), 0.2, dtype=F64), rtol=1e-12)


def test_geometric_ratios_are_equal():
    betas = geometric_schedule(1e-3, 1e3, 13)
    known = torch.full((12,), math.sqrt(10), dtype=F64)
    assert torch.allclose(betas[1:] / betas[:-1], known, rtol=1e-13)


def test_the_cosine_is_slow_at_both_ends_and_halfway_in_the_middle():
    betas = cosine_schedule(1.0, 3.0, 101)
    steps = betas.diff()
    assert betas[50].item() == 2.0
    assert steps.argmax().item() in (49, 50)
    assert steps[0].item() == pytest.approx(1 - math.cos(math.pi / 100), rel=1e-12)


def test_the_diffusion_schedule_is_the_signal_to_noise_ratio():
    # One step of b leaves (1 - b) of the signal's variance and b of noise.
    betas = diffusion_schedule([0.1, 0.2])
    assert betas.tolist() == pytest.approx([0.72 / 0.28, 0.9 / 0.1], rel=1e-14)


def test_the_schedule_of_ho_jain_and_abbeel():
    variances = linear_schedule(1e-4, 0.02, 1000)
    betas = diffusion_schedule(variances)
    kept = torch.cumprod(1 - variances, 0).flip(0)
    assert torch.allclose(betas, kept / (1 - kept), rtol=1e-10)
    assert betas[-1].item() == pytest.approx(9999, rel=1e-12)
    assert kept[0].item() == pytest.approx(4.0358e-5, rel=1e-4)  # "nearly isotropic noise" at the end


def test_noise_of_the_diffusion_has_the_variance_that_beta_says():
    torch.manual_seed(0)
    variances = torch.tensor([0.05, 0.1, 0.3], dtype=F64)
    x = start = torch.full((200_000,), 1.5, dtype=F64)
    for b in variances:
        x = (1 - b).sqrt() * x + b.sqrt() * torch.randn_like(x)
    in_units = x / (1 - variances).prod().sqrt() - start
    known = 1 / diffusion_schedule(variances)[0].item()
    error = known * math.sqrt(2 / len(x))
    assert in_units.var().item() == pytest.approx(known, abs=4 * error)


def test_a_diffusion_schedule_is_scaled_to_its_end():
    plain, scaled = diffusion_schedule([0.1, 0.2, 0.3]), diffusion_schedule([0.1, 0.2, 0.3], end=1.0)
    assert scaled[-1].item() == 1.0
    assert torch.allclose(scaled / plain, torch.full((3,), 1 / 9.0, dtype=F64), rtol=1e-14)


def gaussian_share(dim, start, end):
    """Of draws from N(0, 1/start) weighted to N(0, 1/end): (E u)^2 / E u^2, each a ratio of volumes."""
    return (start * (2 * end - start) / end**2) ** (dim / 2)


def gaussian_draws(dim, beta, count=50_000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.5 * (torch.randn(count, dim, generator=generator, dtype=F64) ** 2).sum(-1) / beta


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
@pytest.mark.parametrize(("beta", "end"), [(0.5, 50.0), (2.0, 0.0)])
def test_the_next_beta_holds_the_effective_sample_size(share, beta, end):
    energies = gaussian_draws(3, beta)
    found = next_beta(energies, beta, end=end, share=share)
    weights = torch.softmax(-(found - beta) * energies, 0)
    assert (1 / (weights**2).sum() / len(weights)).item() == pytest.approx(share, rel=1e-10)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_next_beta_of_a_gaussian_is_the_known_one(share):
    # t = end / start solves (2 t - 1) / t^2 = share^(2 / dim)
    dim, beta = 4, 0.5
    level = share ** (2 / dim)
    known = beta * (1 + math.sqrt(1 - level)) / level
    assert gaussian_share(dim, beta, known) == pytest.approx(share)
    found = next_beta(gaussian_draws(dim, beta), beta, end=100.0, share=share)
    repeats = [
        next_beta(gaussian_draws(dim, beta, seed=s), beta, end=100.0, share=share) for s in range(1, 9)
    ]
    error = torch.stack(repeats).std().item()
    assert found.item() == pytest.approx(known, abs=4 * error)
    assert error < 0.01 * known


def test_a_whole_ladder_for_a_gaussian_is_geometric_and_arrives():
    beta, ladder = 0.01, [0.01]
    while beta != 1.0 and len(ladder) < 50:
        beta = next_beta(gaussian_draws(2, beta, seed=len(ladder)), beta, share=0.5).item()
        ladder.append(beta)
    assert ladder[-1] == 1.0
    ratios = [b / a for a, b in pairwise(ladder[:-1])]
    known = (1 + math.sqrt(0.5)) / 0.5
    assert ratios == pytest.approx([known] * len(ratios), rel=0.03)


def test_rows_are_stepped_apart():
    torch.manual_seed(0)
    energies = torch.rand(500, 3, dtype=F64) * torch.tensor([1.0, 10.0, 100.0], dtype=F64)
    beta = torch.tensor([0.0, 0.1, 0.2], dtype=F64)
    found = next_beta(energies, beta, share=0.7)
    known = [next_beta(energies[:, i], float(beta[i]), share=0.7).item() for i in range(3)]
    assert found.tolist() == pytest.approx(known, rel=1e-14)
    assert found[0].item() == 1.0


def test_equal_energies_go_to_the_end_at_once():
    assert next_beta(torch.full((10,), 3.0), 0.2).item() == 1.0
    assert next_beta(torch.full((10,), 3.0), 1.0, end=0.0).item() == 0.0
    assert next_beta(torch.rand(10), 1.0, end=1.0).item() == 1.0


def test_adding_a_constant_to_energies_changes_nothing():
    energies = gaussian_draws(3, 1.0, count=1000)
    one, other = (next_beta(energies + shift, 1.0, end=9.0) for shift in (0.0, 1e4))
    assert one.item() == pytest.approx(other.item(), rel=1e-9)


def test_draws_that_are_weighted_already_count_by_their_weights():
    # A weight of two is the same as the draw twice.
    energies = torch.tensor([0.0, 1.0, 5.0], dtype=F64)
    doubled = torch.tensor([0.0, 1.0, 1.0, 5.0], dtype=F64)
    log_weights = torch.tensor([1.0, 2.0, 1.0], dtype=F64).log() + 7
    assert effective_share(energies, 0.8, log_weights).item() == pytest.approx(
        effective_share(doubled, 0.8).item()
    )
    found = next_beta(energies, 0.1, end=9.0, share=0.6, log_weights=log_weights)
    assert found.item() == pytest.approx(next_beta(doubled, 0.1, end=9.0, share=0.6).item(), rel=1e-12)


def test_the_effective_share_falls_with_the_step_in_either_direction():
    energies = gaussian_draws(2, 1.0, count=500)
    for sign in (1, -1):
        shares = torch.stack([effective_share(energies, sign * step) for step in (0.0, 0.1, 0.3, 1.0, 5.0)])
        assert bool((shares.diff() < 0).all())
        assert shares[0].item() == pytest.approx(1)


def test_dtype_follows_the_energies():
    assert next_beta(torch.rand(50) * 30, 0.0).dtype == torch.float32


class TestRefusals:
    @every_schedule
    def test_ends_and_counts(self, schedule):
        with pytest.raises(ArgumentError, match="must be positive and finite; got 0"):
            schedule(0.0, 1.0, 5)
        with pytest.raises(ArgumentError, match="must be positive and finite; got inf"):
            schedule(1.0, math.inf, 5)
        with pytest.raises(ArgumentError, match="must be at least 2; got 1"):
            schedule(0.1, 1.0, 1)

    def test_constants(self):
        with pytest.raises(ArgumentError, match="must be positive and finite; got -1"):
            constant_schedule(-1.0, 3)
        with pytest.raises(ArgumentError, match="must be at least 2; got 0"):
            constant_schedule(1.0, 0)

    def test_variances(self):
        with pytest.raises(ArgumentError, match=r"between 0 and 1; number 1 is 1\.0"):
            diffusion_schedule([0.1, 1.0])
        with pytest.raises(ArgumentError, match="between 0 and 1; number 0 is nan"):
            diffusion_schedule([math.nan, 0.1])
        with pytest.raises(ArgumentError, match=r"at least two numbers; got shape \[1\]"):
            diffusion_schedule([0.1])
        with pytest.raises(ArgumentError, match=r"number 0 is 0\.0"):
            diffusion_schedule([0.99] * 200)
        with pytest.raises(ArgumentError, match="must be positive and finite; got 0"):
            diffusion_schedule([0.1, 0.2], end=0.0)

    def test_ladders_of_ones_own(self):
        with pytest.raises(ArgumentError, match=r"turns after number 2, at 3\.0"):
            check_schedule([1.0, 2.0, 3.0, 2.5])
        with pytest.raises(ArgumentError, match=r"positive and finite; number 0 is 0\.0"):
            check_schedule([0.0, 1.0])
        with pytest.raises(ArgumentError, match="number 1 is inf"):
            check_schedule([1.0, math.inf])
        with pytest.raises(
            ArgumentError, match=r"at least two inverse temperatures in a list; got shape \[1\]"
        ):
            check_schedule([1.0])

    def test_steps(self):
        energies = torch.rand(10, 2)
        with pytest.raises(ArgumentError, match=r"must lie between 0 and 1; got 1\.0"):
            next_beta(energies, 0.5, share=1.0)
        with pytest.raises(ArgumentError, match="end is an inverse temperature and must not be negative"):
            next_beta(energies, 0.5, end=-1.0)
        with pytest.raises(ArgumentError, match=r"beta must not be negative and must be finite; got \[-0.5"):
            next_beta(energies, -0.5)
        with pytest.raises(ArgumentError, match=r"a number or one per row, \[2\]; got \[3\]"):
            next_beta(energies, torch.ones(3))
        with pytest.raises(ArgumentError, match=r"at least two draws, \[draws, ...\]; got \[1\]"):
            next_beta(torch.ones(1), 0.5)
        with pytest.raises(ArgumentError, match="energies hold 1 values that are not finite"):
            next_beta(torch.tensor([0.0, math.inf]), 0.5)
        with pytest.raises(ArgumentError, match=r"log_weights must have the shape of energies, \[10, 2\]"):
            next_beta(energies, 0.5, log_weights=torch.ones(10))

    def test_a_ladder_that_cannot_move(self):
        energies = torch.tensor([0.0, *[1e25] * 9], dtype=F64)
        with pytest.raises(
            ConvergenceError, match=r"no step from beta 0.5 holds a share of 0.5: energies span 1e\+25"
        ):
            next_beta(energies, 0.5)
