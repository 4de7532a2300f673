"""Every route of ec.sample has the moments of closed forms and of quadrature, within Monte Carlo error."""

import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.sampling import mixing

F64 = torch.float64
ROUTES = ("importance", "hmc", "mala", "tempering", "auto")
QUICK = {("importance", 1), ("importance", 8), ("hmc", 5), ("mala", 2), ("auto", 8)}
CASES = [
    pytest.param(method, dim, marks=() if (method, dim) in QUICK else pytest.mark.slow)
    for method in ROUTES
    for dim in (1, 2, 5, 8)
]


def linear(dim, seed=0):
    """y given z of dimension dim, in dim + 1 numbers, with noise .4."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(dim + 1, dim, generator=generator, dtype=F64) / math.sqrt(dim)
    y = 2 * torch.randn(3, dim + 1, generator=generator, dtype=F64)
    return ec.LinearGaussianEnergy(weight, scale=0.4), y


def z_scores(posterior, mean, covariance):
    """Errors of means and variances in the standard deviations that the effective draws leave them."""
    z = posterior.values["z"] - mean
    spread = covariance.diagonal().sqrt()
    size = torch.as_tensor(posterior.diagnostics.numbers["ess_bulk"])[:, None]
    worth = mixing((z / spread) ** 2).ess_bulk.minimum(size)
    means = z.mean((0, 1)) / spread * size.sqrt()
    variances = ((z / spread) ** 2).mean((0, 1)) - 1
    return torch.cat([means.flatten(), (variances * (worth / 2).sqrt()).flatten()])


@pytest.mark.parametrize(("method", "dim"), CASES)
def test_linear_gaussian_posteriors_have_their_moments(method, dim):
    energy, y = linear(dim)
    posterior = ec.sample(energy, given={"y": y}, draws=300, chains=4, method=method)
    assert posterior.diagnostics.ok, posterior.diagnostics.failures()
    assert posterior.values["z"].shape == (4, 300, 3, dim)
    scores = z_scores(posterior, energy.minimum(y).detach(), energy.posterior_covariance().detach())
    assert float(scores.abs().max()) < 5
    assert float((scores**2).mean()) < 1 + 5 * math.sqrt(2 / len(scores))


@pytest.mark.parametrize(("method", "beta"), [("importance", 0.5), ("hmc", 4.0)])
def test_beta_scales_the_covariance(method, beta):
    energy, y = linear(4)
    posterior = ec.sample(energy, given={"y": y}, beta=beta, draws=300, method=method)
    scores = z_scores(posterior, energy.minimum(y).detach(), energy.posterior_covariance().detach() / beta)
    assert float(scores.abs().max()) < 5


@pytest.mark.parametrize("method", ["importance", "hmc"])
def test_a_schedule_draws_at_each_beta(method):
    energy, y = linear(4)
    posterior = ec.sample(energy, given={"y": y[:2]}, beta=[0.5, 4.0], draws=200, method=method)
    assert posterior.values["z"].shape == (2, 4, 200, 2, 4)
    warm, cold = posterior.values["z"].flatten(1, 2).var(1).mean((1, 2)).tolist()
    assert warm / cold == pytest.approx(8.0, rel=0.25)


def bent():
    """Two modes in each row where y is near one: the decoder is even in z."""
    decoder = lambda z: z**2 - 0.1 * z
    energy = ec.Mechanism("y", "z", decoder, ec.SquaredError(0.3)) + ec.GaussianRegularizer(1)
    return energy, torch.tensor([[-1.0], [0.3], [1.2]], dtype=F64)


@pytest.mark.parametrize(
    "method", ["lattice", "importance", pytest.param("tempering", marks=pytest.mark.slow)]
)
def test_rows_of_one_and_of_two_modes_have_the_moments_of_quadrature(method):
    energy, y = bent()
    grid = torch.linspace(-6, 6, 200_001, dtype=F64)[:, None]
    weights = torch.stack([torch.softmax(-energy(y=row[None], z=grid).detach(), 0) for row in y], -1)
    mean, right = (weights.T @ grid)[:, 0], (weights * (grid > 0)).sum(0)
    spread = ((weights.T @ grid**2)[:, 0] - mean**2).sqrt()
    posterior = ec.sample(energy, given={"y": y}, draws=500, method=method)
    assert posterior.diagnostics.ok, posterior.diagnostics.failures()
    z = posterior.values["z"][..., 0]
    error = 1 / posterior.diagnostics.numbers["ess_bulk"].sqrt()
    assert float(((z.mean((0, 1)) - mean) / spread / error).abs().max()) < 4
    share = (z > 0).double().mean((0, 1))
    assert float(((share - right) / ((right * (1 - right)).sqrt() * error)).abs().max()) < 4


@pytest.mark.parametrize("method", ["importance", pytest.param("tempering", marks=pytest.mark.slow)])
def test_two_modes_in_five_dimensions_have_their_known_shares(method):
    """A mixture of normals, .7 and .3: no chain crosses between them."""

    def two(z):
        near = -2 * ((z - 2) ** 2).sum(-1) + math.log(0.7)
        far = -2 * ((z + 2) ** 2).sum(-1) + math.log(0.3)
        return -torch.logaddexp(near, far)

    posterior = ec.sample(ec.energy(two, z=5), draws=400, method=method)
    assert posterior.diagnostics.ok, posterior.diagnostics.failures()
    share = float((posterior.values["z"][..., 0, 0] > 0).double().mean())
    size = float(posterior.diagnostics.numbers["ess_bulk"])
    assert share == pytest.approx(0.7, abs=4 * math.sqrt(0.21 / size))


def test_supports_are_kept_with_their_volume():
    """A gamma of shape 3 and a uniform, by each route."""

    def energy(r, u):
        return (r - 2 * r.log()).sum(-1) + 0 * u.sum(-1)

    positive = ec.Variable(1, torch.distributions.constraints.positive)
    interval = ec.Variable(4, torch.distributions.constraints.interval(0.0, 2.0))
    for method in ("importance", "hmc"):
        posterior = ec.sample(
            ec.energy(energy, r=positive, u=interval), over=("r", "u"), draws=400, method=method
        )
        r, u = posterior.values["r"], posterior.values["u"]
        size = float(posterior.diagnostics.numbers["ess_bulk"])
        assert posterior.diagnostics.ok, posterior.diagnostics.failures()
        assert float(r.min()) > 0
        assert 0 < float(u.min()) < float(u.max()) < 2
        assert float(r.mean()) == pytest.approx(3.0, abs=4 * math.sqrt(3 / size))
        assert float(u.mean()) == pytest.approx(1.0, abs=4 * math.sqrt(1 / 3 / size))


def test_unadjusted_steps_say_their_bias():
    energy, y = linear(2)
    with pytest.warns(UserWarning, match=r"variance of a normal would be about .* % too large") as told:
        posterior = ec.sample(energy, given={"y": y}, draws=100, method="langevin")
    assert len(told) == 1
    assert posterior.diagnostics.warnings == (str(told[0].message),)


def test_finite_variables_too_many_to_list_are_swept():
    """Independent spins in a field: mean tanh(h)."""
    spins = ec.energy(lambda s: -0.3 * s.sum(-1), s=ec.Variable(24, ec.finite([-1, 1])))
    posterior = ec.sample(spins, over="s", draws=100, chains=4)
    assert posterior.diagnostics.method == "gibbs"
    assert posterior.diagnostics.ok
    found = float(posterior.values["s"].mean())
    assert found == pytest.approx(math.tanh(0.3), abs=4 * math.sqrt((1 - math.tanh(0.3) ** 2) / 9600))


def test_finite_and_real_variables_are_drawn_together():
    """s = +-1 moves y = s + z with z normal: P(s = 1 | y) is a logistic function, z - its mean given s normal."""

    def two(s, y, z):
        return (0.5 * (y - s - z) ** 2 + 0.5 * z**2).sum(-1)

    energy = ec.energy(two, s=ec.Variable(1, ec.finite([-1, 1])), y=1, z=1)
    y = torch.tensor([[0.5], [-2.0]], dtype=F64)
    posterior = ec.sample(energy, over=("s", "z"), given={"y": y}, draws=2500)
    share = (posterior.values["s"] > 0).double().mean((0, 1))[:, 0]
    known = torch.sigmoid(y[:, 0])  # y ~ N(s, 2)
    assert posterior.diagnostics.method == "lattice"
    assert float(((share - known) / (known * (1 - known) / 10_000).sqrt()).abs().max()) < 4
    inner = posterior.values["z"] - 0.5 * (y - posterior.values["s"])
    assert float(inner.mean().abs()) < 4 * math.sqrt(0.5 / 20_000)
    assert float(inner.var()) == pytest.approx(0.5, abs=4 * 0.5 * math.sqrt(2 / 20_000))


@pytest.mark.parametrize("method", ["auto", "importance", "hmc", "tempering"])
def test_progress_is_told(method):
    told = []
    energy, y = linear(2)
    ec.sample(
        energy, given={"y": y}, draws=20, method=method, progress=lambda share, text: told.append((share, text))
    )  # fmt: skip
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert 0 < shares[0] <= 1
    assert told[0][1] == f"{'lattice' if method == 'auto' else method}, 3 of 3 rows"
    assert told[-1] == (1.0, "drawn")


def test_progress_goes_on_from_method_to_method():
    """The second row cannot be normalized, and no method serves it."""
    told = []
    energy = ec.energy(lambda y, z: (y * z**2).sum(-1), y=1, z=1)
    with pytest.warns(UserWarning, match="did not pass"):
        ec.sample(
            energy, given={"y": [[1.0], [0.0]]}, draws=10, progress=lambda share, text: told.append((share, text))
        )  # fmt: skip
    assert list(dict.fromkeys(text for _, text in told))[:2] == [
        "lattice, 2 of 2 rows",
        "importance, 1 of 2 rows",
    ]
    assert [share for share, _ in told] == sorted(share for share, _ in told)


def test_progress_of_finite_variables_is_told():
    told = []
    spins = ec.energy(lambda s: -0.3 * s.sum(-1), s=ec.Variable(3, ec.finite([-1, 1])))
    ec.sample(
        spins, over="s", draws=100, method="gibbs", progress=lambda share, text: told.append((share, text))
    )
    assert told[0] == (pytest.approx(0.2 / 100), "gibbs, 1 of 1 rows")
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert told[-1] == (1.0, "drawn")
