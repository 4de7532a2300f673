"""Parameters and latents drawn together, batches of parameter vectors, and what the posterior hands to ArviZ."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import HalfNormal, Normal

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.inference import CompleteLikelihood, JointDensity, ParameterVector
from ebm_causal.inference.batching import BatchedPotential

F64 = torch.float64
PRIORS = {"offset": Normal(0.0, 3.0)}
HELD = ("latent_weight", "y.cost.scale")


def wide(rows=20):
    """y = offset + W z + noise with three latents, W and the noise held: a normal posterior of the offset."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -0.5]], dtype=F64)
    z, e = (
        torch.randn(rows, 3, generator=generator, dtype=F64),
        torch.randn(rows, 2, generator=generator, dtype=F64),
    )
    energy = ec.LinearGaussianEnergy(weight, offset=torch.zeros(2, dtype=F64), scale=0.5)
    y = torch.tensor([1.0, -2.0], dtype=F64) + z @ weight.mT + 0.5 * e
    return energy, {"y": y}, weight @ weight.mT + 0.25 * torch.eye(2, dtype=F64)


def exact(y, covariance):
    precision = len(y) * torch.linalg.inv(covariance) + torch.eye(2, dtype=F64) / 9
    posterior = torch.linalg.inv(precision)
    return posterior @ torch.linalg.solve(covariance, y.sum(0)), posterior


@pytest.fixture(scope="module")
def fitted():
    energy, data, covariance = wide()
    fit = ec.fit(energy, data, method="mcmc", priors=PRIORS, fixed=HELD, chains=16, draws=80, warmup=80)
    return fit, data["y"], covariance


def test_three_latents_are_drawn_along_and_the_parameters_are_right(fitted):
    fit, y, covariance = fitted
    mean, posterior = exact(y, covariance)
    frame = fit.summary()
    assert fit.guide == "joint"
    assert fit.diagnostics.converged
    error = posterior.diagonal().sqrt().numpy() / np.sqrt(frame["ess_bulk"])
    assert (np.abs(frame["mean"] - mean.numpy()) < 5 * error).all()
    assert frame["sd"].to_numpy() == pytest.approx(posterior.diagonal().sqrt().numpy(), rel=0.2)
    assert frame["prior"].tolist() == ["Normal(loc: 0.0, scale: 3.0)"] * 2


def test_the_latents_drawn_along_are_those_of_the_rows(fitted):
    fit, y, _ = fitted
    z = fit.latent_draws(400)["z"][0]
    known = fit.energy.minimum(y).detach()
    assert (z.mean(0) - known).abs().max().item() < 0.35
    assert z.var(0).mean(0).tolist() == pytest.approx(
        fit.energy.posterior_covariance().diagonal().tolist(), rel=0.25
    )


def test_every_chain_tells_how_it_went(fitted):
    fit, _, _ = fitted
    chains = fit.diagnostics.chains
    assert chains["acceptance"].shape == chains["moved"].shape == chains["divergences"].shape == (16,)
    assert (chains["acceptance"] > 0.5).all()
    assert (chains["moved"] > 0.5).all()
    assert chains["divergences"].sum() == 0
    assert fit.diagnostics.evaluations > 16 * 160


def test_arviz_has_every_group_and_leaves_rows_out(fitted):
    import arviz as az

    fit, y, covariance = fitted
    tree = fit.to_arviz()
    assert tree.posterior["z"].dims == ("chain", "draw", "row", "z_dim")
    assert tree.posterior["y.decoder.offset"].dims == ("chain", "draw", "y.decoder.offset_dim_0")
    assert set(tree.sample_stats) == {"lp", "acceptance_rate", "diverging"}
    assert tree.prior["y.decoder.offset"].shape[-1] == 2
    assert tree.posterior_predictive["y"].dims == ("chain", "draw", "row", "y_dim")
    assert tree.observed_data["y"].dims == ("row", "y_dim")
    loo = az.loo(tree)
    assert float(loo["p_loo"]) == pytest.approx(2.0, abs=1.0)
    offset = torch.tensor(tree.posterior["y.decoder.offset"].to_numpy()[3, 7])
    law = torch.distributions.MultivariateNormal(offset, covariance)
    assert np.abs(tree.log_likelihood["rows"].to_numpy()[3, 7] - law.log_prob(y).numpy()).max() < 0.5


@pytest.mark.slow
def test_pyro_nuts_agrees_on_both_together():
    energy, data, covariance = wide(12)
    fit = ec.fit(
        energy,
        data,
        method="mcmc",
        priors=PRIORS,
        fixed=HELD,
        kernel="pyro-nuts",
        chains=2,
        draws=300,
        warmup=150,
    )
    mean, posterior = exact(data["y"], covariance)
    frame = fit.summary()
    error = posterior.diagonal().sqrt().numpy() / np.sqrt(frame["ess_bulk"])
    assert (np.abs(frame["mean"] - mean.numpy()) < 5 * error).all()


