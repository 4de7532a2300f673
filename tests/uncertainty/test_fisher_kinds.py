"""The kinds of information, what it can be about, and the laws that hold for all of them."""

import pytest
import torch
from torch import nn
from uncertainty.latent_line import Linear, linear, mechanism, mixture, number

import ebm_causal as ec
import ebm_causal.uncertainty.latent_draws as latent_draws_module
from ebm_causal.errors import ArgumentError, ConvergenceError

F64 = torch.float64


# What it is about.


@pytest.mark.parametrize("kind", ["expected", "observed"])
def test_the_location_of_y(kind):
    data = {"data": {"y": [[6.4]]}} if kind != "expected" else {}
    found = linear("y", kind=kind, **data)
    assert found.matrix.item() == pytest.approx(2.0, rel=1e-6)
    assert found.names == ("y",)


@pytest.mark.parametrize("kind", ["expected", "observed"])
def test_the_latent_at_a_fixed_value_and_its_posterior_precision(kind):
    data = {"data": {"y": [[6.4]]}} if kind != "expected" else {}
    fixed = linear("z", given={"x": [[3.0]], "z": [[0.3]]}, kind=kind, **data)
    assert fixed.matrix.item() == pytest.approx(0.75, rel=1e-6)
    data = {"data": {"z": [[0.1]]}} if kind != "expected" else {}
    posterior = linear("z", "z", {"x": [[3.0]], "y": [[6.4]]}, kind=kind, **data)
    assert posterior.matrix.item() == pytest.approx(2.25, rel=1e-6)


def test_an_input():
    """x moves the mean of y by w: w^2 / S."""
    found = linear("x")
    assert found.matrix.item() == pytest.approx(4 / 0.5, rel=1e-6)
    assert found.complete.item() == pytest.approx(4 * 3.0, rel=1e-6)


def test_beta_of_normalized_mechanisms():
    """S goes as 1 / beta, whatever the parameters: one half per row over beta squared."""
    for energy in (mechanism(), ec.energy(Linear(), x=1, y=1, z=1)):
        found = ec.fisher_information(energy, wrt="beta", given={"x": [[3.0]]}, beta=1.5)
        assert found.matrix.item() == pytest.approx(0.5 / 1.5**2, rel=1e-6)
        assert found.names == ("beta",)


# Kinds.


def test_opg_is_the_square_of_the_score():
    """The score of w at y is (y - w x) x / S."""
    for energy in (mechanism(), ec.energy(Linear(), x=1, y=1, z=1)):
        name = "input_weight" if isinstance(energy, ec.LinearGaussianEnergy) else "w"
        found = ec.fisher_information(
            energy, name, given={"x": [[3.0], [1.0]]}, kind="opg", data={"y": [[6.4], [1.5]]}, beta=1.5
        )
        scores = torch.tensor([0.4 * 3 / 0.5, -0.5 / 0.5], dtype=F64)
        assert torch.allclose(found.scores.flatten(), scores, atol=1e-6)
        assert found.matrix.item() == pytest.approx((scores**2).sum().item(), rel=1e-6)


class Net(nn.Module):
    def __init__(self, activation):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(2, 3), activation, nn.Linear(3, 1)).double()

    def forward(self, x):
        return self.layers(x)


ACTIVATIONS = (nn.Tanh(), nn.SiLU(), nn.GELU(), nn.Softplus(), nn.ELU(), nn.Mish())
X = torch.randn(7, 2, generator=torch.Generator().manual_seed(0), dtype=F64)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_gauss_newton_is_the_expected_information_of_a_normal_outcome(activation):
    energy = ec.Energy([ec.Mechanism("y", "x", Net(activation), ec.SquaredError(0.5))])
    with torch.no_grad():
        ggn = ec.fisher_information(energy, given={"x": X}, kind="ggn", by_row=True)
        exact = ec.fisher_information(energy, given={"x": X}, by_row=True)
    assert torch.allclose(ggn.matrix, exact.matrix, atol=1e-7)
    assert torch.allclose(ggn.by_row, exact.by_row, atol=1e-7)
    assert torch.allclose(ggn.by_row.sum(0), ggn.matrix)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_the_observed_information_is_torch_s_hessian_under_no_grad(activation):
    net = Net(activation)
    energy = ec.Energy([ec.Mechanism("y", "x", net, ec.SquaredError(0.5))])
    y = torch.linspace(-1, 1, 7, dtype=F64)[:, None]
    with torch.no_grad():
        found = ec.fisher_information(energy, given={"x": X}, kind="observed", data={"y": y})
    flat = nn.utils.parameters_to_vector(net.parameters()).detach()
    sizes = [p.numel() for p in net.parameters()]
    names = [name for name, _ in net.named_parameters()]

    def loss(theta):
        parts = {
            n: t.reshape(p.shape) for n, t, p in zip(names, theta.split(sizes), net.parameters(), strict=True)
        }
        return ((torch.func.functional_call(net, parts, (X,)) - y) ** 2).sum() / (2 * 0.25)

    assert torch.allclose(found.matrix, torch.autograd.functional.hessian(loss, flat), atol=1e-8)


