"""R-hat and effective sample sizes are ArviZ's, of many quantities at once."""

import math
import warnings

import numpy as np
import pytest
import torch

from ebm_causal.sampling import mixing

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import arviz


def autoregressive(correlation, chains=4, draws=400, quantities=6, seed=0):
    """x' = c x + sqrt(1 - c^2) e: the effective share of the mean is (1 - c)/(1 + c)."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(chains, draws, quantities, generator=generator, dtype=torch.float64)
    rows = [noise[:, 0]]
    for step in range(1, draws):
        rows.append(correlation * rows[-1] + math.sqrt(1 - correlation**2) * noise[:, step])
    return torch.stack(rows, 1)


CASES = {
    "independent": autoregressive(0.0),
    "slow": autoregressive(0.9),
    "antithetic": autoregressive(-0.5),
    "apart": autoregressive(0.5) + torch.arange(4.0)[:, None, None],
    "of few values": (autoregressive(0.8) > 0.3).double(),
    "odd": autoregressive(0.3, draws=333),
}


@pytest.mark.parametrize("case", CASES)
def test_they_are_those_of_arviz(case):
    draws = CASES[case]
    found = mixing(draws)
    for place in range(draws.shape[2]):
        column = np.delete(draws[..., place].numpy(), [draws.shape[1] // 2] * (draws.shape[1] % 2), axis=1)
        assert float(found.r_hat[place]) == pytest.approx(float(arviz.rhat(column)), rel=1e-6)
        for method in ("bulk", "tail"):
            known = float(arviz.ess(column, method=method))
            assert float(getattr(found, f"ess_{method}")[place]) == pytest.approx(known, rel=1e-3)


def test_effective_sizes_are_those_of_autoregressions():
    found = mixing(autoregressive(0.6, draws=5000, quantities=20)).ess_bulk
    assert float(found.mean()) == pytest.approx(20000 * 0.4 / 1.6, rel=0.05)


def test_what_never_changes_and_too_few_draws_have_none():
    still = mixing(torch.ones(2, 100, 3, dtype=torch.float64))
    few = mixing(torch.randn(2, 7, 3, dtype=torch.float64))
    for found in (*still, *few):
        assert found.shape == (3,)
        assert bool(found.isnan().all())


def test_one_chain_is_compared_with_itself():
    steady = autoregressive(0.3, chains=1)
    drifting = steady + torch.linspace(0, 3, 400)[None, :, None]
    assert bool((mixing(steady).r_hat < 1.05).all())
    assert bool((mixing(drifting).r_hat > 1.2).all())
