"""Queries in Pyro models of one's own."""

import math

import pyro
import pyro.distributions as dist
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError, IdentificationError


def linear():
    z = pyro.sample("z", dist.Normal(0.0, 1.0))
    x = pyro.sample("x", dist.Normal(z, 1.0))
    return pyro.sample("y", dist.Normal(x + 2 * z, 1.0))


def plated():
    """A vector latent, and three outcomes in a plate of the model's own."""
    z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
    x = pyro.sample("x", dist.Normal(z.sum(-1), 1.0))
    with pyro.plate("outcomes", 3):
        pyro.sample("y", dist.Bernoulli(logits=x + z.sum(-1)))


class Learned(pyro.nn.PyroModule):
    def forward(self):
        return linear()


def near(found, known):
    assert (found.mean - known).abs().max().item() <= 4 * found.standard_error.max().item()


@pytest.mark.parametrize("model", [linear, Learned()], ids=["function", "module"])
def test_seeing_and_doing_agree_with_paper(model):
    """E[y | x] = 2x, E[y | do(x)] = x: the energy's known answer, MATH of a linear world."""
    near(ec.interventional(model, do={"x": 1.0}), 1.0)
    near(ec.observational(model, given={"x": 1.0}), 2.0)
    near(ec.confounding_gap(model, x=1.0), 1.0)


def test_a_model_and_an_energy_of_the_same_world_agree():
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
    energy = x + y + ec.GaussianRegularizer(1)
    for query in ("z", lambda y: y > 1):
        for ask, held in ((ec.interventional, {"x": [0.0, 2.0]}), (ec.observational, {"x": [0.0, 2.0]})):
            ours, theirs = ask(energy, held, query), ask(linear, held, query)
            error = (ours.standard_error**2 + theirs.standard_error**2).sqrt()
            assert ((ours.mean - theirs.mean).abs() <= 4 * error + 1e-9).all()


def test_the_energy_as_a_query():
    """-log p(z) - log p(y | x, z): a half each beside the logs of the normalizers."""
    near(ec.interventional(linear, do={"x": 2.0}, query="energy"), 1 + math.log(2 * math.pi))


def test_plates_and_vectors_of_the_model_s_own():
    """P(y | do(x = .5)) by a grid over the sum of z, which is N(0, 2); the same in each place of the plate."""
    grid = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    weights = (-(grid**2) / 4).softmax(0)
    known = float((weights * torch.sigmoid(0.5 + grid)).sum())
    found = ec.interventional(plated, do={"x": 0.5})
    assert found.mean.shape == (1, 3)
    near(found, known)
    seen = ec.observational(plated, given={"x": 0.5}, query="z")
    near(seen, 0.5 / 3)


def test_rows_meet_the_same_random_numbers():
    found = ec.interventional(linear, do={"x": [0.0, 1.0]})
    difference, error = found.contrast(1, 0)
    assert difference.item() == pytest.approx(1.0, abs=1e-6)
    assert error.item() < 1e-6


def test_the_same_seed_gives_the_same_draws_and_leaves_torch_alone():
    torch.manual_seed(0)
    known = torch.rand(3)
    torch.manual_seed(0)
    first, second = (ec.interventional(linear, do={"x": 1.0}, draws=50, seed=4).values for _ in range(2))
    assert torch.equal(torch.rand(3), known)
    assert torch.equal(first, second)


def test_a_factor_is_refused_because_do_would_ignore_it():
    def model():
        z = pyro.sample("z", dist.Normal(0.0, 1.0))
        pyro.factor("tilt", -(z**2))

    with pytest.raises(
        IdentificationError, match="factor 'tilt': draws from the model, under do\\(\\) too, would ignore"
    ):
        ec.interventional(model, do={"z": 1.0}, query="energy")


def test_what_does_not_fit_is_refused_by_name():
    def told():
        pyro.sample("y", dist.Normal(0.0, 1.0), obs=torch.tensor(1.0))

    with pytest.raises(IdentificationError, match="'y' is observed within the model"):
        ec.interventional(told, do={"y": 1.0}, query="energy")
    with pytest.raises(EnergyError, match="no site 'w'; its sites are"):
        ec.interventional(linear, do={"w": 1.0})
    with pytest.raises(EnergyError, match="query 'x' is itself held"):
        ec.interventional(linear, do={"x": 1.0}, query="x")
    with pytest.raises(EnergyError, match="'x' must be a number"):
        ec.interventional(linear, do={"x": torch.zeros(2, 3)})
    with pytest.raises(EnergyError, match="'x' is not finite"):
        ec.interventional(linear, do={"x": math.nan})
    with pytest.raises(ArgumentError, match="data= and beta= are for energies"):
        ec.interventional(linear, do={"x": 1.0}, beta=2.0)
    with pytest.raises(ConvergenceError, match="so unlikely that 200 draws are worth"):
        ec.observational(linear, given={"x": 60.0}, draws=200)