def test_gauss_newton_of_a_logit_by_rows():
    energy = ec.Energy([ec.Mechanism("y", "x", Net(nn.Tanh()), ec.BernoulliCost())])
    ggn = ec.fisher_information(energy, given={"x": X}, kind="ggn", beta=2.0)
    exact = ec.fisher_information(energy, given={"x": X}, beta=2.0)
    assert ggn.matrix.shape == exact.matrix.shape
    at_data = ec.fisher_information(
        energy, given={"x": X}, kind="ggn", beta=2.0, data={"y": torch.ones(7, 1, dtype=F64)}
    )
    assert torch.allclose(ggn.matrix, at_data.matrix)


def test_gauss_newton_of_a_latent_energy_is_its_complete_information():
    energy = mechanism()
    options = {"given": {"x": [[3.0]]}, "data": {"y": [[6.4]]}, "beta": 1.5}
    ggn = ec.fisher_information(energy, "input_weight", kind="ggn", **options)
    observed = ec.fisher_information(energy, "input_weight", kind="observed", **options)
    assert ggn.matrix.item() == pytest.approx(observed.complete.item(), rel=1e-8)


# Latents by draws: Fisher's and Louis' identities.


@pytest.mark.parametrize("kind", ["observed", "opg"])
def test_latents_by_draws_agree_with_the_lattice(kind):
    options = {"given": {"x": [[3.0], [1.0]]}, "data": {"y": [[6.4], [1.5]]}, "beta": 1.5, "kind": kind}
    wrt = ("input_weight", "latent_weight")
    exact = ec.fisher_information(mechanism(), wrt, **options)
    drawn = ec.fisher_information(mechanism(), wrt, draws=8000, seed=1, **options)
    assert ((drawn.matrix - exact.matrix).abs() < 5 * drawn.standard_error).all()
    if kind == "observed":
        assert ((drawn.complete - exact.complete).abs() < 5 * drawn.standard_error + 0.2).all()


def test_three_latents_that_no_marginal_lattice_serves():
    """Known in closed form: y | x ~ N(w x, s^2 + |W|^2)."""
    weight = torch.tensor([[0.5, -0.3, 0.8]], dtype=F64)
    energy = ec.LinearGaussianEnergy(weight, torch.full((1, 1), 2.0, dtype=F64), scale=0.7)
    found = ec.fisher_information(
        energy, "input_weight", given={"x": [[3.0]]}, kind="observed", data={"y": [[5.0]]}, draws=4000
    )
    known = 9.0 / (0.49 + 0.98)
    assert abs(found.matrix.item() - known) < 5 * found.standard_error.item()
    assert found.complete.item() == pytest.approx(9 / 0.49, rel=1e-6)


def test_a_posterior_that_has_not_converged(monkeypatch):
    class Bad:
        ok, warnings = False, ("it did not mix.",)

    posterior = type("Stub", (), {"diagnostics": Bad(), "values": {}})()
    monkeypatch.setattr(latent_draws_module, "sample", lambda *_, **__: posterior)
    with pytest.raises(ConvergenceError, match=r"posterior of \['z'\] has not converged: it did not mix"):
        ec.fisher_information(
            mechanism(), "input_weight", given={"x": [[3.0]]}, kind="observed", data={"y": [[5.0]]}, draws=100
        )


# What follows from a matrix.


