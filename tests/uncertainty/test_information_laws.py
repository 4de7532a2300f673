"""Laws of information over all kinds of energies: normal, finite, latent, of nets with every smooth activation."""

import math

import pytest
import torch
from torch import nn
from uncertainty.latent_line import Ising, Linear, linear, mechanism, mixture, number

import ebm_causal as ec

F64 = torch.float64
X = torch.tensor([[0.5, 1.0], [3.0, -1.0], [-1.0, 0.2]], dtype=F64)
SPIN = ec.Variable(1, ec.finite([-1, 1]))


class Decoder(nn.Module):
    """A small net of x and, where there is one, z."""

    def __init__(self, activation=None, width=2):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(width, 2), activation or nn.Tanh(), nn.Linear(2, 1)).double()

    def forward(self, x, z=None):
        return self.layers(x if z is None else torch.cat(torch.broadcast_tensors(x, z), -1))


def energies():
    """Each with what it is asked over and given."""
    bit = ec.BernoulliCost()
    return {
        "latent line": (ec.energy(Linear(), x=1, y=1, z=1), "y", {"x": [[3.0], [1.0]]}),
        "mechanism": (mechanism(), "y", {"x": [[3.0], [1.0]]}),
        "spins": (ec.energy(Ising(0.5, 0.2), a=SPIN, b=SPIN), ("a", "b"), None),
        "mixture": (mixture(), "y", None),
        "net": (ec.Energy([ec.Mechanism("y", "x", Decoder(), ec.SquaredError(0.5))]), "y", {"x": X}),
        "bits": (ec.Energy([ec.Mechanism("y", "x", Decoder(), bit)]), "y", {"x": X}),
    }


NAMES = tuple(energies())


@pytest.mark.parametrize("name", NAMES)
def test_expected_information_is_symmetric_positive_and_rises_to_the_complete(name):
    energy, over, given = energies()[name]
    found = ec.fisher_information(energy, over=over, given=given, beta=1.5)
    size = float(found.eigenvalues[-1])
    assert torch.allclose(found.matrix, found.matrix.mT, atol=1e-12 * size)
    assert found.smallest_eigenvalue > -1e-9 * size
    assert torch.linalg.eigvalsh(found.missing)[0] > -1e-9 * size
    assert torch.allclose(found.complete - found.missing, found.matrix)


@pytest.mark.parametrize("name", NAMES)
def test_beta_times_an_energy_at_one_is_the_energy_at_beta(name):
    energy, over, given = energies()[name]
    at_beta = ec.fisher_information(energy, over=over, given=given, beta=1.7)
    scaled = ec.fisher_information(1.7 * energy, over=over, given=given)
    assert torch.allclose(scaled.matrix, at_beta.matrix, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["latent line", "mechanism", "net", "bits"])
@pytest.mark.parametrize("kind", ["expected", "observed", "opg"])
def test_every_kind_adds_over_rows(name, kind):
    energy, over, given = energies()[name]
    rows = torch.tensor(given["x"], dtype=F64) if isinstance(given["x"], list) else given["x"]
    y = torch.ones(len(rows), 1, dtype=F64)

    def asked(part):
        data = {} if kind == "expected" else {"data": {"y": y[part]}}
        return ec.fisher_information(energy, over=over, given={"x": rows[part]}, kind=kind, **data).matrix

    apart = sum(asked(slice(i, i + 1)) for i in range(len(rows)))
    assert torch.allclose(asked(slice(None)), apart, atol=1e-7)


def test_scores_of_finite_variables_average_to_nothing_exactly():
    energy, over, _ = energies()["spins"]
    law = ec.GibbsDensity(energy, over=over, beta=1.5)
    states = torch.tensor([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)], dtype=F64)
    chance = torch.softmax(law.log_prob(states), 0)
    scores = law.score(states, "parameters")
    assert torch.allclose(chance @ scores, torch.zeros(2, dtype=F64), atol=1e-12)
    known = ec.fisher_information(energy, over=over, beta=1.5).matrix
    assert torch.allclose(torch.einsum("s,si,sj->ij", chance, scores, scores), known, atol=1e-10)


def test_a_scaled_parameter_has_the_inverse_square_of_the_information():
    line = linear("w").matrix.item()

    class Tenths(Linear):
        def __init__(self):
            super().__init__()
            self.w = number(20.0)

        def forward(self, x, y, z):
            error = y - 0.1 * self.w * x - self.v * z
            return (0.5 * self.s * error**2 + 0.5 * self.tau * z**2).sum(-1)

    energy = ec.energy(Tenths(), x=1, y=1, z=1)
    found = ec.fisher_information(energy, "w", given={"x": [[3.0]]}, beta=1.5)
    assert found.matrix.item() == pytest.approx(line / 100, rel=1e-8)


ACTIVATIONS = (nn.Tanh(), nn.SiLU(), nn.GELU(), nn.Softplus(), nn.ELU(), nn.Mish())


def log_marginal(decoder, activation, bias):
    """Of both rows together, over a fine grid of z."""
    first, last = decoder.layers[0], decoder.layers[2]
    z, dz = torch.linspace(-8.0, 8.0, 100_001, dtype=F64), 16.0 / 100_000
    held = GIVEN * first.weight.detach()[:, 0]
    hidden = activation(held[:, None] + z[:, None] * first.weight.detach()[:, 1] + bias)
    prediction = hidden @ last.weight.detach()[0] + last.bias.detach()
    return (torch.logsumexp(-2 * (SEEN - prediction) ** 2 - z**2 / 2, 1) + math.log(dz)).sum()


GIVEN, SEEN = torch.tensor([[0.7], [-0.3]], dtype=F64), torch.tensor([[0.4], [1.0]], dtype=F64)


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda module: type(module).__name__)
def test_louis_identity_through_a_latent_s_decoder_under_no_grad(activation):
    """ELU's second derivative jumps: coarse lattices of z were off by 7 % there, and nothing told."""
    decoder, bias = Decoder(activation), "y.decoder.layers.0.bias"
    energy = ec.Mechanism("y", ("x", "z"), decoder, ec.SquaredError(0.5)) + ec.GaussianRegularizer(1)
    with torch.no_grad():
        found = ec.fisher_information(energy, bias, given={"x": GIVEN}, kind="observed", data={"y": SEEN})
    known = -torch.autograd.functional.hessian(
        lambda at: log_marginal(decoder, activation, at), decoder.layers[0].bias.detach()
    )
    off = (found.matrix - known).abs().max() / known.abs().max()
    assert off < (3e-4 if isinstance(activation, nn.ELU) else 1e-6)  # the grid's own error at a jump is 1e-4
    assert torch.allclose(found.complete - found.missing, found.matrix)
