"""Every cost in a mechanism: surgery, Pyro, enumeration and draws count the same normalizer."""

import math

import pyro
import pytest
import torch
from energies.catalog import COSTS, ENERGIES, F64, REGULARIZERS, rows_of, values_of, with_cost

import ebm_causal as ec
from ebm_causal.energies import LocalNormalizer, normalized
from ebm_causal.errors import EnergyError

every_cost = pytest.mark.parametrize("name", COSTS)


def energy_of(name):
    return with_cost(COSTS[name])().to(F64)


@every_cost
def test_surgery_keeps_the_normalizers_that_depend_on_parents(name):
    cut = ec.do(energy_of(name), x=[[0.5, -0.5]])
    kept = any(isinstance(factor, LocalNormalizer) for factor in cut.factors.values())
    assert kept != COSTS[name]().constant_normalizer


@every_cost
@pytest.mark.parametrize("beta", [1.0, 1.7])
def test_a_latent_upstream_keeps_its_prior_under_do(name, beta):
    """y integrated out, the density of z given do(x) is e^{-beta R}: by sums over y, or a wide grid."""
    cut = ec.do(energy_of(name), x=[[0.5, -0.5]])
    states = values_of(COSTS[name]())
    heavy = isinstance(COSTS[name](), ec.StudentTCost)
    if states is None:
        grid = (
            torch.sinh(torch.linspace(-12, 12, 40_001, dtype=F64))
            if heavy
            else torch.linspace(-99, 99, 40_001)
        )
        grid, log_cell = grid.to(F64), torch.gradient(grid.to(F64))[0].log()
    else:
        grid, log_cell = (
            torch.tensor([float(s) for s in states], dtype=F64),
            torch.zeros(len(states), dtype=F64),
        )
    z = torch.tensor([[-1.0], [0.0], [2.0]], dtype=F64)
    weights = -cut.reduced({"y": grid[:, None, None], "z": z}, beta) + log_cell[:, None]
    marginal = weights.logsumexp(0)
    prior = -0.5 * beta * z[:, 0] ** 2
    assert torch.allclose(marginal - marginal[1], prior - prior[1], atol=1e-5)


@every_cost
def test_the_pyro_model_weighs_as_the_normalized_energy(name):
    energy, beta = energy_of(name), 1.3
    pyro.clear_param_store()
    values = rows_of(name, energy, rows=4)
    trace = pyro.poutine.trace(pyro.condition(ec.pyro_model(energy, beta=beta), data=values)).get_trace(
        x=values["x"], y=values["y"]
    )
    prior = energy.factors["R(z)"].log_normalizer(beta, values["z"])
    known = -normalized(energy).reduced(values, beta).sum() - 4 * prior
    assert trace.log_prob_sum().item() == pytest.approx(known.item(), rel=1e-9)


@every_cost
def test_the_pyro_model_draws_what_the_next_decoder_can_take(name):
    energy = energy_of(name) + ec.Mechanism("w", "y", lambda y: 2 * y, ec.SquaredError())
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    drawn = ec.pyro_model(energy, rows=5)(x=torch.zeros(5, 2, dtype=F64))
    assert (drawn["y"].shape, drawn["y"].dtype, drawn["w"].shape) == ((5, 1), F64, (5, 1))


@every_cost
def test_interventional_draws_have_the_mean_of_the_law(name):
    energy = energy_of(name)
    found = ec.interventional(energy, do={"x": [[0.5, -0.5]], "z": 0.3}, query="y", draws=50, seed=0)
    held = {"x": torch.tensor([[0.5, -0.5]], dtype=F64), "z": torch.tensor([[0.3]], dtype=F64)}
    assert torch.allclose(found.mean, energy.factors["y"].mean(held))
    assert found.standard_error.abs().max().item() < 1e-12


@pytest.mark.parametrize("name", [name for name in REGULARIZERS if "scaled" not in name])
def test_a_regularizer_is_a_prior_site(name):
    energy = ENERGIES[f"regularizer: {name}"]()
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    mechanism = ec.Mechanism("u", "z", lambda z: z.flatten(1)[:, :1], ec.SquaredError())
    regularizer = energy.factors["R(z)"]
    trace = pyro.poutine.trace(ec.pyro_model(mechanism + regularizer, rows=3)).get_trace()
    drawn = trace.nodes["z"]["value"]
    assert drawn.shape == (3, *regularizer.variables["z"].shape)
    known = -regularizer(z=drawn) - regularizer.log_normalizer(1.0, drawn)
    assert torch.allclose(trace.nodes["z"]["fn"].log_prob(drawn), known)


def test_images_are_sites_of_their_own_shape():
    y = ec.Mechanism(
        "y", "z", lambda z: z[..., None, None].expand(-1, 1, 2, 2), ec.SquaredError(), dim=(1, 2, 2)
    )
    model = ec.pyro_model(y + ec.GaussianRegularizer(1), rows=3)
    trace = pyro.poutine.trace(model).get_trace()
    assert trace.nodes["y"]["value"].shape == (3, 1, 2, 2)
    assert math.isfinite(trace.log_prob_sum().item())


def classes():
    return ec.Mechanism(
        "k", "z", lambda z: torch.cat([z, -z, 0 * z], -1), ec.CategoricalCost(3)
    ) + ec.GaussianRegularizer(1)


def test_a_class_is_enumerated():
    z = torch.tensor([[0.7], [-2.0]], dtype=F64)
    logits = torch.cat([z, -z, 0 * z], -1)
    found = ec.log_partition(classes(), over="k", given={"z": z}, beta=2.0)
    known = (2 * logits.log_softmax(-1)).logsumexp(-1) - z[:, 0] ** 2
    assert found.method == "enumeration"
    assert torch.allclose(found.value, known)
    assert ec.minimize(classes(), over="k", given={"z": z}).values["k"][:, 0].tolist() == [0.0, 1.0]


def test_counts_without_an_end_are_given_or_cut():
    counts = ec.Mechanism("y", "z", lambda z: z, ec.PoissonCost()) + ec.GaussianRegularizer(1)
    given = {"z": torch.zeros(1, 1, dtype=F64)}
    for ask in (ec.log_partition, ec.minimize, ec.GibbsDensity):
        with pytest.raises(
            EnergyError, match="'y' may be any of infinitely many separate values .* put it into given"
        ):
            ask(counts, over="y", given=given)
    several = ec.Variable(1, ec.finite(range(60)))
    cut = ec.Mechanism("y", "z", lambda z: z, ec.PoissonCost(), dim=several) + ec.GaussianRegularizer(1)
    assert ec.log_partition(cut, over="y", given=given).value.item() == pytest.approx(0.0, abs=1e-12)
