"""Variational inference by minibatches: the closed-form maximum, the guide's posterior, and refusals."""

import pandas as pd
import pytest
import torch
from learning.toys import F64, normal, paired, precision

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError, IdentificationError
from ebm_causal.learning import EvidenceLowerBound, Loop, ParquetRows


def linear(start=0.5):
    return ec.LinearGaussianEnergy(torch.full((2, 1), start, dtype=F64), scale=1.0)


def rows(count=400):
    z, noise = normal(count), normal(count, 1, dim=2)
    return z @ torch.tensor([[1.0, -0.8]], dtype=F64).abs() + 0.6 * noise


def best(y):
    """Tipping and Bishop (1999): the largest mean log likelihood of one factor without a mean."""
    covariance = y.mT @ y / len(y)
    values, vectors = torch.linalg.eigh(covariance)
    weight = vectors[:, 1:] * (values[1] - values[0]).sqrt()
    model = weight @ weight.mT + values[0] * torch.eye(2, dtype=F64)
    law = torch.distributions.MultivariateNormal(torch.zeros(2, dtype=F64), model)
    return law.log_prob(y).mean().item()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "y.parquet"
    y = rows()
    pd.DataFrame({f"y[{i}]": y[:, i].numpy() for i in (0, 1)}).to_parquet(path, row_group_size=100)
    loop = Loop(batch=50, held_out=0, decay=0.02)
    return ec.fit(
        linear(),
        ParquetRows(path),
        loss=EvidenceLowerBound(draws=2),
        steps=600,
        learning_rate=0.03,
        loop=loop,
    )


def test_minibatches_from_parquet_reach_the_largest_likelihood(fitted):
    """Within .02 nats per row."""
    y, energy = rows(), fitted.energy
    law = energy.outcome_law()
    assert best(y) - law.log_prob(y).mean().item() < 0.02


def test_the_guide_is_the_posterior_of_the_latents(fitted):
    energy, y = fitted.energy, fitted.data["y"]
    assert fitted.guide == "amortized"
    z = fitted.latent_draws(2000)["z"][0]
    known = energy.latent_law(y)
    assert (z.mean(0) - known.mean).abs().mean() < 0.1
    assert z.var(0).mean().item() == pytest.approx(known.covariance_matrix.mean().item(), rel=0.15)
    assert any(note.startswith("evidence lower bound") for note in fitted.training.notes)


def test_the_guide_is_saved_with_the_fit(fitted, tmp_path):
    fitted.save(tmp_path)
    same = ec.load_fit(tmp_path, linear())
    assert torch.equal(same.latent_draws(3)["z"], fitted.latent_draws(3)["z"])


def test_a_guide_that_is_not_the_posterior_is_said_to_be_loose():
    """Few steps leave the guide at its start, far from a narrow posterior."""
    fit = ec.fit(
        ec.LinearGaussianEnergy(torch.full((2, 1), 3.0, dtype=F64), scale=0.2), {"y": rows(100)},
        loss=EvidenceLowerBound(), steps=2,
    )  # fmt: skip
    assert any("only a loose bound" in text and "threshold 1" in text for text in fit.diagnostics.warnings)


def test_energies_that_a_guide_does_not_serve():
    with pytest.raises(ArgumentError, match="has a guide for latents, and every variable is in the data"):
        ec.fit(precision(), {"x": normal(20)}, loss=EvidenceLowerBound())
    with pytest.raises(ArgumentError, match="hidden and draws must be at least 1; got 0 and 1"):
        EvidenceLowerBound(hidden=0)
    stray = linear() + ec.energy(lambda y, z: (y[..., :1] * z).sum(-1), y=2, z=1)
    with pytest.raises(IdentificationError, match="not a sum of mechanisms and regularizers"):
        ec.fit(stray, {"y": rows(20)}, loss=EvidenceLowerBound())
    which = ec.energy(lambda z: 0 * z.sum(-1), z=ec.Variable(1, ec.finite([-1, 1])))
    slope = torch.nn.Parameter(torch.ones((), dtype=F64))
    forked = ec.Mechanism("y", ("x", "z"), lambda x, z: x * z, ec.SquaredError(slope)) + which
    with pytest.raises(EnergyError, match="take finitely many values"):
        ec.fit(forked, paired(20), loss=EvidenceLowerBound())


def test_an_energy_of_float32_weights_has_one_dtype_for_a_loss():
    energy = ec.LinearGaussianEnergy(torch.full((2, 1), 0.5))
    fit = ec.fit(energy, {"y": rows(30).float()}, loss=EvidenceLowerBound(), steps=2)
    assert {value.dtype for value in fit.energy.parameters()} == {torch.float32}