def test_a_batch_of_parameter_vectors_is_what_each_is_alone():
    energy, data, _ = wide(10)
    vector = ParameterVector(energy)
    density = JointDensity(
        complete=CompleteLikelihood(energy, data, ("z",)),
        parameters=vector,
        log_prior=lambda values: -sum((value**2).sum() for value in values),
    )
    flats = torch.randn(5, density.size, generator=torch.Generator().manual_seed(0), dtype=F64)
    together = BatchedPotential(density.at, density.value_and_gradient, cost=30)
    alone = BatchedPotential(density.at, density.value_and_gradient, cost=10**9)
    for found, known in zip(together(flats), alone(flats), strict=True):
        assert torch.allclose(found, known, rtol=1e-10)
    assert together.batched
    assert not alone.batched


def test_a_graph_says_what_the_energy_says():
    weights = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=F64)

    def density(flat):
        return -(torch.nn.functional.linear(weights, flat.reshape(1, 4)).tanh() ** 2).sum() - (flat**2).sum()

    def plain(flat):
        flat = flat.detach().requires_grad_()
        value = density(flat)
        return float(value.detach()), torch.autograd.grad(value, flat)[0]

    potential = BatchedPotential(density, plain, cost=6)
    flats = torch.randn(3, 4, generator=torch.Generator().manual_seed(1), dtype=F64)
    for _ in range(101):
        values, gradients = potential(flats)
    assert len(potential._graphs) == 1
    for row, value, gradient in zip(flats, values, gradients, strict=True):
        assert value.item() == pytest.approx(-plain(row)[0])
        assert torch.allclose(gradient, -plain(row)[1])


def test_a_parameter_outside_its_module_is_evaluated_the_plain_way():
    """A closure over a parameter does not see what stands in for it: the comparison finds that out."""
    energy = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64))
    outside = energy.decoder.latent_weight
    potential = BatchedPotential(
        lambda flat: -(outside**2).sum() + 0 * flat.sum(),
        lambda flat: (-float((flat**2).sum()), -2 * flat),
        cost=1,
    )
    values, _ = potential(torch.full((3, 1), 2.0, dtype=F64))
    assert potential.batched is False
    assert values.tolist() == [4.0] * 3


def test_a_prior_with_a_bounded_support_is_on_the_size_of_a_scale():
    y = 2.0 * torch.randn(40, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    scale = nn.Parameter(torch.tensor(1.0, dtype=F64))
    energy = ec.Energy([ec.Mechanism("y", "x", lambda x: x, ec.SquaredError(scale))])
    fit = ec.fit(
        energy, {"x": 0 * y, "y": y}, latents=(), method="mcmc", priors={"y.cost.scale": HalfNormal(1.0)},
        chains=8, draws=60, warmup=60,
    )  # fmt: skip
    grid = torch.linspace(1.0, 4.0, 4001, dtype=F64)
    weights = torch.softmax(-len(y) * grid.log() - (y**2).sum() / (2 * grid**2) - grid**2 / 2, 0)
    assert bool((fit.draws > 0).all())
    assert fit.mean.item() == pytest.approx((weights * grid).sum().item(), abs=0.06)
    assert fit.summary()["prior"].item() == "HalfNormal()"


# Refusals.


def test_replicas_of_a_fit_without_draws():
    energy, data, _ = wide(8)
    with pytest.raises(ArgumentError, match="method='svi' has no draws of the parameters: fit by 'mcmc'"):
        ec.fit(energy, data, guide="flat", steps=20, fixed=HELD).replicas()


def test_finite_latents_beside_large_ones():
    y = ec.Mechanism("y", ("z", "k"), lambda z, k: z[..., :1] * k, ec.SquaredError())
    finite = ec.energy(lambda k: 0.0 * k.sum(-1), k=ec.Variable(1, ec.finite([0, 1])))
    with pytest.raises(EnergyError, match="some take finitely many values"):
        CompleteLikelihood(
            y + ec.GaussianRegularizer(3) + finite, {"y": torch.zeros(4, 1, dtype=F64)}, ("z", "k")
        )


def test_a_kernel_of_another_method():
    energy, data, _ = wide(8)
    with pytest.raises(ArgumentError, match=r"kernel must be one of \['auto', 'pyro-svi'\] for method='svi'"):
        ec.fit(energy, data, kernel="hmc")


def test_a_prior_that_excludes_the_likelihood():
    from ebm_causal.errors import ConvergenceError

    y = torch.randn(20, 1, generator=torch.Generator().manual_seed(0), dtype=F64)

    class Mean(nn.Module):
        def __init__(self):
            super().__init__()
            self.mu = nn.Parameter(torch.tensor(-1.0, dtype=F64))

        def forward(self, x):
            return self.mu + 0 * x

    energy = ec.Energy([ec.Mechanism("y", "x", Mean(), ec.SquaredError())])
    with pytest.raises(ConvergenceError):
        ec.fit(
            energy, {"x": 0 * y, "y": y}, latents=(), method="mcmc", priors={"mu": HalfNormal(1e-3)}, chains=2
        )
