import math

import pyro
import pytest
import torch
from pyro.infer import MCMC, NUTS, Predictive

import ebm_causal as ec
from ebm_causal.errors import EnergyError

F64 = torch.float64


@pytest.fixture
def well():
    return ec.energy(lambda x: 2 * (x.squeeze(-1) ** 2 - 1) ** 2, x=1)


def test_log_prob_is_minus_beta_times_the_energy(well):
    x = torch.tensor([[0.0], [1.0], [2.0]], dtype=F64)
    density = ec.GibbsDensity(well, over="x", beta=3.0)
    assert density.log_prob(x).tolist() == [-6.0, 0.0, -54.0]
    assert torch.allclose(density.normalized_log_prob(x), density.log_prob(x) - density.log_partition().value)


def test_the_normalized_density_integrates_to_one(well):
    grid = torch.linspace(-4, 4, 4001, dtype=F64)
    density = ec.GibbsDensity(well, over="x", beta=2.0)
    assert torch.trapezoid(density.normalized_log_prob(grid[:, None]).exp(), grid).item() == pytest.approx(
        1, abs=1e-9
    )


def test_the_score_is_the_gradient(well):
    x = torch.tensor([[0.3], [-1.2]], dtype=F64)
    known = -3 * 2 * 2 * (x**2 - 1) * 2 * x
    assert torch.allclose(ec.GibbsDensity(well, over="x", beta=3.0).score(x), known)


def latent_energy():
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + torch.tanh(2 * z), ec.SquaredError(0.4))
    return y + ec.GaussianRegularizer(1)


def test_latents_are_integrated_out():
    energy, x = latent_energy(), torch.tensor([[0.0], [1.0]], dtype=F64)
    density = ec.GibbsDensity(energy, over="y", given={"x": x})
    y = torch.tensor([[0.5], [0.2]], dtype=F64)
    grid = torch.linspace(-8, 8, 4001, dtype=F64)[:, None, None]
    weights = (-energy(x=x, y=y, z=grid)).exp()
    assert density.latents == ("z",)
    assert torch.allclose(density.log_prob(y), torch.trapezoid(weights, grid.flatten(), dim=0).log())


def test_a_marginal_density_is_normalized_by_a_lattice_of_lattices():
    density = ec.GibbsDensity(
        latent_energy(), over="y", given={"x": torch.tensor([[0.7]], dtype=F64)}, beta=2.0
    )
    both = ec.log_partition(density.energy, over=("y", "z"), given={"x": [[0.7]]}, beta=2.0)
    assert density.log_partition().value.item() == pytest.approx(both.value.item(), abs=1e-9)


def test_draws_have_the_density():
    density = ec.GibbsDensity(latent_energy(), over="y", given={"x": torch.tensor([[0.7]], dtype=F64)})
    torch.manual_seed(0)
    y = density.sample((20_000,)).flatten()
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(200_000, generator=generator, dtype=F64)
    known = 0.7 + torch.tanh(2 * z) + 0.4 * torch.randn(200_000, generator=generator, dtype=F64)
    for power in (1, 2, 3):
        error = ((known**power).var() / 20_000 + (known**power).var() / 200_000).sqrt()
        assert (y**power).mean().item() == pytest.approx((known**power).mean().item(), abs=4 * error.item())


def test_pyro_seeds_govern_draws(well):
    density = ec.GibbsDensity(well, over="x")
    pyro.set_rng_seed(3)
    first = density.sample((5,))
    pyro.set_rng_seed(3)
    assert torch.equal(first, density.sample((5,)))
    assert not torch.equal(first, density.sample((5,)))


def test_few_draws_have_the_spread_of_many():
    normal = ec.energy(lambda x: 0.5 * (x**2).sum(-1), x=1)
    density = ec.GibbsDensity(normal, over="x").expand((4000,))
    torch.manual_seed(0)
    x = density.sample()
    assert x.shape == (4000, 1)
    assert x.var().item() == pytest.approx(1, abs=5 * math.sqrt(2 / 4000))


