"""A model at a schedule is the models at each beta, side by side: densities, draws, do, SVI and NUTS."""

import math

import pyro
import pytest
import torch
from pyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.inference import chain_statistics

F64 = torch.float64
SCHEDULE = [0.5, 1.0, 4.0]


@pytest.fixture(autouse=True)
def _fresh_store():
    with pyro.get_param_store().scope():
        yield


def linear(x, z):
    return x + 2 * z


def unknown_cost(prediction, value):
    return 0.5 * ((value - prediction) / (1 + prediction**2)).square().sum(-1)


Y_COSTS = {
    "squared": (ec.SquaredError(0.7), linear),
    "student": (ec.StudentTCost(0.7, 6.0), linear),
    "huber": (ec.HuberCost(0.7), linear),
    "bernoulli": (ec.BernoulliCost(), linear),
    "poisson": (ec.PoissonCost(), lambda x, z: 0.3 * linear(x, z)),
    "categorical": (ec.CategoricalCost(), lambda x, z: torch.cat([x + 0 * z, 0 * x + z, 0 * (x + z)], -1)),
    "any callable": (unknown_cost, lambda x, z: 0.3 * linear(x, z)),
}
PRIORS = {
    "gaussian": ec.GaussianRegularizer(1, weight=2.0),
    "laplace": ec.LaplaceRegularizer(1, weight=2.0),
    "plain": ec.energy(lambda z: 2 * (z.squeeze(-1) ** 2 - 1) ** 2, z=1),
    "codebook": ec.CodebookRegularizer(
        torch.tensor([[-1.0], [1.0]], dtype=F64), torch.tensor([0.2, 0.5], dtype=F64)
    ),
}


def confounded(cost="squared", prior="gaussian"):
    weigh, decoder = Y_COSTS[cost]
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    return x + ec.Mechanism("y", ("x", "z"), decoder, weigh) + PRIORS[prior]


def log_density(energy, values, beta):
    model = pyro.condition(ec.pyro_model(energy, beta=beta, rows=4), data=values)
    trace = pyro.poutine.trace(model).get_trace()
    trace.compute_log_prob()
    return {name: trace.nodes[name]["log_prob"] for name in ("x", "y", "z")}


@pytest.mark.parametrize(
    ("cost", "prior"), [(cost, "gaussian") for cost in Y_COSTS] + [("squared", prior) for prior in PRIORS]
)
def test_log_densities_are_those_at_each_beta_alone(cost, prior):
    energy = confounded(cost, prior)
    pyro.set_rng_seed(0)
    values = ec.pyro_model(energy, beta=SCHEDULE, rows=4)()
    assert {name: value.shape for name, value in values.items()} == dict.fromkeys("xyz", (3, 4, 1))
    found = log_density(energy, values, SCHEDULE)
    for place, beta in enumerate(SCHEDULE):
        alone = log_density(energy, {name: value[place] for name, value in values.items()}, beta)
        for name, value in alone.items():
            assert torch.allclose(found[name].expand(3, 4)[place], value.expand(4), rtol=1e-9, atol=1e-9)


def test_the_plate_of_temperatures_stands_to_the_left_of_the_rows():
    model = ec.pyro_model(confounded(), beta=SCHEDULE)
    trace = pyro.poutine.trace(model).get_trace(y=torch.zeros(5, 1, dtype=F64))
    frames = {frame.name: (frame.dim, frame.size) for frame in trace.nodes["z"]["cond_indep_stack"]}
    assert frames == {"beta": (-2, 3), "rows": (-1, 5)}
    assert trace.nodes["y"]["is_observed"]
    assert trace.nodes["y"]["value"].shape == (3, 5, 1)


def test_draws_spread_as_each_temperature_says():
    pyro.set_rng_seed(0)
    z = ec.pyro_model(confounded(), beta=SCHEDULE, rows=4000)()["z"]
    for variance, beta in zip(z.var((1, 2)).tolist(), SCHEDULE, strict=True):
        assert variance == pytest.approx(1 / (2 * beta), rel=5 * math.sqrt(2 / 4000))


def test_predictive_under_do_gives_the_interventional_mean_at_each_beta():
    pyro.set_rng_seed(0)
    done = pyro.do(
        ec.pyro_model(confounded(), beta=SCHEDULE, rows=1000), data={"x": torch.ones(1, 1, dtype=F64)}
    )
    y = Predictive(done, num_samples=8)()["y"]
    assert y.shape == (8, 3, 1000, 1)
    for place in range(3):
        draws = y[:, place].flatten()
        assert draws.mean().item() == pytest.approx(1, abs=5 * draws.std().item() / math.sqrt(8000))


def test_the_evidence_bound_at_the_exact_guide_is_the_sum_of_the_log_likelihoods():
    energy, y = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64)), torch.tensor([[1.0], [3.0]], dtype=F64)
    betas = torch.tensor(SCHEDULE, dtype=F64)[:, None]
    exact = energy.latent_law(y, beta=betas)

    def guide(y):
        with pyro.plate("beta", 3, dim=-2), pyro.plate("rows", 2, dim=-1):
            pyro.sample("z", pyro.distributions.MultivariateNormal(exact.mean, exact.covariance_matrix))

    bound = -Trace_ELBO().loss(ec.pyro_model(energy, beta=SCHEDULE), guide, y=y)
    assert bound == pytest.approx(energy.log_likelihood(y, beta=betas).sum().item(), rel=1e-12)
    before = energy.decoder.latent_weight.item()
    svi = SVI(ec.pyro_model(energy, beta=SCHEDULE), guide, pyro.optim.Adam({"lr": 0.1}), Trace_ELBO())
    svi.step(y=y)
    assert energy.decoder.latent_weight.item() != before


@pytest.mark.slow
def test_nuts_draws_the_posterior_at_each_beta():
    energy, y = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64)), torch.tensor([[1.0]], dtype=F64)
    pyro.set_rng_seed(0)
    kernel = NUTS(ec.pyro_model(energy, beta=SCHEDULE), max_tree_depth=4)
    run = MCMC(kernel, num_samples=150, warmup_steps=60, disable_progbar=True)
    run.run(y=y)
    z = run.get_samples()["z"]
    assert z.shape == (150, 3, 1, 1)
    flat = z.flatten(1)
    variance = energy.posterior_covariance(torch.tensor(SCHEDULE, dtype=F64)).detach().flatten()
    worth = torch.as_tensor(chain_statistics(flat[None].numpy())["ess_bulk"])
    assert bool(((flat.mean(0) - energy.minimum(y).item()).abs() < 5 * (variance / worth).sqrt()).all())
    assert bool(((flat.var(0) / variance - 1).abs() < 5 * (2 / worth).sqrt()).all())


def test_a_bad_schedule_is_refused():
    with pytest.raises(ArgumentError, match="must rise throughout or fall throughout"):
        ec.pyro_model(confounded(), beta=[1.0, 2.0, 1.0])
