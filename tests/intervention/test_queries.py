"""MATH.md section 6: seeing against doing, in linear worlds with closed forms and in others."""

import math

import pytest
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal.intervention import is_confounded

F64 = torch.float64


def world(a=1.0, b=2.0, d=1.0, s_x=1.0, s_y=1.0, weight=1.0):
    """z ~ N(0, 1/weight), x = a z + e_x, y = d x + b z + e_y."""
    x = ec.Mechanism("x", "z", lambda z: a * z, ec.SquaredError(s_x))
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: d * x + b * z, ec.SquaredError(s_y))
    return x + y + ec.GaussianRegularizer(1, weight)


def slope(draws):
    """Of two rows one unit apart, with its Monte Carlo error."""
    return (draws.mean[1] - draws.mean[0]).item(), draws.standard_error.square().sum().sqrt().item()


def test_two_against_one():
    seen, seen_error = slope(ec.observational(world(), given={"x": [0.0, 1.0]}))
    done, done_error = slope(ec.interventional(world(), do={"x": [0.0, 1.0]}))
    assert seen == pytest.approx(2, abs=4 * seen_error)
    assert done == pytest.approx(1, abs=4 * done_error + 1e-9)
    assert max(seen_error, done_error) < 0.05


@pytest.mark.parametrize(
    "seed", [*range(10), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 100))]
)
def test_slopes_in_random_linear_worlds(seed):
    generator = torch.Generator().manual_seed(seed)
    a, b, d = torch.randn(3, generator=generator, dtype=F64).tolist()
    s_x, s_y, weight = (0.3 + torch.rand(3, generator=generator, dtype=F64)).tolist()
    energy = world(a, b, d, s_x, s_y, weight)
    seen, seen_error = slope(ec.observational(energy, given={"x": [0.0, 1.0]}, seed=seed))
    done, done_error = slope(ec.interventional(energy, do={"x": [0.0, 1.0]}, seed=seed))
    gap, gap_error = slope(ec.confounding_gap(energy, x=[0.0, 1.0], seed=seed))
    known = b * a / weight / (a**2 / weight + s_x**2)
    assert seen == pytest.approx(d + known, abs=4 * seen_error + 1e-9)
    assert done == pytest.approx(d, abs=4 * done_error + 1e-9)
    assert gap == pytest.approx(known, abs=4 * gap_error + 1e-9)


@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_the_inverse_temperature_scales_all_variances(beta):
    energy = world(weight=2.0)
    seen = ec.observational(energy, given={"x": [0.0, 1.0]}, beta=beta)
    assert slope(seen)[0] == pytest.approx(1 + 2 * 0.5 / 1.5, abs=4 * slope(seen)[1])
    done = ec.interventional(energy, do={"x": 0.0}, beta=beta)
    assert done.values.var().item() == pytest.approx((4 / 2 + 1) / beta, rel=0.08)


def test_the_standard_error_is_that_of_the_mean():
    means = torch.stack(
        [ec.interventional(world(), do={"x": 1.0}, draws=200, seed=s).mean for s in range(100)]
    )
    errors = torch.stack(
        [ec.interventional(world(), do={"x": 1.0}, draws=200, seed=s).standard_error for s in range(5)]
    )
    assert means.std().item() == pytest.approx(errors.mean().item(), rel=0.35)


