"""Laws of all losses, what each of them learns, and what each refuses."""

import math

import pytest
import torch
from learning.toys import F64, least_over_all_pairs, line, network, normal, over_all_pairs, paired, precision
from torch import nn

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.learning import (
    CollapsedLikelihood,
    ContrastiveDivergence,
    ContrastiveHinge,
    DenoisingScoreMatching,
    GradientPenalty,
    HardNegatives,
    InfoNCE,
    Loop,
    ModelDraws,
    NoiseContrastive,
    NoiseNegatives,
    PermutedPairs,
    PersistentContrastiveDivergence,
    RegularizedLatent,
    ScoreMatching,
    SlicedScoreMatching,
    SquareSquare,
    VICReg,
    squared_distance,
)

FAR = ContrastiveHinge(lambda y, c: 0.1 * squared_distance(y, c), HardNegatives(PermutedPairs(4)))
PAIRS = [
    FAR,
    InfoNCE(0.01),
    ContrastiveHinge(1.0, NoiseNegatives(0.5, 2)),
    ContrastiveHinge(1.0, ModelDraws(steps=3)),
    ContrastiveDivergence(step_size=0.2),
    PersistentContrastiveDivergence(steps=4, step_size=0.2, size=500),
    ScoreMatching(),
    SlicedScoreMatching(),
    DenoisingScoreMatching(0.2),
    CollapsedLikelihood(),
    FAR + GradientPenalty(1e-3),
]


@pytest.mark.parametrize("loss", PAIRS, ids=lambda loss: type(loss).__name__)
def test_every_loss_finds_the_line_that_pairs_lie_on(loss):
    """y = 2 x + noise of .1, with F = (y - w x)^2 / 2."""
    fit = ec.fit(line(), paired(), loss=loss, steps=80, learning_rate=0.1, loop=Loop(batch=128))
    assert fit.mean.item() == pytest.approx(2.0, abs=0.15)
    ranking = fit.training.ranking
    assert ranking.share > 0.9
    assert ranking.rows == "40 rows held out"
    assert math.isfinite(fit.training.loss[-1])


@pytest.mark.parametrize(("loss", "pull"), [
    (ContrastiveHinge(), lambda low, high: (low - high + 1).relu()),
    (SquareSquare(), lambda low, high: low**2 + (1 - high).relu() ** 2),
], ids=["hinge", "square-square"])  # fmt: skip
def test_a_margin_moves_the_minimum_to_where_its_sum_over_all_pairs_is_least(loss, pull):
    """A margin that near pairs cannot keep pays for a steeper line: 2.39 and 2.24 here, not 2."""
    data = paired()
    fit = ec.fit(
        line(), data, loss=loss, steps=200, learning_rate=0.3, loop=Loop(batch=128, decay=0.02, held_out=0)
    )
    assert over_all_pairs(data, pull, fit.mean[0]) < 1.01 * least_over_all_pairs(data, pull)
    assert over_all_pairs(data, pull, 2.0) > 1.03 * least_over_all_pairs(data, pull)
    assert fit.training.ranking.share > 0.9


def test_the_regularized_latent_finds_line_and_offset():
    torch.manual_seed(0)
    energy = ec.LatentEnergy(
        nn.Linear(1, 1, dtype=F64),
        lambda h, z: h + z,
        ec.SquaredError(0.5),
        ec.GaussianRegularizer(1, weight=4.0),
    )
    fit = ec.fit(energy, paired(200), loss=RegularizedLatent(), steps=60, learning_rate=0.1)
    assert fit.mean.tolist() == pytest.approx([2.0, 0.0], abs=0.05)


def test_the_envelope_gradient_is_that_of_the_minimum():
    """min_z (y - w - z)^2 / 2 + z^2 / 2 = (y - w)^2 / 4, so the first SGD step is known."""

    class Offset(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1, dtype=F64))

        def forward(self, z):
            return self.w + z

    y = normal(50) + 3
    energy = ec.Mechanism("y", "z", Offset(), ec.SquaredError()) + ec.GaussianRegularizer(1)
    loop = Loop(optimizer=torch.optim.SGD, held_out=0)
    fit = ec.fit(energy, {"y": y}, loss=RegularizedLatent(), steps=1, learning_rate=0.1, loop=loop)
    assert fit.mean.item() == pytest.approx(0.1 * y.mean().item() / 2, rel=1e-6)


