"""What propagation refuses, and how it says so."""

import pandas as pd
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError

F64 = torch.float64
COVARIANCE = [[0.01, -0.005], [-0.005, 0.04]]


def bent(u):
    x, z = u.unbind(-1)
    return torch.stack([x * z + 0.2 * x**2, (0.5 * z).exp() - x], -1)


def ohm(u):
    return u[..., :1] / u[..., 1:]


@pytest.mark.parametrize("kinked", [torch.abs, torch.relu, lambda u: u.clamp(max=0.0) * 2 + u])
def test_a_kink_at_the_mean(kinked):
    with pytest.raises(
        ArgumentError, match=r"not differentiable at the mean in rows \[1\]: it has a kink there"
    ):
        ec.propagate_variance(kinked, [[0.3], [0.0]], [[1.0]])


def test_a_kink_in_one_row_among_thousands_and_an_edge_of_the_domain():
    rows = torch.linspace(-1, 1, 5001, dtype=F64)[:, None]  # the middle one is zero
    with pytest.raises(ArgumentError, match=r"not differentiable at the mean in rows \[2500\]"):
        ec.propagate_variance(lambda u: torch.relu(u) + u, rows, [[1.0]])
    with pytest.raises(ArgumentError, match="not differentiable at the mean"):
        ec.propagate_variance(lambda u: u**1.5 + u, [0.0], [[1.0]])


def test_a_step_that_autograd_does_not_see():
    with pytest.raises(ArgumentError, match="or a step that autograd does not see"):
        ec.propagate_variance(lambda u: u * u.detach(), [2.0], [[1.0]])


def test_a_function_that_mixes_shapes():
    for method in ("first_order", "sigma_points"):
        with pytest.raises(ArgumentError, match=r"must map \[\*batch, n\] to \[\*batch, m\]"):
            ec.propagate_variance(lambda u: u.sum(), [2.0, 1.0], COVARIANCE, method=method)


def test_a_function_that_is_not_finite_where_inputs_are_likely():
    with pytest.raises(ArgumentError, match="not finite at .* of the inputs that are likely"):
        ec.propagate_variance(torch.log, [1.0], [[4.0]], method="monte_carlo")


def test_a_third_order_that_does_not_serve():
    with pytest.raises(ArgumentError, match="third-order variance of output 0 is .*, below zero"):
        ec.propagate_variance(torch.sin, [0.3], [[9.0]], method="third_order")


def test_a_covariance_of_one_row_among_several():
    sigma = torch.stack([torch.eye(2, dtype=F64), torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=F64)])
    with pytest.raises(ArgumentError, match="covariance of row 1 is not positive semi-definite"):
        ec.propagate_variance(bent, torch.zeros(2, 2, dtype=F64), sigma)
    with pytest.raises(ArgumentError, match=r"a covariance for each row must be \[3, 2, 2\]"):
        ec.propagate_variance(bent, torch.zeros(3, 2, dtype=F64), sigma)


def test_a_small_unit_does_not_hide_what_is_no_covariance():
    with pytest.raises(ArgumentError, match="not positive semi-definite"):
        ec.propagate_variance(bent, [1.0, 1.0], [[1e-12, 2e-12], [2e-12, 1e-12]])


def test_names_that_do_not_fit():
    frame = pd.DataFrame([[1.0, 0.0], [0.0, 1.0]], index=["a", "b"], columns=["a", "b"])
    with pytest.raises(ArgumentError, match=r"must name the inputs \['voltage', 'current'\]"):
        ec.propagate_variance(ohm, {"voltage": 5.0, "current": 0.02}, frame)
    with pytest.raises(ArgumentError, match="'mass' has a unit but is no input"):
        ec.propagate_variance(
            ohm, {"voltage": 5.0, "current": 0.02}, [[1.0, 0], [0, 1.0]], units={"mass": "kg"}
        )
    with pytest.raises(ArgumentError, match="outputs must name 1 outputs"):
        ec.propagate_variance(ohm, [5.0, 0.02], [[1.0, 0], [0, 1.0]], outputs=("a", "b"))


def test_an_output_or_a_row_that_is_not_there():
    found = ec.propagate_variance(ohm, [5.0, 0.02], [[1.0, 0], [0, 1.0]])
    with pytest.raises(ArgumentError, match=r"output must be one of \[0\]; got 'volt'"):
        found.plot(output="volt")
    with pytest.raises(ArgumentError, match="row must be one of 0 to 0; got 2"):
        found.plot(row=2)


def test_a_mean_that_does_not_serve():
    with pytest.raises(ArgumentError, match="mean holds NaN or infinity"):
        ec.propagate_variance(ohm, [float("nan"), 1.0], COVARIANCE)
    with pytest.raises(ArgumentError, match="at least one input"):
        ec.propagate_variance(ohm, 1.0, COVARIANCE)
    with pytest.raises(ArgumentError, match="draws must be at least 2; got 1"):
        ec.propagate_variance(ohm, [5.0, 0.02], COVARIANCE, method="monte_carlo", draws=1)
