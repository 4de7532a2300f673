"""Laplace's approximation: exact where everything is normal; refused where a curvature is not positive."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributions import Normal

import ebm_causal as ec
import ebm_causal.uncertainty.laplace as laplace_module
from ebm_causal.errors import ArgumentError, ConvergenceError

F64 = torch.float64
X = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], dtype=F64)
Y = torch.tensor([[1.0], [2.0], [2.5]], dtype=F64)


class Line(nn.Module):
    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.zeros(2, dtype=F64))

    def forward(self, x):
        return (x @ self.theta)[..., None]


def line(**options):
    energy = ec.Energy([ec.Mechanism("y", "x", Line(), ec.SquaredError(0.5))])
    return ec.fit(energy, {"x": X, "y": Y}, latents=(), method="map", **options)


def test_the_evidence_and_the_posterior_of_a_line():
    found = ec.laplace_approximation(line(priors={"theta": Normal(0.0, 1.0)}), "parameters")
    assert found.log_evidence == pytest.approx(-4.010381035308816, abs=1e-9)
    precision = X.mT @ X / 0.25 + torch.eye(2, dtype=F64)
    assert torch.allclose(found.covariance, torch.linalg.inv(precision))
    assert torch.allclose(found.mean, torch.linalg.solve(precision, X.mT @ Y[:, 0] / 0.25), atol=1e-6)
    assert repr(found).startswith(
        "LaplaceApproximation(over='parameters', 2 parameters, latents of 0 rows, log ev"
    )


def test_without_priors_there_is_no_evidence():
    assert ec.laplace_approximation(line(), "parameters").log_evidence is None


ROWS = torch.randn(30, 3, generator=torch.Generator().manual_seed(0), dtype=F64) * 1.5


class Loading(nn.Module):
    """y = w z + b in three coordinates; b is learned."""

    def __init__(self):
        super().__init__()
        self.b = nn.Parameter(torch.zeros(3, dtype=F64))

    def forward(self, z):
        return z * torch.tensor([1.0, -0.5, 0.8], dtype=F64) + self.b


def factor(**options):
    y = ec.Mechanism("y", "z", Loading(), ec.SquaredError(0.7), dim=3)
    options = {"priors": {"b": Normal(0.0, 2.0)}, "beta": 1.3} | options
    return ec.fit(y + ec.GaussianRegularizer(1), {"y": ROWS}, method="map", **options)


def joint_precision(beta=1.3):
    """Of (b, z_1, ..., z_n), all normal: the slow and plain way."""
    w, n = torch.tensor([1.0, -0.5, 0.8], dtype=F64), len(ROWS)
    whole = torch.zeros(3 + n, 3 + n, dtype=F64)
    whole[:3, :3] = torch.eye(3, dtype=F64) * (n * beta / 0.49 + 1 / 4)
    whole[3:, 3:] = torch.eye(n, dtype=F64) * beta * (1 + w @ w / 0.49)
    whole[:3, 3:] = (beta / 0.49) * w[:, None].expand(3, n)
    whole[3:, :3] = whole[:3, 3:].mT
    return whole


def test_parameters_and_latents_together_are_the_joint_normal():
    found = ec.laplace_approximation(factor(), "both")
    known = torch.linalg.inv(joint_precision())
    assert torch.allclose(found.covariance, known[:3, :3], atol=1e-8)
    assert torch.allclose(found.latent_covariance.flatten(), known.diagonal()[3:], atol=1e-8)
    assert torch.allclose(found.cross_covariance[:, 0], known[3:, :3], atol=1e-8)


def test_latents_alone_are_their_posterior_at_the_fit():
    found = ec.laplace_approximation(factor(), "latents")
    assert torch.allclose(found.latent_covariance.flatten(), 1 / joint_precision().diagonal()[3:])
    exact = ec.sample(found.fit.energy, "z", {"y": ROWS}, beta=1.3, draws=2000).values["z"].flatten(0, 1)
    error = exact.std(0) / len(exact) ** 0.5
    assert ((exact.mean(0) - found.latents["z"]).abs() < 5 * error).all()
    assert found.names == ()
    assert len(found.summary()) == 30


def test_the_evidence_with_latents_is_that_of_the_marginal_normal():
    w = torch.tensor([1.0, -0.5, 0.8], dtype=F64)
    within = (torch.outer(w, w) + 0.49 * torch.eye(3, dtype=F64)) / 1.3
    n = len(ROWS)
    whole = torch.kron(torch.eye(n, dtype=F64), within)
    whole = whole + 4 * torch.kron(torch.ones(n, n, dtype=F64), torch.eye(3, dtype=F64))
    flat = ROWS.flatten()
    known = -0.5 * (flat @ torch.linalg.solve(whole, flat) + torch.logdet(2 * math.pi * whole)).item()
    assert ec.laplace_approximation(factor()).log_evidence == pytest.approx(known, abs=1e-6)


def test_draws_have_the_joint_moments():
    found = ec.laplace_approximation(factor())
    draws = found.sample(20_000, seed=1)
    joined = torch.cat([draws["parameters"], draws["z"].flatten(1)], -1)
    known = torch.linalg.inv(joint_precision())
    spread = known.diagonal()
    error = ((torch.outer(spread, spread) + known**2) / 20_000).sqrt()
    assert ((torch.cov(joined.mT) - known).abs() < 5.5 * error).all()


def test_the_posterior_predictive_holds_both_uncertainties():
    fit = line(priors={"theta": Normal(0.0, 1.0)})
    found = ec.laplace_approximation(fit, "parameters")
    at = torch.tensor([[1.0, 5.0]], dtype=F64)
    drawn = found.predict(given={"x": at}, draws=4000, parameter_draws=200)
    known = 0.25 + (at @ found.covariance @ at.mT).item()
    assert drawn.shape == (4000, 1, 1)
    assert drawn.var().item() == pytest.approx(known, rel=5 * (2 / 200) ** 0.5)


def test_the_predictive_at_the_fitted_parameters():
    found = ec.laplace_approximation(factor(), "latents")
    assert found.predict(given={}, draws=20).shape == (20, 1, 3)


def test_summary_and_picture():
    found = ec.laplace_approximation(factor())
    table = found.summary()
    assert [label.split(".")[-1] for label in table.index[:4]] == ["b[0]", "b[1]", "b[2]", "z[0, 0]"]
    assert len(found.plot().get_yticklabels()) == 20


# Refusals.


def test_a_direction_that_the_data_do_not_identify():
    weight = torch.ones(1, 1, dtype=F64)
    fit = ec.fit(ec.LinearGaussianEnergy(weight), {"y": ROWS[:, :1]}, method="map")
    with pytest.raises(
        ConvergenceError, match="log posterior is not positive definite: its smallest eigenvalue is"
    ):
        ec.laplace_approximation(fit, "parameters")
    damped = ec.laplace_approximation(fit, "parameters", damping=0.5)
    assert damped.damping == 0.5
    assert torch.linalg.eigvalsh(damped.covariance)[-1] <= 2.0 + 1e-6


def test_a_row_whose_mode_is_a_saddle(monkeypatch):
    """(y - w z^2)^2 / 2 + z^2 / 2 has the curvature 1 - 2 w y at z = 0."""
    y = ec.Mechanism("y", "z", Square(), ec.SquaredError(1.0))
    rows = torch.tensor([[0.2], [3.0], [2.0], [1.5]], dtype=F64)
    fit = ec.fit(y + ec.GaussianRegularizer(1), {"y": rows}, method="map", priors={"w": Normal(1.0, 0.1)})
    found = ec.minimize(fit.energy, "z", {"y": rows})
    top = replace(
        found, values={"z": torch.zeros(4, 1, dtype=F64)}, converged=torch.ones(4, dtype=torch.bool)
    )
    monkeypatch.setattr(laplace_module, "minimize", lambda *_, **__: top)
    with pytest.raises(
        ConvergenceError, match=r"curvature over \['z'\] is not positive definite in rows \[1, 2, 3\]"
    ):
        ec.laplace_approximation(fit, "latents")
    bad = replace(found, converged=torch.tensor([True, False, True, True]))
    monkeypatch.setattr(laplace_module, "minimize", lambda *_, **__: bad)
    with pytest.raises(ConvergenceError, match=r"latents of rows \[1\] did not reach a minimum"):
        ec.laplace_approximation(fit, "latents")


class Square(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(1, dtype=F64))

    def forward(self, z):
        return self.w * z**2


def test_a_fit_that_did_not_arrive_or_has_no_curvature(unchecked):
    fit = line()
    with pytest.raises(ConvergenceError, match="the fit has not converged"):
        ec.laplace_approximation(replace(fit, diagnostics=replace(fit.diagnostics, converged=False)))
    with pytest.raises(ArgumentError, match="computed no curvature"):
        ec.laplace_approximation(replace(fit, curvature=None))
    with pytest.raises(ArgumentError, match="over must be one of"):
        ec.laplace_approximation(fit, "everything")
    with pytest.raises(ArgumentError, match="damping must not be negative"):
        ec.laplace_approximation(fit, damping=-1.0)
    found = ec.laplace_approximation(fit, "parameters")
    with pytest.raises(ArgumentError, match="parameter_draws must be from 1 to draws=10"):
        found.predict(given={"x": X}, draws=10, parameter_draws=20)
