import math

import numpy as np
import pandas as pd
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, IdentificationError
from ebm_causal.inference import MarginalLikelihood, ParameterVector, chain_statistics

F64 = torch.float64


def linear():
    return ec.LinearGaussianEnergy(torch.tensor([[1.0], [-0.5]], dtype=F64), scale=0.4)


Y = torch.tensor([[1.0, 0.0], [-2.0, 0.5], [30.0, 3.0]], dtype=F64)


def test_draws_have_the_posterior_s_moments_in_every_row():
    energy = linear()
    posterior = ec.sample(energy, over="z", given={"y": Y}, draws=2500, chains=4)
    z = posterior.values["z"]
    variance = energy.posterior_covariance().item()
    assert z.shape == (4, 2500, 3, 1)
    assert torch.allclose(z.mean((0, 1)), energy.minimum(Y).detach(), atol=5 * math.sqrt(variance / 1e4))
    assert z.var((0, 1)).flatten().tolist() == pytest.approx([variance] * 3, rel=5 * math.sqrt(2e-4))
    assert posterior.diagnostics.ok
    assert posterior.diagnostics.method == "lattice"


def test_the_same_seed_gives_the_same_draws():
    first, second, other = (
        ec.sample(linear(), given={"y": Y}, draws=20, seed=s).values["z"] for s in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_finite_variables_are_enumerated():
    spins = ec.energy(lambda s: -0.7 * s[..., 0] * s[..., 1], s=ec.Variable(2, ec.finite([-1, 1])))
    posterior = ec.sample(spins, over="s", draws=5000, chains=2)
    agree = (posterior.values["s"].prod(-1) > 0).double().mean().item()
    assert posterior.diagnostics.method == "enumeration"
    assert agree == pytest.approx(1 / (1 + math.exp(-1.4)), abs=5 * 0.4 / 100)


def test_to_arviz_summary_and_repr():
    posterior = ec.sample(linear(), given={"y": Y}, draws=300)
    tree = posterior.to_arviz()
    assert tree.posterior["z"].shape == (4, 300, 3, 1)
    assert list(posterior.summary().index) == ["z[0, 0]", "z[1, 0]", "z[2, 0]"]
    assert "z: [4, 300, 3, 1]" in repr(posterior)


def test_rows_that_fail_are_named():
    energy = ec.energy(lambda y, z: (y * z**2).sum(-1), y=1, z=1)
    with pytest.warns(
        UserWarning, match=r"over \['z'\] did not pass its self-check in 1 rows, the first \[1\]"
    ) as told:
        posterior = ec.sample(energy, over="z", given={"y": [[1.0], [0.0]]}, draws=10)
    assert len(told) == 1
    assert posterior.diagnostics.failed == (1,)
    assert posterior.diagnostics.warnings == (str(told[0].message),)


def test_rows_may_come_as_a_frame():
    frame = pd.DataFrame({"y[0]": Y[:, 0].numpy(), "y[1]": Y[:, 1].numpy(), "other": "text"})
    by_frame, by_name = (
        ec.sample(linear(), given=given, draws=20).values["z"] for given in (frame, {"y": Y})
    )
    assert torch.equal(by_frame, by_name)


def test_counts_and_methods_that_do_not_serve():
    with pytest.raises(ArgumentError, match="draws and chains must be positive; got 0 and 4"):
        ec.sample(linear(), given={"y": Y}, draws=0)
    with pytest.raises(
        ArgumentError, match=r"method='enumeration' does not serve \['z'\] \(dimension 1\); use one of 'hmc'"
    ):
        ec.sample(linear(), given={"y": Y}, method="enumeration")
    with pytest.raises(ArgumentError, match=r"method='lattice' does not serve \['z'\] \(dimension 4\)"):
        ec.sample(ec.energy(lambda z: (z**2).sum(-1), z=4), over="z", method="lattice")


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_the_marginal_likelihood_is_the_closed_form(beta):
    energy = linear()
    likelihood = MarginalLikelihood(energy, {"y": Y}, ("z",), beta)
    likelihood.adapt(step=0.6, drop=32.0)
    assert torch.allclose(likelihood.log_likelihood(), energy.log_likelihood(Y, beta=beta), atol=1e-9)
    likelihood.adapt()
    assert torch.allclose(likelihood.log_likelihood(), energy.log_likelihood(Y, beta=beta), atol=1e-6)


def test_its_gradient_is_the_closed_form_s():
    energy = linear()
    vector = ParameterVector(energy)
    found = vector.gradient(MarginalLikelihood(energy, {"y": Y}, ("z",)).log_likelihood().sum())
    known = vector.gradient(energy.log_likelihood(Y).sum())
    assert torch.allclose(found, known, rtol=1e-5, atol=1e-4)


def test_a_likelihood_without_latents_is_the_normalized_sum():
    y = ec.Mechanism("y", "x", lambda x: 2 * x, ec.SquaredError(0.5))
    rows = {"x": torch.ones(2, 1, dtype=F64), "y": torch.tensor([[2.0], [3.0]], dtype=F64)}
    found = MarginalLikelihood(ec.Energy([y]), rows, ()).log_likelihood()
    known = torch.distributions.Normal(2.0, 0.5).log_prob(rows["y"][:, 0].float())
    assert torch.allclose(found.float(), known)


def test_an_undirected_energy_has_no_likelihood():
    with pytest.raises(IdentificationError, match="not a sum of mechanisms and regularizers"):
        MarginalLikelihood(ec.energy(lambda y, z: (y * z).sum(-1), y=1, z=1), {"y": [0.0]}, ("z",))


def test_chain_statistics_tell_good_chains_from_bad():
    generator = np.random.default_rng(0)
    good = generator.normal(size=(4, 500, 1))
    bad = good + np.arange(4)[:, None, None]
    found = chain_statistics(np.concatenate([good, bad], -1))
    assert found["r_hat"][0] < 1.01 < 1.2 < found["r_hat"][1]
    assert found["ess_bulk"][0] > 1000 > 50 > found["ess_bulk"][1]
