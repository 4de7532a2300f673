"""Functions, names and counts that propagation refuses, or takes in another form."""

import numpy as np
import pandas as pd
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError

F64 = torch.float64
ONE = [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("method", ["first_order", "sigma_points", "monte_carlo"])
@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda u: u @ torch.eye(3, dtype=F64), "does not take a tensor .* of torch.float64: mat1 and mat2"),
        (lambda u: torch.complex(u, u), "must give real outputs, one at least; got .* in torch.complex128"),
        (lambda u: u[..., :0], "must give real outputs, one at least"),
        (lambda u: u.detach().numpy(), r"must map \[\*batch, n\] to \[\*batch, m\]; it maps .* to ndarray"),
        (lambda u: u[..., 7:8].reshape(5), "does not take a tensor"),
    ],
)
def test_functions_that_give_something_else(function, said, method):
    with pytest.raises(ArgumentError, match=said):
        ec.propagate_variance(function, [1.0, 2.0], ONE, method)


def test_numpy_on_a_tensor_with_a_graph():
    with pytest.raises(ArgumentError, match="does not take a tensor .* numpy"):
        ec.propagate_variance(np.sin, [1.0, 2.0], ONE)


def test_whole_numbers_and_truth_values_have_a_variance_by_values():
    for function in (lambda u: u > 1, lambda u: (u > 1).long()):
        found = ec.propagate_variance(function, [1.0], [[1.0]], "monte_carlo")
        assert abs(found.covariance.item() - 0.25) < 5 * found.covariance_standard_error.item() + 1e-3


def test_a_product_about_zero_has_no_linear_part_and_equal_shares():
    found = ec.propagate_variance(lambda u: u.prod(-1, keepdim=True), [0.0, 0.0], ONE, "sigma_points")
    assert found.covariance.item() == pytest.approx(1.0)
    assert found.shares.tolist() == [[0.5, 0.5]]
    assert "in equal parts where it is nothing" in found.warnings[0]


@pytest.mark.parametrize("variance", [1e-320, 1e300])
def test_shares_of_variances_whose_inverse_is_no_number(variance):
    found = ec.propagate_variance(
        lambda u: u.sum(-1, keepdim=True), [1.0, 2.0], [[variance, 0.0], [0.0, 0.0]]
    )
    assert found.shares.tolist() == [[1.0, 0.0]]


def test_an_output_that_is_flat_at_the_mean():
    with pytest.raises(ArgumentError, match="output 0 has no variance.*its slopes are zero there"):
        ec.propagate_variance(torch.square, [0.0], [[1.0]])


def test_no_rows_and_no_inputs():
    with pytest.raises(ArgumentError, match=r"at least one input and one row; got \[0, 2\]"):
        ec.propagate_variance(torch.square, torch.zeros(0, 2), ONE, "monte_carlo")


def test_names_of_frames():
    square = pd.DataFrame([[1.0, 0.5], [0.5, 4.0]], index=["b", "a"], columns=["b", "a"])
    rows = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["a", "b"])
    found = ec.propagate_variance(lambda u: u[..., :1], rows, square)
    assert found.names == ("a", "b")
    assert found.covariance.flatten().tolist() == [4.0, 4.0]
    with pytest.raises(ArgumentError, match="names its rows .* and its columns"):
        ec.propagate_variance(torch.square, [1.0, 2.0], square[["a", "b"]])
    with pytest.raises(ArgumentError, match=r"the inputs' names must differ; got \['a', 'a'\]"):
        ec.propagate_variance(torch.square, pd.Series([1.0, 2.0], index=["a", "a"]), ONE)
    with pytest.raises(ArgumentError, match=r"outputs must name 2 outputs; got \['ab'\]"):
        ec.propagate_variance(torch.square, [1.0, 2.0], ONE, outputs="ab")


def test_counts_seeds_and_functions_of_a_wrong_type(unchecked):
    with pytest.raises(ArgumentError, match=r"draws must be a whole number, at least 2; got 10\.5"):
        ec.propagate_variance(torch.square, [1.0], [[1.0]], "monte_carlo", draws=10.5)
    with pytest.raises(ArgumentError, match="seed must be a whole number"):
        ec.propagate_variance(torch.square, [1.0], [[1.0]], "monte_carlo", seed="a")
    with pytest.raises(ArgumentError, match="function must be callable; got 3"):
        ec.propagate_variance(3, [1.0], [[1.0]])
