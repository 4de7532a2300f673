"""What may be asked of information: rows, counts, frozen and unused parameters, precision."""

import pytest
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.uncertainty import fisher_operator

F64 = torch.float64
X = torch.tensor([[0.5], [3.0], [-1.0]], dtype=F64)
Y = torch.tensor([[2.0], [6.4], [0.3]], dtype=F64)


def linear(dtype=F64):
    weight, slope = torch.full((1, 1), 0.5, dtype=dtype), torch.full((1, 1), 2.0, dtype=dtype)
    return ec.LinearGaussianEnergy(weight, slope, scale=2**-0.5, regularizer_weight=1.0)


class Quadratic(nn.Module):
    """Of three parameters one is used, one is not, one is frozen."""

    def __init__(self):
        super().__init__()
        self.used, self.idle = (nn.Parameter(torch.tensor(1.0, dtype=F64)) for _ in range(2))
        self.frozen = nn.Parameter(torch.tensor(1.0, dtype=F64), requires_grad=False)

    def forward(self, y):
        return (self.used * y**2).sum(-1) + 0 * self.frozen


def quadratic():
    return ec.energy(Quadratic(), y=1)


def test_observed_information_of_each_row_adds_up():
    asked = {"given": {"x": X}, "kind": "observed", "data": {"y": Y}}
    whole, apart = (
        ec.fisher_information(linear(), **asked),
        ec.fisher_information(linear(), by_row=True, **asked),
    )
    assert torch.allclose(apart.matrix, whole.matrix)
    assert torch.allclose(apart.complete, whole.complete)
    for i, matrix in enumerate(apart.by_row):
        rows = slice(i, i + 1)
        alone = ec.fisher_information(linear(), given={"x": X[rows]}, kind="observed", data={"y": Y[rows]})
        assert torch.allclose(matrix, alone.matrix, atol=1e-8)


def test_rows_that_are_simulated_or_alike_are_not_told_apart():
    with pytest.raises(ArgumentError, match="by_row serves rows that are given and not simulated"):
        ec.fisher_information(linear(), given={"x": X}, draws=10, by_row=True)
    with pytest.raises(ArgumentError, match="by_row serves rows that are given and not simulated"):
        ec.fisher_information(linear(), given={"x": X[:1]}, rows=3, by_row=True)
    with pytest.raises(ArgumentError, match="by_row serves the observed information that is exact"):
        ec.fisher_information(linear(), given={"x": X}, kind="observed", data={"y": Y}, draws=10, by_row=True)


def test_single_precision_does_not_identify_what_double_does_not():
    given = {"x": torch.linspace(-2, 2, 7)[:, None]}
    found = ec.fisher_information(linear(torch.float32), given=given)
    assert found.matrix.dtype == torch.float32
    assert found.rank == ec.fisher_information(linear(), given={"x": given["x"].double()}).rank == 2
    assert found.cramer_rao is None
    assert len(found.unidentified) == 1


def test_frozen_and_unused_parameters():
    for kind in ("expected", "observed", "opg"):
        data = None if kind == "expected" else {"y": Y}
        with pytest.raises(EnergyError, match="the energy does not use 'idle'"):
            ec.fisher_information(quadratic(), kind=kind, data=data)
    with pytest.raises(EnergyError, match="the energy does not use 'idle'"):
        fisher_operator(quadratic(), draws=10).product([1.0, 1.0])
    with pytest.raises(ArgumentError, match="'frozen' is frozen"):
        ec.fisher_information(quadratic(), "frozen")
    assert ec.fisher_information(quadratic(), "used").matrix.item() == pytest.approx(0.5)
    density = ec.GibbsDensity(quadratic(), over="y")
    assert density.score(Y, "parameters").shape == (3, 2)
    with pytest.raises(ArgumentError, match="'frozen' is frozen"):
        density.score(Y, "frozen")


def test_what_has_no_effect_is_refused():
    with pytest.raises(ArgumentError, match="expected information is over the model and takes no data"):
        ec.fisher_information(linear(), given={"x": X}, data={"y": Y})
    with pytest.raises(ArgumentError, match="Gauss-Newton matrix takes no draws"):
        ec.fisher_information(linear(), given={"x": X}, kind="ggn", data={"y": Y}, draws=10)
    with pytest.raises(ArgumentError, match="leave draws out for the information of variables"):
        ec.fisher_information(linear(), "y", given={"x": X}, kind="observed", data={"y": Y}, draws=10)
    with pytest.raises(ArgumentError, match="wrt names nothing"):
        ec.fisher_information(linear(), (), given={"x": X})


def test_counts_of_draws_and_rows():
    with pytest.raises(ArgumentError, match="one draw of one row has no standard error"):
        ec.fisher_information(linear(), given={"x": X[:1]}, draws=1)
    with pytest.raises(ArgumentError, match="draws must be at least 1; got 0"):
        ec.fisher_information(linear(), given={"x": X}, draws=0)
    with pytest.raises(ArgumentError, match="draws must be at least 2; got 1"):
        ec.fisher_information(linear(), given={"x": X}, kind="opg", data={"y": Y}, draws=1)


def test_arguments_of_a_wrong_type(unchecked):
    with pytest.raises(ArgumentError, match="given must hold values by name, .* got list"):
        ec.fisher_information(linear(), given=[[1.0]])
    with pytest.raises(ArgumentError, match="data must hold values by name, .* got list"):
        ec.fisher_information(linear(), given={"x": X}, kind="opg", data=[[1.0]])
    with pytest.raises(ArgumentError, match=r"rows must be a whole number, at least 1; got 2\.5"):
        ec.fisher_information(linear(), given={"x": X[:1]}, rows=2.5)


def test_vectors_that_are_not_finite():
    operator = fisher_operator(quadratic(), "used", draws=10)
    with pytest.raises(ArgumentError, match="vector holds NaN or infinity"):
        operator.product([float("nan")])
    with pytest.raises(ArgumentError, match="right holds NaN or infinity"):
        operator.solve([float("inf")])