def test_finite_variables_are_drawn_by_their_probabilities():
    spins = ec.energy(lambda s: -0.7 * s[..., 0] * s[..., 1], s=ec.Variable(2, ec.finite([-1, 1])))
    torch.manual_seed(0)
    draws = ec.GibbsDensity(spins, over="s", beta=2.0).sample((20_000,))
    agree = (draws[:, 0] == draws[:, 1]).double().mean().item()
    assert agree == pytest.approx(1 / (1 + math.exp(-2.8)), abs=5 * math.sqrt(0.06 / 20_000))


def test_a_finite_latent_is_summed_out():
    means = torch.tensor([-1.0, 2.0], dtype=F64)
    mixture = ec.energy(
        lambda y, k: 0.5 * (y - means[k.long()]).squeeze(-1) ** 2, y=1, k=ec.Variable(1, ec.finite([0, 1]))
    )
    density = ec.GibbsDensity(mixture, over="y")
    y = torch.tensor([[0.5]], dtype=F64)
    known = torch.logsumexp(-0.5 * (y - means) ** 2, -1)
    assert torch.allclose(density.log_prob(y), known)
    assert density.log_partition().value.item() == pytest.approx(
        math.log(2 * math.sqrt(2 * math.pi)), abs=1e-9
    )


def test_expanding_repeats_the_rows():
    x = torch.tensor([[0.0], [1.0]], dtype=F64)
    density = ec.GibbsDensity(latent_energy(), over="y", given={"x": x})
    wider = density.expand((3, 2))
    y = torch.linspace(-1, 1, 6, dtype=F64).reshape(3, 2, 1)
    assert wider.batch_shape == (3, 2)
    assert torch.equal(wider.log_prob(y), density.log_prob(y))
    assert wider.normalized_log_prob(y).shape == (3, 2)
    assert wider.sample((4,)).shape == (4, 3, 2, 1)
    assert density.expand((2,)) is density


def test_float32_in_float32_out(well):
    density = ec.GibbsDensity(latent_energy(), over="y", given={"x": torch.zeros(2, 1)})
    assert density.sample().dtype == torch.float32
    assert density.log_prob(torch.zeros(2, 1)).dtype == torch.float32
    assert density.normalized_log_prob(torch.zeros(2, 1)).dtype == torch.float32


def test_an_intervened_energy_has_a_density_for_each_world():
    cut = ec.do(latent_energy(), x=[0.0, 5.0])
    density = ec.GibbsDensity(cut, over="y")
    torch.manual_seed(0)
    assert density.batch_shape == (2,)
    assert density.sample((4000,)).mean(0).flatten().tolist() == pytest.approx([0, 5], abs=0.1)


def test_as_a_site_of_a_pyro_model(well):
    def model():
        return pyro.sample("x", ec.GibbsDensity(well, over="x", with_normalizer=True))

    trace = pyro.poutine.trace(pyro.condition(model, data={"x": torch.ones(1, dtype=F64)})).get_trace()
    assert trace.log_prob_sum().item() == pytest.approx(-0.344238219730, abs=1e-8)
    pyro.set_rng_seed(0)
    draws = Predictive(model, num_samples=100)()["x"]
    assert (draws**2).mean().item() == pytest.approx(0.852136152178, abs=5 / math.sqrt(100))


def test_in_a_plate(well):
    def model():
        with pyro.plate("rows", 7):
            return pyro.sample("x", ec.GibbsDensity(well, over="x"))

    assert model().shape == (7, 1)


@pytest.mark.slow
def test_nuts_samples_a_gibbs_site(well):
    def model():
        pyro.sample("x", ec.GibbsDensity(ec.energy(lambda x: 0.5 * (x - 3).squeeze(-1) ** 2, x=1), over="x"))

    pyro.set_rng_seed(0)
    run = MCMC(NUTS(model), num_samples=600, warmup_steps=200, disable_progbar=True)
    run.run()
    x = run.get_samples()["x"]
    assert x.mean().item() == pytest.approx(3, abs=0.25)
    assert x.std().item() == pytest.approx(1, abs=0.15)


def test_values_that_are_not_finite_are_refused(well):
    with pytest.raises(EnergyError, match="'x' is not finite in 1 rows"):
        ec.GibbsDensity(well, over="x").log_prob(torch.tensor([[math.inf]], dtype=F64))