def test_vicreg_does_not_collapse_where_agreement_alone_does():
    """Where x and y share nothing, agreement alone is least where both encoders are constant."""
    data = {"x": normal(300, dim=2), "y": normal(300, 5, dim=2)}
    related = {"x": data["x"], "y": data["x"] + 0.1 * data["y"]}
    torch.manual_seed(0)
    energy = ec.JointEmbeddingEnergy(nn.Linear(2, 2, dtype=F64), nn.Linear(2, 2, dtype=F64))
    fit = ec.fit(energy, related, loss=VICReg(), steps=100, learning_rate=0.05)
    assert all(check.ok for check in fit.training.health)
    alone = ec.fit(energy, data, loss=VICReg(25.0, 0.0, 0.0), steps=150, learning_rate=0.1)
    bad = {check.name: check for check in alone.training.health if not check.ok}
    assert {"energy in y", "spread of Enc_x", "spread of Enc_y"} <= set(bad)
    assert "has collapsed to a point: its standard deviation is" in bad["spread of Enc_x"].text
    assert "the energy is flat in y" in bad["energy in y"].text
    assert bad["energy in y"].text in alone.diagnostics.warnings


def test_finite_variables_have_exact_draws_and_an_exact_likelihood():
    """Two spins, E = -J s1 s2: the mean of s1 s2 is tanh(J)."""

    class Ising(nn.Module):
        def __init__(self):
            super().__init__()
            self.J = nn.Parameter(torch.zeros((), dtype=F64))

        def forward(self, s):
            return -self.J * s[..., 0] * s[..., 1]

    energy = ec.energy(Ising(), s=ec.Variable(2, ec.finite([-1, 1])))
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(0, 2, (400, 1), generator=generator).to(F64) * 2 - 1
    flip = torch.where(torch.rand(400, 1, generator=generator, dtype=F64) < 0.8, 1.0, -1.0)
    rows = torch.cat([first, first * flip], -1)
    fit = ec.fit(
        energy, {"s": rows}, loss=CollapsedLikelihood(), steps=150, learning_rate=0.1,
        loop=Loop(batch=400, held_out=0, decay=0.02),
    )  # fmt: skip
    assert math.tanh(fit.mean.item()) == pytest.approx(flip.mean().item(), abs=1e-3)
    drawn = ec.fit(
        energy, {"s": rows}, loss=ContrastiveHinge(1e3, ModelDraws("exact")), steps=80, learning_rate=0.1,
        loop=Loop(batch=400, held_out=0),
    )  # fmt: skip
    assert math.tanh(drawn.mean.item()) == pytest.approx(flip.mean().item(), abs=0.1)


def test_margins_grow_with_the_pair():
    from ebm_causal.learning.contrastive import Contrast
    from ebm_causal.learning.problems import Batch, problem_of

    rows = {"x": torch.zeros(2, 1, dtype=F64), "y": torch.tensor([[0.0], [3.0]], dtype=F64)}
    problem = problem_of(line(), rows, (), None, beta=1.0, count=2)
    loss = ContrastiveHinge(squared_distance).bind(problem)
    assert isinstance(loss, Contrast)
    terms = loss(Batch(rows, torch.arange(2)), torch.Generator().manual_seed(0))
    energies = torch.tensor([0.0, 4.5], dtype=F64)
    assert terms.loss.item() == pytest.approx(((energies - energies.flip(0)) + 9).relu().mean().item())


def one_latent():
    return ec.Mechanism(
        "y", "z", lambda z: z, ec.SquaredError(nn.Parameter(torch.ones(())))
    ) + ec.GaussianRegularizer(1)


FINITE = ec.Variable(2, ec.finite([-1, 1]))


def spins():
    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.h = nn.Parameter(torch.ones((), dtype=F64))

        def forward(self, s):
            return -self.h * s.sum(-1)

    return ec.energy(Field(), s=FINITE)


SPINS = {"s": torch.ones(20, 2, dtype=F64)}


