"""Every method of a free energy on the known answers: right within its error, or warned about."""

import math

import pytest
import torch

import ebm_causal as ec

pytestmark = pytest.mark.filterwarnings("ignore:the estimate over")


def log_z_of_a_pair() -> float:
    """The log integral of one pair of the many-well, by the trapezoid rule."""
    x = torch.linspace(-6, 6, 20_001, dtype=torch.float64)
    inner = torch.trapezoid(torch.exp(-(x**4 - 6 * x**2 - x / 2)), x).log()
    return float(inner) + 0.5 * math.log(2 * math.pi)


def funnel(z):
    v, x = z[..., 0], z[..., 1:]
    return v**2 / 18 + 4.5 * v + 0.5 * torch.exp(-v) * (x**2).sum(-1)


def many_well(z):
    x, u = z[..., :16], z[..., 16:]
    square = x * x
    return (square * square - 6 * square - x / 2 + u * u / 2).sum(-1)


def two_moons(z):
    near = -0.5 * ((z[..., 0, None] - torch.tensor([-2.0, 2.0], dtype=z.dtype)) / 0.6) ** 2
    return 0.5 * ((z.norm(dim=-1) - 2) / 0.4) ** 2 - near.logsumexp(-1)


def ring(z):
    return (z.norm(dim=-1) - 3) ** 2 / (2 * 0.3**2)


def rosenbrock(z):
    return 5 * (z[..., 1] - z[..., 0] ** 2) ** 2 + (1 - z[..., 0]) ** 2


PLANE = {
    "two moons": (two_moons, 1.877501626110),
    "ring": (ring, 2.651455083956),
    "Rosenbrock": (rosenbrock, math.log(math.pi / math.sqrt(5))),
}


@pytest.mark.parametrize("name", PLANE)
@pytest.mark.filterwarnings("error:the estimate over")
def test_in_the_plane_auto_is_exact_and_does_not_warn(name):
    function, truth = PLANE[name]
    found = ec.log_partition(ec.energy(function, z=2), over="z")
    assert float(found.value) == pytest.approx(truth, abs=1e-8)
    assert found.method == "lattice"


@pytest.mark.parametrize("method", ["laplace", "importance", "annealed"])
@pytest.mark.parametrize("name", PLANE)
def test_in_the_plane_every_method_is_within_its_error_or_warns(name, method):
    function, truth = PLANE[name]
    found = ec.log_partition(ec.energy(function, z=2), over="z", method=method, seed=1)
    near = abs(float(found.value) - truth) < 4 * float(found.standard_error) + 1e-9
    assert near or found.warnings
    assert found.method == method


@pytest.mark.parametrize("method", ["lattice", "laplace", "importance", "annealed"])
def test_linear_gaussian_free_energies(method):
    weight = torch.tensor([[1, 0.5], [-0.3, 0.8], [0.2, -0.7]], dtype=torch.float64)
    offset = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    energy = ec.LinearGaussianEnergy(weight, offset=offset, scale=0.5)
    found = ec.free_energy(energy, "z", {"y": [[1, -0.5, 0.25]]}, beta=2.0, method=method, seed=2)
    value, error = float(found.value.detach()), float(found.standard_error.detach())
    assert not found.warnings
    assert value == pytest.approx(0.70343091154, abs=4 * error + 1e-8)
    if method == "laplace":  # exact, by the control variate
        assert value == pytest.approx(0.70343091154, abs=1e-10)


@pytest.mark.filterwarnings("error:the estimate over")
def test_a_ten_dimensional_gaussian_is_exact_and_not_warned_about():
    variances = torch.linspace(0.01, 4, 10, dtype=torch.float64)
    found = ec.log_partition(ec.energy(lambda z: 0.5 * (z * z / variances).sum(-1), z=10), over="z")
    truth = 5 * math.log(2 * math.pi) + 0.5 * float(variances.log().sum())
    assert float(found.value) == pytest.approx(truth, abs=1e-9)
    assert found.method == "laplace"


@pytest.mark.filterwarnings("error:the estimate over")
def test_heavy_tails_are_covered():
    """A Student-t of five degrees of freedom in five dimensions: its log integral has a closed form."""
    found = ec.log_partition(ec.energy(lambda z: 5 * torch.log1p((z * z).sum(-1) / 5), z=5), over="z")
    truth = math.lgamma(2.5) + 2.5 * math.log(5 * math.pi) - math.lgamma(5.0)
    assert float(found.value) == pytest.approx(truth, abs=4 * float(found.standard_error))
    assert float(found.standard_error) < 0.02


