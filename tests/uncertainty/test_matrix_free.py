"""Products, solutions and diagonals without a matrix, against the matrix."""

import pytest
import torch
from torch import nn

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.uncertainty import FisherOperator, fisher_operator

F64 = torch.float64
X = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=F64)


class Net(nn.Module):
    def __init__(self, outputs=2):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, outputs)).double()

    def forward(self, x):
        return self.layers(x)


def regression():
    return ec.Energy([ec.Mechanism("y", "x", Net(), ec.SquaredError(0.5), dim=2)])


def dense(operator):
    return torch.stack([operator.product(column) for column in torch.eye(len(operator), dtype=F64)])


@pytest.mark.parametrize("cached", [True, False])
def test_gauss_newton_products_are_those_of_the_matrix(cached):
    energy = regression()
    with torch.no_grad():
        operator = fisher_operator(energy, given={"x": X}, kind="ggn", beta=1.5, cached=cached)
        matrix = ec.fisher_information(energy, given={"x": X}, kind="ggn", beta=1.5).matrix
        assert torch.allclose(dense(operator), matrix)
    assert torch.allclose(operator.diagonal(), matrix.diagonal())
    assert operator.trace() == pytest.approx(matrix.trace().item())
    known = torch.linalg.eigvalsh(matrix).flip(0)[:3]
    assert torch.allclose(operator.top_eigenvalues(3), known)
    assert operator.names == tuple(ec.fisher_information(energy, given={"x": X}, kind="ggn").names)


def test_gauss_newton_of_classes_whose_cost_has_a_flat_direction():
    energy = ec.Energy([ec.Mechanism("y", "x", Net(3), ec.CategoricalCost(3))])
    labels = torch.tensor([0.0, 1, 2, 0, 1, 2, 0, 1, 2], dtype=F64)[:, None]
    operator = fisher_operator(energy, given={"x": X}, kind="ggn", data={"y": labels})
    assert torch.allclose(operator.diagonal(), dense(operator).diagonal(), atol=1e-10)
    assert torch.linalg.eigvalsh(dense(operator))[0] > -1e-10


def test_the_curvature_of_classes_and_signs_needs_no_data():
    labels = torch.zeros(9, 1, dtype=F64)
    for outputs, cost in ((3, ec.CategoricalCost(3)), (1, ec.BernoulliCost())):
        energy = ec.Energy([ec.Mechanism("y", "x", Net(outputs), cost)])
        alone = fisher_operator(energy, given={"x": X}, kind="ggn")
        told = fisher_operator(energy, given={"x": X}, kind="ggn", data={"y": labels})
        assert torch.allclose(dense(alone), dense(told))


def test_products_by_draws_are_outer_products_of_scores(monkeypatch):
    energy = regression()
    operator = fisher_operator(energy, given={"x": X}, draws=400)
    matrix = dense(operator)
    assert torch.allclose(matrix, matrix.mT)
    assert torch.allclose(operator.diagonal(), matrix.diagonal())
    monkeypatch.setattr(operator, "product", None)  # the layers tell the diagonal: no columns are asked for
    assert torch.allclose(operator.diagonal(), matrix.diagonal())
    exact = ec.fisher_information(energy, given={"x": X}, kind="ggn").matrix
    # a normal outcome: the variance of s_i s_j is at most that of s_i^2 s_j^2's fourth moments, three per draw
    error = (3 * torch.outer(exact.diagonal(), exact.diagonal()) / 400).sqrt()
    assert ((matrix - exact).abs() < 5 * error).all()


def test_an_energy_of_plain_factors_is_centered():
    class Ising(nn.Module):
        def __init__(self):
            super().__init__()
            self.J, self.h = (nn.Parameter(torch.tensor(v, dtype=F64)) for v in (0.5, 0.2))

        def forward(self, a, b):
            return (-self.J * a * b - self.h * (a + b)).sum(-1)

    spin = ec.Variable(1, ec.finite([-1, 1]))
    energy = ec.energy(Ising(), a=spin, b=spin)
    exact = ec.fisher_information(energy, over=("a", "b")).matrix
    found = dense(fisher_operator(energy, over=("a", "b"), draws=20_000))
    assert torch.allclose(found, exact, atol=5 * 2 / 20_000**0.5)


def test_a_latent_energy_by_draws():
    weight = torch.full((1, 1), 0.5, dtype=F64)
    energy = ec.LinearGaussianEnergy(weight, 4 * weight, scale=2**-0.5)
    found = fisher_operator(energy, "input_weight", given={"x": [[3.0]]}, beta=1.5, draws=4000).product([1.0])
    assert found.item() == pytest.approx(18, abs=5 * 18 * (2 / 4000) ** 0.5)


def test_solutions():
    operator = fisher_operator(regression(), given={"x": X}, kind="ggn")
    right = torch.linspace(-1, 1, len(operator), dtype=F64)
    matrix = dense(operator) + 0.1 * torch.eye(len(operator), dtype=F64)
    assert torch.allclose(operator.solve(right, damping=0.1), torch.linalg.solve(matrix, right), atol=1e-6)


def test_a_badly_scaled_system_is_solved_by_the_preconditioner():
    scale = torch.logspace(0, 6, 30, dtype=F64)
    theta = torch.zeros(30, dtype=F64, requires_grad=True)
    operator = FisherOperator(lambda: scale.sqrt() * theta, [theta], lambda pushed: pushed)
    assert torch.allclose(operator.solve(torch.ones(30, dtype=F64), most=20), 1 / scale)


