"""An energy as a Pyro model: what Predictive, do and SVI make of it."""

import math

import pyro
import pytest
import torch
from pyro.infer import SVI, Predictive, Trace_ELBO

import ebm_causal as ec
from ebm_causal.energies import normalized
from ebm_causal.errors import EnergyError, IdentificationError

F64 = torch.float64


@pytest.fixture(autouse=True)
def _fresh_store():
    with pyro.get_param_store().scope():
        yield


def confounded():
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
    return x + y + ec.GaussianRegularizer(1)


@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_the_trace_has_the_log_density_of_the_normalized_sum(beta):
    energy = confounded()
    values = {name: torch.randn(4, 1, dtype=F64) for name in ("x", "y", "z")}
    conditioned = pyro.condition(ec.pyro_model(energy, rows=4, beta=beta), data=values)
    found = pyro.poutine.trace(conditioned).get_trace().log_prob_sum()
    prior = energy.factors["R(z)"].log_normalizer(beta, values["z"])
    known = -normalized(energy).reduced(values, beta).sum() - 4 * prior
    assert found.item() == pytest.approx(known.item(), rel=1e-10)
    whole = ec.log_partition(normalized(energy), over=("y",), given={"x": [0.0], "z": [0.0]}, beta=beta)
    assert whole.value.item() == pytest.approx(-0.5 * math.log(2 * math.pi / beta), abs=1e-8)


def test_predictive_under_do_gives_the_interventional_mean():
    pyro.set_rng_seed(0)
    model = ec.pyro_model(confounded(), rows=1000)
    done = pyro.do(model, data={"x": torch.ones(1, 1, dtype=F64)})
    y = Predictive(done, num_samples=8)()["y"].flatten()
    assert len(y) == 8000
    assert y.mean().item() == pytest.approx(
        1.0, abs=5 * y.std().item() / math.sqrt(8000)
    )  # 2 where x is seen


def test_conditioning_gives_the_observational_mean():
    x = torch.ones(8000, 1, dtype=F64)
    pyro.set_rng_seed(0)
    trace = pyro.poutine.trace(ec.pyro_model(confounded())).get_trace(x=x)
    trace.compute_log_prob()
    weights = torch.softmax(trace.nodes["x"]["log_prob"], 0)
    assert (weights * trace.nodes["y"]["value"].flatten()).sum().item() == pytest.approx(2.0, abs=0.15)


def test_given_data_are_observed_and_the_rest_is_drawn():
    trace = pyro.poutine.trace(ec.pyro_model(confounded())).get_trace(
        x=torch.zeros(5, 1), y=torch.zeros(5, 1)
    )
    observed = {name for name in ("x", "y", "z") if trace.nodes[name]["is_observed"]}
    assert observed == {"x", "y"}
    assert trace.nodes["z"]["value"].shape == (5, 1)
    assert trace.nodes["z"]["value"].dtype == torch.float32


def test_an_intervened_energy_is_a_model_of_the_rest():
    pyro.set_rng_seed(0)
    trace = pyro.poutine.trace(ec.pyro_model(ec.do(confounded(), x=1.0), rows=3000)).get_trace()
    y = trace.nodes["y"]["value"].flatten()
    assert sorted(trace.stochastic_nodes) == ["rows", "y", "z"]
    assert y.mean().item() == pytest.approx(1, abs=5 * y.std().item() / math.sqrt(len(y)))


def heteroscedastic():
    """A cost without a known normalizer, whose scale depends on z: the normal law of scale exp(z)."""

    def cost(prediction, value):
        return 0.5 * ((value - prediction[..., :1]) * (-prediction[..., 1:]).exp()).square().sum(-1)

    return ec.Mechanism("y", "z", lambda z: torch.cat([2 * z, z], -1), cost) + ec.GaussianRegularizer(1)


