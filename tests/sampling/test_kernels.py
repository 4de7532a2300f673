"""Every kernel leaves the target's law as it is; the one that does not is biased by as much as is known."""

import math

import pytest
import torch

from ebm_causal.sampling import begin, hmc_step, langevin_step, mala_step

F64 = torch.float64
CHAINS = 20_000
KERNELS = {
    "hmc": lambda state, potential, generator: hmc_step(state, potential, 0.7, 3, generator),
    "mala": lambda state, potential, generator: mala_step(state, potential, 0.4, generator),
}


def skewed(z):
    """exp(a - e^a) in each coordinate: log of an exponential variable, mean -0.57721, variance pi^2/6."""
    return (z.exp() - z).sum(-1), z.exp() - 1


def exact(generator, dim=2):
    return -(torch.rand(CHAINS, dim, generator=generator, dtype=F64)).log()


@pytest.mark.parametrize("kernel", KERNELS)
def test_draws_of_the_target_stay_draws_of_the_target(kernel):
    generator = torch.Generator().manual_seed(0)
    state = begin(skewed, exact(generator).log())
    for _ in range(5):
        state, info = KERNELS[kernel](state, skewed, generator)
    z = state.position
    assert 0.5 < float(info.acceptance.mean()) < 0.999
    error = math.sqrt(math.pi**2 / 6 / z.numel())
    assert float(z.mean()) == pytest.approx(-0.5772156649, abs=4 * error)
    assert float(z.exp().mean()) == pytest.approx(1.0, abs=4 / math.sqrt(z.numel()))
    below = (z.exp() < 0.1).double().mean()
    assert float(below) == pytest.approx(1 - math.exp(-0.1), abs=4 * math.sqrt(0.09 / z.numel()))


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_is_not_finite_is_rejected_and_counted(kernel):
    def cliff(z):
        value, gradient = 0.5 * (z * z).sum(-1), z
        beyond = z[:, 0] > 0.5
        return torch.where(beyond, torch.inf, value), torch.where(beyond[:, None], torch.nan, gradient)

    generator = torch.Generator().manual_seed(0)
    state, info = KERNELS[kernel](begin(cliff, torch.zeros(2000, 1, dtype=F64)), cliff, generator)
    assert 0 < int(info.non_finite.sum()) < 2000
    assert not bool((info.accepted & info.non_finite).any())
    assert bool((state.position <= 0.5).all())


def test_the_unadjusted_one_settles_beside_the_target_by_as_much_as_is_known():
    """On a normal of variance s, at s / (1 - h / 2s)."""
    s, h, generator = 2.0, 0.8, torch.Generator().manual_seed(0)

    def normal(z):
        return 0.5 * (z * z).sum(-1) / s, z / s

    state = begin(normal, torch.randn(CHAINS, 1, generator=generator, dtype=F64))
    for _ in range(40):
        state, info = langevin_step(state, normal, h, generator)
    known = s / (1 - h / (2 * s))
    assert float(state.position.var()) == pytest.approx(known, abs=4 * known * math.sqrt(2 / CHAINS))
    assert bool(info.accepted.all())


def test_the_unadjusted_one_does_not_step_where_nothing_is_finite():
    def cliff(z):
        value = 0.5 * (z * z).sum(-1)
        return torch.where(z[:, 0] > 0, torch.nan, value), z

    generator = torch.Generator().manual_seed(0)
    state, info = langevin_step(begin(cliff, -torch.ones(500, 1, dtype=F64)), cliff, 0.5, generator)
    assert 0 < int(info.non_finite.sum()) < 500
    assert bool((state.position <= 0).all())


@pytest.mark.parametrize("kernel", KERNELS)
def test_step_sizes_may_be_each_row_s_own(kernel):
    step = {"hmc": lambda *a: hmc_step(a[0], a[1], a[2], 2, a[3]), "mala": mala_step}[kernel]
    sizes = torch.tensor([1e-4, 3.0], dtype=F64)

    def normal(z):
        return 0.5 * (z * z).sum(-1), z

    state = begin(normal, torch.ones(500, 2, 3, dtype=F64))
    _, info = step(state, normal, sizes, torch.Generator().manual_seed(0))
    fine, coarse = info.acceptance.mean(0).tolist()
    assert fine > 0.999 > 0.6 > coarse
