"""Kronecker factors: exact where they can be, and refusals."""

import sys

import pytest
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.uncertainty import kronecker_operator

F64 = torch.float64
X = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=F64)


class Net(nn.Module):
    """Layers called by the parent's name."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers).double()

    def forward(self, x):
        return self.layers(x)


def regression(*layers, scale=0.5):
    torch.manual_seed(0)
    net = Net(*(layers or (nn.Linear(3, 2),)))
    return ec.Energy([ec.Mechanism("y", "x", net, ec.SquaredError(scale), dim=2)])


def dense(operator):
    return torch.stack([operator.product(column) for column in torch.eye(len(operator), dtype=F64)])


def test_one_linear_layer_under_a_squared_error_is_exact():
    pytest.importorskip("curvlinops")
    energy = regression()
    found = kronecker_operator(energy, given={"x": X}, beta=1.5)
    exact = ec.fisher_information(energy, given={"x": X}, kind="ggn", beta=1.5)
    assert torch.allclose(dense(found), exact.matrix)
    assert found.names == exact.names
    assert found.trace() == pytest.approx(exact.matrix.trace().item())
    right = torch.arange(8, dtype=F64)
    for damping in (0.0, 0.7):
        known = torch.linalg.solve(exact.matrix + damping * torch.eye(8, dtype=F64), right)
        assert torch.allclose(found.solve(right, damping=damping), known)


def test_blocks_of_two_layers_are_products_of_second_moments():
    pytest.importorskip("curvlinops")
    energy = regression(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    first, _, last = next(m for m in energy.modules() if isinstance(m, Net)).layers
    hidden = torch.tanh(first(X))
    matrix = dense(kronecker_operator(energy, given={"x": X}))
    one = torch.ones(9, 1, dtype=F64)
    slopes = torch.einsum("ko,nk,ok->nok", torch.ones(4, 2, dtype=F64), 1 - hidden**2, last.weight)
    inner = torch.einsum("nok,nol->kl", slopes, slopes) / 9 * 4  # beta over the variance
    order = [4 * k + j for k in range(4) for j in range(3)] + [
        4 * k + 3 for k in range(4)
    ]  # the bias is last
    wide = torch.cat([X, one], -1)
    known = torch.kron(inner, wide.mT @ wide)[order][:, order]
    assert torch.allclose(matrix[:16, :16], known)
    assert torch.equal(matrix[:16, 16:], torch.zeros(16, 10, dtype=F64))
    assert torch.linalg.eigvalsh(matrix)[0] > -1e-10


def test_a_singular_factor_needs_damping():
    pytest.importorskip("curvlinops")
    found = kronecker_operator(regression(), given={"x": X[:2]})
    right = torch.ones(8, dtype=F64)
    with pytest.raises(ConvergenceError, match="a Kronecker factor is singular"):
        found.solve(right)
    left = found.product(found.solve(right, damping=0.1)) + 0.1 * found.solve(right, damping=0.1)
    assert torch.allclose(left, right)
    with pytest.raises(ArgumentError, match="damping must not be negative; got -1"):
        found.solve(right, damping=-1.0)
    with pytest.raises(ArgumentError, match=r"right must be \[8\]; got \[3\]"):
        found.solve(right[:3])


def test_what_kronecker_factors_do_not_serve():
    pytest.importorskip("curvlinops")
    with pytest.raises(ArgumentError, match=r"is not in a linear layer of 'y'"):
        kronecker_operator(regression(nn.Linear(3, 2), nn.PReLU()), given={"x": X})
    classes = ec.Energy([ec.Mechanism("y", "x", Net(nn.Linear(3, 3)), ec.CategoricalCost(3))])
    with pytest.raises(ArgumentError, match="serve squared errors; the cost of 'y' has another curvature"):
        kronecker_operator(classes, given={"x": X})
    latent = ec.LinearGaussianEnergy(torch.ones(1, 1), torch.ones(1, 1))
    with pytest.raises(ArgumentError, match="serves one mechanism without latents"):
        kronecker_operator(latent, given={"x": X[:, :1]})
    with pytest.raises(ArgumentError, match="are those of parameters of linear layers"):
        kronecker_operator(regression(), "beta", given={"x": X})
    learned = regression(scale=nn.Parameter(torch.tensor(0.5, dtype=F64)))
    with pytest.raises(EnergyError, match="no prediction of .* depends on"):
        kronecker_operator(learned, given={"x": X})


def test_without_curvlinops_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "curvlinops", None)
    with pytest.raises(ArgumentError, match=r'pip install "ebm-causal\[kronecker\]"'):
        kronecker_operator(regression(), given={"x": X})
