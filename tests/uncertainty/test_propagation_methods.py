"""MATH.md section 8 beyond the first order; laws of every method; names, units and the cross-check."""

import pandas as pd
import pytest
import torch

import ebm_causal as ec

F64 = torch.float64
METHODS = ("first_order", "second_order", "third_order", "sigma_points", "monte_carlo")
COVARIANCE = [[0.01, -0.005], [-0.005, 0.04]]
EXACT = 0.00184112836


def minimizer(u):
    """The y of least y^4/4 + y^2/2 - y x z, the real root of y^3 + y = x z."""
    half = u.prod(-1, keepdim=True) / 2
    root = (half**2 + 1 / 27).sqrt()
    return (root + half) ** (1 / 3) - (root - half) ** (1 / 3)


def square(u):
    return u**2


def bent(u):
    x, z = u.unbind(-1)
    return torch.stack([x * z + 0.2 * x**2, (0.5 * z).exp() - x], -1)


@pytest.mark.parametrize(
    ("method", "known"),
    [("first_order", 0.00183431953), ("second_order", 0.00183641914), ("third_order", 0.00184107227)],
)
def test_the_minimizer_of_a_quartic_to_each_order(method, known):
    found = ec.propagate_variance(minimizer, [2.0, 5.0], COVARIANCE, method=method)
    assert found.covariance.item() == pytest.approx(known, abs=5e-12)


def test_the_minimizer_by_cubature_and_by_draws():
    cubature = ec.propagate_variance(minimizer, [2.0, 5.0], COVARIANCE, method="sigma_points")
    assert cubature.covariance.item() == pytest.approx(EXACT, rel=2e-4)
    drawn = ec.propagate_variance(minimizer, [2.0, 5.0], COVARIANCE, method="monte_carlo", draws=400_000)
    error = drawn.covariance_standard_error.item()
    assert abs(drawn.covariance.item() - EXACT) < 4 * error
    assert error < 5e-6


@pytest.mark.parametrize("method", ["second_order", "third_order", "sigma_points"])
def test_a_square_exactly(method):
    found = ec.propagate_variance(square, [1.0], [[0.25]], method=method)
    assert found.mean.item() == pytest.approx(1.25, abs=1e-12)
    assert found.covariance.item() == pytest.approx(1.125, abs=1e-12)
    assert found.shares.item() == pytest.approx(1.0)


def test_a_square_by_draws_within_its_errors():
    found = ec.propagate_variance(square, [1.0], [[0.25]], method="monte_carlo", draws=40_000, seed=3)
    assert abs(found.mean.item() - 1.25) < 4 * found.standard_error.item()
    assert abs(found.covariance.item() - 1.125) < 4 * found.covariance_standard_error.item()
    assert found.standard_error.item() == pytest.approx((1.125 / 40_000) ** 0.5, rel=0.05)


def test_the_errors_by_draws_are_the_spread_over_seeds():
    runs = [
        ec.propagate_variance(bent, [1.0, 0.5], COVARIANCE, method="monte_carlo", draws=500, seed=seed)
        for seed in range(200)
    ]
    for value, error in (("mean", "standard_error"), ("covariance", "covariance_standard_error")):
        spread = torch.stack([getattr(run, value) for run in runs]).std(0)
        told = torch.stack([getattr(run, error) for run in runs]).mean(0)
        assert torch.allclose(told / spread, torch.ones_like(spread), atol=0.25)  # 5 sd of 200 runs


def test_the_cubature_has_no_negative_weight_and_is_exact_for_many_inputs():
    """Sums of products of nine inputs: the mean is the sum of the covariances, to degree two exactly."""
    generator = torch.Generator().manual_seed(1)
    root = torch.randn(9, 9, generator=generator, dtype=F64)
    sigma, mean = root @ root.mT, torch.randn(9, generator=generator, dtype=F64)
    matrix = torch.randn(9, 9, generator=generator, dtype=F64)

    def quadratic(u):
        return (u * (u @ matrix.mT)).sum(-1, keepdim=True)

    found = ec.propagate_variance(quadratic, mean, sigma, method="sigma_points")
    assert found.mean.item() == pytest.approx((mean @ matrix @ mean + (matrix * sigma).sum()).item())
    assert found.covariance.item() > 0


