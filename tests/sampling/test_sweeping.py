"""Sweeps of spins have the magnetization and the correlation of the transfer matrix."""

import math

import numpy as np
import pytest
import torch

from ebm_causal.sampling import REASONS, Goal, mixing, run_sweeps

F64 = torch.float64
SPINS = torch.tensor([-1.0, 1.0], dtype=F64)


def ring(coupling, field):
    def energy(s):
        return -coupling * (s * s.roll(1, -1)).sum(-1) - field * s.sum(-1)

    return energy


def transfer(coupling, field, size):
    """Mean spin and mean product of neighbors on a ring of so many spins."""

    def log_z(j, h):
        matrix = np.exp([[j * a * b + h * (a + b) / 2 for b in (-1, 1)] for a in (-1, 1)])
        return math.log(np.trace(np.linalg.matrix_power(matrix, size)))

    step = 1e-5
    mean = (log_z(coupling, field + step) - log_z(coupling, field - step)) / (2 * step * size)
    pair = (log_z(coupling + step, field) - log_z(coupling - step, field)) / (2 * step * size)
    return mean, pair


def run(energy, size, goal, rows=1):
    generator = torch.Generator().manual_seed(0)
    start = SPINS[torch.randint(2, (goal.chains, rows, size), generator=generator)]
    return run_sweeps(lambda index: energy, start, [SPINS] * size, goal, generator)


def test_a_ring_of_24_spins_has_its_magnetization_and_correlation():
    mean, pair = transfer(0.4, 0.1, 24)
    found = run(ring(0.4, 0.1), 24, Goal(chains=8, draws=250, enough=400))
    assert int(found.reason) == 0
    for values, known in (
        (found.draws.mean(-1), mean),
        ((found.draws * found.draws.roll(1, -1)).mean(-1), pair),
    ):
        error = float(values.std() / mixing(values).ess_bulk.sqrt())
        assert float(values.mean()) == pytest.approx(known, abs=4 * error)


def test_spins_that_freeze_in_either_direction_disagree():
    found = run(ring(3.0, 0.0), 12, Goal(chains=4, draws=20, enough=40))
    assert REASONS[int(found.reason)] in ("chains disagree (R-hat)", "a chain hardly moves")


def test_what_is_infinite_is_never_taken():
    def energy(s):
        return torch.where(s[..., 0] > 0, torch.inf, 0.0)

    found = run(energy, 2, Goal(chains=4, draws=30, enough=30))
    assert bool((found.draws[..., 0] < 0).all())
