"""Hidden causes drawn given what is seen: where a lattice cannot, and where hardly a draw agrees with it."""

from dataclasses import replace

import pytest
import torch

import ebm_causal as ec

F64 = torch.float64


def world(dim, noise=1.0):
    """z standard normal; x = sum of z + noise; y = x + 2 sum of z + noise."""
    x = ec.Mechanism("x", "z", lambda z: z.sum(-1, keepdim=True), ec.SquaredError(noise))
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z.sum(-1, keepdim=True), ec.SquaredError())
    return x + y + ec.GaussianRegularizer(dim)


def near(found, known, errors=4.5):
    assert (found.mean - known).abs().max().item() <= errors * found.standard_error.max().item()


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
def test_what_is_seen_far_out_and_sharply(dim):
    """A ridge a hundredth wide, six deviations out; a lattice in two dimensions gave 17.25 and an error of 0."""
    found = ec.observational(world(dim, 0.01), given={"x": 6.0})
    assert found.method == "draws from the posterior"
    near(found, 6 + 2 * 6 * dim / (dim + 1e-4))
    assert 0 < found.standard_error.item() < 0.01


def test_a_hidden_cause_that_has_causes():
    """u -> m -> x: m given x = 5, sharply, is drawn though it has a mechanism."""
    m = ec.Mechanism("m", "u", lambda u: u, ec.SquaredError())
    x = ec.Mechanism("x", "m", lambda m: m, ec.SquaredError(0.01))
    y = ec.Mechanism("y", ("x", "u"), lambda x, u: x + u, ec.SquaredError())
    energy = m + x + y + ec.GaussianRegularizer(1, variable="u")
    found = ec.observational(energy, given={"x": [0.0, 5.0]})
    near(found, torch.tensor([[0.0], [5 + 5 / 2.0001]], dtype=F64))


@pytest.mark.parametrize("rows", [40, 250])
def test_rows_with_a_latent_of_five_dimensions(rows):
    """The marginal of z over rows: y under do(x = 1) is 1 plus twice the posterior mean of its sum; fewer draws too."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(rows, 5, generator=generator, dtype=F64) + 1
    x, y = (torch.randn(rows, 1, generator=generator, dtype=F64) for _ in range(2))
    x = x + z.sum(-1, keepdim=True)
    y = y + x + 2 * z.sum(-1, keepdim=True)
    done = ec.interventional(world(5), do={"x": 1.0}, data={"x": x, "y": y}, draws=200)
    told = (x + 2 * (y - x)).mean() / (5 + 1 / 5)  # the sum of z has prior variance 5 and is told by 1 + 4
    near(done, 1 + 2 * told)
    gap = ec.confounding_gap(world(5), x=1.0, data={"x": x, "y": y}, draws=200)
    assert gap.standard_error.item() > 0


@pytest.mark.slow
def test_a_posterior_that_is_a_shell():
    """|z|^2 given x = 12 + noise: modes all around, which no normal covers; by quadrature over the radius."""
    x = ec.Mechanism("x", "z", lambda z: (z**2).sum(-1, keepdim=True), ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: z[..., :1] ** 2, ec.SquaredError())
    found = ec.observational(x + y + ec.GaussianRegularizer(4), given={"x": 24.0}, draws=800)
    radius = torch.linspace(0, 10, 20_001, dtype=F64)[1:]
    weight = (3 * radius.log() - radius**2 / 2 - (24 - radius**2) ** 2 / 2).softmax(0)
    assert found.method == "draws from the posterior"
    near(found, (weight * radius**2).sum() / 4)


def warned(monkeypatch, note):
    """The sampler, with a warning among its diagnostics and half of the effective draws."""

    def sample(*arguments, draws, **options):
        found = ec.sample(*arguments, draws=draws, **options)
        numbers = {**found.diagnostics.numbers, "ess_bulk": found.diagnostics.numbers["ess_bulk"] / 4}
        return replace(found, diagnostics=replace(found.diagnostics, warnings=(note,), numbers=numbers))

    monkeypatch.setattr("ebm_causal.intervention.worlds.sample", sample)


NO_PATH = "no directed path leads from 'x' to 'z': the effect is zero."


def test_what_a_sampler_says_of_its_draws_is_handed_on(monkeypatch):
    """Its warnings, and what its draws are worth: a quarter of the draws, twice the error."""
    rows = {"x": [0.0, 1.0], "y": [1.0, 2.0]}
    asked = (
        lambda: ec.observational(world(1), given={"x": 1.0}, draws=500),
        lambda: ec.counterfactual(world(1), rows, do={"x": 0.0}, query="z", draws=500),
        lambda: ec.interventional(world(1), do={"x": 0.0}, data=rows, draws=500),
    )
    plain = [ask() for ask in asked]
    warned(monkeypatch, "rows [0] did not pass")
    for before, ask in zip(plain, asked, strict=True):
        found = ask()
        assert before.warnings == ((NO_PATH,) if ask is asked[1] else ())
        assert found.warnings == (*before.warnings, "rows [0] did not pass")
        factor = 1 if ask is asked[2] else 2  # with data the rows are dealt evenly, which counts for more
        assert torch.allclose(found.standard_error, factor * before.standard_error)
    gap = ec.confounding_gap(world(1), x=[0.0, 1.0], draws=500)
    assert gap.warnings == ("rows [0] did not pass",)


def test_a_root_that_follows_a_policy_need_not_be_seen():
    y = ec.Mechanism("y", ("x", "w"), lambda x, w: x + w, ec.SquaredError())
    found = ec.counterfactual(ec.Energy([y]), {"w": 2.0}, do={"x": lambda w: 3 * w})
    assert found.mean.item() == pytest.approx(8)
    with pytest.raises(ec.errors.EnergyError, match="'x' has neither a mechanism nor a prior"):
        ec.counterfactual(ec.Energy([y]), {"w": 2.0}, do={"x": lambda x: x + 1})
