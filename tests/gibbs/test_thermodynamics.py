"""Known answers, closed forms and Gibbs' formula; the entropy is found on its own, so its residual means something."""

import math

import pytest
import torch
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.gibbs import thermal

F64 = torch.float64


def double_well(height):
    return ec.energy(lambda x: height * (x.squeeze(-1) ** 2 - 1) ** 2, x=1)


def test_the_double_well():
    found = ec.thermodynamics(double_well(2), over="x", beta=1.0)
    assert -found.free_energy.item() == pytest.approx(0.344238219730, abs=1e-11)
    assert found.internal_energy.item() == pytest.approx(0.545727695643, abs=1e-11)
    assert found.entropy.item() == pytest.approx(0.889965915373, abs=1e-11)
    assert found.heat_capacity.item() == pytest.approx(0.401864369138, abs=1e-11)
    assert found.temperature == 1.0
    assert found.warnings == ()


@pytest.mark.parametrize("beta", [0.2, 1.0, 30.0])
def test_a_normal_has_the_equipartition_and_the_known_entropy(beta):
    scales = torch.tensor([[0.1], [1.0], [5.0]], dtype=F64)
    energy = ec.energy(lambda s, z: (z**2 / (2 * s**2)).sum(-1), s=1, z=1)
    found = ec.thermodynamics(energy, over="z", given={"s": scales}, beta=beta)
    entropy = 0.5 * torch.log(2 * math.pi * math.e * scales[:, 0] ** 2 / beta)
    assert found.internal_energy.numpy() == pytest.approx(0.5 / beta, rel=1e-10)
    assert found.heat_capacity.numpy() == pytest.approx(0.5, abs=1e-10)
    assert found.entropy.numpy() == pytest.approx(entropy.numpy(), abs=1e-10)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_two_spins_by_enumeration(beta):
    energy = ec.energy(lambda s: -0.5 * s.prod(-1), s=ec.Variable(2, ec.finite([-1, 1])))
    found = ec.thermodynamics(energy, over="s", beta=beta)
    mean = -0.5 * math.tanh(0.5 * beta)
    free = -math.log(4 * math.cosh(0.5 * beta)) / beta
    assert found.method == "enumeration"
    assert found.free_energy.item() == pytest.approx(free, abs=1e-12)
    assert found.internal_energy.item() == pytest.approx(mean, abs=1e-12)
    assert found.heat_capacity.item() == pytest.approx((0.5 * beta / math.cosh(0.5 * beta)) ** 2, abs=1e-12)
    assert found.entropy.item() == pytest.approx(beta * (mean - free), abs=1e-11)


def test_a_linear_gaussian_energy_in_two_dimensions():
    weight = torch.tensor([[1, 0.5], [-0.3, 0.8], [0.2, -0.7]], dtype=F64)
    energy = ec.LinearGaussianEnergy(weight, scale=0.5)
    y = torch.tensor([[1.0, -0.5, 0.25]], dtype=F64)
    found = ec.thermodynamics(energy, over="z", given={"y": y}, beta=2.0)
    precision = torch.eye(2, dtype=F64) + weight.T @ weight / 0.25
    entropy = math.log(2 * math.pi * math.e / 2) - 0.5 * torch.logdet(precision).item()
    assert found.entropy.item() == pytest.approx(entropy, abs=1e-8)
    assert found.internal_energy.item() == pytest.approx(
        energy.free_energy(y, beta=math.inf).item() + 0.5, abs=1e-8
    )
    assert found.heat_capacity.item() == pytest.approx(1.0, abs=1e-8)


@pytest.mark.parametrize("beta", [0.1, 1.0, 10.0, 100.0])
def test_gibbs_formula_holds_row_by_row_over_an_interval(beta):
    axes = torch.tensor([2.0, 1.5], dtype=F64)
    energy = ec.energy(
        lambda y, z: ((y - axes * torch.cat([z.cos(), z.sin()], -1)) ** 2).sum(-1),
        y=2, z=ec.Variable(1, constraints.interval(-math.pi, math.pi)),
    )  # fmt: skip
    found = ec.thermodynamics(energy, over="z", given={"y": [[0.0, 0.0], [1.0, 1.0]]}, beta=beta)
    assert found.residual.numpy() == pytest.approx(0, abs=1e-8)
    known = {0.1: 3.105868526, 1.0: 2.942043248, 10.0: 2.448824278, 100.0: 2.281533211}[beta]
    assert found.free_energy[0].item() + math.log(2 * math.pi) / beta == pytest.approx(known, abs=1e-8)


def test_the_residual_sees_an_entropy_that_is_wrong(monkeypatch):
    monkeypatch.setattr(thermal, "DIFFERENCES", (1.0,))
    found = ec.thermodynamics(double_well(2), over="x")
    assert abs(found.residual.item()) > 0.1


def test_energy_rises_with_temperature_by_the_heat_capacity():
    below, here, above = (
        ec.thermodynamics(double_well(2), over="x", beta=1 / t) for t in (0.999, 1.0, 1.001)
    )
    slope = (above.internal_energy - below.internal_energy) / 0.002
    assert here.heat_capacity.item() == pytest.approx(slope.item(), abs=1e-6)


