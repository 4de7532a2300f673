"""Wherever a beta is, a schedule may be: what comes out is what each beta alone gives, stacked."""

import math

import numpy as np
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.sampling import (
    check_schedule,
    constant_schedule,
    cosine_schedule,
    diffusion_schedule,
    geometric_schedule,
    linear_schedule,
)

F64 = torch.float64
SCHEDULE = (0.5, 1.0, 3.0)
Y = torch.tensor([[1.0, -0.5, 0.25], [0.3, 2.0, -1.0]], dtype=F64)
X = torch.tensor([[0.5], [1.5]], dtype=F64)
LINEAR = ec.LinearGaussianEnergy(
    torch.tensor([[1.0, 0.5], [-0.3, 0.8], [0.2, -0.7]], dtype=F64), torch.ones(3, 1, dtype=F64), scale=0.5
)
WELL = ec.energy(lambda x, z: 2 * (z.squeeze(-1) ** 2 - 1) ** 2 + (x * z).squeeze(-1), x=1, z=1)
CONFOUNDED = (
    ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    + ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
    + ec.GaussianRegularizer(1)
)
BOTH = {"x": X, "y": Y}
OUTCOMES = torch.tensor([[0.2], [1.0]], dtype=F64)


def column(beta):
    """As it broadcasts against rows."""
    return beta[:, None] if isinstance(beta, torch.Tensor) else beta


def thermal(beta):
    found = ec.thermodynamics(WELL, over="z", given={"x": X}, beta=beta)
    return torch.stack([found.internal_energy, found.entropy, found.free_energy, found.heat_capacity], -1)


def information(**question):
    energy = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64), torch.ones(1, 1, dtype=F64))
    return lambda beta: ec.fisher_information(energy, given={"x": X}, beta=beta, **question).matrix


EXACT = {
    "free_energy": lambda beta: ec.free_energy(WELL, given={"x": X}, beta=beta).value,
    "free_energy, in closed form": lambda beta: ec.free_energy(LINEAR, given=BOTH, beta=beta).value,
    "log_partition": lambda beta: ec.log_partition(WELL, over="z", given={"x": X}, beta=beta).value,
    "log_partition, in closed form": lambda beta: (
        ec.log_partition(LINEAR, over=("y", "z"), given={"x": X}, beta=beta).value
    ),
    "thermodynamics": thermal,
    "GibbsDensity": lambda beta: ec.GibbsDensity(WELL, "z", {"x": X}, beta).normalized_log_prob(OUTCOMES),
    "GibbsDensity, in closed form": lambda beta: ec.GibbsDensity(LINEAR, "y", {"x": X}, beta).score(Y),
    "interventional": lambda beta: ec.interventional(CONFOUNDED, do={"x": X}, draws=50, beta=beta).values,
    "observational": lambda beta: ec.observational(CONFOUNDED, given={"x": X}, draws=50, beta=beta).mean,
    "confounding_gap": lambda beta: ec.confounding_gap(CONFOUNDED, x=X, draws=50, beta=beta).standard_error,
    "fisher_information": information(),
    "fisher_information, observed": information(kind="observed", data={"y": OUTCOMES}),
    "fisher_information, simulated": information(draws=20),
    "LinearGaussianEnergy.free_energy": lambda beta: LINEAR.free_energy(Y, X, column(beta)),
    "LinearGaussianEnergy.log_likelihood": lambda beta: LINEAR.log_likelihood(Y, X, column(beta)),
    "LinearGaussianEnergy.score": lambda beta: LINEAR.score(Y, X, column(beta)),
    "LinearGaussianEnergy.log_partition": LINEAR.log_partition,
    "LinearGaussianEnergy.posterior_covariance": LINEAR.posterior_covariance,
    "LinearGaussianEnergy.outcome_covariance": LINEAR.outcome_covariance,
    "LinearGaussianEnergy.outcome_law": lambda beta: LINEAR.outcome_law(X, column(beta)).log_prob(Y),
    "LinearGaussianEnergy.latent_law": lambda beta: LINEAR.latent_law(Y, X, column(beta)).variance.expand(
        *(beta.shape if isinstance(beta, torch.Tensor) else ()), 2, 2
    ),
}
DRAWN = {
    "sample": lambda beta: ec.sample(WELL, given={"x": X}, draws=2000, beta=beta).values["z"].flatten(-4, -3),
    "GibbsDensity.sample": lambda beta: (
        ec.GibbsDensity(WELL, "z", {"x": X}, beta).sample((8000,)).movedim(0, -3)
    ),
    "GibbsDensity.sample, in closed form": lambda beta: (
        ec.GibbsDensity(LINEAR, "y", {"x": X}, beta).sample((8000,)).movedim(0, -3)
    ),
    "pyro_model": lambda beta: ec.pyro_model(CONFOUNDED, beta=beta, rows=8000)()["z"][..., None, :],
}
REFUSING = {
    **{name: ask for name, ask in EXACT.items() if "Linear" not in name},
    "sample": DRAWN["sample"],
    "pyro_model": DRAWN["pyro_model"],
    "fit": lambda beta: ec.fit(LINEAR, BOTH, beta=beta),
}