def test_the_funnel_is_near_or_warned_about():
    found = ec.log_partition(ec.energy(funnel, z=10), over="z")
    truth = 5 * math.log(2 * math.pi) + math.log(3)
    assert abs(float(found.value) - truth) < 0.1 or "way back disagree" in found.warnings[0]
    assert float(found.value) == pytest.approx(truth, abs=0.5)


@pytest.mark.slow
def test_the_many_well_is_near_or_warned_about():
    found = ec.log_partition(ec.energy(many_well, z=32), over="z")
    truth = 16 * log_z_of_a_pair()
    assert abs(float(found.value) - truth) < 0.15 or found.warnings
    assert float(found.value) == pytest.approx(truth, abs=max(0.15, 4 * float(found.standard_error)))
    assert found.method == "annealed"


def test_modes_that_single_starts_found_hand_a_row_on():
    """Fits at eight of 2^16 wells would be 8 nats short without a word; they are not trusted."""
    found = ec.log_partition(ec.energy(many_well, z=32), over="z", method="laplace")
    assert "the modes more" in found.warnings[0]


def test_a_chain_of_forty_spins():
    """Too many states to enumerate, 2^40: Z is 2 (2 cosh J)^39."""
    spins = ec.Variable(40, ec.finite([-1, 1]))
    energy = ec.energy(lambda s: -0.4 * (s[..., 1:] * s[..., :-1]).sum(-1), s=spins)
    found = ec.log_partition(energy, over="s", draws=256, seed=1)
    truth = math.log(2) + 39 * math.log(2 * math.cosh(0.4))
    assert found.method == "annealed"
    assert float(found.value) == pytest.approx(truth, abs=4 * float(found.standard_error))


@pytest.mark.parametrize("method", ["auto", "laplace", "annealed"])
def test_supports_bring_their_volume(method):
    """A gamma law on the positive numbers times a beta law on an interval, twice: four dimensions."""
    positive = ec.Variable(2, torch.distributions.constraints.positive)
    share = ec.Variable(2, torch.distributions.constraints.unit_interval)
    energy = ec.energy(
        lambda a, p: (a - 2 * a.log()).sum(-1) - (2 * p.log() + torch.log1p(-p)).sum(-1), a=positive, p=share
    )
    found = ec.log_partition(energy, over=("a", "p"), method=method, seed=3)
    truth = 2 * math.log(2.0) + 2 * math.log(1 / 12)
    assert not found.warnings
    assert float(found.value) == pytest.approx(truth, abs=4 * float(found.standard_error) + 1e-9)


def test_finite_and_real_variables_together():
    """A mixture of three normals, the component among the variables."""
    centers = torch.tensor([-4.0, 0.0, 3.0], dtype=torch.float64)
    energy = ec.energy(
        lambda k, z: (0.5 * ((z - centers[k.long()]) / (0.5 + k)) ** 2 + 0.3 * k).sum(-1),
        k=ec.Variable(1, ec.finite([0, 1, 2])),
        z=1,
    )
    found = ec.log_partition(energy, over=("k", "z"))
    parts = [0.5 * math.log(2 * math.pi) + math.log(0.5 + k) - 0.3 * k for k in range(3)]
    assert float(found.value) == pytest.approx(math.log(sum(map(math.exp, parts))), abs=1e-9)
    assert found.method == "lattice"


@pytest.mark.slow
def test_rows_that_one_method_cannot_do_go_to_the_next():
    """A five-dimensional Gaussian in the first row, eight wells far apart in 32 corners in the second."""

    def energy(y, z):
        wells = 4 * ((z * z - 4) ** 2).sum(-1) / 4
        return torch.where(y.squeeze(-1) > 0, wells, 0.5 * (z * z).sum(-1))

    found = ec.free_energy(ec.energy(energy, y=1, z=5), "z", {"y": [[-1.0], [1.0]]}, seed=4, draws=512)
    x = torch.linspace(-5, 5, 20_001, dtype=torch.float64)
    wells = -5 * torch.trapezoid(torch.exp(-((x * x - 4) ** 2)), x).log()
    assert found.method == "laplace (1 rows), annealed (1 rows)"
    assert float(found.value[0]) == pytest.approx(-2.5 * math.log(2 * math.pi), abs=1e-9)
    assert float(found.value[1]) == pytest.approx(float(wells), abs=4 * float(found.standard_error[1]))


