"""MATH.md section 1: what do means, and where clamping the raw sum is not it."""

import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.energies import LocalNormalizer, prior_groups
from ebm_causal.errors import EnergyError, IdentificationError

F64 = torch.float64


def noisy(known=False):
    """E = .5 (y - x)^2 exp(x z) + .5 z^2: the precision of y depends on x and z."""

    def cost(prediction, value):
        return 0.5 * ((value - prediction[..., :1]) ** 2 * prediction[..., 1:].exp()).sum(-1)

    y = ec.Mechanism("y", ("x", "z"), lambda x, z: torch.cat([x + 0 * z, x * z], -1), cost)
    return y + ec.GaussianRegularizer(1)


def test_clamping_the_raw_sum_moves_the_cause():
    """The law is a funnel: z is N(-.5, 1), and y given z is N(1, exp(-z))."""
    draws = ec.sample(noisy(), over=("y", "z"), given={"x": 1.0}, draws=20_000, chains=1).values
    z = draws["z"].double().flatten()
    noise = (draws["y"].double().flatten() - 1) * (z / 2).exp()
    for values in (z + 0.5, noise):
        assert values.mean().item() == pytest.approx(0, abs=5 / math.sqrt(20_000))
        assert values.var().item() == pytest.approx(1, abs=5 * math.sqrt(2 / 20_000))
    assert (z * noise).mean().item() == pytest.approx(0, abs=5 * math.sqrt(1.25 / 20_000))
    assert (noise**4).mean().item() == pytest.approx(3, abs=5 * math.sqrt(96 / 20_000))


def test_doing_does_not_move_the_cause():
    cut = ec.do(noisy(), x=1.0)
    density = ec.GibbsDensity(cut, over="z")
    z = torch.tensor([[-1.0], [0.0], [2.0]], dtype=F64)
    known = torch.distributions.Normal(0.0, 1.0).log_prob(z).squeeze(-1)
    assert torch.allclose(density.normalized_log_prob(z), known.to(F64), atol=1e-7)


@pytest.mark.parametrize(
    "beta", [pytest.param(0.5, marks=pytest.mark.slow), pytest.param(1.0, marks=pytest.mark.slow), 4.0]
)
def test_the_normalizers_kept_follow_beta(beta):
    density = ec.GibbsDensity(ec.do(noisy(), x=1.0), over="z", beta=beta)
    z = torch.tensor([[-1.0], [0.5]], dtype=F64)
    known = torch.distributions.Normal(0.0, beta**-0.5).log_prob(z).squeeze(-1)
    assert torch.allclose(density.normalized_log_prob(z), known.to(F64), atol=1e-7)


def confounded():
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
    return x + y + ec.GaussianRegularizer(1)


def test_do_deletes_one_factor():
    energy = confounded()
    cut = ec.do(energy, x=1.0)
    assert set(cut.factors) == {"y", "R(z)"}
    assert set(cut.variables) == {"y", "z"}
    assert cut.clamped["x"].tolist() == [[1.0]]
    values = {"y": torch.ones(4, 1, dtype=F64), "z": torch.randn(4, 1, dtype=F64)}
    known = energy(x=torch.ones(1, dtype=F64), **values) - 0.5 * (1 - values["z"][:, 0]) ** 2
    assert torch.allclose(cut(**values), known)


def test_do_does_not_change_the_caller_s_energy():
    energy = confounded()
    ec.do(energy, x=1.0)
    assert set(energy.factors) == {"x", "y", "R(z)"}
    assert energy.clamped == {}


def test_do_leaves_non_descendants_unchanged():
    cut = ec.do(confounded(), y=3.0)
    x = ec.sample(cut, over=("x", "z"), draws=20_000, chains=1).values["x"]
    assert x.mean().item() == pytest.approx(0, abs=5 * math.sqrt(2 / 20_000))
    assert x.var().item() == pytest.approx(2, rel=0.06)


def test_setting_a_latent_deletes_its_regularizer():
    cut = ec.do(confounded(), z=1.0)
    assert set(cut.factors) == {"x", "y"}
    y = ec.interventional(confounded(), do={"z": 1.0})
    assert y.mean.item() == pytest.approx(3, abs=5 * y.standard_error.item() + 1e-9)


def test_interventions_follow_one_another():
    both = ec.do(ec.do(confounded(), x=1.0), z=2.0)
    assert both(y=torch.tensor([7.0], dtype=F64)).item() == pytest.approx(2.0)


def test_one_world_per_row():
    cut = ec.do(confounded(), x=[0.0, 1.0, 2.0])
    values = {"y": torch.zeros(1, 1, dtype=F64), "z": torch.zeros(1, 1, dtype=F64)}
    assert cut(**values).tolist() == [0.0, 0.5, 2.0]
    found = ec.free_energy(cut, over="z", given={"y": [[0.0]]})
    assert found.value.shape == (3,)
    rows = [
        ec.free_energy(ec.do(confounded(), x=v), over="z", given={"y": [[0.0]]}).value
        for v in (0.0, 1.0, 2.0)
    ]
    assert torch.allclose(found.value, torch.cat(rows))