@pytest.mark.parametrize("name", EXACT)
def test_a_schedule_gives_what_each_beta_alone_gives(name):
    found = EXACT[name](torch.tensor(SCHEDULE, dtype=F64)).detach()
    alone = torch.stack([EXACT[name](beta).detach() for beta in SCHEDULE])
    assert found.shape == alone.shape
    assert torch.allclose(found, alone, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", DRAWN)
def test_draws_at_a_schedule_have_the_moments_of_those_at_each_beta_alone(name):
    torch.manual_seed(0)
    found, alone = DRAWN[name](SCHEDULE), torch.stack([DRAWN[name](beta) for beta in SCHEDULE])
    assert found.shape == alone.shape
    draws = found.shape[1]
    for power in (1, 2):
        a, b = found**power, alone**power
        error = ((a.var(1) + b.var(1)) / draws).sqrt()
        assert bool(((a.mean(1) - b.mean(1)).abs() < 5 * error).all())


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ([1.0, 2.0, 1.5], "must rise throughout or fall throughout; it turns after number 1"),
        ([0.5, -1.0], "each beta of a schedule must be positive and finite; number 1 is -1.0"),
        ([1.0, math.nan], "must be positive and finite; number 1 is nan"),
        ([1.0], r"at least two inverse temperatures in a list; got shape \[1\]"),
        (torch.ones(2, 2), r"at least two inverse temperatures in a list; got shape \[2, 2\]"),
        (0.0, "must be positive and finite; got 0.0"),
    ],
)
@pytest.mark.parametrize("name", REFUSING)
def test_what_is_no_schedule_is_refused(name, schedule, message):
    with pytest.raises(ArgumentError, match=message):
        REFUSING[name](schedule)


@pytest.mark.parametrize(
    "schedule",
    [
        constant_schedule(2.0, 3),
        linear_schedule(0.5, 2.0, 3),
        geometric_schedule(4.0, 0.5, 3),
        cosine_schedule(0.5, 2.0, 3),
        diffusion_schedule([0.2, 0.3, 0.5]),
        check_schedule([0.5, 1.0, 2.0]),
        [1, 2, 4],
        (1.0, 2.0, 4.0),
        np.geomspace(0.5, 2.0, 3),
    ],
    ids=["constant", "linear", "geometric", "cosine", "diffusion", "checked", "list", "tuple", "numpy"],
)
def test_every_kind_of_schedule_is_taken(schedule):
    given = {"y": Y, "x": X}
    betas = torch.as_tensor(schedule, dtype=F64)
    found = ec.free_energy(LINEAR, given=given, beta=schedule).value
    assert torch.allclose(found, LINEAR.free_energy(Y, X, betas[:, None]), rtol=1e-12)


# What results say of a schedule.


