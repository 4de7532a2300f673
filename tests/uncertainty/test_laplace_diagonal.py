"""A diagonal posterior of more parameters than a matrix holds."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributions import Normal

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError

F64 = torch.float64
X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
Y = X @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=F64) + 0.3 * torch.sin(9 * X[:, :1])


class Line(nn.Module):
    def __init__(self, outputs=1):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, outputs).double()

    def forward(self, x):
        return self.layer(x)


def fitted(priors, scale=0.5, **options):
    energy = ec.Energy([ec.Mechanism("y", "x", Line(), ec.SquaredError(scale))])
    return ec.fit(energy, {"x": X, "y": Y}, latents=(), method="map", priors=priors, **options)


def both():
    return {"weight": Normal(0.0, 2.0), "bias": Normal(0.0, 3.0)}


def test_the_diagonal_of_a_linear_fit_is_that_of_its_whole_curvature():
    fit = fitted(both())
    found = ec.laplace_approximation(fit, structure="diagonal", priors=both())
    known = fit.curvature.diagonal()
    assert torch.allclose(1 / found.variance, known)
    assert found.covariance is None
    assert found.names == fit.labels
    assert torch.allclose(torch.tensor(found.summary()["sd"].to_numpy()), known.rsqrt())
    top = fit.diagnostics.history[-1]
    assert found.log_evidence == pytest.approx(
        top + 2 * math.log(2 * math.pi) - 0.5 * known.log().sum().item(), rel=1e-9
    )
    damped = ec.laplace_approximation(fit, "parameters", structure="diagonal", priors=both(), damping=2.0)
    assert torch.allclose(1 / damped.variance, known + 2.0)


def test_its_draws_have_its_variances():
    fit = fitted(None)
    found = ec.laplace_approximation(fit, structure="diagonal")
    drawn = found.sample(20_000)["parameters"]
    assert torch.allclose(
        drawn.var(0) / found.variance, torch.ones(4, dtype=F64), atol=5 * (2 / 20_000) ** 0.5
    )
    x = torch.tensor([[1.0, 0.0, 2.0]], dtype=F64)
    spread = found.predict(given={"x": x}, draws=4000, parameter_draws=400).var(0).item()
    wide = torch.cat([x, torch.ones(1, 1, dtype=F64)], -1) ** 2 @ found.variance
    assert spread == pytest.approx(0.25 + wide.item(), rel=0.15)  # 400 and 4000 draws: four standard errors


def test_what_a_diagonal_does_not_serve(unchecked):
    fit = fitted(both())
    with pytest.raises(ArgumentError, match="keeps its priors in words alone.*give the same in priors="):
        ec.laplace_approximation(fit, structure="diagonal")
    with pytest.raises(ArgumentError, match="give the same in priors="):
        ec.laplace_approximation(fit, structure="diagonal", priors={**both(), "bias": Normal(0.0, 1.0)})
    with pytest.raises(ArgumentError, match="priors serve structure='diagonal'"):
        ec.laplace_approximation(fit, priors=both())
    with pytest.raises(ArgumentError, match="structure must be one of"):
        ec.laplace_approximation(fit, structure="magic")
    scaled = fitted(None, scale=nn.Parameter(torch.tensor(0.5, dtype=F64)))
    with pytest.raises(EnergyError, match="no prediction of .*scale.* In a fit: name it in fixed="):
        ec.laplace_approximation(scaled, structure="diagonal")
    rows = X[:, :1]
    energy = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64), torch.ones(1, 1, dtype=F64))
    latent = ec.fit(energy, {"x": rows, "y": Y}, fixed=("latent_weight", "scale"), method="map")
    with pytest.raises(ArgumentError, match=r"serves fits without latents; this one has \['z'\]"):
        ec.laplace_approximation(latent, structure="diagonal")


def test_parameters_that_nothing_curves_and_too_many_of_them():
    fit = fitted(None)
    flat = replace(fit, data={**fit.data, "x": fit.data["x"] * torch.tensor([1.0, 0.0, 1.0], dtype=F64)})
    with pytest.raises(ConvergenceError, match=r"do not curve \['y.decoder.layer.weight\[0, 1\]'\]"):
        ec.laplace_approximation(flat, structure="diagonal")
    assert ec.laplace_approximation(flat, structure="diagonal", damping=0.1).variance.max() == pytest.approx(
        10
    )
    many = replace(fit, curvature=None)
    with pytest.raises(
        ArgumentError, match="computed no curvature.*too many for a whole one.*Take structure='diagonal'"
    ):
        ec.laplace_approximation(many)