def test_the_same_seed_gives_the_same_draws():
    first, second, other = (
        ec.interventional(world(), do={"x": 1.0}, draws=50, seed=s).values for s in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_draws_leave_torch_s_generator_alone():
    torch.manual_seed(0)
    known = torch.rand(3)
    torch.manual_seed(0)
    ec.interventional(world(), do={"x": 1.0}, draws=50)
    ec.observational(world(), given={"x": 1.0}, draws=50)
    assert torch.equal(torch.rand(3), known)


def test_a_confounder_in_a_nonlinear_world():
    """Against rejection by hand: x = 1 within .02, and x set to 1."""
    x = ec.Mechanism("x", "z", lambda z: torch.tanh(z), ec.StudentTCost(0.5, 5.0))
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x * z.exp() + z, ec.SquaredError(0.3))
    energy = x + y + ec.GaussianRegularizer(1)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2_000_000, generator=generator, dtype=F64)
    torch.manual_seed(1)
    drawn = torch.tanh(z) + 0.5 * torch.distributions.StudentT(torch.tensor(5.0, dtype=F64)).sample(z.shape)
    near = z[(drawn - 1).abs() < 0.02]
    known_seen, known_done = near.exp() + near, z.exp() + z
    seen, done = ec.observational(energy, given={"x": 1.0}), ec.interventional(energy, do={"x": 1.0})
    for found, known in ((seen, known_seen), (done, known_done)):
        error = math.hypot(found.standard_error.item(), (known.std() / math.sqrt(len(known))).item())
        assert found.mean.item() == pytest.approx(known.mean().item(), abs=4 * error)


def test_a_binary_outcome_s_mean_is_a_probability():
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.BernoulliCost())
    found = ec.interventional(x + y + ec.GaussianRegularizer(1), do={"x": 0.0})
    assert found.mean.item() == pytest.approx(0.5, abs=4 * found.standard_error.item())
    assert set(found.values.unique().tolist()) == {0.0, 1.0}


def test_a_mediator_carries_the_effect():
    m = ec.Mechanism("m", "x", lambda x: 3 * x, ec.SquaredError(0.5))
    y = ec.Mechanism("y", ("m", "z"), lambda m, z: m - z, ec.SquaredError(0.5))
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    energy = x + m + y + ec.GaussianRegularizer(1)
    found = ec.interventional(energy, do={"x": [0.0, 1.0]})
    assert slope(found)[0] == pytest.approx(3, abs=4 * slope(found)[1])
    held = ec.interventional(energy, do={"x": [0.0, 1.0], "m": 2.0})
    assert slope(held)[0] == pytest.approx(0, abs=1e-9)


def test_seeing_an_effect_tells_of_its_cause():
    found = ec.observational(world(), given={"y": 3.0}, query="z")
    assert found.mean.item() == pytest.approx(3 * 3 / 11, abs=4 * found.standard_error.item() + 0.01)


def test_seeing_two_variables():
    found = ec.observational(world(), given={"x": 1.0, "y": 4.0}, query="z")
    assert found.mean.item() == pytest.approx((1 + 2 * 3) / 6, abs=4 * found.standard_error.item())
    assert found.values.var().item() == pytest.approx(1 / 6, rel=0.1)


def test_a_latent_of_three_dimensions_is_weighed():
    x = ec.Mechanism("x", "z", lambda z: z.sum(-1, keepdim=True), ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z.sum(-1, keepdim=True), ec.SquaredError())
    found = ec.observational(x + y + ec.GaussianRegularizer(3), given={"x": 1.0})
    assert found.method == "weighted ancestral draws"
    assert found.mean.item() == pytest.approx(1 + 2 * 0.75, abs=4 * found.standard_error.item())


def test_a_prior_by_a_plain_factor():
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
    energy = x + y + ec.energy(lambda z: 0.5 * (z - 1).square().sum(-1), z=1)
    seen, done = ec.observational(energy, given={"x": 0.0}), ec.interventional(energy, do={"x": 0.0})
    assert seen.mean.item() == pytest.approx(2 * 0.5, abs=4 * seen.standard_error.item())
    assert done.mean.item() == pytest.approx(2 * 1.0, abs=4 * done.standard_error.item())


# The energy as a query.


def test_the_energy_leaves_out_the_mechanism_of_what_is_held():
    """C_y + R: a half each in draws of the model, where x is set; z given x = 2 is N(1, 1/2)."""
    done = ec.interventional(world(), do={"x": 2.0}, query="energy")
    seen = ec.observational(world(), given={"x": 2.0}, query="energy")
    assert done.mean.item() == pytest.approx(0.5 + 0.5, abs=4 * done.standard_error.item())
    assert seen.mean.item() == pytest.approx(0.5 + 0.5 * 1.5, abs=4 * seen.standard_error.item())


