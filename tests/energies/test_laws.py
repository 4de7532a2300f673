"""Laws over every energy: rows, gradients, types, temperatures, sums and scales."""

import pytest
import torch
from energies.catalog import ENERGIES, F64, has_normalizer, make, rows_of
from torch import nn

import ebm_causal as ec
from ebm_causal.calculus import differentiate
from ebm_causal.energies import LocalNormalizer, named_parameters

every_energy = pytest.mark.parametrize("name", ENERGIES)
NORMALIZERS_KEPT = "intervened, normalizers kept"


@every_energy
def test_a_batch_is_a_loop_over_rows(name):
    energy = make(name)
    values = rows_of(name, energy)
    whole = energy(**values)
    rows = [energy(**{v: value[i] for v, value in values.items()}) for i in range(5)]
    assert whole.shape == (5,)
    assert torch.allclose(whole, torch.stack([row.reshape(()) for row in rows]), rtol=1e-12)


@every_energy
def test_variables_broadcast(name):
    energy = make(name)
    values = rows_of(name, energy)
    energy(**values)
    first = next(iter(values))
    wide = energy(**{**values, first: values[first][:, None]})
    assert wide.shape == (5, 5)
    assert torch.allclose(wide.diagonal(), energy(**values))


@every_energy
def test_the_gradient_is_that_of_finite_differences(name):
    """Along one direction of all continuous variables, through nine points."""
    energy, step = make(name), 1e-3
    start = rows_of(name, energy, rows=2)
    generator = torch.Generator().manual_seed(7)
    moves = {
        v: torch.randn(value.shape, generator=generator, dtype=F64)
        * (0.0 if energy.variables[v].support.is_discrete else 1.0)
        for v, value in start.items()
    }
    places = step * torch.arange(-4, 5, dtype=F64)
    curve = torch.stack([energy(**{v: x + t * moves[v] for v, x in start.items()}) for t in places])
    points = {v: x.clone().requires_grad_() for v, x in start.items()}
    slopes = torch.autograd.grad(energy(**points).sum(), list(points.values()), allow_unused=True)
    along = sum(
        (slope * moves[v]).flatten(1).sum(-1)
        for v, slope in zip(points, slopes, strict=True)
        if slope is not None
    )
    assert torch.allclose(differentiate(curve.detach(), step)[4], along, rtol=1e-8, atol=1e-9)


@every_energy
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_the_dtype_follows_the_input(name, dtype):
    energy = make(name, dtype)
    values = rows_of(name, energy, dtype=dtype)
    assert energy(**values).dtype == dtype
    assert energy.reduced(values, 2.0).dtype == dtype
    assert energy.reduced(values, torch.full((5,), 2.0, dtype=F64)).dtype == dtype


@every_energy
def test_the_device_follows_the_input(name):
    """On the device without numbers, which any tensor of another device would make fail."""
    energy = make(name).to("meta")
    values = {v: value.to("meta") for v, value in rows_of(name, make(name)).items()}
    found = energy(**values)
    assert (found.device.type, found.shape) == ("meta", (5,))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_what_the_cpu_gives():
    for name in ENERGIES:
        values = rows_of(name, make(name))
        found = make(name).to("cuda")(**{v: value.to("cuda") for v, value in values.items()})
        assert torch.allclose(found.cpu(), make(name)(**values)), name


@every_energy
def test_the_reduced_energy_is_beta_times_the_energy_but_for_normalizers(name):
    energy = make(name)
    values = rows_of(name, energy)
    assert torch.allclose(energy.reduced(values, 1.0).expand(5), energy(**values))
    normalizers = [f for f in energy.factors.values() if isinstance(f, LocalNormalizer)]
    held = {**values, **energy.clamped}
    extra = sum(f.reduced(held, 2.0) - 2 * f.reduced(held, 1.0) for f in normalizers)
    assert torch.allclose(energy.reduced(values, 2.0), 2 * energy(**values) + extra)
    assert bool(normalizers) == (name == NORMALIZERS_KEPT)


@every_energy
def test_one_beta_for_each_row_is_a_loop_over_them(name):
    energy = make(name)
    values, betas = rows_of(name, energy), torch.linspace(0.5, 2.5, 5, dtype=F64)
    rows = [
        energy.reduced({v: value[[i]] for v, value in values.items()}, float(beta))
        for i, beta in enumerate(betas)
    ]
    assert torch.allclose(
        energy.reduced(values, betas), torch.cat([row.reshape(1) for row in rows]), rtol=1e-10
    )


@every_energy
def test_parameters_have_names_and_reach_the_energy(name):
    energy = make(name)
    named = named_parameters(energy)
    assert {id(p) for p in named.values()} == {id(p) for p in energy.parameters()}
    value = energy(**rows_of(name, energy)).sum()
    if named and value.requires_grad:
        found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
        assert any(gradient is not None and bool((gradient != 0).any()) for gradient in found)


@every_energy
def test_a_sum_of_energies_is_the_energy_of_the_sum(name):
    energy, other = make(name), ec.energy(lambda other: (other**2).sum(-1), other=2)
    values = rows_of(name, energy)
    more = torch.randn(5, 2, dtype=F64, generator=torch.Generator().manual_seed(9))
    for whole in (energy + other, other + energy, sum([other, energy])):
        assert torch.allclose(whole(**values, other=more), energy(**values) + other(other=more), rtol=1e-12)


@every_energy
@pytest.mark.parametrize(
    "weight", [2.5, nn.Parameter(torch.tensor(0.4, dtype=F64))], ids=["number", "parameter"]
)
def test_a_scaled_energy_is_a_colder_one(name, weight):
    energy = make(name)
    values = rows_of(name, energy)
    known = energy.reduced(values, float(weight.detach()) if isinstance(weight, nn.Parameter) else weight)
    for scaled in (weight * energy, energy * weight):
        assert torch.allclose(scaled(**values), known.expand(5))
        assert torch.allclose(scaled.reduced(values, 0.5), energy.reduced(values, 0.5 * weight))
    if name != NORMALIZERS_KEPT:
        assert torch.allclose(known, weight * energy(**values))


@every_energy
def test_scaling_keeps_graph_latents_and_variables(name):
    energy, scaled = make(name), 3.0 * make(name)
    assert dict(scaled.graph.nodes(data=True)) == dict(energy.graph.nodes(data=True))
    assert set(scaled.graph.edges) == set(energy.graph.edges)
    assert list(scaled.factors) == list(energy.factors)
    assert [v.shape for v in scaled.variables.values()] == [v.shape for v in energy.variables.values()]


@every_energy
def test_what_cannot_be_normalized_is_known_before_it_is_asked_for(name):
    assert has_normalizer(make(name)) == (name != "cost: cosine")


@every_energy
def test_an_energy_can_be_copied_and_stored(name):
    energy = make(name)
    values = rows_of(name, energy)
    known = energy(**values)
    other = make(name)
    other.load_state_dict(energy.state_dict())
    assert torch.equal(other(**values), known)
