"""Intervals of a posterior hold the truth as often as they say, over simulated data."""

import pytest
import torch
from scipy.stats import binom
from torch.distributions import Normal

import ebm_causal as ec

F64 = torch.float64
WORLDS, ROWS = 100, 25
PRIOR = Normal(0.0, 1.0)


def held(world):
    """Whether the 90 % intervals of intercept and slope hold those of a world that was drawn from the prior."""
    generator = torch.Generator().manual_seed(world)
    truth = torch.randn(2, generator=generator, dtype=F64)
    x, z, noise = torch.randn(3, ROWS, 1, generator=generator, dtype=F64)
    rows = {"x": x, "y": truth[0] * x + truth[1] + z + 0.5 * noise}
    energy = ec.LinearGaussianEnergy(
        torch.ones(1, 1, dtype=F64), torch.zeros(1, 1, dtype=F64), torch.zeros(1, dtype=F64), scale=0.5
    )
    fit = ec.fit(
        energy, rows, method="mcmc", priors={"input_weight": PRIOR, "offset": PRIOR},
        fixed=("latent_weight", "y.cost.scale"), chains=8, draws=60, warmup=40, seed=world,
    )  # fmt: skip
    assert fit.labels == ("y.decoder.input_weight[0, 0]", "y.decoder.offset[0]")
    low, high = torch.quantile(fit.draws.flatten(0, 1), torch.tensor([0.05, 0.95], dtype=F64), 0)
    return (low < truth) & (truth < high)


@pytest.mark.slow
def test_intervals_of_ninety_percent_cover_between_85_and_95_percent():
    """Truths are drawn from the prior, so that coverage is 90 % over worlds; each parameter alone by its own chance."""
    shares = torch.stack([held(world) for world in range(WORLDS)]).to(F64).mean(0)
    assert 0.85 <= float(shares.mean()) <= 0.95
    least, most = binom.ppf([0.001, 0.999], WORLDS, 0.9) / WORLDS
    assert bool(((shares >= least) & (shares <= most)).all())