@pytest.mark.parametrize("method", ["lattice", "laplace", "importance", "annealed"])
def test_the_gradient_is_the_posterior_mean(method):
    """d F / d y of a linear-Gaussian energy is C^-1 r, and d F / d theta of a scale the mean of the squares."""
    theta = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0.7, -0.4]], dtype=torch.float64, requires_grad=True)
    energy = ec.energy(lambda y, z: 0.5 * ((y - z) ** 2).sum(-1) + 0.5 * theta * (z * z).sum(-1), y=2, z=2)
    found = ec.free_energy(energy, "z", {"y": y}, method=method, seed=5)
    in_y, in_theta = torch.autograd.grad(found.value.sum(), (y, theta))
    precision = 1 + float(theta.detach())
    mean = y.detach() / precision
    draws = {"laplace": 4096, "importance": 4096, "annealed": 1024}.get(method, math.inf)
    error = (
        5 * math.sqrt(2 / draws) + 1e-8
    )  # in standard deviations; weights and rungs cost up to half the draws
    torch.testing.assert_close(in_y, y.detach() - mean, rtol=0, atol=error * precision**-0.5)
    second = 0.5 * float((mean**2).sum() + 2 / precision)
    spread = math.sqrt(1 / precision**2 + float((mean**2).sum()) / precision)  # sd of |z|^2 / 2
    assert float(in_theta) == pytest.approx(second, abs=error * spread)


def test_a_guide_may_be_the_proposal():
    import pyro.distributions as dist

    energy = ec.energy(lambda y, z: 0.5 * ((y - z) ** 2).sum(-1) + 0.5 * (z * z).sum(-1), y=4, z=4)
    y = torch.tensor([[1.0, 2.0, -1.0, 0.0], [0.0, 0.5, 0.5, 3.0]], dtype=torch.float64)
    exact = dist.Normal(y / 2, math.sqrt(0.5) * torch.ones_like(y)).to_event(1)
    truth = 0.25 * (y**2).sum(-1) - 2 * math.log(2 * math.pi) + 2 * math.log(2)
    found = ec.free_energy(energy, "z", {"y": y}, method="importance", proposal=exact)
    torch.testing.assert_close(found.value, truth)
    wide = dist.Normal(torch.zeros(4, dtype=torch.float64), torch.full((4,), 2.0, dtype=torch.float64))
    found = ec.free_energy(energy, "z", {"y": y}, method="importance", proposal=wide.to_event(1), seed=6)
    assert bool(((found.value - truth).abs() < 4 * found.standard_error).all())


@pytest.mark.slow
def test_errors_of_the_annealed_estimate_cover_the_truth():
    """Twelve seeds on a bent density in four dimensions: deviations in standard errors, t of few degrees of freedom."""

    def bent(z):
        return 0.5 * (z[..., 0] ** 2 + 4 * (z[..., 1] - z[..., 0] ** 2 / 2) ** 2 + (z[..., 2:] ** 2).sum(-1))

    truth = 2 * math.log(2 * math.pi) - math.log(2)
    energy, scores = ec.energy(bent, z=4), []
    for seed in range(12):
        found = ec.log_partition(energy, over="z", method="annealed", draws=256, seed=seed)
        scores.append((float(found.value) - truth) / float(found.standard_error))
    assert sum(score**2 for score in scores) / 12 < 1.4 * (1 + 4 * math.sqrt(2 / 12))
    assert max(map(abs, scores)) < 6


def test_the_same_seed_gives_the_same_number():
    energy = ec.energy(funnel, z=4)
    first, again, other = (
        ec.log_partition(energy, over="z", method="importance", seed=seed).value for seed in (0, 0, 1)
    )
    assert float(first) == float(again) != float(other)


def test_progress_is_told_while_a_population_is_annealed():
    told = []
    energy = ec.energy(lambda z: 0.5 * (z * z).sum(-1), z=2)
    ec.log_partition(
        energy, over="z", method="annealed", draws=64, progress=lambda share, what: told.append((share, what))
    )
    assert told[-1] == (pytest.approx(1.0), "annealing")
    assert [share for share, _ in told] == sorted(share for share, _ in told)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_half_normals_are_within_their_error(seed):
    half = ec.Variable(5, torch.distributions.constraints.positive)
    found = ec.log_partition(ec.energy(lambda z: 0.5 * (z**2).sum(-1), z=half), over="z", seed=seed)
    assert abs(float(found.value) - 2.5 * math.log(math.pi / 2)) <= 3 * float(found.standard_error)


@pytest.mark.filterwarnings("error:the estimate over")
def test_an_energy_without_gradients_is_annealed():
    """Its values come from numpy: no graph."""
    energy = ec.energy(lambda z: torch.as_tensor(0.5 * (z.detach().numpy() ** 2).sum(-1)), z=5)
    found = ec.log_partition(energy, over="z", draws=512, seed=1)
    assert found.method == "annealed"
    assert float(found.value) == pytest.approx(2.5 * math.log(2 * math.pi), abs=0.05)
