"""Inputs of wrong kinds, sizes and precisions to minima, operators and what starts from a fit."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
from uncertainty.latent_line import mechanism

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.uncertainty import fisher_operator, kronecker_operator

F64 = torch.float64
QUARTIC = ec.energy(lambda y, x, z: (y**4 / 4 + y**2 / 2 - y * x * z).sum(-1), y=1, x=1, z=1)
MEANS, SIGMA = {"x": 2.0, "z": 5.0}, [[0.01, -0.005], [-0.005, 0.04]]
KNOWN = 0.00183431953  # MATH.md, section 8


def through(means=MEANS, covariance=SIGMA, **options):
    return ec.propagate_through_minimum(QUARTIC, "y", means, covariance, **options)


def fitted(dtype=F64):
    rows = torch.linspace(-1, 1, 30, dtype=dtype)[:, None]
    energy = ec.LinearGaussianEnergy(torch.full((1, 1), 0.5, dtype=dtype), torch.ones(1, 1, dtype=dtype))
    data = {"x": rows, "y": 2 * rows + 0.3 * (7 * rows).sin()}
    return ec.fit(energy, data, fixed=("latent_weight", "scale"), method="map")


def test_a_frame_of_covariances_is_put_into_the_order_of_the_means():
    """It was taken as it stood, whatever its names said."""
    names = ["z", "x"]
    frame = pd.DataFrame([[0.04, -0.005], [-0.005, 0.01]], index=names, columns=names)
    assert through(covariance=frame).covariance.item() == pytest.approx(KNOWN, abs=5e-12)
    with pytest.raises(ArgumentError, match=r"must name the inputs \['x', 'z'\]"):
        through(covariance=frame.set_axis(["z", "w"], axis=1))


def test_means_and_minima_of_another_precision():
    single = {"x": torch.tensor([2.0]), "z": torch.tensor([5.0], dtype=F64)}
    found = through(single, torch.tensor(SIGMA), at={"y": torch.tensor([2.0])})
    assert found.covariance.dtype == F64
    assert found.covariance.item() == pytest.approx(KNOWN, rel=1e-6)  # SIGMA is rounded to float32


def test_minima_and_means_by_wrong_names(unchecked):
    for wrong in ({"means": [2.0, 5.0]}, {"given": [1.0]}, {"at": 2.0}):
        with pytest.raises(ArgumentError, match="must hold values by name"):
            through(**wrong)
    with pytest.raises(ArgumentError, match="'x' stands in both given_means and given"):
        through(given={"x": 1.0})
    with pytest.raises(ArgumentError, match="at holds 'q' too, which is not minimized over"):
        through(at={"y": 2.0, "q": 1.0})
    with pytest.raises(ArgumentError, match="at must hold one row or as many as the means, 1; it holds 2"):
        through(at={"y": [2.0, 2.0]})
    with pytest.raises(ArgumentError, match="shares must be 'covariance' or 'shapley'; got 'magic'"):
        through(shares="magic")
    with pytest.raises(ArgumentError, match="output 'y' has no variance"):
        through(covariance=torch.zeros(2, 2))


def test_an_uncertain_input_of_finitely_many_values():
    energy = ec.energy(lambda y, x: ((y - x) ** 2).sum(-1), y=1, x=ec.Variable(1, ec.finite([0, 1])))
    with pytest.raises(EnergyError, match="'x' takes finitely many values: there is no slope in it"):
        ec.propagate_through_minimum(energy, "y", {"x": 1.0}, [[0.1]])


def test_functions_that_fail_and_units_without_names(unchecked):
    def fails(error):
        def function(u):
            raise error

        return function

    for error in (KeyError("a"), ZeroDivisionError("division by zero"), ValueError("bad")):
        with pytest.raises(ArgumentError, match="the function does not take a tensor"):
            ec.propagate_variance(fails(error), [1.0], [[1.0]])
    with pytest.raises(ArgumentError, match="units must be given by name"):
        ec.propagate_variance(torch.square, [1.0], [[1.0]], units=["m"])
    with pytest.raises(ArgumentError, match="the means must have one number of rows; got"):
        ec.propagate_variance(torch.square, {"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]}, torch.eye(2))


@pytest.mark.parametrize(("own", "theirs"), [(F64, torch.float32), (torch.float32, F64)])
@pytest.mark.parametrize("kind", ["expected", "observed", "opg", "ggn"])
def test_data_take_the_precision_of_the_energy(kind, own, theirs):
    def asked(dtype):
        weight, slope = torch.full((1, 1), 0.5, dtype=own), torch.full((1, 1), 2.0, dtype=own)
        energy = ec.LinearGaussianEnergy(weight, slope, scale=0.7)
        data = {} if kind == "expected" else {"data": {"y": torch.tensor([[6.5]], dtype=dtype)}}
        given = {"x": torch.tensor([[3.0]], dtype=dtype)}
        return ec.fisher_information(energy, "input_weight", given=given, kind=kind, **data)

    assert asked(theirs).matrix.dtype == own
    assert torch.equal(asked(theirs).matrix, asked(own).matrix)


def test_operators_of_wrong_arguments(unchecked):
    given = {"x": torch.tensor([[3.0]])}
    operator = fisher_operator(mechanism(), "input_weight", given=given, draws=10)  # of single precision
    for options in ({"draws": 2.5}, {"draws": "a"}, {"seed": "a"}):
        with pytest.raises(ArgumentError, match="must be a whole number"):
            fisher_operator(mechanism(), given=given, **options)
    with pytest.raises(ArgumentError, match="given must hold values by name"):
        fisher_operator(mechanism(), given=[3.0])
    with pytest.raises(ArgumentError, match="the expected information is over the model and takes no data"):
        fisher_operator(mechanism(), given=given, data={"y": 1.0})
    with pytest.raises(ArgumentError, match="most must be a whole number"):
        operator.solve([1.0], most="a")
    for damping in ("a", math.inf, math.nan):
        with pytest.raises(ArgumentError, match="damping must not be negative"):
            operator.solve([1.0], damping=damping)


def test_kronecker_factors_of_wrong_arguments(unchecked):
    pytest.importorskip("curvlinops")
    with pytest.raises(ArgumentError, match="given must hold values by name"):
        kronecker_operator(mechanism(), given=[3.0])


def test_natural_gradients_of_wrong_numbers(unchecked):
    found = ec.fisher_information(mechanism(), "input_weight", given={"x": [[3.0]]})
    with pytest.raises(ArgumentError, match="the gradient holds NaN or infinity"):
        found.natural_gradient([math.nan])
    for damping in ("a", math.nan, math.inf):
        with pytest.raises(ArgumentError, match="damping must not be negative, and finite"):
            found.natural_gradient([1.0], damping=damping)


def test_what_is_no_fit_or_has_not_arrived(unchecked):
    fit = fitted()
    for work in (ec.laplace_approximation, ec.decompose_variance):
        for wrong in (fit.energy, None):
            with pytest.raises(ArgumentError, match="a fit is what ec.fit gives; got"):
                work(wrong)
        with pytest.raises(ConvergenceError, match="the fit has not converged"):
            work(replace(fit, diagnostics=replace(fit.diagnostics, converged=False)))
        with pytest.raises(ArgumentError, match="progress must be callable"):
            work(fit, progress=3)


def test_laplace_approximations_of_wrong_numbers(unchecked):
    fit = fitted()
    for damping in ("a", None, math.nan, math.inf):
        with pytest.raises(ArgumentError, match="damping must not be negative, and finite"):
            ec.laplace_approximation(fit, damping=damping)
    found = ec.laplace_approximation(fit)
    for options in ({"draws": 2.5}, {"draws": "a"}, {"seed": 2.5}):
        with pytest.raises(ArgumentError, match="must be a whole number"):
            found.sample(**options)
    for options in ({"parameter_draws": 2.5}, {"draws": 2.5}, {"seed": "a"}):
        with pytest.raises(ArgumentError, match="must be a whole number"):
            found.predict(given={"x": [[1.0]]}, **options)
    with pytest.raises(ArgumentError, match="given must hold values by name"):
        found.predict(given=[1.0])


def test_decompositions_of_wrong_numbers(unchecked):
    fit = fitted()
    for options in ({"draws": 2.5}, {"draws": "a"}, {"seed": "a"}):
        with pytest.raises(ArgumentError, match="must be a whole number"):
            ec.decompose_variance(fit, **options)
    with pytest.raises(EnergyError, match=r"\['y'\] has no mechanism"):
        ec.decompose_variance(fit, ["y"])
    with pytest.raises(ArgumentError, match="given must hold values by name"):
        ec.decompose_variance(fit, given=[1.0])
    single = ec.decompose_variance(fit, given={"x": torch.ones(1, 1)})
    double = ec.decompose_variance(fit, given={"x": torch.ones(1, 1, dtype=F64)})
    assert torch.equal(single.total, double.total)
    for wrong in ({"row": 5}, {"row": "a"}, {"coordinate": 3}, {"row": -1}):
        with pytest.raises(ArgumentError, match="must be one of 0 to 0; got"):
            double.plot(**wrong)


def test_progress_rises_to_one_in_what_takes_long():
    fit = fitted()
    for work in (
        lambda progress: ec.propagate_variance(
            torch.square, torch.ones(300, 1), [[1.0]], "monte_carlo", draws=9000, progress=progress
        ),
        lambda progress: ec.decompose_variance(fit, progress=progress),
        lambda progress: ec.laplace_approximation(fit, "parameters").predict(
            given={"x": [[1.0]]}, draws=20, parameter_draws=5, progress=progress
        ),
    ):
        told = []
        work(lambda share, text, told=told: told.append((share, text)))
        shares = [share for share, _ in told]
        assert len(shares) > 2
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        assert all(text for _, text in told)