def test_a_posterior_along_a_schedule_tells_beta():
    posterior = ec.sample(WELL, given={"x": X}, draws=30, chains=2, beta=SCHEDULE)
    assert posterior.values["z"].shape == (3, 2, 30, 2, 1)
    assert posterior.beta.tolist() == list(SCHEDULE)
    frame = posterior.summary()
    assert frame.loc["z[1, 0]", "beta"].tolist() == list(SCHEDULE)
    assert frame[frame.beta == 3.0].loc["z[1, 0]", "mean"] == pytest.approx(
        posterior.values["z"][2, :, :, 1].mean().item()
    )
    z = posterior.to_arviz().posterior["z"]
    assert z.dims == ("chain", "draw", "beta", "row", "z_dim")
    assert z.sel(beta=3.0).to_numpy() == pytest.approx(posterior.values["z"][2].numpy())


def test_rows_that_fail_are_named_with_their_beta():
    energy = ec.energy(lambda y, z: (y * z**2).sum(-1), y=1, z=1)
    with pytest.warns(
        UserWarning, match=r"in 2 pairs of a beta and a row .* the first \[\(0, 1\), \(1, 1\)\]"
    ):
        posterior = ec.sample(energy, given={"y": [[1.0], [0.0]]}, draws=10, beta=[1.0, 2.0])
    assert posterior.diagnostics.failed == ((0, 1), (1, 1))


def test_a_gap_along_a_schedule_tells_beta_and_has_a_picture():
    gap = ec.confounding_gap(CONFOUNDED, x=X, draws=200, beta=SCHEDULE)
    assert gap.values.shape == (3, 200, 2, 1)
    assert gap.summary().loc["y[1, 0]", "beta"].tolist() == list(SCHEDULE)
    assert "200 draws at each of 3 betas" in repr(gap)
    difference, error = gap.contrast(1, 0)
    alone, spread = ec.confounding_gap(CONFOUNDED, x=X, draws=200, beta=3.0).contrast(1, 0)
    assert torch.equal(difference[2], alone)
    assert torch.equal(error[2], spread)
    lines = gap.plot().get_lines()
    assert [line.get_label() for line in lines] == ["y, row 0", "y, row 1"]
    assert lines[1].get_ydata().tolist() == gap.mean[:, 1, 0].tolist()
    with pytest.raises(ArgumentError, match="there is one beta, and no one number that differs between rows"):
        ec.confounding_gap(CONFOUNDED, x=X[:1], draws=200).plot()


def test_what_is_seen_against_all_odds_is_told_with_its_beta():
    with pytest.raises(ConvergenceError, match="at beta 40: what is seen of"):
        ec.observational(
            CONFOUNDED + ec.GaussianRegularizer(2, variable="u"), given={"x": 9.0}, data=ROWS, beta=[0.01, 40.0],
            draws=200,
        )  # fmt: skip


ROWS = {"x": torch.zeros(3, 1, dtype=F64), "y": torch.zeros(3, 1, dtype=F64)}


def test_informations_along_a_schedule():
    energy = ec.LinearGaussianEnergy(torch.ones(1, 1, dtype=F64))
    found = ec.fisher_information(energy, wrt="latent_weight", beta=SCHEDULE)
    assert (len(found), found.rank, found.names) == (3, (1, 1, 1), ("y.decoder.latent_weight[0, 0]",))
    assert found[2].matrix.item() == found.matrix[2].item()
    assert found.summary()["beta"].tolist() == list(SCHEDULE)
    assert found.eigenvalues.shape == (3, 1)
    assert repr(found) == "FisherInformations(3 betas, expected, rank (1, 1, 1) of 1)"
    assert found.plot().get_lines()[0].get_ydata() == pytest.approx(found.matrix.flatten().numpy())


def test_closed_forms_refuse_a_beta_that_does_not_fit_the_rows():
    with pytest.raises(
        ArgumentError, match=r"beta \[3\] does not broadcast against the rows \[2\].*schedule\[:, None\]"
    ):
        LINEAR.free_energy(Y, X, torch.tensor(SCHEDULE))
    with pytest.raises(ArgumentError, match=r"must be positive; got \[1.0, -1.0\]"):
        LINEAR.log_likelihood(Y, X, torch.tensor([1.0, -1.0]))
    both = LINEAR.free_energy(Y, X, torch.tensor([2.0, math.inf], dtype=F64))
    known = [LINEAR.free_energy(Y, X, 2.0)[0].item(), LINEAR.free_energy(Y, X, math.inf)[1].item()]
    assert both.tolist() == pytest.approx(known, rel=1e-12)