def test_a_singular_system_is_refused():
    theta = torch.zeros(2, dtype=F64, requires_grad=True)
    operator = FisherOperator(lambda: theta.sum()[None], [theta], lambda pushed: pushed)
    with pytest.raises(ConvergenceError, match="has curvature .* singular there. Give damping"):
        operator.solve([1.0, -1.0])
    assert operator.solve([1.0, -1.0], damping=0.5).tolist() == pytest.approx([2.0, -2.0])


def test_too_few_iterations_and_wrong_options():
    operator = fisher_operator(regression(), given={"x": X}, kind="ggn")
    right = torch.linspace(-1, 1, len(operator), dtype=F64)
    with pytest.raises(ConvergenceError, match="conjugate gradients left .* after 2 iterations"):
        operator.solve(right, damping=1e-3, most=2)
    with pytest.raises(ArgumentError, match="damping must not be negative and tolerance between 0 and 1"):
        operator.solve(right, damping=-1.0)
    with pytest.raises(ArgumentError, match=r"vector must be \[26\]; got \[3\]"):
        operator.product([1.0, 2.0, 3.0])
    with pytest.raises(ArgumentError, match="count must be between 1 and 25"):
        operator.top_eigenvalues(26)


def test_a_diagonal_that_is_too_long_for_columns():
    theta = torch.zeros(2001, dtype=F64, requires_grad=True)
    operator = FisherOperator(lambda: theta.sum()[None], [theta], lambda pushed: pushed)
    with pytest.raises(
        ArgumentError, match="an exact diagonal of 2001 parameters needs all of them in linear"
    ):
        operator.diagonal()


def test_a_layer_that_is_called_twice_is_taken_by_columns():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3).double()

        def forward(self, x):
            return self.layer(torch.tanh(self.layer(x)))

    energy = ec.Energy([ec.Mechanism("y", "x", Twice(), ec.SquaredError(), dim=3)])
    operator = fisher_operator(energy, given={"x": X}, kind="ggn")
    assert torch.allclose(operator.diagonal(), dense(operator).diagonal())


def test_what_an_operator_does_not_serve():
    weight = torch.ones(1, 1, dtype=F64)
    latent = ec.LinearGaussianEnergy(weight, weight)
    with pytest.raises(ArgumentError, match="serves mechanisms without latents"):
        fisher_operator(latent, "input_weight", given={"x": [[3.0]]}, kind="ggn")
    with pytest.raises(ArgumentError, match="an operator is about parameters"):
        fisher_operator(latent, "y", given={"x": [[3.0]]})
    with pytest.raises(ArgumentError, match="draws must be at least 2"):
        fisher_operator(latent, "input_weight", given={"x": [[3.0]]}, draws=1)


class Wide(nn.Module):
    """A net of what it is called with."""

    def __init__(self, width, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.Sequential(nn.Linear(width, 3), nn.Tanh(), nn.Linear(3, 1)).double()

    def forward(self, x, m=None):
        return self.layers(x if m is None else torch.cat([x, m], -1))


def two_steps():
    first = ec.Mechanism("m", "x", Wide(3, 0), ec.SquaredError(0.5))
    second = ec.Mechanism("y", ("x", "m"), Wide(4, 1), ec.BernoulliCost())
    return ec.Energy([first, second]), {"m": X[:, :1], "y": torch.ones(9, 1, dtype=F64)}


def test_gauss_newton_of_several_mechanisms_together():
    energy, data = two_steps()
    options = {"over": ("m", "y"), "given": {"x": X}, "kind": "ggn", "data": data, "beta": 1.5}
    operator, matrix = fisher_operator(energy, **options), ec.fisher_information(energy, **options).matrix
    assert len(operator) == 35
    assert torch.allclose(dense(operator), matrix)
    assert torch.allclose(operator.diagonal(), matrix.diagonal())
    right = torch.linspace(-1, 1, 35, dtype=F64)
    known = torch.linalg.solve(matrix + 0.1 * torch.eye(35, dtype=F64), right)
    assert torch.allclose(operator.solve(right, damping=0.1), known, atol=1e-6)


def test_predictions_from_what_is_not_known():
    energy, _ = two_steps()
    options = {"over": ("m", "y"), "given": {"x": X}, "kind": "ggn"}
    for asked in (fisher_operator, ec.fisher_information):
        with pytest.raises(ArgumentError, match="prediction of 'y' needs values of 'm': give data"):
            asked(energy, **options)


def test_a_cost_that_bends_downward():
    energy = ec.Energy([ec.Mechanism("y", "x", Net(1), ec.StudentTCost(1.0))])
    with pytest.raises(ArgumentError, match="the cost of 'y' bends downward at the data"):
        fisher_operator(energy, given={"x": X}, kind="ggn", data={"y": X[:, :1] + 10})


def test_a_parameter_that_no_prediction_uses():
    energy = ec.Energy(
        [ec.Mechanism("y", "x", Net(), ec.SquaredError(nn.Parameter(torch.tensor(0.5, dtype=F64))), dim=2)]
    )
    with pytest.raises(EnergyError, match="no prediction of .* depends on .*scale"):
        fisher_operator(energy, given={"x": X}, kind="ggn")


def test_kinds_that_an_operator_does_not_know(unchecked):
    with pytest.raises(ArgumentError, match="kind must be 'expected' or 'ggn'; got 'opg'"):
        fisher_operator(regression(), given={"x": X}, kind="opg")