def test_a_cost_without_a_distribution_is_normalized_by_quadrature():
    values = {"z": torch.tensor([[0.5], [-1.0]], dtype=F64), "y": torch.tensor([[1.0], [0.3]], dtype=F64)}
    model = pyro.condition(ec.pyro_model(heteroscedastic(), rows=2), data=values)
    trace = pyro.poutine.trace(model).get_trace()
    trace.compute_log_prob()
    known = torch.distributions.Normal(2 * values["z"], values["z"].exp()).log_prob(values["y"])
    assert torch.allclose(trace.nodes["y"]["log_prob"], known.squeeze(-1), atol=1e-8)


def test_draws_by_quadrature_have_the_right_spread():
    pyro.set_rng_seed(0)
    model = pyro.condition(
        ec.pyro_model(heteroscedastic(), rows=4000), data={"z": torch.ones(4000, 1, dtype=F64)}
    )
    y = model()["y"]
    assert y.mean().item() == pytest.approx(2, abs=5 * math.e / math.sqrt(4000))
    assert y.var().item() == pytest.approx(math.e**2, rel=5 * math.sqrt(2 / 4000))


def test_a_plain_factor_on_a_latent_is_a_normalized_prior():
    y = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError())
    energy = y + ec.energy(lambda z: 2 * (z.squeeze(-1) ** 2 - 1) ** 2, z=1)
    values = {"z": torch.ones(1, 1, dtype=F64), "y": torch.ones(1, 1, dtype=F64)}
    trace = pyro.poutine.trace(pyro.condition(ec.pyro_model(energy), data=values)).get_trace()
    known = -0.344238219730 - 0.5 * math.log(2 * math.pi)
    assert trace.log_prob_sum().item() == pytest.approx(known, abs=1e-8)


def test_svi_moves_the_parameters_of_the_energy():
    energy = ec.LinearGaussianEnergy(torch.full((1, 1), 0.1, dtype=F64), offset=torch.zeros(1, dtype=F64))
    y = 3 + torch.randn(200, 1, generator=torch.Generator().manual_seed(0), dtype=F64)

    def guide(y):
        with pyro.plate("rows", len(y), dim=-1):
            pyro.sample("z", pyro.distributions.Normal(torch.zeros(len(y), 1, dtype=F64), 1.0).to_event(1))

    pyro.set_rng_seed(0)
    svi = SVI(ec.pyro_model(energy), guide, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
    for _ in range(150):
        svi.step(y=y)
    assert energy.decoder.offset.item() == pytest.approx(3, abs=0.3)


# Refusals.


def test_a_factor_without_direction():
    energy = ec.energy(lambda y, z: ((y - z) ** 2).sum(-1), y=1, z=1)
    with pytest.raises(IdentificationError, match="neither a mechanism nor a regularizer.*Predictive and do"):
        ec.pyro_model(energy)


def test_a_variable_without_a_law():
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.SquaredError())
    model = ec.pyro_model(y + ec.GaussianRegularizer(1))
    with pytest.raises(EnergyError, match="'x' has neither a mechanism nor a regularizer: give its values"):
        model()


def test_a_prior_of_several_latents_together():
    y = ec.Mechanism("y", ("u", "z"), lambda u, z: u + z, ec.SquaredError())
    energy = y + ec.energy(lambda u, z: (u**2 + z**2 + u * z).sum(-1), u=1, z=1)
    with pytest.raises(IdentificationError, match=r"\['u', 'z'\] have a prior together"):
        ec.pyro_model(energy)()


def test_data_of_no_variable():
    with pytest.raises(EnergyError, match="unknown variable 'w'"):
        ec.pyro_model(confounded())(w=torch.zeros(3, 1))


def test_data_outside_the_support():
    y = ec.Mechanism("y", "z", lambda z: z, ec.BernoulliCost())
    with pytest.raises(EnergyError, match="'y' must be in its support, Boolean"):
        ec.pyro_model(y + ec.GaussianRegularizer(1))(y=torch.full((2, 1), 0.5))


def test_a_second_energy_in_the_same_parameter_store():
    first, second = (ec.LinearGaussianEnergy(torch.full((1, 1), value)) for value in (1.0, 2.0))
    ec.pyro_model(first)()
    ec.pyro_model(first)()
    with pytest.raises(EnergyError, match="parameters of another energy: call pyro.clear_param_store"):
        ec.pyro_model(second)()
