"""Probabilities of causation."""

import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import EnergyError, IdentificationError

F64 = torch.float64
Z = torch.linspace(-8, 8, 20001, dtype=F64)
PRIOR = torch.exp(-0.5 * Z * Z) / torch.exp(-0.5 * Z * Z).sum()


def world(strength=1.5, tie=1.0):
    x = ec.Mechanism("x", "z", lambda z: tie * z, ec.BernoulliCost())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: strength * x + z - 0.5, ec.BernoulliCost())
    return x + y + ec.GaussianRegularizer(1)


def known(strength, tie):
    """By a grid over z: with the monotone coupling P(y_1 = 1, y_0 = 0 | z) = (p_1 - p_0)^+."""
    e, p0, p1 = torch.sigmoid(tie * Z), torch.sigmoid(Z - 0.5), torch.sigmoid(strength + Z - 0.5)
    turned = (p1 - p0).clamp_min(0)
    return (
        float((PRIOR * e * turned).sum() / (PRIOR * e * p1).sum()),
        float((PRIOR * (1 - e) * turned).sum() / (PRIOR * (1 - e) * (1 - p0)).sum()),
        float((PRIOR * turned).sum()),
    )


@pytest.mark.parametrize(("strength", "tie"), [(1.5, 1.0), (0.5, -2.0), (-1.0, 1.0), (3.0, 0.0)])
def test_the_three_probabilities_agree_with_a_grid(strength, tie):
    found = ec.probabilities_of_causation(world(strength, tie))
    values = (found.necessity, found.sufficiency, found.both)
    for value, truth, error in zip(values, known(strength, tie), found.standard_errors, strict=True):
        assert value == pytest.approx(truth, abs=4 * error)


def test_the_bounds_hold_what_the_convention_gives():
    for strength, tie in ((1.5, 1.0), (0.5, -2.0), (-1.0, 1.0)):
        found = ec.probabilities_of_causation(world(strength, tie))
        table = found.summary()
        assert (table["lower"] <= table["probability"] + 1e-12).all()
        assert (table["probability"] <= table["upper"] + 1e-12).all()


def test_without_confounding_the_lower_bounds_are_what_monotone_noise_gives():
    """Exogeneity and monotonicity: PNS = p_1 - p_0, PN = (p_1 - p_0)/p_1 (Pearl 2009, theorem 9.2.14)."""
    x = ec.Mechanism("x", "z", lambda z: 0 * z, ec.BernoulliCost())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: 2 * x - 1 + 0 * z, ec.BernoulliCost())
    found = ec.probabilities_of_causation(x + y + ec.GaussianRegularizer(1))
    p1, p0 = torch.sigmoid(torch.tensor(1.0)).item(), torch.sigmoid(torch.tensor(-1.0)).item()
    assert found.both == pytest.approx(p1 - p0, abs=4 * found.standard_errors[2])
    assert found.necessity == pytest.approx((p1 - p0) / p1, abs=4 * found.standard_errors[0])
    assert found.bounds[2][0] == pytest.approx(found.both, abs=8 * found.standard_errors[2])


def test_a_mediator_carries_its_noise():
    """x -> m -> y, all binary: P(y_1 = 1, y_0 = 0) = P(m_1 = 1, m_0 = 0) P(y turns with m)."""
    x = ec.Mechanism("x", "z", lambda z: z, ec.BernoulliCost())
    m = ec.Mechanism("m", "x", lambda x: 2 * x - 1, ec.BernoulliCost())
    y = ec.Mechanism("y", "m", lambda m: 3 * m - 1, ec.BernoulliCost())
    found = ec.probabilities_of_causation(x + m + y + ec.GaussianRegularizer(1))
    at = lambda v: torch.sigmoid(torch.tensor(v)).item()
    truth = (at(1.0) - at(-1.0)) * (at(2.0) - at(-1.0))
    assert found.both == pytest.approx(truth, abs=4 * found.standard_errors[2])
    assert len(found.warnings) == 2


def test_the_same_seed_gives_the_same_numbers():
    first, second = (ec.probabilities_of_causation(world(), draws=500, seed=3) for _ in range(2))
    assert first == second
    assert "necessity" in repr(first)


def test_what_has_no_two_values_is_refused():
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.BernoulliCost())
    with pytest.raises(EnergyError, match="'x' must be one number, 0 or 1"):
        ec.probabilities_of_causation(x + y + ec.GaussianRegularizer(1))
    with pytest.raises(EnergyError, match="treatment and outcome are both 'x'"):
        ec.probabilities_of_causation(world(), "x", "x")
    with pytest.raises(EnergyError, match="unknown variable 't'"):
        ec.probabilities_of_causation(world(), "t")
    sure = ec.Mechanism("y", ("x", "z"), lambda x, z: 40 + 0 * (x + z), ec.BernoulliCost())
    coin = ec.Mechanism("x", "z", lambda z: z, ec.BernoulliCost())
    with pytest.raises(
        EnergyError, match="no world of 2000 has the values of 'x' and 'y' that sufficiency is about"
    ):
        ec.probabilities_of_causation(coin + sure + ec.GaussianRegularizer(1), draws=2000)


def test_a_cost_without_a_noise_is_refused():
    x = ec.Mechanism("x", "z", lambda z: z, ec.BernoulliCost())
    m = ec.Mechanism("m", "x", lambda x: x, lambda p, v: ((v - p) ** 4).sum(-1))
    y = ec.Mechanism("y", "m", lambda m: m, ec.BernoulliCost())
    with pytest.raises(IdentificationError, match="does not say what the noise of 'm' is"):
        ec.probabilities_of_causation(x + m + y + ec.GaussianRegularizer(1))