@pytest.mark.parametrize("loss", [
    ScoreMatching(), SlicedScoreMatching(), DenoisingScoreMatching(), ContrastiveDivergence(),
    PersistentContrastiveDivergence(), NoiseContrastive(), ContrastiveHinge(1.0, NoiseNegatives()),
])  # fmt: skip
def test_slopes_are_refused_on_finite_variables(loss):
    with pytest.raises(EnergyError, match="goes by slopes and needs real variables; 's' has support finite"):
        ec.fit(spins(), SPINS, loss=loss, steps=5)


def relu():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(1, 8, dtype=F64), nn.ReLU(), nn.Linear(8, 1, dtype=F64))
    return ec.energy(Net(layers), x=1)


class Net(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        return self.layers(x).squeeze(-1)


MANY = {f"v{i}": normal(30, i) for i in range(5)}

REFUSED = [
    (CollapsedLikelihood(), lambda: network(tuple(MANY)), MANY, "needs log Z, an integral over 5 dimensions"),
    (ScoreMatching(), relu, {"x": normal(30)}, "they are zero at the data .a network of ReLUs has none"),
    (
        NoiseContrastive(),
        line,
        paired(30),
        r"learns one log Z, and given \['x'\] there is another for each row",
    ),
    (VICReg(), line, paired(30), "takes a JointEmbeddingEnergy; got Energy"),
    (RegularizedLatent(), line, paired(30), "minimizes over latents, and every variable is in the data"),
    (RegularizedLatent(), one_latent, {"y": normal(30)}, "is a parameter: without its log normalizer"),
    (ScoreMatching(over="w"), line, paired(30), r"over='w' is not among the observed variables \['x', 'y'\]"),
    (
        ContrastiveHinge(lambda y, c: 1.0),
        line,
        paired(30),
        r"margin\(y, contrast\) gets .* must give \[1, 27\]",
    ),
    (
        ContrastiveHinge(1.0, PermutedPairs(50)),
        line,
        paired(30),
        "50 permuted pairs need batches of more rows",
    ),
    (
        ContrastiveHinge(1.0, HardNegatives(PermutedPairs(2), 3)),
        line,
        paired(30),
        "keep=3 is more than the pool's 2",
    ),
]


@pytest.mark.parametrize(("loss", "energy", "data", "match"), REFUSED)
def test_losses_that_do_not_fit_the_energy(loss, energy, data, match):
    with pytest.raises((EnergyError, ArgumentError), match=match):
        ec.fit(energy(), data, loss=loss, steps=5)


@pytest.mark.parametrize(("make", "match"), [
    (lambda: ContrastiveHinge(0.0), "margin must be positive and finite"),
    (lambda: SquareSquare(-1.0), "margin must be positive and finite"),
    (lambda: InfoNCE(0.0), "temperature must be positive"),
    (lambda: ContrastiveDivergence(steps=0), "steps must be at least 1"),
    (lambda: ContrastiveDivergence(step_size=-1.0), "step_size must be positive"),
    (lambda: PersistentContrastiveDivergence(size=0), "size must be positive"),
    (lambda: DenoisingScoreMatching(0.0), "sigma must be positive"),
    (lambda: SlicedScoreMatching(0), "slices must be at least 1"),
    (lambda: NoiseContrastive(0), "ratio must be at least 1"),
    (lambda: GradientPenalty(0.0), "weight must be positive"),
    (lambda: NoiseNegatives(0.0), "scale must be positive"),
    (lambda: PermutedPairs(0), "count must be at least 1"),
])  # fmt: skip
def test_losses_that_make_no_sense(make, match):
    with pytest.raises(ArgumentError, match=match):
        make()


@pytest.mark.parametrize(("make", "match"), [
    (lambda: ContrastiveDivergence(sampler="nuts"), "sampler must be 'ula' or 'mala'"),
    (lambda: PersistentContrastiveDivergence(start="zero"), "start must be 'noise' or 'data'"),
    (lambda: ModelDraws(start="zero"), "start must be 'data' or 'noise'"),
])  # fmt: skip
@pytest.mark.usefixtures("unchecked")
def test_words_that_are_not_known(make, match):
    with pytest.raises(ArgumentError, match=match):
        make()


def test_a_penalty_makes_the_energy_smoother():
    x = normal(200)
    plain, smooth = (
        ec.fit(precision(), {"x": x}, loss=loss, steps=60, learning_rate=0.05).mean.item()
        for loss in (ScoreMatching(), ScoreMatching() + GradientPenalty(0.5))
    )
    assert smooth < 0.7 * plain