# Laws of every method.


@pytest.mark.parametrize("method", METHODS)
def test_linear_functions_are_exact_or_within_their_error(method):
    weights = torch.tensor([[1.0, -2.0], [0.5, 1.0]], dtype=F64)
    found = ec.propagate_variance(lambda u: u @ weights.mT, [1.0, 2.0], COVARIANCE, method=method)
    sigma = torch.tensor(COVARIANCE, dtype=F64)
    known = weights @ sigma @ weights.mT
    known_shares = weights * (weights @ sigma) / known.diagonal()[:, None]
    if method == "monte_carlo":
        assert ((found.covariance - known).abs() < 4 * found.covariance_standard_error).all()
        assert torch.allclose(found.shares, known_shares, atol=0.08)
    else:
        assert torch.allclose(found.covariance, known)
        assert torch.allclose(found.shares, known_shares)


@pytest.mark.parametrize("shares", ["covariance", "shapley"])
@pytest.mark.parametrize("method", METHODS)
def test_shares_sum_to_one(method, shares):
    found = ec.propagate_variance(bent, [[1.0, 0.5], [0.3, -1.0]], COVARIANCE, method=method, shares=shares)
    assert torch.allclose(found.shares.sum(-1), torch.ones(2, 2, dtype=F64))
    if shares == "shapley":
        assert (found.shares >= -1e-12).all()