def test_rows_are_those_of_a_loop():
    energy = ec.energy(lambda y, z: ((y - z.sin()) ** 2).sum(-1) + 0.5 * (z**2).sum(-1), y=1, z=1)
    y = torch.linspace(-1, 1, 4, dtype=F64)[:, None]
    whole = ec.thermodynamics(energy, over="z", given={"y": y})
    rows = [ec.thermodynamics(energy, over="z", given={"y": row[None]}) for row in y]
    assert whole.entropy.numpy() == pytest.approx([row.entropy.item() for row in rows], abs=1e-9)
    assert whole.internal_energy.numpy() == pytest.approx(
        [row.internal_energy.item() for row in rows], abs=1e-10
    )


def test_float32_stays_float32():
    energy = ec.energy(lambda y, z: ((y - z) ** 2).sum(-1), y=1, z=1)
    found = ec.thermodynamics(energy, over="z", given={"y": torch.zeros(2, 1)})
    for name in ("internal_energy", "entropy", "free_energy", "heat_capacity", "residual"):
        assert getattr(found, name).dtype == torch.float32
    assert found.residual.numpy() == pytest.approx(0, abs=1e-3)


def test_summary_and_repr():
    found = ec.thermodynamics(double_well(2), over="x", beta=2.0)
    columns = ["internal_energy", "entropy", "temperature", "free_energy", "heat_capacity", "residual"]
    assert list(found.summary().columns) == columns
    assert found.summary()["temperature"].tolist() == [0.5]
    assert repr(found).startswith(
        "Thermodynamics(U=0.289658, S=0.525745, T=0.5, F=0.0267859, C=0.623475, residual"
    )


def test_no_lattice_in_many_dimensions():
    with pytest.raises(
        EnergyError, match=r"over \['z'\] \(dimension 6\) takes finite variables, or one to three"
    ):
        ec.thermodynamics(ec.energy(lambda z: (z**2).sum(-1), z=6), over="z")


def test_an_energy_after_surgery_has_no_temperature():
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, lambda guess, y: ((guess - y) ** 4).sum(-1))
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    clamped = ec.do(x + y + ec.GaussianRegularizer(1), x=1.0)
    with pytest.raises(EnergyError, match="keeps local normalizers that depend on beta"):
        ec.thermodynamics(clamped, over="z", given={"y": [[0.0]]})


@pytest.mark.parametrize("beta", [0.0, -1.0, math.inf, math.nan])
def test_temperatures_that_are_none(beta):
    with pytest.raises(ArgumentError, match="must be positive and finite"):
        ec.thermodynamics(double_well(2), over="x", beta=beta)


def test_an_energy_that_is_nowhere_finite():
    with pytest.raises(ConvergenceError, match="not finite in rows"):
        ec.thermodynamics(ec.energy(lambda z: z.squeeze(-1) * math.nan, z=1), over="z")


def test_a_schedule_is_a_picture_of_four_curves():
    from matplotlib.figure import Figure

    well = ec.energy(lambda x: 2 * (x.squeeze(-1) ** 2 - 1) ** 2, x=1)
    found = ec.thermodynamics(well, over="x", beta=[0.5, 1.0, 4.0])
    ax = found.plot(Figure().subplots())
    heights = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    assert set(heights) == {"internal energy", "entropy", "free energy", "heat capacity"}
    assert heights["entropy"][1] == pytest.approx(0.889965915373, abs=1e-9)
    assert list(ax.get_lines()[0].get_xdata()) == [2.0, 1.0, 0.25]


def test_one_temperature_is_no_curve():
    well = ec.energy(lambda x: 2 * (x.squeeze(-1) ** 2 - 1) ** 2, x=1)
    with pytest.raises(ArgumentError, match="give thermodynamics a schedule of beta to plot"):
        ec.thermodynamics(well, over="x").plot()


@pytest.mark.parametrize("beta", [0.5, 2.0, [0.5, 1.0, 10.0]])
def test_a_linear_gaussian_energy_has_closed_forms_in_any_dimension(beta):
    draw = torch.Generator().manual_seed(0)
    weight, y = (
        torch.randn(6, 5, generator=draw, dtype=torch.float64),
        torch.randn(3, 6, generator=draw, dtype=torch.float64),
    )
    energy = ec.LinearGaussianEnergy(weight, scale=0.5)
    found = ec.thermodynamics(energy, over="z", given={"y": y}, beta=beta)
    inverse = torch.as_tensor(beta, dtype=torch.float64).reshape(-1, 1)
    laws = [energy.latent_law(y, beta=float(b)).entropy() for b in inverse]
    torch.testing.assert_close(
        found.entropy.reshape(-1, 3), torch.stack(laws).detach(), rtol=1e-10, atol=1e-10
    )
    lowest = energy.free_energy(y, beta=math.inf).detach()
    torch.testing.assert_close(found.internal_energy.reshape(-1, 3), lowest + 2.5 / inverse)
    assert bool((found.heat_capacity == 2.5).all())
    assert float(found.residual.abs().max()) < 1e-12
    assert found.method == "exact"


def test_the_joint_law_of_a_linear_gaussian_energy():
    energy = ec.LinearGaussianEnergy(torch.ones(3, 2, dtype=torch.float64), scale=0.5)
    found = ec.thermodynamics(energy, over=("y", "z"), beta=2.0)
    assert float(found.internal_energy) == pytest.approx(5 / 4)
    assert float(found.free_energy) == pytest.approx(-0.5 * float(energy.log_partition(2.0).detach()))
    assert abs(float(found.residual)) < 1e-12
