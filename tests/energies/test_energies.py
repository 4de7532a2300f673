"""Laws over every energy, and what an energy refuses."""

import networkx as nx
import pytest
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal.energies import Strength, confounded_energy, latents_of, named_parameters, undirected_of

F64 = torch.float64


def network(dtype):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).to(dtype)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = body

        def forward(self, x, z):
            return self.body(torch.cat([x, z], -1))

    return Decoder()


def structural(dtype=F64):
    x = ec.Mechanism("x", "z", lambda z: z.repeat_interleave(2, -1), ec.StudentTCost(1.0, 3.0), dim=2)
    y = ec.Mechanism("y", ("x", "z"), network(dtype), ec.SquaredError(0.5))
    return x + y + ec.GaussianRegularizer(1)


def linear(dtype=F64):
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(3, k, generator=generator, dtype=dtype) for k in (2, 4)]
    return ec.LinearGaussianEnergy(*weights, offset=torch.ones(3, dtype=dtype), scale=0.7)


def plain(dtype=F64):
    return ec.energy(lambda a, b: ((a * b).sum(-1) - 1) ** 2 + (a**4).sum(-1), a=2, b=2)


def latent(dtype=F64):
    torch.manual_seed(1)
    predictor = nn.Linear(2, 3).to(dtype)
    return ec.LatentEnergy(
        predictor, lambda h, z: torch.tanh(h + z), ec.SquaredError(), ec.GaussianRegularizer(3, 2.0)
    )


def intervened(dtype=F64):
    return ec.do(structural(dtype), x=torch.tensor([0.3, -0.2], dtype=dtype))


def table(dtype=F64):
    energy = confounded_energy(
        2, binary_treatment=False, tail="heavy", strength=Strength(treatment=0.2, outcome=0.1)
    )
    return energy.to(dtype)


ENERGIES = {f.__name__: f for f in (structural, linear, plain, latent, intervened, table)}
DIMS = {"x": 2, "y": 1, "z": 1, "a": 2, "b": 2, "w": 2, "t": 1}
OWN = {"linear": {"x": 4, "y": 3, "z": 2}, "latent": {"x": 2, "y": 3, "z": 3}}
every_energy = pytest.mark.parametrize("name", ENERGIES)


def rows_of(name, energy, rows=5, dtype=F64):
    generator = torch.Generator().manual_seed(2)
    dims = {**DIMS, **OWN.get(name, {})}
    return {v: torch.randn(rows, dims[v], generator=generator, dtype=dtype) for v in energy.variables}


@every_energy
def test_a_batch_is_a_loop_over_rows(name):
    energy = ENERGIES[name]()
    values = rows_of(name, energy)
    whole = energy(**values)
    rows = [energy(**{v: value[i] for v, value in values.items()}) for i in range(5)]
    assert whole.shape == (5,)
    assert torch.allclose(whole, torch.stack([row.reshape(()) for row in rows]), rtol=1e-12)


@every_energy
def test_variables_broadcast(name):
    energy = ENERGIES[name]()
    values = rows_of(name, energy)
    first = next(iter(values))
    wide = energy(**{**values, first: values[first][:, None]})
    assert wide.shape == (5, 5)
    assert torch.allclose(wide.diagonal(), energy(**values))


@every_energy
def test_the_gradient_is_that_of_finite_differences(name):
    energy = ENERGIES[name]()
    values = {v: value.requires_grad_() for v, value in rows_of(name, energy, rows=2).items()}
    names = list(values)
    assert torch.autograd.gradcheck(
        lambda *tensors: energy(**dict(zip(names, tensors, strict=True))), tuple(values.values())
    )


@every_energy
def test_the_reduced_energy_is_beta_times_the_energy_but_for_normalizers(name):
    energy = ENERGIES[name]()
    values = rows_of(name, energy)
    assert torch.allclose(energy.reduced(values, 1.0), energy(**values))
    assert torch.allclose(energy.reduced(values, 2.0), 2 * energy(**values))


@every_energy
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_the_dtype_follows_the_input(name, dtype):
    energy = ENERGIES[name](dtype)
    assert energy(**rows_of(name, energy, dtype=dtype)).dtype == dtype


@every_energy
def test_parameters_have_names_and_reach_the_energy(name):
    energy = ENERGIES[name]()
    named = named_parameters(energy)
    assert {id(p) for p in named.values()} == {id(p) for p in energy.parameters()}
    value = energy(**rows_of(name, energy)).sum()
    if named:
        found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
        assert any(gradient is not None and bool((gradient != 0).any()) for gradient in found)


def test_a_sum_of_energies_is_the_energy_of_the_sum():
    first = ec.energy(lambda a: (a**2).sum(-1), a=2)
    second = ec.energy(lambda a, b: ((a - b) ** 2).sum(-1), a=2, b=2)
    values = {v: torch.randn(4, 2, dtype=F64) for v in ("a", "b")}
    both = first + second
    assert torch.equal(both(**values), first(a=values["a"]) + second(**values))
    assert list(both.variables) == ["a", "b"]


def test_factors_of_the_same_name_are_numbered():
    double = ec.energy(lambda a: a.sum(-1), a=1) + ec.energy(lambda a: a.sum(-1), a=1)
    assert list(double.factors) == ["<lambda>", "<lambda> (2)"]


def test_the_graph_is_read_off_the_factors():
    graph = structural().graph
    assert set(graph.edges) == {("z", "x"), ("x", "y"), ("z", "y")}
    assert nx.get_node_attributes(graph, "latent") == {"x": False, "y": False, "z": True}


def test_an_intervention_cuts_the_arrow():
    assert set(intervened().graph.edges) == {("z", "y")}


def test_a_plain_factor_on_a_latent_alone_is_a_regularizer():
    y = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError())
    energy = y + ec.energy(lambda z: (z**4).sum(-1), z=1)
    assert latents_of(energy) == ("z",)
    assert undirected_of(energy) == ()


def test_the_note_s_energy_has_a_latent_and_no_arrow_into_x():
    energy = latent()
    assert set(energy.graph.edges) == {("x", "y"), ("z", "y")}
    assert latents_of(energy) == ("z",)


def test_an_assignment_makes_the_latent_a_confounder():
    assignment = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    energy = ec.LatentEnergy(
        nn.Identity(), lambda h, z: h + z, ec.SquaredError(), ec.GaussianRegularizer(1), assignment
    )
    assert ("z", "x") in energy.graph.edges


def test_a_latent_energy_is_cost_plus_regularizer():
    energy = latent()
    values = rows_of("latent", energy)
    prediction = torch.tanh(energy.factors["y"].decoder.predictor(values["x"]) + values["z"])
    known = 0.5 * ((prediction - values["y"]) ** 2).sum(-1) + (values["z"] ** 2).sum(-1)
    assert torch.allclose(energy(**values), known)


def test_dimensions_learned_from_data_stay_with_sums():
    energy = linear()
    assert (energy + ec.energy(lambda u: u.sum(-1), u=1)).variables["x"].dim == 4


def test_a_decoder_may_leave_out_a_parent():
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x, ec.SquaredError())
    energy = y + ec.GaussianRegularizer(1)
    found = ec.free_energy(energy, over="z", given={"x": [[0.0], [1.0]], "y": [[0.0], [0.0]]})
    assert (found.value[1] - found.value[0]).item() == pytest.approx(0.5)