def test_without_an_assignment_the_energy_has_no_gap():
    latent = ec.LatentEnergy(nn.Identity(), lambda h, z: h + z, ec.SquaredError(), ec.GaussianRegularizer(1))
    for query in ("y", "energy"):
        gap = (
            ec.confounding_gap(latent, x=[0.0, 1.0], query=query)
            if query == "energy"
            else ec.confounding_gap(latent, x=[0.0, 1.0], data={"x": [0.0, 1.0], "y": [0.0, 1.0]})
        )
        assert gap.mean.flatten().tolist() == [0.0, 0.0]
        assert gap.standard_error.flatten().tolist() == [0.0, 0.0]
        assert "no confounding by construction" in gap.warnings[0]


def test_the_gap_of_a_confounded_world():
    gap = ec.confounding_gap(world(), x=[0.0, 2.0])
    assert gap.mean.flatten().tolist() == pytest.approx([0, 2], abs=4 * gap.standard_error.max().item())
    assert gap.warnings == ()
    energy = ec.confounding_gap(world(), x=2.0, query="energy")
    assert energy.mean.item() == pytest.approx(0.25, abs=4 * energy.standard_error.item())


def test_the_gap_closes_as_the_regularizer_grows():
    gaps = [ec.confounding_gap(world(weight=weight), x=1.0).mean.item() for weight in (1.0, 10.0, 1000.0)]
    assert gaps == pytest.approx([1, 2 / 11, 2 / 1001], abs=0.05)
    assert gaps[0] > gaps[1] > gaps[2]


def test_what_is_confounded():
    assert is_confounded(world(), ("x",), "y")
    assert not is_confounded(world(), ("z",), "y")
    mediated = ec.Mechanism("m", "x", lambda x: x, ec.SquaredError())
    assert not is_confounded(mediated + ec.Mechanism("x", "z", lambda z: z, ec.SquaredError()), ("x",), "m")


def test_a_collider_does_not_confound():
    x = ec.Mechanism("x", "u", lambda u: u, ec.SquaredError())
    y = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError())
    c = ec.Mechanism("c", ("u", "z"), lambda u, z: u + z, ec.SquaredError())
    energy = x + y + c + ec.GaussianRegularizer(1) + ec.GaussianRegularizer(1, variable="u")
    assert not is_confounded(energy, ("x",), "y")


def tied_causes():
    """(z, u) standard normal with correlation .6 by one plain factor; x = z + e_x, y = x + 2 u + e_y."""
    prior = ec.energy(lambda z, u: ((z**2 - 1.2 * z * u + u**2) / 1.28).sum(-1), z=1, u=1)
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    return x + ec.Mechanism("y", ("x", "u"), lambda x, u: x + 2 * u, ec.SquaredError()) + prior


