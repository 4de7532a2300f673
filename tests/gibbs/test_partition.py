"""MATH.md G2, G6 and G7: partition functions of densities that are not normal."""

import math
import subprocess
import sys

import pytest
import torch
from scipy.integrate import quad

import ebm_causal as ec
from ebm_causal.errors import ConvergenceError


def double_well(height):
    return ec.energy(lambda x: height * (x.squeeze(-1) ** 2 - 1) ** 2, x=1)


@pytest.mark.parametrize(
    ("height", "beta", "value"), [(2, 1, 0.344238219730), (5, 1, -0.181451370588), (2, 4, -0.439585545480)]
)
def test_the_double_well(height, beta, value):
    found = ec.log_partition(double_well(height), over="x", beta=float(beta))
    assert found.value.item() == pytest.approx(value, abs=1e-8)
    assert found.warnings == ()


def test_moments_of_the_double_well_and_half_the_mass_on_each_side():
    x = ec.sample(double_well(2.0), over="x", draws=40_000, chains=1).values["x"].flatten()
    error = 1 / math.sqrt(len(x))
    assert (x**2).mean().item() == pytest.approx(0.852136152178, abs=5 * error)
    assert (x**4).mean().item() == pytest.approx(0.977136152178, abs=5 * 2 * error)
    assert ((x**4).mean() - (x**2).mean()).item() == pytest.approx(1 / 8, abs=5 * error)
    assert (x > 0).double().mean().item() == pytest.approx(0.5, abs=5 * 0.5 * error)


def two_moons(x):
    radius = x.norm(dim=-1)
    ring = 0.5 * ((radius - 2) / 0.4) ** 2
    arms = torch.stack([-0.5 * ((x[..., 0] - 2) / 0.6) ** 2, -0.5 * ((x[..., 0] + 2) / 0.6) ** 2])
    return ring - torch.logsumexp(arms, 0)


def test_two_moons():
    assert ec.log_partition(ec.energy(two_moons, x=2), over="x").value.item() == pytest.approx(
        1.877501626110, abs=1e-8
    )


def test_a_ring():
    ring = ec.energy(lambda x: 0.5 * ((x.norm(dim=-1) - 3) / 0.3) ** 2, x=2)
    assert ec.log_partition(ring, over="x").value.item() == pytest.approx(2.651455083956, abs=1e-8)


@pytest.mark.parametrize("bend", [1, 5, 20])
def test_a_curved_valley(bend):
    valley = ec.energy(lambda x: bend * (x[..., 1] - x[..., 0] ** 2) ** 2 + (1 - x[..., 0]) ** 2, x=2)
    found = ec.log_partition(valley, over="x")
    assert found.value.item() == pytest.approx(math.log(math.pi / math.sqrt(bend)), abs=1e-8)
    assert found.warnings == ()


def test_the_free_energy_of_the_ellipse():
    widths = torch.tensor([2.0, 1.5], dtype=torch.float64)

    def squared_distance(y, z):
        return ((y - widths * torch.cat([z.cos(), z.sin()], -1)) ** 2).sum(-1)

    circle = torch.distributions.constraints.interval(-math.pi, math.pi)
    ellipse = ec.energy(squared_distance, y=2, z=ec.Variable(1, circle))
    y = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    for beta, known in ((1.0, (2.942043248, 1.824167918)), (10.0, (2.448824278, 0.369530173))):
        found = ec.free_energy(ellipse, over="z", given={"y": y}, beta=beta)
        mean = found.value + math.log(2 * math.pi) / beta  # the known values hold for the measure dz / 2 pi
        assert mean.tolist() == pytest.approx(known, abs=2e-8)


