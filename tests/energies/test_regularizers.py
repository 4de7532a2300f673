"""Laws over every regularizer: its normalizer, its prior and its spread say the same."""

import itertools
import math

import pytest
import torch
from energies.catalog import F64, REGULARIZERS, rows_of
from scipy.integrate import quad
from torch import nn

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError

LIKE = torch.zeros(1, dtype=F64)
every_regularizer = pytest.mark.parametrize("name", REGULARIZERS)


def latent_of(regularizer):
    return regularizer.variables[regularizer.variable]


def sum_over(regularizer, beta):
    """The integral of exp(-beta R), plainly: a sum over states, or one axis to the power of the dimension."""
    variable = latent_of(regularizer)
    if not variable.is_real:
        states = torch.tensor(variable.support.values, dtype=F64)[:, None]
        return (-beta * regularizer(z=states)).exp().sum()

    def weight(first):
        z = torch.zeros(math.prod(variable.shape), dtype=F64)
        z[0] = first
        return math.exp(-beta * regularizer(z=z.reshape(variable.shape)).item())

    half = quad(weight, 0.0, math.inf, epsabs=1e-13)[0]
    return torch.tensor(2 * half, dtype=F64) ** math.prod(variable.shape)


@every_regularizer
@pytest.mark.parametrize("beta", [0.7, 1.0, 3.0])
def test_the_normalizer_is_the_integral_or_the_sum(name, beta):
    regularizer = REGULARIZERS[name]()
    found = regularizer.log_normalizer(beta, LIKE).item()
    assert found == pytest.approx(sum_over(regularizer, beta).log().item(), abs=1e-8)


@every_regularizer
@pytest.mark.parametrize("beta", [0.7, torch.tensor([0.7, 1.0, 2.0], dtype=F64)], ids=["number", "rows"])
def test_the_prior_is_the_normalized_regularizer(name, beta):
    regularizer = REGULARIZERS[name]()
    z = rows_of(name, ec.energy(lambda u: u.sum(-1), u=1) + regularizer, rows=3)["z"]
    law = regularizer.distribution(beta, LIKE)
    assert law.batch_shape == (() if isinstance(beta, float) else (3,))
    assert law.event_shape == latent_of(regularizer).shape
    known = -beta * regularizer(z=z) - regularizer.log_normalizer(beta, LIKE)
    assert torch.allclose(law.log_prob(z), known, rtol=1e-10)
    assert law.sample((7,)).shape == (7, *law.batch_shape, *law.event_shape)


@every_regularizer
def test_the_standard_deviation_is_that_of_draws(name):
    regularizer = REGULARIZERS[name]()
    torch.manual_seed(0)
    draws = regularizer.distribution(2.0, LIKE).sample((20_000,)).flatten()
    error = (((draws - draws.mean()) ** 2).std() / len(draws) ** 0.5).item()
    assert draws.var().item() == pytest.approx(regularizer.standard_deviation(2.0) ** 2, abs=4.5 * error)


@every_regularizer
@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_the_dtype_follows_the_input(name, dtype):
    regularizer, like = REGULARIZERS[name](), torch.zeros(1, dtype=dtype)
    for beta in (2.0, torch.ones(3, dtype=F64)):
        assert regularizer.log_normalizer(beta, like).dtype == dtype
        assert regularizer.distribution(beta, like).sample().dtype == dtype


def test_the_lowest_sparse_code_is_soft_thresholding():
    """argmin (y - z)^2/2 + w|z| is y moved toward zero by w."""
    energy = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError()) + ec.LaplaceRegularizer(1, 0.5)
    y = torch.tensor([[2.0], [0.3], [-1.0]], dtype=F64)
    grid = torch.linspace(-3, 3, 6001, dtype=F64)[:, None]
    lowest = grid[energy(y=y[:, None], z=grid).argmin(-1), 0]
    assert lowest.tolist() == pytest.approx([1.5, 0.0, -0.5], abs=1e-3)


def kmeans(prices=None):
    codes = torch.tensor([[0.0, 0.0], [3.0, 4.0], [-2.0, 1.0]], dtype=F64)
    book = ec.CodebookRegularizer(codes, prices)
    return ec.Mechanism("y", "z", book.codebook, ec.SquaredError(0.8), dim=2) + book, codes


def test_the_lowest_energy_of_a_codebook_is_the_distance_to_the_nearest_code():
    energy, codes = kmeans()
    y = torch.randn(20, 2, dtype=F64, generator=torch.Generator().manual_seed(0)) * 3
    found = ec.minimize(energy, over="z", given={"y": y})
    distance, nearest = (torch.cdist(y, codes) ** 2 / (2 * 0.8**2)).min(-1)
    assert torch.allclose(found.energy, distance)
    assert torch.equal(found.values["z"][:, 0].long(), nearest)


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_the_free_energy_of_a_codebook_is_that_of_a_mixture(beta):
    prices = torch.tensor([0.0, 1.0, 0.5], dtype=F64)
    energy, codes = kmeans(prices)
    y = torch.randn(6, 2, dtype=F64, generator=torch.Generator().manual_seed(1))
    costs = torch.cdist(y, codes) ** 2 / (2 * 0.8**2) + prices
    known = -(-beta * costs).logsumexp(-1) / beta
    found = ec.free_energy(energy, over="z", given={"y": y}, beta=beta).value
    assert torch.allclose(found, known, rtol=1e-10)


