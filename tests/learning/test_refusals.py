import math

import pandas as pd
import pytest
import torch
from torch.distributions import Normal

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError, IdentificationError
from ebm_causal.learning import ContrastiveDivergence, ContrastiveHinge, NoiseNegatives, ScoreMatching

F64 = torch.float64
Y = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=F64)


def linear(latents=1):
    return ec.LinearGaussianEnergy(torch.ones(2, latents, dtype=F64))


def test_data_that_lack_a_variable():
    with pytest.raises(EnergyError, match=r"data lack 'y'; the energy needs \['y'\]. Put it into latents"):
        ec.fit(linear(), {})


def test_data_of_no_variable():
    with pytest.raises(EnergyError, match="data hold 'w', which is not a variable of the energy"):
        ec.fit(linear(), {"y": Y, "w": Y})


def test_data_of_a_latent():
    with pytest.raises(EnergyError, match="data hold 'z', which is latent"):
        ec.fit(linear(), {"y": Y, "z": Y})


def test_no_rows():
    with pytest.raises(EnergyError, match="'y' has no rows: give at least one"):
        ec.fit(linear(), {"y": Y[:0]})


@pytest.mark.parametrize("method", ["map", "svi", "mcmc"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_rows_that_are_not_finite(method, bad):
    y = Y.clone()
    y[7, 1] = bad
    with pytest.raises(
        EnergyError, match=r"'y' is not finite in 1 rows, the first of them \[7\]: drop or mend"
    ):
        ec.fit(linear(), {"y": y}, method=method)


def test_a_wrong_shape():
    with pytest.raises(EnergyError, match=r"'y' must be \[rows, 2\]; got \[20, 1\]"):
        ec.fit(linear(), {"y": Y[:, :1]})


def test_columns_that_are_not_numbered_from_zero():
    frame = pd.DataFrame({"y[1]": [1.0, 2.0], "y[2]": [1.0, 2.0]})
    with pytest.raises(
        EnergyError, match=r"the columns of 'y' must be \['y\[0\]', 'y\[1\]'\]; got \['y\[1\]'"
    ):
        ec.fit(linear(), frame)


def test_a_column_of_text():
    energy = ec.LinearGaussianEnergy(torch.ones(1, 1))
    with pytest.raises(EnergyError, match="'y' must be numeric"):
        ec.fit(energy, pd.DataFrame({"y": ["high", "low"]}))


def test_values_outside_the_support():
    t = ec.Mechanism("t", "z", lambda z: z, ec.BernoulliCost())
    energy = t + ec.GaussianRegularizer(1, weight=torch.nn.Parameter(torch.ones((), dtype=F64)))
    with pytest.raises(
        EnergyError, match=r"'t' must be in its support.*not in 1 rows, the first of them \[2\]"
    ):
        ec.fit(energy, {"t": [0.0, 1.0, 2.0]})


def test_unknown_latents():
    with pytest.raises(EnergyError, match=r"unknown latent 'u'; the energy's variables are \['z', 'y'\]"):
        ec.fit(linear(), {"y": Y}, latents=("u",))


def test_a_factor_without_a_known_normalizer():
    class Tilt(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(torch.ones(1, dtype=F64))

        def forward(self, y, z):
            return (self.w * y[..., :1] * z).sum(-1)

    stray = ec.energy(Tilt(), y=2, z=1)
    for energy in (linear() + stray, stray):
        for method in ("map", "svi", "mcmc"):
            with pytest.raises(
                IdentificationError, match="not a sum of mechanisms and regularizers.*maximum likelihood"
            ):
                ec.fit(energy, {"y": Y}, method=method)
    with pytest.raises(IdentificationError, match="not a sum of mechanisms"):
        ec.fit(linear() + stray, {"y": Y}, guide="amortized")


def test_a_factor_that_ties_a_latent_to_what_is_seen():
    y = ec.Mechanism(
        "y", ("x", "z"), lambda x, z: x + z, ec.SquaredError(torch.nn.Parameter(torch.ones((), dtype=F64)))
    )
    tied = y + ec.energy(lambda x, z: ((x - z) ** 2 + z**2).sum(-1), x=1, z=1)
    with pytest.raises(IdentificationError, match="joins the latent 'z' with observed variables"):
        ec.fit(tied, {"x": [0.0, 1.0], "y": [0.0, 1.0]}, method="map")


def test_nothing_to_learn():
    y = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError())
    with pytest.raises(ArgumentError, match="the energy has no parameter to learn"):
        ec.fit(y + ec.GaussianRegularizer(1), {"y": [0.0, 1.0]})
    with pytest.raises(ArgumentError, match="or all is fixed"):
        ec.fit(linear(), {"y": Y}, fixed=("latent_weight", "scale"))


def test_names_of_no_parameter():
    for options in ({"fixed": ("weights",)}, {"priors": {"weights": Normal(0.0, 1.0)}}):
        with pytest.raises(ArgumentError, match=r"'weights' is not a parameter; the energy's parameters are"):
            ec.fit(linear(), {"y": Y}, **options)


def test_a_name_that_fits_several_parameters():
    x, y = (
        ec.Mechanism(n, "z", lambda z: z, ec.SquaredError(torch.nn.Parameter(torch.ones((), dtype=F64))))
        for n in ("x", "y")
    )
    with pytest.raises(ArgumentError, match=r"'scale' could be any of \['x.cost.scale', 'y.cost.scale'\]"):
        ec.fit(x + y + ec.GaussianRegularizer(1), {"x": [0.0, 1.0], "y": [0.0, 1.0]}, fixed=("scale",))


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_an_inverse_temperature_that_is_not_positive(beta):
    with pytest.raises(ArgumentError, match="beta is an inverse temperature and must be positive"):
        ec.fit(linear(), {"y": Y}, beta=beta)


def test_methods_that_are_unknown(unchecked):
    with pytest.raises(ArgumentError, match="method must be 'svi', 'mcmc' or 'map'; got 'magic'"):
        ec.fit(linear(), {"y": Y}, method="magic")
    with pytest.raises(
        ArgumentError, match="guide must be 'auto', 'collapsed', 'amortized' or 'flat'; got 'magic'"
    ):
        ec.fit(linear(), {"y": Y}, guide="magic")
    with pytest.raises(ArgumentError, match="kernel must be one of .* for method='mcmc'; got 'magic'"):
        ec.fit(linear(), {"y": Y}, method="mcmc", kernel="magic")


def test_a_guide_that_does_not_serve_the_method():
    with pytest.raises(ArgumentError, match="guide='amortized' serves method='svi'; got method='map'"):
        ec.fit(linear(), {"y": Y}, method="map", guide="amortized")


def test_priors_under_an_amortized_guide():
    with pytest.raises(ArgumentError, match="point parameters without priors; use method='map' or 'mcmc'"):
        ec.fit(linear(), {"y": Y}, guide="amortized", priors={"scale": Normal(0.0, 1.0)})


@pytest.mark.parametrize("options", [{"chains": 0}, {"warmup": 0}, {"draws": 3}])
def test_counts_that_are_too_small(options):
    with pytest.raises(ArgumentError, match="chains and warmup must be positive and draws at least 4"):
        ec.fit(linear(), {"y": Y}, method="mcmc", **options)


@pytest.mark.parametrize("steps", [0, -3])
def test_steps_that_are_not_positive(steps):
    with pytest.raises(ArgumentError, match=f"steps must be positive; got {steps}"):
        ec.fit(linear(), {"y": Y}, steps=steps)


def test_a_lattice_in_three_dimensions():
    with pytest.raises(EnergyError, match=r"a lattice serves one or two latent dimensions; \['z'\] have 3"):
        ec.fit(linear(3), {"y": Y}, method="map")


def test_a_learning_rate_that_runs_away():
    with pytest.raises((ConvergenceError, ValueError)):
        ec.fit(linear(), {"y": Y * 1e200}, guide="amortized", steps=50)


def test_predictions_of_what_is_given():
    fit = ec.fit(linear(), {"y": Y}, method="map")
    with pytest.raises(ArgumentError, match="'y' is given; ask for a variable that is not"):
        fit.predict("y", given={"y": Y})
    with pytest.raises(EnergyError, match="unknown variable 'w'"):
        fit.predict("y", given={"w": Y})


class Level(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.zeros(2, dtype=F64))

    def forward(self):
        return self.level[None]


def test_a_bare_factor_is_an_energy():
    fit = ec.fit(
        ec.Mechanism("y", (), Level(), ec.SquaredError(1.0), dim=2), {"y": Y}, latents=(), method="map"
    )
    assert torch.allclose(fit.mean, Y.mean(0), atol=1e-4)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_energy():
    with pytest.raises(EnergyError, match="an energy is made by ec.energy.*; got NoneType"):
        ec.fit(None, {"y": Y})


@pytest.mark.parametrize("loss", [
    ScoreMatching(), ContrastiveHinge(1.0, NoiseNegatives()), ContrastiveDivergence(steps=1),
], ids=["slopes", "contrasts", "chains"])  # fmt: skip
def test_a_loss_that_depends_on_no_parameter(loss):
    class Idle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.idle = torch.nn.Parameter(torch.ones((), dtype=F64))

        def forward(self, y):
            return (y**2).sum(-1)

    with pytest.raises(EnergyError, match=r"depends on none of the parameters \['idle'\]"):
        ec.fit(ec.energy(Idle(), y=2), {"y": Y}, loss=loss, steps=2)