def test_constant_normalizers_are_left_out_and_others_kept():
    assert not any(isinstance(f, LocalNormalizer) for f in ec.do(confounded(), x=1.0).factors.values())
    t = ec.Mechanism("t", "z", lambda z: z, ec.BernoulliCost())
    y = ec.Mechanism("y", ("t", "z"), lambda t, z: t + z, ec.SquaredError())
    cut = ec.do(t + y + ec.GaussianRegularizer(1), y=1.0)
    assert any(isinstance(f, LocalNormalizer) for f in cut.factors.values())
    values = {"t": torch.ones(3, 1, dtype=F64), "z": torch.zeros(3, 1, dtype=F64)}
    assert cut(**values).shape == (3,)


def test_numbers_follow_the_dtype_of_the_energy():
    energy = ec.LinearGaussianEnergy(torch.ones(2, 1), torch.ones(2, 1))
    cut = ec.do(energy, x=1.0)
    assert cut.clamped["x"].dtype == torch.float32
    assert cut(y=torch.zeros(3, 2), z=torch.zeros(3, 1)).dtype == torch.float32


def test_priors_of_several_latents_are_groups():
    y = ec.Mechanism("y", ("u", "v", "z"), lambda u, v, z: u + v + z, ec.SquaredError())
    energy = y + ec.GaussianRegularizer(1) + ec.energy(lambda u, v: ((u - v) ** 2 + u**2).sum(-1), u=1, v=1)
    assert sorted(tuple(group.variables) for group in prior_groups(energy)) == [("u", "v"), ("z",)]


# Refusals.


def test_nothing_to_set():
    with pytest.raises(EnergyError, match=r"do\(\) needs a variable to set"):
        ec.do(confounded())


def test_an_unknown_variable():
    with pytest.raises(
        EnergyError, match=r"unknown variable 'w'; the energy's variables are \['z', 'x', 'y'\]"
    ):
        ec.do(confounded(), w=1.0)


def test_a_wrong_shape():
    with pytest.raises(EnergyError, match=r"'x' must be \[rows, 1\]; got \[2, 2\]"):
        ec.do(confounded(), x=[[1.0, 2.0], [3.0, 4.0]])


def test_a_value_that_is_not_finite():
    with pytest.raises(EnergyError, match="'x' is not finite in 1 rows"):
        ec.do(confounded(), x=math.nan)


def test_a_value_outside_the_support():
    t = ec.Mechanism("t", "z", lambda z: z, ec.BernoulliCost())
    y = ec.Mechanism("y", "t", lambda t: t, ec.SquaredError())
    with pytest.raises(
        EnergyError, match=r"'t' must be in its support, Boolean\(\); it is not in 1 rows.*0.5"
    ):
        ec.do(t + y + ec.GaussianRegularizer(1), t=0.5)


def test_a_factor_without_direction():
    stray = ec.energy(lambda y, z: (y * z).sum(-1), y=1, z=1)
    with pytest.raises(
        IdentificationError, match="has no direction: which of these causes which is not said"
    ):
        ec.do(confounded() + stray, x=1.0)
    with pytest.raises(IdentificationError, match="has no direction"):
        ec.do(stray, y=1.0)


def test_a_factor_that_ties_what_is_set_to_a_latent():
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.SquaredError())
    tied = y + ec.energy(lambda x, z: ((x - z) ** 2 + z**2).sum(-1), x=1, z=1)
    with pytest.raises(IdentificationError, match=r"over \['x', 'z'\] has no direction"):
        ec.do(tied, x=1.0)


def test_a_normalizer_that_is_not_known():
    y = ec.Mechanism("y", "x", lambda x: x, lambda p, v: ((p - v) ** 4).sum(-1), dim=3)
    energy = y + ec.Mechanism("x", "z", lambda z: z, ec.SquaredError()) + ec.GaussianRegularizer(1)
    with pytest.raises(IdentificationError, match="mechanism of 'y' has a cost without a known normalizer"):
        ec.do(energy, x=1.0)


def test_a_cost_that_does_not_grow():
    y = ec.Mechanism("y", "z", lambda z: z, lambda p, v: 0 * (p - v).sum(-1))
    cut = ec.do(y + ec.Mechanism("x", "z", lambda z: z, ec.SquaredError()) + ec.GaussianRegularizer(1), x=0.0)
    with pytest.raises(ValueError, match="normalizer of the mechanism of 'y' was not resolved"):
        cut(y=torch.zeros(1, 1, dtype=F64), z=torch.zeros(1, 1, dtype=F64))
