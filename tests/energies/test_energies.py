"""What is read off an energy: its graph, its latents, its sums."""

import networkx as nx
import pytest
import torch
from energies.catalog import F64, linear, make, rows_of, structural
from torch import nn

import ebm_causal as ec
from ebm_causal.energies import latents_of, undirected_of


def latent():
    return make("latent")


def intervened():
    return make("intervened")


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