def test_a_fit_of_a_codebook_finds_the_codes():
    """Two tight clusters: the codes of highest likelihood are their means, up to overlap of e^-50."""
    generator = torch.Generator().manual_seed(2)
    centers = torch.tensor([[-4.0], [4.0]], dtype=F64).repeat(50, 1)
    y = centers + 0.3 * torch.randn(100, 1, dtype=F64, generator=generator)
    book = ec.CodebookRegularizer(torch.tensor([[-1.0], [1.0]], dtype=F64))
    energy = ec.Mechanism("y", "z", book.codebook, ec.SquaredError(0.4)) + book
    fit = ec.fit(energy, {"y": y}, method="map")
    codes = next(iter(fit.energy.factors["R(z)"].codebook.parameters())).detach()
    assert codes[:, 0].tolist() == pytest.approx([y[::2].mean().item(), y[1::2].mean().item()], abs=1e-4)
    assert book.codebook.codes[0].item() == -1.0


def test_codes_and_prices_have_names():
    book = ec.CodebookRegularizer(torch.zeros(2, 1), nn.Parameter(torch.zeros(2)))
    assert [name for name, _ in book.named_parameters()] == ["prices", "codebook.codes"]


def test_vicreg_is_its_formula_coordinate_by_coordinate():
    generator = torch.Generator().manual_seed(3)
    first, second = (torch.randn(7, 3, dtype=F64, generator=generator) * 0.6 for _ in range(2))
    terms = ec.VICRegRegularizer(2.0, 3.0, 5.0, target=0.9).terms(first, second)

    def covariance(batch, j, k):
        a, b = batch[:, j] - batch[:, j].mean(), batch[:, k] - batch[:, k].mean()
        return (a * b).sum() / 6

    def parts(batch):
        lack = [max(0.0, 0.9 - math.sqrt(covariance(batch, j, j) + 1e-4)) for j in range(3)]
        linked = [covariance(batch, j, k).item() ** 2 for j, k in itertools.permutations(range(3), 2)]
        return sum(lack) / 3, sum(linked) / 3

    variance = parts(first)[0] + parts(second)[0]
    linked = parts(first)[1] + parts(second)[1]
    apart = ((first - second) ** 2).sum().item() / 7
    assert terms.variance.item() == pytest.approx(variance)
    assert terms.covariance.item() == pytest.approx(linked)
    assert terms.invariance.item() == pytest.approx(apart)
    assert terms.total.item() == pytest.approx(2 * apart + 3 * variance + 5 * linked)
    assert list(terms.summary().index) == ["variance", "invariance", "covariance", "total"]
    assert repr(terms).startswith("VICRegTerms(variance 0.")


def test_vicreg_of_one_batch_has_no_invariance():
    batch = torch.randn(9, 2, dtype=F64, generator=torch.Generator().manual_seed(4))
    terms = ec.VICRegRegularizer().terms(batch)
    assert terms.invariance is None
    assert "invariance" not in repr(terms)
    assert ec.VICRegRegularizer()(batch).item() == terms.total.item()


def test_vicreg_keeps_an_embedding_from_collapsing():
    """Descent on the distance alone shrinks an encoder; with the batch's variance it does not."""
    y = torch.randn(64, 2, dtype=F64, generator=torch.Generator().manual_seed(5))

    def spread(regularizer):
        torch.manual_seed(0)
        encoder = nn.Linear(2, 2).to(F64)
        steps = torch.optim.Adam(encoder.parameters(), 0.05)
        for _ in range(200):
            steps.zero_grad()
            first, second = encoder(y), encoder(y + 0.1)
            loss = ((first - second) ** 2).sum(-1).mean() + 0.1 * encoder.weight.square().sum()
            (loss + (regularizer(first, second) if regularizer else 0.0)).backward()
            steps.step()
        return encoder(y).std(0).min().item()

    assert spread(None) < 0.01
    assert spread(ec.VICRegRegularizer()) > 0.9


def test_vicreg_as_a_term_of_an_energy(unchecked):
    reason = (
        "VICReg weighs a whole batch of embeddings .*, so it is no energy of a row: add its value to the loss"
    )
    with pytest.raises(
        EnergyError, match=f"an energy is a sum of factors and energies; got VICRegRegularizer. {reason}"
    ):
        ec.energy(lambda x: x.sum(-1), x=1) + ec.VICRegRegularizer()


def test_settings_of_vicreg_that_make_no_sense():
    with pytest.raises(ArgumentError, match="the weight of the variance must not be negative; got -1.0"):
        ec.VICRegRegularizer(variance=-1.0)
    with pytest.raises(
        ArgumentError, match="the target is a standard deviation and must be positive; got 0.0"
    ):
        ec.VICRegRegularizer(target=0.0)
    for first, second in (
        (torch.zeros(1, 2), None),
        (torch.zeros(3), None),
        (torch.zeros(3, 2), torch.zeros(4, 2)),
    ):
        with pytest.raises(ArgumentError, match=r"embeddings must be \[rows, dim\], at least two rows"):
            ec.VICRegRegularizer()(first, second)


@pytest.mark.parametrize("kind", [ec.GaussianRegularizer, ec.LaplaceRegularizer])
def test_weights_that_are_no_positive_number(kind):
    for weight in (0.0, -1.0):
        with pytest.raises(ArgumentError, match="a scale must be positive; got"):
            kind(1, weight=weight)
    with pytest.raises(ArgumentError, match=r"a weight must be one finite number.*; got shape \[2\]"):
        kind(2, weight=torch.tensor([1.0, 2.0]))
    with pytest.raises(ArgumentError, match="a weight must be one finite number.*; got nan"):
        kind(2, weight=math.nan)


def test_codes_that_make_no_codebook():
    with pytest.raises(
        ArgumentError, match=r"codes must be \[K, dim\] with at least two of them; got \[1, 2\]"
    ):
        ec.CodebookRegularizer(torch.zeros(1, 2))
    with pytest.raises(ArgumentError, match=r"one price for each of 3 codes; got \[2\]"):
        ec.CodebookRegularizer(torch.zeros(3, 2), torch.zeros(2))