@pytest.mark.parametrize("shares", ["covariance", "shapley"])
@pytest.mark.parametrize("method", METHODS[:4])
def test_reordered_and_rescaled_inputs_are_the_same_inputs(method, shares):
    scale = torch.tensor([1e-4, 300.0], dtype=F64)
    sigma = torch.tensor(COVARIANCE, dtype=F64)
    plain = ec.propagate_variance(bent, [1.0, 0.5], sigma, method=method, shares=shares)
    mean = torch.tensor([1.0, 0.5], dtype=F64)
    scaled = ec.propagate_variance(
        lambda u: bent(u / scale),
        mean * scale,
        sigma * torch.outer(scale, scale),
        method=method,
        shares=shares,
    )
    turned = ec.propagate_variance(
        lambda u: bent(u.flip(-1)), mean.flip(0), sigma.flip(0, 1), method=method, shares=shares
    )
    for other, found_shares in ((scaled, scaled.shares), (turned, turned.shares.flip(-1))):
        assert torch.allclose(other.mean, plain.mean, rtol=1e-10)
        assert torch.allclose(other.covariance, plain.covariance, rtol=1e-9)
        assert torch.allclose(found_shares, plain.shares, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_an_input_without_variance_contributes_nothing(method):
    sigma = torch.zeros(3, 3, dtype=F64)
    sigma[:2, :2] = torch.tensor(COVARIANCE, dtype=F64)
    found = ec.propagate_variance(
        lambda u: bent(u[..., :2]) + u[..., 2:] ** 3, [1.0, 0.5, 2.0], sigma, method=method, shares="shapley"
    )
    without = ec.propagate_variance(
        lambda u: bent(u) + 8.0, [1.0, 0.5], COVARIANCE, method=method, shares="shapley"
    )
    assert torch.allclose(found.shares[..., 2], torch.zeros(2, dtype=F64), atol=1e-9)
    if method != "monte_carlo":
        assert torch.allclose(found.covariance, without.covariance)
        assert torch.allclose(found.mean, without.mean)


@pytest.mark.parametrize("method", METHODS[:4])
def test_rows_are_propagated_alone(method):
    means = torch.tensor([[1.0, 0.5], [0.3, -1.0], [2.0, 0.0]], dtype=F64)
    sigmas = torch.stack([k * torch.tensor(COVARIANCE, dtype=F64) for k in (1.0, 2.0, 0.5)])
    together = ec.propagate_variance(bent, means, sigmas, method=method)
    for row in range(3):
        alone = ec.propagate_variance(bent, means[row], sigmas[row], method=method)
        assert torch.allclose(together.covariance[row], alone.covariance)
        assert torch.allclose(together.shares[row], alone.shares)


def test_shapley_shares_of_an_interaction():
    """x z at (0, 0) has no linear part: two independent inputs share its variance of .01 * .04 by halves."""
    found = ec.propagate_variance(
        lambda u: u.prod(-1, keepdim=True), [0.0, 0.0], [[0.01, 0.0], [0.0, 0.04]],
        method="second_order", shares="shapley",
    )  # fmt: skip
    assert found.covariance.item() == pytest.approx(0.0004)
    assert found.shares[0].tolist() == pytest.approx([0.5, 0.5])


ACTIVATIONS = (
    *(torch.nn.Tanh(), torch.nn.SiLU(), torch.nn.GELU()),
    *(torch.nn.Softplus(), torch.nn.ELU(), torch.nn.Mish()),
)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_second_derivatives_of_activations_under_no_grad(activation):
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(3, 2, generator=generator, dtype=F64)
    mean, sigma = torch.tensor([0.7, -0.4], dtype=F64), torch.tensor(COVARIANCE, dtype=F64)

    def function(u):
        return activation(u @ weights.mT)

    with torch.no_grad():
        found = ec.propagate_variance(function, mean, sigma, method="second_order")
    jacobian = torch.autograd.functional.jacobian(function, mean)
    hessians = torch.stack(
        [torch.autograd.functional.hessian(lambda u, k=k: function(u)[k], mean) for k in range(3)]
    )
    half = hessians @ sigma
    known = jacobian @ sigma @ jacobian.mT + 0.5 * torch.einsum("kab,lba->kl", half, half)
    assert torch.allclose(found.covariance, known)
    assert not found.covariance.requires_grad


# Names, units, cross-check, picture.


def ohm(u):
    return u[..., :1] / u[..., 1:]


NAMED = {
    "outputs": ("resistance",),
    "units": {"voltage": "V", "current": "A", "resistance": "ohm"},
}


def test_named_inputs_carry_their_names_and_units():
    frame = pd.DataFrame(
        [[1e-6, 1e-4], [1e-4, 0.04]], index=["current", "voltage"], columns=["current", "voltage"]
    )
    found = ec.propagate_variance(ohm, {"voltage": 5.0, "current": 0.02}, frame, **NAMED)
    plain = ec.propagate_variance(ohm, [5.0, 0.02], [[0.04, 1e-4], [1e-4, 1e-6]])
    assert torch.equal(found.covariance, plain.covariance)
    table = found.summary()
    assert list(table.columns) == ["mean", "standard_deviation", "unit", "share[voltage]", "share[current]"]
    assert table.loc["resistance", "unit"] == "ohm"
    series = ec.propagate_variance(ohm, pd.Series({"voltage": 5.0, "current": 0.02}), frame, **NAMED)
    assert torch.equal(series.covariance, plain.covariance)


def test_the_waterfall_shows_names_and_the_unit_squared():
    found = ec.propagate_variance(ohm, {"voltage": 5.0, "current": 0.02}, [[0.04, 0], [0, 1e-6]], **NAMED)
    axes = found.plot(output="resistance")
    assert {label.get_text() for label in axes.get_yticklabels()} == {"voltage", "current", "total"}
    assert axes.get_xlabel() == "variance (ohm²)"


def test_a_function_that_bends_is_warned_about_in_one_call():
    found = ec.propagate_variance(square, [0.5], [[1.0]], cross_check=True)
    (note,) = found.warnings
    assert "first_order and Monte Carlo part in outputs [0]" in note
    assert abs(found.check.covariance.item() - 3.0) < 4 * found.check.covariance_standard_error.item()
    assert "warnings=1" in repr(found)


def test_a_function_that_is_nearly_straight_is_not_warned_about():
    assert ec.propagate_variance(minimizer, [2.0, 5.0], COVARIANCE, cross_check=True).warnings == ()


def test_shares_of_what_is_not_linear_are_warned_about():
    found = ec.propagate_variance(square, [0.0], [[1.0]], method="monte_carlo")
    assert found.linear_share.item() < 0.01
    assert "explains" in found.warnings[0]