def test_the_fraction_of_missing_information():
    found = linear("w")
    assert found.fraction_missing.tolist() == pytest.approx([1 / 3], rel=1e-6)
    assert found.summary().loc["w", "missing"] == pytest.approx(1 / 3, rel=1e-6)
    assert found.standard_errors.item() == pytest.approx(18**-0.5, rel=1e-6)


def test_complete_minus_missing_for_a_mixture():
    found = ec.fisher_information(mixture(), kind="observed", data={"y": [0.5]})
    chance = torch.softmax(torch.tensor([-0.125, -1.125], dtype=F64), 0)
    assert torch.allclose(found.complete, torch.diag(chance), atol=1e-7)
    assert torch.allclose(found.complete - found.missing, found.matrix)


def test_the_sandwich_of_least_squares():
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(40, 2, generator=generator, dtype=F64)
    y = x @ torch.tensor([1.0, -2.0], dtype=F64) + x[:, 0].abs() * torch.randn(
        40, generator=generator, dtype=F64
    )
    theta = torch.linalg.lstsq(x, y[:, None]).solution
    energy = ec.LinearGaussianEnergy(torch.zeros(1, 1, dtype=F64), theta.T.clone())
    found = ec.fisher_information(
        energy, "input_weight", given={"x": x}, kind="observed", data={"y": y[:, None]}
    )
    residual = y - (x @ theta).squeeze(-1)
    bread = torch.linalg.inv(x.mT @ x)
    known = bread @ (x.mT @ (residual[:, None] ** 2 * x)) @ bread
    assert torch.allclose(found.sandwich, known, rtol=1e-6)
    assert "sandwich_error" in found.summary().columns


def test_the_natural_gradient():
    found = ec.fisher_information(mechanism(), "input_weight", given={"x": [[3.0]]}, beta=1.5)
    assert found.natural_gradient([9.0]).item() == pytest.approx(0.5, rel=1e-6)
    singular = linear(("v", "s"))
    with pytest.raises(ArgumentError, match="not positive definite .* give damping"):
        singular.natural_gradient([1.0, 0.0])
    damped = singular.natural_gradient([1.0, 0.0], damping=0.1)
    assert torch.allclose(
        (singular.matrix + 0.1 * torch.eye(2, dtype=F64)) @ damped, torch.tensor([1.0, 0.0], dtype=F64)
    )
    with pytest.raises(ArgumentError, match=r"the gradient must be \[2\]; got \[3\]"):
        singular.natural_gradient([1.0, 0.0, 0.0])
    with pytest.raises(ArgumentError, match="damping must not be negative"):
        singular.natural_gradient([1.0, 0.0], damping=-1.0)


# Laws.


def test_another_parametrization_changes_the_information_by_its_jacobian():
    class Scaled(Linear):
        def forward(self, x, y, z):
            error = y - 4.0 * (self.w / 4.0) * x - self.v * z
            return (0.5 * self.s * error**2 + 0.5 * self.tau * z**2).sum(-1)

    class Cubed(Linear):
        def __init__(self):
            super().__init__()
            self.w = number(2.0 ** (1 / 3))

        def forward(self, x, y, z):
            error = y - self.w**3 * x - self.v * z
            return (0.5 * self.s * error**2 + 0.5 * self.tau * z**2).sum(-1)

    for module, slope in ((Scaled(), 1.0), (Cubed(), 3 * 2.0 ** (2 / 3))):
        energy = ec.energy(module, x=1, y=1, z=1)
        found = ec.fisher_information(energy, "w", given={"x": [[3.0]]}, beta=1.5)
        assert found.matrix.item() == pytest.approx(18 * slope**2, rel=1e-6)


def test_symmetric_positive_and_by_row():
    found = linear(("w", "v", "s", "tau", "beta"), given={"x": [[3.0], [1.0]]}, by_row=True)
    assert torch.equal(found.matrix, found.matrix.mT) or torch.allclose(found.matrix, found.matrix.mT)
    assert found.smallest_eigenvalue > -1e-9 * float(found.eigenvalues[-1])
    for row, x in enumerate((3.0, 1.0)):
        alone = linear(("w", "v", "s", "tau", "beta"), given={"x": [[x]]})
        assert torch.allclose(found.by_row[row], alone.matrix, atol=1e-8)