@pytest.mark.parametrize("seed", range(3))
def test_wells_of_random_shape_agree_with_adaptive_quadrature(seed):
    generator = torch.Generator().manual_seed(seed)
    a, b, c = (1 + torch.rand(3, generator=generator, dtype=torch.float64)).tolist()

    def shape(x):
        return a * (x**2 - b) ** 2 + c * x

    energy = ec.energy(lambda x: shape(x.squeeze(-1)), x=1)
    for beta in (0.3, 1.0, 8.0):
        known = quad(lambda x, beta=beta: math.exp(-beta * shape(x)), -6, 6, epsabs=1e-13, limit=200)[0]
        assert ec.log_partition(energy, over="x", beta=beta).value.item() == pytest.approx(
            math.log(known), abs=1e-8
        )


def test_finite_variables_are_enumerated():
    coupling = 0.7
    spins = ec.energy(lambda s: -coupling * s[..., 0] * s[..., 1], s=ec.Variable(2, ec.finite([-1, 1])))
    found = ec.log_partition(spins, over="s", beta=2.0)
    assert found.method == "enumeration"
    assert found.value.item() == pytest.approx(math.log(4 * math.cosh(1.4)), rel=1e-12)


def test_a_positive_variable_is_integrated_over_its_support():
    exponential = ec.energy(
        lambda x: 3 * x.squeeze(-1), x=ec.Variable(1, torch.distributions.constraints.positive)
    )
    assert ec.log_partition(exponential, over="x").value.item() == pytest.approx(-math.log(3), abs=1e-8)


def test_a_variable_on_an_interval_is_integrated_over_it():
    flat = ec.energy(
        lambda x: 0 * x.squeeze(-1), x=ec.Variable(1, torch.distributions.constraints.interval(2.0, 5.0))
    )
    assert ec.log_partition(flat, over="x").value.item() == pytest.approx(math.log(3), abs=1e-8)


def test_rows_have_their_own_partition():
    energy = ec.energy(lambda x, y: 0.5 * ((y - x) * x).square().sum(-1), x=1, y=1)
    x = torch.tensor([[0.5], [2.0], [100.0]], dtype=torch.float64)
    found = ec.log_partition(energy, over="y", given={"x": x})
    assert torch.allclose(found.value, 0.5 * math.log(2 * math.pi) - x[:, 0].log(), atol=1e-8)


def test_the_derivative_of_the_log_partition_is_minus_beta_times_the_mean_gradient():
    weight = torch.nn.Parameter(torch.tensor([1.7], dtype=torch.float64))

    class Quartic(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = weight

        def forward(self, x):
            return (self.weight * x**4).sum(-1)

    ec.log_partition(ec.energy(Quartic(), x=1), over="x", beta=2.0).value.backward()
    assert weight.grad.item() == pytest.approx(-1 / (4 * 1.7), rel=1e-8)


@pytest.mark.parametrize(
    "improper",
    [
        pytest.param(lambda x: 0 * x.squeeze(-1), id="flat"),
        pytest.param(lambda x: torch.log1p(x.squeeze(-1) ** 2) / 2, id="tails like 1 over x"),
        pytest.param(lambda x: x.squeeze(-1), id="linear"),
        pytest.param(lambda x: -(x.squeeze(-1) ** 2), id="upside down"),
    ],
)
def test_a_density_that_cannot_be_normalized_is_not_trusted(improper):
    energy = ec.energy(improper, x=1)
    try:
        with pytest.warns(UserWarning, match="did not pass its self-check"):
            found = ec.log_partition(energy, over="x")
    except ConvergenceError:
        return
    assert "not normalizable" in found.warnings[0]


@pytest.mark.slow
def test_the_warning_points_at_the_caller():
    code = (
        "import ebm_causal as ec, warnings; warnings.simplefilter('always')\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    ec.free_energy(ec.energy(lambda x: 0 * x.squeeze(-1), x=1), over='x')\n"
        "    ec.GibbsDensity(ec.energy(lambda x: 0 * x.squeeze(-1), x=1), over='x').log_partition()\n"
        "print({warning.filename for warning in caught})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "{'<string>'}\n"