def test_latents_tied_by_a_joint_prior_confound():
    """The slope of 2 u on x is 2 (.6) / 2; without data the prior is refused, where a zero was returned."""
    assert is_confounded(tied_causes(), ("x",), "y")
    with pytest.raises(ec.errors.IdentificationError, match="have a prior together"):
        ec.confounding_gap(tied_causes(), x=1.0)
    z, fresh, e, f = torch.randn(4, 500, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    rows = {"x": z + e, "y": z + e + 2 * (0.6 * z + 0.8 * fresh) + f}
    gap = ec.confounding_gap(tied_causes(), data=rows, x=[0.0, 1.0])
    assert gap.warnings == ()
    assert (gap.mean[1] - gap.mean[0]).item() == pytest.approx(0.6, abs=0.15)


def test_a_joint_prior_does_not_confound_what_only_one_of_its_variables_causes():
    alone = ec.Energy([f for f in tied_causes().factors.values() if getattr(f, "child", "") != "y"])
    y = ec.Mechanism("y", "x", lambda x: x, ec.SquaredError())
    assert not is_confounded(alone + y, ("x",), "y")


# With data.


def covariate_world():
    x = ec.Mechanism("x", ("w", "z"), lambda w, z: w + z, ec.SquaredError())
    y = ec.Mechanism("y", ("w", "x", "z"), lambda w, x, z: 3 * w + x + 2 * z, ec.SquaredError())
    return x + y + ec.GaussianRegularizer(1)


def drawn_rows(rows=2000):
    generator = torch.Generator().manual_seed(0)
    w, z, e, f = torch.randn(4, rows, 1, generator=generator, dtype=F64)
    x = w + z + e
    return {"w": w, "x": x, "y": 3 * w + x + 2 * z + f}


def test_covariates_come_from_the_data():
    data = drawn_rows()
    done = ec.interventional(covariate_world(), do={"x": [0.0, 1.0]}, data=data, draws=20_000)
    assert slope(done)[0] == pytest.approx(1, abs=1e-9)
    assert done.mean[0].item() == pytest.approx(
        3 * data["w"].mean().item(), abs=4 * done.standard_error[0].item() + 0.2
    )
    seen = ec.observational(covariate_world(), given={"x": [0.0, 1.0]}, data=data, draws=20_000)
    # w, z given x: each moves by 1/3 of x, so the slope is 1 + 3/3 + 2/3
    assert slope(seen)[0] == pytest.approx(1 + 5 / 3, abs=5 * slope(seen)[1] + 0.15)


def test_data_give_the_marginal_of_the_latent_not_the_posterior_of_a_row():
    """Data whose z has mean 2: the marginal of z over them moves toward 2, whatever x is set to."""
    generator = torch.Generator().manual_seed(0)
    z, e, f = torch.randn(3, 3000, 1, generator=generator, dtype=F64)
    x = z + 2 + e
    y = x + 2 * (z + 2) + f
    posterior = ec.sample(world(), over="z", given={"x": x, "y": y}, draws=50, chains=1).values["z"].mean()
    done = ec.interventional(world(), do={"x": [-3.0, 3.0]}, data={"x": x, "y": y})
    z_mean = (done.mean.flatten() - torch.tensor([-3.0, 3.0], dtype=F64)) / 2
    assert z_mean.tolist() == pytest.approx([posterior.item()] * 2, abs=0.08)
    assert posterior.item() > 1.5


def test_covariates_that_go_together_in_the_data_confound():
    """x = v + e_x, y = x + 2 w + e_y, and w = v in every row: the gap is twice the slope of v on x, one."""
    x = ec.Mechanism("x", "v", lambda v: v, ec.SquaredError())
    energy = x + ec.Mechanism("y", ("x", "w"), lambda x, w: x + 2 * w, ec.SquaredError())
    v = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0), dtype=F64)
    data = {"v": v, "w": v, "x": v, "y": v}
    gap = ec.confounding_gap(energy, data=data, x=1.0, draws=20_000)
    assert gap.mean.item() == pytest.approx(1, abs=0.05)


def test_fewer_draws_than_rows():
    done = ec.interventional(covariate_world(), do={"x": 0.0}, data=drawn_rows(), draws=300)
    assert done.values.shape == (300, 1, 1)


def test_an_intervened_energy_can_be_asked():
    cut = ec.do(world(), x=[0.0, 1.0])
    found = ec.interventional(cut, do={"z": 1.0})
    assert found.mean.flatten().tolist() == pytest.approx([2, 3], abs=1e-9)
    seen = ec.observational(cut, given={"z": 1.0})
    assert seen.mean.flatten().tolist() == pytest.approx([2, 3], abs=1e-9)


def test_summary_and_repr():
    found = ec.interventional(world(), do={"x": [0.0, 1.0]}, draws=100)
    assert list(found.summary().index) == ["y[0, 0]", "y[1, 0]"]
    assert list(found.summary().columns) == ["mean", "standard_error", "sd"]
    assert repr(found).startswith("Draws('y', mean ")
