"""Minima known in closed form or by fine grids, supports, certificates, laws and refusals."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.gibbs import minimum_free_energy

F64 = torch.float64
AXES = torch.tensor([2.0, 1.5], dtype=F64)
ANGLE = ec.Variable(1, constraints.interval(-math.pi, math.pi))


def on_ellipse(y, z):
    return ((y - AXES.to(z) * torch.cat([z.cos(), z.sin()], -1)) ** 2).sum(-1)


def ellipse(angle=ANGLE):
    return ec.energy(on_ellipse, y=2, z=angle)


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


@pytest.fixture
def linear():
    weight = torch.tensor([[1, 0.5], [-0.3, 0.8], [0.2, -0.7]], dtype=F64)
    return ec.LinearGaussianEnergy(weight, offset=torch.tensor([0.1, -0.2, 0.3], dtype=F64), scale=0.5)


@pytest.mark.parametrize("angle", [1, ANGLE], ids=["a real number", "an interval"])
def test_the_ellipse(angle):
    found = ec.minimize(ellipse(angle), over="z", given={"y": [[0.0, 0.0], [1.0, 1.0]]})
    assert found.energy.numpy() == pytest.approx([2.25, 0.073313674955], abs=1e-11)
    assert found.values["z"][1, 0].item() % (2 * math.pi) == pytest.approx(0.974730374024, abs=1e-11)
    assert abs(found.values["z"][0, 0].sin().item()) == pytest.approx(1.0, abs=1e-12)
    assert bool(found.converged.all())


@pytest.mark.parametrize("angle", [1, ANGLE], ids=["a real number", "an interval"])
def test_no_row_of_2000_misses_the_ellipse(angle):
    y = 2 * draws(2000, 2, seed=1)
    found = ec.minimize(ellipse(angle), over="z", given={"y": y})
    grid = torch.linspace(-math.pi, math.pi, 4001, dtype=F64)[:, None]
    lowest = torch.cat([on_ellipse(rows[:, None], grid).amin(1) for rows in y.split(200)])
    assert bool((found.energy <= lowest + 1e-12).all())
    assert bool((found.energy >= lowest - 2e-5).all())  # |E''| h^2 / 8 on the grid
    assert bool(found.converged.all())


def test_the_linear_gaussian_energy(linear):
    given = {"y": [[1.0, -0.5, 0.25]]}
    found = ec.minimize(linear, over="z", given=given)
    assert found.values["z"][0].detach().numpy() == pytest.approx([0.70156600, 0.09865772], abs=1e-8)
    assert found.energy.item() == pytest.approx(0.38158836689, abs=1e-11)
    assert found.energy.item() == pytest.approx(
        linear.free_energy(torch.tensor(given["y"], dtype=F64), beta=math.inf).item(), rel=1e-12
    )
    assert found.agreement.item() == 1.0


def test_both_y_and_z_by_default(linear):
    found = ec.minimize(linear)
    assert found.energy.item() == pytest.approx(0, abs=1e-15)
    assert found.values["y"][0].detach().numpy() == pytest.approx([0.1, -0.2, 0.3], abs=1e-8)


@pytest.mark.parametrize("method", ["newton", "lbfgs", "gradient"])
def test_rosenbrock(method):
    energy = ec.energy(lambda x: 100 * (x[..., 1] - x[..., 0] ** 2) ** 2 + (1 - x[..., 0]) ** 2, x=2)
    found = ec.minimize(energy, over="x", method=method)
    assert found.values["x"].numpy() == pytest.approx(np.ones((1, 2)), abs=1e-7)
    assert found.smallest_eigenvalue.item() == pytest.approx(0.39936077, abs=1e-4)
    assert bool(found.converged.all())


def test_minima_on_several_rows_are_those_of_a_loop():
    y = draws(3, 2, seed=2)
    whole = ec.minimize(ellipse(), over="z", given={"y": y})
    rows = [ec.minimize(ellipse(), over="z", given={"y": row[None]}) for row in y]
    assert whole.energy.numpy() == pytest.approx([row.energy.item() for row in rows], abs=1e-12)
    assert whole.values["z"].flatten().numpy() == pytest.approx(
        [row.values["z"].item() for row in rows], abs=1e-9
    )
    assert whole.agreement.tolist() == [row.agreement.item() for row in rows]


def test_float32_stays_float32():
    found = ec.minimize(ellipse(1), over="z", given={"y": torch.ones(3, 2)})
    kinds = [found.values["z"], found.energy, found.gradient_norm, found.agreement, found.smallest_eigenvalue]
    assert {part.dtype for part in kinds} == {torch.float32}
    assert bool(found.converged.all())
    assert found.energy.numpy() == pytest.approx(0.0733137, abs=1e-6)


def test_the_same_seed_gives_the_same_minimum():
    y = draws(4, 2, seed=3)
    one, two = (ec.minimize(ellipse(), over="z", given={"y": y}, seed=5) for _ in range(2))
    assert torch.equal(one.values["z"], two.values["z"])


@pytest.mark.parametrize("noise", [1.0, 0.1, 0.01])
def test_narrow_and_wide_posteriors_with_a_regularizer(noise):
    energy = ec.Mechanism("y", "z", lambda z: torch.tanh(2 * z) * z.cos(), ec.SquaredError(noise))
    energy = energy + ec.GaussianRegularizer(1)
    y = torch.linspace(-0.6, 0.6, 20, dtype=F64)[:, None]
    found = ec.minimize(energy, over="z", given={"y": y})
    grid = torch.linspace(-6, 6, 120_001, dtype=F64)[:, None]
    lowest = torch.stack([energy(y=row, z=grid).amin() for row in y])
    assert bool((found.energy <= lowest + 1e-12).all())
    assert bool(found.converged.all())


def test_positive_variables_stay_positive():
    energy = ec.energy(lambda y, x: (y * x - x.log()).sum(-1), y=1, x=ec.Variable(1, constraints.positive))
    found = ec.minimize(energy, over="x", given={"y": [[0.01], [1.0], [50.0]]})
    assert found.values["x"].flatten().numpy() == pytest.approx([100, 1, 0.02], rel=1e-8)
    assert bool(found.converged.all())


def test_a_minimum_at_the_edge_of_an_interval():
    energy = ec.energy(lambda x: x.sum(-1), x=ec.Variable(2, constraints.interval(1.0, 3.0)))
    found = ec.minimize(energy, over="x")
    assert found.values["x"].numpy() == pytest.approx(np.ones((1, 2)), abs=1e-12)


def test_finite_variables_by_enumeration():
    energy = ec.energy(
        lambda y, s: ((y - s.cumsum(-1)) ** 2).sum(-1), y=4, s=ec.Variable(4, ec.finite([-1, 1]))
    )
    s = torch.tensor([[1, -1, -1, 1], [1, 1, 1, 1.0]], dtype=F64)
    found = ec.minimize(energy, over="s", given={"y": s.cumsum(-1) + 0.1})
    assert found.method == "enumeration"
    assert torch.equal(found.values["s"], s)
    assert found.energy.numpy() == pytest.approx(0.04, abs=1e-12)
    assert found.smallest_eigenvalue is None
    assert found.gradient_norm.tolist() == [0.0, 0.0]


def test_finite_and_real_variables_together():
    def function(s, y, z):
        return ((y - s * z) ** 2).sum(-1) + ((z - 1) ** 2).sum(-1) + 0.1 * s.sum(-1)

    energy = ec.energy(function, s=ec.Variable(1, ec.finite([-1, 1])), y=1, z=1)
    y = torch.tensor([[2.0], [-3.0], [0.01]], dtype=F64)
    found = ec.minimize(energy, over=("z", "s"), given={"y": y})
    assert found.method == "enumeration and newton"
    assert found.values["s"].flatten().tolist() == [1.0, -1.0, -1.0]
    assert found.values["z"].flatten().numpy() == pytest.approx([1.5, 2.0, 0.495], abs=1e-9)
    assert found.energy.numpy() == pytest.approx(function(found.values["s"], y, found.values["z"]).numpy())


def test_images_and_many_dimensions():
    energy = ec.energy(
        lambda y, x: ((y - x) ** 2).sum((-2, -1)) + 0.1 * (x**4).sum((-2, -1)), y=(6, 7), x=(6, 7)
    )
    y = draws(3, 6, 7)
    found = ec.minimize(energy, over="x", given={"y": y})
    assert (found.method, tuple(found.values["x"].shape)) == ("lbfgs", (3, 6, 7))
    assert bool(found.converged.all())
    x = found.values["x"]
    assert (2 * (x - y) + 0.4 * x**3).abs().max().item() < 1e-6


def test_the_gradient_in_parameters_is_that_at_the_minimum():
    scale = torch.nn.Parameter(torch.tensor(1.3, dtype=F64))
    energy = ec.energy(lambda y, z: ((y - scale * z) ** 2).sum(-1) + (z**2).sum(-1), y=1, z=1)
    found = minimum_free_energy(energy, over="z", given={"y": [[2.0]]})
    (gradient,) = torch.autograd.grad(found.value.sum(), scale)
    assert found.value.item() == pytest.approx(4 / (1 + 1.69), abs=1e-10)  # y^2 / (1 + w^2)
    assert gradient.item() == pytest.approx(-2 * 1.3 * 4 / (1 + 1.69) ** 2, abs=1e-9)
    assert (found.method, found.warnings) == ("minimum by newton", ())


def test_the_free_energy_falls_to_the_minimum_as_it_cools():
    given = {"y": [[0.0, 0.0], [1.0, 1.0]]}
    cold = ec.free_energy(ellipse(), over="z", given=given, beta=1e4).value
    least = minimum_free_energy(ellipse(), over="z", given=given).value
    assert torch.equal(ec.free_energy(ellipse(), over="z", given=given, beta=math.inf).value, least)
    assert cold.numpy() == pytest.approx(least.numpy(), abs=2e-3)


def test_agreement_is_the_share_of_starts_that_end_as_low():
    energy = ec.energy(lambda x: ((x**2 - 1) ** 2 + 0.1 * x).squeeze(-1), x=1)
    found = ec.minimize(energy, over="x", starts=8)
    assert found.values["x"].item() < 0
    assert (
        0.5 <= found.agreement.item() < 1
    )  # half of the starts are stratified, and the watershed is near zero


def test_few_rows_of_narrow_posteriors_miss_what_many_starts_find():
    inner, outer = 2 * draws(2, 32, seed=3), draws(32, 3, seed=4) / 32**0.5
    energy = ec.Mechanism("y", "z", lambda z: torch.tanh(z @ inner) @ outer, ec.SquaredError(0.05), dim=3)
    energy = energy + ec.GaussianRegularizer(2)
    y = torch.tanh(draws(150, 2, seed=5) @ inner) @ outer + 0.05 * draws(150, 3, seed=6)
    found = ec.minimize(energy, over="z", given={"y": y}).energy
    many = ec.minimize(energy, over="z", given={"y": y}, starts=64, seed=1).energy
    assert int((found > many + 1e-6).sum()) <= 3  # one to two in a hundred
    assert bool((many <= found + 1e-6).all())


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda z: -z.sum(-1), id="a slope without end"),
        pytest.param(lambda z: -(z**2).sum(-1), id="a hill"),
    ],
)
def test_what_has_no_minimum_is_not_called_converged(function):
    found = ec.minimize(ec.energy(function, z=2), over="z")
    assert found.converged.tolist() == [False]
    assert "no minimum over ['z'] was reached in 1 rows" in found.warnings[0]
    assert found.energy.isfinite().all()


def test_a_valley_shows_in_the_smallest_eigenvalue():
    found = ec.minimize(ec.energy(lambda z: (z[..., 0] + z[..., 1] - 1) ** 2, z=2), over="z")
    assert found.converged.tolist() == [True]
    assert found.smallest_eigenvalue.item() == pytest.approx(0, abs=1e-12)


def test_summary_and_repr():
    found = ec.minimize(ellipse(), over="z", given={"y": [[0.0, 0.0], [1.0, 1.0]]})
    columns = ["z[0]", "energy", "converged", "gradient_norm", "smallest_eigenvalue", "agreement"]
    assert list(found.summary().columns) == columns
    assert len(found.summary()) == 2
    start = "Minimum(over=['z'], energy=[2.25, 0.0733137], converged 2 of 2, method='newton', warnings=0)"
    assert repr(found) == start


def test_after_surgery_what_is_clamped_is_held():
    x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.SquaredError())
    clamped = ec.do(x + y + ec.GaussianRegularizer(1), x=1.0)
    found = ec.minimize(clamped, over="z", given={"y": [[3.0]]})
    assert found.values["z"].item() == pytest.approx(1.0, abs=1e-9)  # argmin (3 - 1 - z)^2 / 2 + z^2 / 2


def test_what_is_neither_over_nor_given():
    with pytest.raises(EnergyError, match="'y' is neither in over nor in given"):
        ec.minimize(ellipse(), over="z")


def test_data_that_are_not_finite_are_named():
    with pytest.raises(EnergyError, match=r"'y' is not finite in 1 rows, the first of them \[1\]"):
        ec.minimize(ellipse(), over="z", given={"y": [[0.0, 0.0], [math.nan, 1.0]]})


def test_no_start():
    with pytest.raises(ArgumentError, match="starts must be at least 1; got 0"):
        ec.minimize(ellipse(), over="z", given={"y": [[0.0, 0.0]]}, starts=0)


def test_methods_that_do_not_serve(unchecked):
    with pytest.raises(ArgumentError, match=r"method must be one of \['auto', 'newton'.*got 'magic'"):
        ec.minimize(ellipse(), over="z", given={"y": [[0.0, 0.0]]}, method="magic")
    with pytest.raises(ArgumentError, match=r"method='enumeration' serves finite variables"):
        ec.minimize(ellipse(), over="z", given={"y": [[0.0, 0.0]]}, method="enumeration")
    spin = ec.energy(lambda s: s.sum(-1), s=ec.Variable(1, ec.finite([-1, 1])))
    with pytest.raises(ArgumentError, match=r"method='newton' serves real variables, and \['s'\] are finite"):
        ec.minimize(spin, over="s", method="newton")


def test_too_many_states():
    energy = ec.energy(lambda s: s.sum(-1), s=ec.Variable(20, ec.finite([-1, 1])))
    with pytest.raises(EnergyError, match=r"\['s'\] have 1048576 states: too many to enumerate.*'annealing'"):
        ec.minimize(energy, over="s", method="enumeration")


@pytest.mark.parametrize("variable", [1, ec.Variable(1, ec.finite([0, 1]))], ids=["real", "finite"])
def test_an_energy_that_is_finite_nowhere(variable):
    energy = ec.energy(lambda y, z: (y / (y - y) + z).sum(-1), y=1, z=variable)
    with pytest.raises(
        ConvergenceError, match=r"not finite at any start over \['z'\] in 2 rows, .* \[0, 1\]"
    ):
        ec.minimize(energy, over="z", given={"y": [[1.0], [2.0]]})
