"""A Gibbs density where Pyro uses one: plates, event dimensions, guides, replicas, and do."""

import math

import pyro
import pytest
import torch
from pyro.infer import SVI, Predictive, Trace_ELBO

import ebm_causal as ec

F64 = torch.float64


@pytest.fixture(autouse=True)
def _fresh_store():
    with pyro.get_param_store().scope():
        pyro.set_rng_seed(0)
        yield


def normal(mean=0.0, dim=1):
    return ec.energy(lambda x: 0.5 * ((x - mean) ** 2).sum(-1), x=dim)


def test_a_plate_becomes_part_of_the_event():
    density = ec.GibbsDensity(normal(dim=2), over="x").expand((4,)).to_event(1)
    assert (density.batch_shape, density.event_shape) == ((), (4, 2))
    value = torch.ones(4, 2, dtype=F64)
    assert density.log_prob(value).item() == pytest.approx(-4.0)
    assert density.sample((3,)).shape == (3, 4, 2)


def test_two_plates_and_a_row_of_given_values():
    tilted = ec.energy(lambda x, c: 0.5 * ((x - c) ** 2).sum(-1), x=1, c=1)
    c = torch.arange(3, dtype=F64)[:, None]

    def model():
        with pyro.plate("draws", 2, dim=-2), pyro.plate("rows", 3, dim=-1):
            return pyro.sample("x", ec.GibbsDensity(tilted, over="x", given={"c": c}, with_normalizer=True))

    trace = pyro.poutine.trace(model).get_trace()
    trace.compute_log_prob()
    value = trace.nodes["x"]["value"]
    assert value.shape == (2, 3, 1)
    known = torch.distributions.Normal(c[:, 0], 1.0).log_prob(value[..., 0])
    assert torch.allclose(trace.nodes["x"]["log_prob"], known, atol=1e-8)


def test_under_do_a_site_keeps_what_it_causes():
    def model():
        x = pyro.sample("x", ec.GibbsDensity(normal(3.0), over="x", with_normalizer=True))
        follows = ec.energy(lambda y, x: 0.5 * ((y - 2 * x) ** 2).sum(-1), y=1, x=1)
        return pyro.sample(
            "y", ec.GibbsDensity(follows, over="y", given={"x": x[None]}, with_normalizer=True)
        )

    done = pyro.do(model, data={"x": torch.ones(1, dtype=F64)})
    y = Predictive(done, num_samples=40)()["y"].flatten()
    assert y.mean().item() == pytest.approx(2.0, abs=5 / math.sqrt(40))


def test_as_a_guide_it_bounds_the_evidence_tightly():
    """The posterior of z given y under a normal model, as a Gibbs density: every draw gives the evidence itself."""
    y = torch.tensor([[0.7], [-1.2]], dtype=F64)
    energy = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError()) + ec.GaussianRegularizer(1)

    def guide(y):
        with pyro.plate("rows", len(y), dim=-1):
            pyro.sample("z", ec.GibbsDensity(energy, over="z", given={"y": y}, with_normalizer=True))

    loss = Trace_ELBO().loss(ec.pyro_model(energy), guide, y=y)
    known = torch.distributions.Normal(0.0, math.sqrt(2.0)).log_prob(y).sum()
    assert -loss == pytest.approx(known.item(), abs=1e-6)


def test_its_normalizer_is_learned_through():
    """The density's weight w has the normalizer sqrt(2 pi / w); maximum likelihood is one over the mean square."""

    class Quadratic(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones((), dtype=F64))

        def forward(self, x):
            return 0.5 * self.weight * (x**2).sum(-1)

    energy = ec.energy(Quadratic(), x=1)
    x = 2.0 * torch.randn(50, 1, generator=torch.Generator().manual_seed(0), dtype=F64)

    def model():
        pyro.module("energy", energy)
        with pyro.plate("rows", len(x), dim=-1):
            pyro.sample("x", ec.GibbsDensity(energy, over="x", with_normalizer=True), obs=x)

    engine = SVI(model, lambda: None, pyro.optim.Adam({"lr": 0.05}), Trace_ELBO())
    for _ in range(60):
        engine.step()
    weight = next(energy.parameters()).item()
    assert weight == pytest.approx(1 / (x**2).mean().item(), rel=0.1)


def test_score_and_normalized_log_prob_are_consistent():
    density = ec.GibbsDensity(normal(1.0), over="x", beta=2.0)
    x = torch.linspace(-2, 2, 5, dtype=F64)[:, None].requires_grad_()
    (slope,) = torch.autograd.grad(density.normalized_log_prob(x).sum(), x)
    assert torch.allclose(density.score(x), slope)
    assert torch.allclose(density.score(x), -2 * (x - 1).detach())
