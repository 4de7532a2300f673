"""Simulation-based calibration of every route: ranks of the latents that made the data are uniform."""

import pytest
import torch

import ebm_causal as ec

F64 = torch.float64
ROWS, DRAWS, CHAINS, BINS = 400, 64, 4, 16
MOST = 44.3  # the .9999 quantile of chi square for 15 degrees of freedom
ROUTES = [
    ("lattice", 1, 1.0),
    ("lattice", 2, 1.0),
    ("lattice", 3, 1.0),
    ("importance", 4, 0.5),
    ("hmc", 2, 0.5),
    ("hmc", 4, 0.5),
    ("hmc", 12, 0.2),
    ("mala", 2, 0.5),
    ("tempering", 2, 1.0),
    ("auto", 6, 1.0),
]


def bent(dim, bend):
    """A bent decoder from dim latents, whose posteriors are skewed, and in some rows of several modes."""
    generator = torch.Generator().manual_seed(dim)
    weight = torch.randn(dim, dim + 1, generator=generator, dtype=F64)

    def decoder(z):
        return torch.tanh(bend * z @ weight) / bend

    mechanism = ec.Mechanism("y", "z", decoder, ec.SquaredError(0.5), dim=dim + 1)
    z = torch.randn(ROWS, dim, generator=generator, dtype=F64)
    y = decoder(z) + 0.5 * torch.randn(ROWS, dim + 1, generator=generator, dtype=F64)
    return mechanism + ec.GaussianRegularizer(dim), z, y


def spins(dim):
    """Spins seen through a matrix, with noise."""
    generator = torch.Generator().manual_seed(dim)
    weight = torch.randn(dim, dim, generator=generator, dtype=F64) / dim**0.5
    energy = ec.energy(
        lambda y, s: 0.5 * ((y - s @ weight) ** 2).sum(-1), y=dim, s=ec.Variable(dim, ec.finite([-1, 1]))
    )
    s = 2.0 * torch.randint(2, (ROWS, dim), generator=generator).to(F64) - 1
    return energy, s, s @ weight + torch.randn(ROWS, dim, generator=generator, dtype=F64)


def switched():
    """A spin that moves a normal, both seen with noise."""
    generator = torch.Generator().manual_seed(0)

    def energy(y, s, z):
        return (0.5 * z**2 + 0.5 * (y - z - 1.5 * s) ** 2).sum(-1)

    s = 2.0 * torch.randint(2, (ROWS, 1), generator=generator).to(F64) - 1
    z = torch.randn(ROWS, 1, generator=generator, dtype=F64)
    y = z + 1.5 * s + torch.randn(ROWS, 1, generator=generator, dtype=F64)
    return ec.energy(energy, y=1, s=ec.Variable(1, ec.finite([-1, 1])), z=1), {"s": s, "z": z}, y


def calibrated(posterior, truth):
    """Ranks among draws thinned to near independence, ties broken by chance, by chi square over 16 bins."""
    fine = torch.ones(ROWS, dtype=torch.bool)
    fine[list(posterior.diagnostics.failed)] = False
    assert fine.double().mean() > 0.9
    generator = torch.Generator().manual_seed(1)
    for name, value in truth.items():
        draws = posterior.values[name].flatten(0, 1)[:: CHAINS * DRAWS // (BINS * 4 - 1)][: BINS * 4 - 1]
        drawn, true = (
            part + 1e-9 * torch.rand(part.shape, generator=generator, dtype=F64) for part in (draws, value)
        )
        ranks = (drawn[:, fine] < true[fine]).sum(0)  # 0 ... 63
        for column in ranks.T:
            counts = torch.bincount(column // 4, minlength=BINS).double()
            expected = counts.sum() / BINS
            assert float(((counts - expected) ** 2 / expected).sum()) < MOST


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the posterior over")
@pytest.mark.parametrize(("method", "dim", "bend"), ROUTES)
def test_ranks_are_uniform(method, dim, bend):
    energy, z, y = bent(dim, bend)
    posterior = ec.sample(energy, given={"y": y}, draws=DRAWS, chains=CHAINS, method=method, seed=3)
    calibrated(posterior, {"z": z})


@pytest.mark.slow
@pytest.mark.parametrize("method", ["enumeration", "gibbs"])
def test_ranks_of_finite_variables_are_uniform(method):
    energy, s, y = spins(5)
    posterior = ec.sample(energy, over="s", given={"y": y}, draws=DRAWS, chains=CHAINS, method=method, seed=3)
    calibrated(posterior, {"s": s})


@pytest.mark.slow
def test_ranks_of_finite_beside_real_variables_are_uniform():
    energy, truth, y = switched()
    posterior = ec.sample(energy, over=("s", "z"), given={"y": y}, draws=DRAWS, chains=CHAINS, seed=3)
    assert posterior.diagnostics.method == "lattice"
    calibrated(posterior, truth)
