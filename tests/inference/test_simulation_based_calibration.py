"""Simulation-based calibration of every route: ranks of the latents that made the data are uniform."""

import pytest
import torch

import ebm_causal as ec

F64 = torch.float64
ROWS, DRAWS, CHAINS, BINS = 400, 64, 4, 16


def bent(dim, bend):
    """A bent decoder from dim latents, whose posteriors are skewed."""
    generator = torch.Generator().manual_seed(dim)
    weight = torch.randn(dim, dim + 1, generator=generator, dtype=F64)

    def decoder(z):
        return torch.tanh(bend * z @ weight) / bend

    mechanism = ec.Mechanism("y", "z", decoder, ec.SquaredError(0.5), dim=dim + 1)
    z = torch.randn(ROWS, dim, generator=generator, dtype=F64)
    y = decoder(z) + 0.5 * torch.randn(ROWS, dim + 1, generator=generator, dtype=F64)
    return mechanism + ec.GaussianRegularizer(dim), z, y


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the posterior over")
@pytest.mark.parametrize(
    ("method", "dim"),
    [("lattice", 2), ("importance", 4), ("hmc", 2), ("hmc", 4), ("mala", 2), ("tempering", 2)],
)
def test_ranks_are_uniform(method, dim, bend):
    """Ranks among draws thinned to near independence, by chi square over 16 bins; the bound is one in ten thousand."""
    energy, z, y = bent(dim, bend)
    posterior = ec.sample(energy, given={"y": y}, draws=DRAWS, chains=CHAINS, method=method, seed=3)
    fine = torch.ones(ROWS, dtype=torch.bool)
    fine[list(posterior.diagnostics.failed)] = False
    assert fine.double().mean() > 0.9
    draws = posterior.values["z"].flatten(0, 1)[:: CHAINS * DRAWS // (BINS * 4 - 1)][: BINS * 4 - 1]
    ranks = (draws[:, fine] < z[fine]).sum(0)  # 0 ... 63
    for coordinate in range(dim):
        counts = torch.bincount(ranks[:, coordinate] // 4, minlength=BINS).double()
        expected = counts.sum() / BINS
        chi_square = float(((counts - expected) ** 2 / expected).sum())
        assert chi_square < 44.3  # the .9999 quantile for 15 degrees of freedom
