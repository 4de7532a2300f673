"""MATH.md section 8, first order: GUM H.2 and an argmin in closed form; what is refused."""

import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError

F64 = torch.float64
ROWS = torch.tensor(
    [
        [5.007, 4.994, 5.005, 4.990, 4.999],
        [19.663e-3, 19.639e-3, 19.640e-3, 19.685e-3, 19.678e-3],
        [1.0456, 1.0438, 1.0468, 1.0428, 1.0433],
    ],
    dtype=F64,
)


def impedance(u):
    voltage, current, phase = u.unbind(-1)
    size = voltage / current
    return torch.stack([size * phase.cos(), size * phase.sin(), size], -1)


@pytest.fixture
def gum():
    return ec.propagate_variance(impedance, ROWS.mean(1), torch.cov(ROWS) / 5)


def test_gum_h2_means_and_standard_uncertainties(gum):
    assert gum.mean.tolist() == pytest.approx([127.7321699, 219.8465119, 254.2597019], abs=5e-8)
    assert gum.standard_deviation.tolist() == pytest.approx([0.0710714, 0.2955817, 0.2363361], abs=5e-8)


def test_gum_h2_correlations(gum):
    sd = gum.standard_deviation
    correlation = gum.covariance / (sd * sd[:, None])
    known = [-0.5884298, -0.4852592, 0.9925116]
    assert [correlation[0, 1], correlation[0, 2], correlation[1, 2]] == pytest.approx(known, abs=5e-8)


def test_gum_h2_without_the_covariances(gum):
    covariance = torch.diag((torch.cov(ROWS) / 5).diagonal())
    alone = ec.propagate_variance(impedance, ROWS.mean(1), covariance)
    assert (alone.standard_deviation[0] / gum.standard_deviation[0]).item() == pytest.approx(2.7, abs=0.05)


def minimizer(u):
    """The y of least y^4/4 + y^2/2 - y x z, a real root of y^3 + y = x z."""
    product = u.prod(-1, keepdim=True)
    root = (product**2 / 4 + 1 / 27).sqrt()

    def cube_root(v):
        return v.sign() * v.abs() ** (1 / 3)

    return cube_root(product / 2 + root) + cube_root(product / 2 - root)


COVARIANCE = [[0.01, -0.005], [-0.005, 0.04]]


def test_the_minimizer_of_a_quartic():
    found = ec.propagate_variance(minimizer, [2.0, 5.0], COVARIANCE)
    assert found.mean.item() == pytest.approx(2)
    assert found.covariance.item() == pytest.approx(0.00183431953, abs=5e-12)
    assert found.shares[0].tolist() == pytest.approx([0.645161, 0.354839], abs=5e-7)


def test_shapley_shares_of_the_minimizer():
    found = ec.propagate_variance(minimizer, [2.0, 5.0], COVARIANCE, shares="shapley")
    assert found.shares[0].tolist() == pytest.approx([0.636089, 0.363911], abs=5e-7)


@pytest.mark.parametrize("shares", ["covariance", "shapley"])
@pytest.mark.parametrize("seed", range(3))
def test_linear_functions_are_exact_and_shares_sum_to_one(shares, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(2, 4, generator=generator, dtype=F64)
    root = torch.randn(4, 4, generator=generator, dtype=F64)
    covariance, mean = root @ root.mT, torch.randn(3, 4, generator=generator, dtype=F64)
    found = ec.propagate_variance(lambda u: u @ weights.mT, mean, covariance, shares=shares)
    assert found.mean.shape == (3, 2)
    assert torch.allclose(found.covariance, (weights @ covariance @ weights.mT).expand(3, 2, 2))
    assert found.shares.shape == (3, 2, 4)
    assert torch.allclose(found.shares.sum(-1), torch.ones(3, 2, dtype=F64))
    if shares == "shapley":
        assert bool((found.shares >= -1e-12).all())


def test_shares_of_independent_inputs_are_their_parts():
    weights = torch.tensor([1.0, -2.0, 3.0], dtype=F64)
    for shares in ("covariance", "shapley"):
        found = ec.propagate_variance(
            lambda u: (u @ weights)[..., None],
            torch.zeros(3, dtype=F64),
            torch.eye(3, dtype=F64),
            shares=shares,
        )
        assert found.shares[0].tolist() == pytest.approx([1 / 14, 4 / 14, 9 / 14])


def test_a_covariance_for_each_row():
    covariance = torch.stack([torch.eye(2, dtype=F64), 4 * torch.eye(2, dtype=F64)])
    found = ec.propagate_variance(lambda u: u.sum(-1, keepdim=True), torch.zeros(2, 2, dtype=F64), covariance)
    assert found.covariance.flatten().tolist() == [2.0, 8.0]


def test_a_singular_covariance_is_served():
    found = ec.propagate_variance(
        lambda u: u.sum(-1, keepdim=True), [0.0, 0.0], [[1.0, 1.0], [1.0, 1.0]], shares="shapley"
    )
    assert found.covariance.item() == pytest.approx(4)
    assert found.shares[0].tolist() == pytest.approx([0.5, 0.5])


def test_the_summary_and_the_repr(gum):
    assert list(gum.summary().columns) == ["mean", "standard_deviation", "share[0]", "share[1]", "share[2]"]
    assert repr(gum).startswith("Propagation(127.732 +- 0.0711, 219.847")
    assert gum.plot() is not None


# Refusals.


def propagate(covariance, mean=(0.0, 0.0), function=lambda u: u.sum(-1, keepdim=True), **options):
    return ec.propagate_variance(function, list(mean), covariance, **options)


def test_a_covariance_that_is_not_symmetric():
    with pytest.raises(ArgumentError, match="not symmetric: entries differ by 0.3"):
        propagate([[1.0, 0.2], [0.5, 1.0]])


def test_a_covariance_that_is_not_positive_semi_definite():
    with pytest.raises(ArgumentError, match="not positive semi-definite: its smallest eigenvalue is -1"):
        propagate([[1.0, 2.0], [2.0, 1.0]])


def test_a_covariance_of_the_wrong_size():
    with pytest.raises(ArgumentError, match=r"covariance of 2 inputs must be \[2, 2\]; got \[3, 3\]"):
        propagate(torch.eye(3, dtype=F64))


def test_a_covariance_that_is_not_finite():
    with pytest.raises(ArgumentError, match="the covariance holds NaN or infinity"):
        propagate([[math.nan, 0.0], [0.0, 1.0]])


def test_a_mean_that_is_no_number():
    with pytest.raises(EnergyError, match="'mean' must be numeric"):
        propagate(torch.eye(2), mean=("a", "b"))


def test_an_output_without_variance():
    with pytest.raises(ArgumentError, match="output 0 has no variance"):
        propagate([[0.0, 0.0], [0.0, 0.0]])


def test_a_function_that_is_not_finite():
    with pytest.raises(ArgumentError, match="not finite at the mean: propagate elsewhere"):
        propagate(torch.eye(2), function=lambda u: u.log())


def test_too_many_inputs_for_shapley():
    with pytest.raises(
        ArgumentError, match=r"Shapley shares of 13 inputs need 2\^13 regressions; at most 12"
    ):
        propagate(torch.eye(13), mean=[0.0] * 13, shares="shapley")


def test_unknown_methods(unchecked):
    with pytest.raises(ArgumentError, match=r"method must be one of \['first_order', .*; got 'magic'"):
        propagate(torch.eye(2), method="magic")
    with pytest.raises(ArgumentError, match="shares must be 'covariance' or 'shapley'; got 'fair'"):
        propagate(torch.eye(2), shares="fair")
