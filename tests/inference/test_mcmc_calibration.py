"""Simulation-based calibration of chains of parameters: where the truth comes from the prior, its rank is uniform."""

import pytest
import torch
from scipy.stats import kstest
from torch.distributions import Normal

import ebm_causal as ec

F64 = torch.float64
REPLICAS = {1: 40, 3: 24}  # by the latents' dimension, so that each takes a minute


def ranks(latents):
    """The share of draws below the truth, of two offsets, in worlds drawn from the prior."""
    found = []
    weight = torch.tensor([[1.0, 0.5, 0.2], [0.3, -1.0, 0.4]], dtype=F64)[:, :latents]
    for replica in range(REPLICAS[latents]):
        generator = torch.Generator().manual_seed(replica)
        truth = torch.randn(2, generator=generator, dtype=F64)
        z = torch.randn(8, latents, generator=generator, dtype=F64)
        y = truth + z @ weight.mT + 0.5 * torch.randn(8, 2, generator=generator, dtype=F64)
        energy = ec.LinearGaussianEnergy(weight, offset=torch.zeros(2, dtype=F64), scale=0.5)
        fit = ec.fit(
            energy, {"y": y}, method="mcmc", priors={"offset": Normal(0.0, 1.0)},
            fixed=("latent_weight", "y.cost.scale"), chains=8, warmup=50, draws=25, seed=replica,
        )  # fmt: skip
        found.append((fit.draws < truth).to(F64).mean((0, 1)))
    return torch.stack(found)


@pytest.mark.slow
@pytest.mark.parametrize("latents", [1, 3], ids=["integrated out", "drawn along"])
def test_ranks_of_the_truth_are_uniform(latents):
    shares = ranks(latents)
    for column in shares.mT:
        assert kstest(column.numpy(), "uniform").pvalue > 0.001
