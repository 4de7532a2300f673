"""What is wrong with a trained energy is named, with the number that tells and its threshold."""

import pytest
import torch
from learning.toys import F64, normal, precision
from torch import nn

import ebm_causal as ec
from ebm_causal.learning import (
    ContrastiveDivergence,
    Loop,
    PersistentContrastiveDivergence,
    RegularizedLatent,
    VICReg,
    effective_rank,
)
from ebm_causal.learning.problems import Batch, problem_of
from ebm_causal.learning.replay import ReplayBuffer

SMALL = 5e-3  # a step so short that ten times as many lead much further


@pytest.mark.parametrize(("step_size", "labelled"), [(SMALL, True), (0.5, False)], ids=["short", "long"])
def test_draws_of_few_steps_that_differ_from_those_of_many_are_labelled(step_size, labelled):
    """Chains that start at data of variance 9 beside an energy of variance 1 fall on for thousands of short steps."""
    loss = ContrastiveDivergence(steps=20, step_size=step_size, sampler="ula")
    fit = ec.fit(
        precision(1.0), {"x": 3 * normal(1000)}, loss=loss, steps=1, learning_rate=1e-6, loop=Loop(held_out=0)
    )
    texts = [text for text in fit.diagnostics.warnings if text.startswith("short run")]
    assert bool(texts) == labelled
    if labelled:
        assert "after 20 steps and after 200 differs by" in texts[0]
        assert "threshold 3" in texts[0]
        assert "a sampler of 20 steps, not a density" in texts[0]


def test_chains_are_counted_in_batches_and_begin_anew_at_age_zero():
    loss = PersistentContrastiveDivergence(steps=1, step_size=0.1, size=64, renewed=0.0)
    options = {"loss": loss, "steps": 7, "loop": Loop(batch=64, held_out=0)}
    fit = ec.fit(precision(), {"x": normal(64)}, **options)
    assert "persistent chains: age 7 steps on average, 7 at most" in fit.training.notes


def test_five_in_a_hundred_chains_begin_anew_beside_the_batch_s_own_x():
    """With renewal certain every chain has the batch's x; with a twentieth, a binomial share of them."""
    rows = {"x": normal(4000), "y": normal(4000, 1)}
    energy = ec.energy(lambda x, y: ((x - y) ** 2).sum(-1), x=1, y=1)
    problem = problem_of(energy, rows, (), None, beta=1.0, count=4000)
    other = Batch({name: value + 100 for name, value in rows.items()}, torch.arange(4000))
    generator = torch.Generator().manual_seed(0)
    buffer = ReplayBuffer(problem, 4000, 0.05, at_data=True)
    buffer.ages += 3
    held, start, index = buffer.take(problem, other, generator)
    anew = held["x"][:, 0] > 50
    assert torch.equal(anew, start[:, 0] > 50)
    assert torch.equal(buffer.ages[index] == 0, anew)
    assert abs(anew.to(F64).mean().item() - 0.05) < 4 * (0.05 * 0.95 / 4000) ** 0.5
    assert torch.equal(held["x"][anew], other.rows["x"][anew])
    buffer.put(index, held, start)
    assert torch.equal(buffer.ages[index], torch.where(anew, 1, 4))


def test_a_latent_that_a_heavy_weight_silences_is_said_to_be_unused():
    energy = ec.LinearGaussianEnergy(
        torch.ones(2, 1, dtype=F64), torch.zeros(2, 1, dtype=F64), scale=1.0, regularizer_weight=1e4
    )
    x = normal(60)
    data = {"x": x, "y": torch.cat([x, -x], -1) + 0.1 * normal(60, 2, dim=2)}
    fit = ec.fit(energy, data, loss=RegularizedLatent(), steps=2, fixed=("y.cost.scale",))
    check = {c.name: c for c in fit.training.health}["use of the latent"]
    assert check.value < check.threshold == 0.01
    assert "the latent is not used: it takes away" in check.text
    assert check.text in fit.diagnostics.warnings


def test_an_embedding_on_a_line_is_said_to_have_collapsed():
    """Encoders of rank one: the effective rank of their embeddings is one of two."""
    flat = nn.Linear(2, 2, dtype=F64)
    with torch.no_grad():
        flat.weight.copy_(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    energy = ec.JointEmbeddingEnergy(flat, nn.Linear(2, 2, dtype=F64))
    data = {"x": normal(200, dim=2), "y": normal(200, 1, dim=2)}
    fit = ec.fit(energy, data, loss=VICReg(), steps=1, learning_rate=1e-9)
    check = {c.name: c for c in fit.training.health}["effective rank of Enc_x"]
    assert check.value == pytest.approx(1.0, abs=1e-3)
    assert "has collapsed to a line: its effective rank is 1.00 of 2 (threshold 1.5)" in check.text
    assert check.text in fit.diagnostics.warnings


def test_the_effective_rank_is_the_exponential_of_the_entropy_of_the_spectrum():
    """Roy and Vetterli (2007): of equal singular values their number, of one alone one."""
    circle = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=F64)
    assert effective_rank(circle) == pytest.approx(2.0, abs=1e-9)
    assert effective_rank(circle[:2]) == pytest.approx(1.0, abs=1e-6)
