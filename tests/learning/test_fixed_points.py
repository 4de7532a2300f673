"""Where training stops on a Gaussian: closed forms, met within three standard errors over seeds."""

import math

import pytest
import torch
from learning.toys import F64, normal, precision, standardized

import ebm_causal as ec
from ebm_causal.learning import (
    CollapsedLikelihood,
    ContrastiveDivergence,
    DenoisingScoreMatching,
    Loop,
    NoiseContrastive,
    PersistentContrastiveDivergence,
    ScoreMatching,
    SlicedScoreMatching,
)

SEEDS = 4


def precisions(loss, x=standardized, **options):
    """What a loss learns of E = l x^2 / 2, over seeds, and its fits."""
    loop = Loop(batch=1000, held_out=0, decay=0.02)
    settings = {"steps": 120, "learning_rate": 0.1, "loop": loop, **options}
    fits = [
        ec.fit(precision(), {"x": x(seed=seed)}, loss=loss, seed=seed, **settings) for seed in range(SEEDS)
    ]
    return torch.stack([fit.mean for fit in fits]).flatten(), fits


def near(values, truth, most):
    """Within three standard errors, which are no larger than stated."""
    error = float(values.std()) / len(values) ** 0.5
    assert error < most
    assert abs(float(values.mean()) - truth) < 3 * error


def test_unadjusted_contrastive_divergence_stops_where_its_step_leads_it():
    """MATH: (1 - sqrt(1 - 2 h / s)) / h with s = 1 and h = .1."""
    values, _ = precisions(ContrastiveDivergence(step_size=0.1, sampler="ula"))
    known = (1 - math.sqrt(1 - 0.2)) / 0.1
    assert known == pytest.approx(1.055728090, abs=1e-9)
    near(values, known, 0.012)


def test_adjusted_contrastive_divergence_stops_at_the_maximum_of_the_likelihood():
    values, _ = precisions(ContrastiveDivergence(step_size=0.1, sampler="mala"))
    near(values, 1.0, 0.012)


def test_persistent_chains_stop_at_the_maximum_of_the_likelihood():
    values, _ = precisions(PersistentContrastiveDivergence(steps=2, step_size=0.4, size=2000))
    near(values, 1.0, 0.012)


def test_denoising_learns_the_precision_of_the_noisy_data():
    """1 / (s + sigma^2) with s = 1 and sigma = .5."""
    values, _ = precisions(DenoisingScoreMatching(0.5))
    near(values, 0.8, 0.01)


@pytest.mark.parametrize("loss", [ScoreMatching(), SlicedScoreMatching(2), CollapsedLikelihood()])
def test_what_needs_no_noise_stops_at_the_maximum_of_the_likelihood(loss):
    fit = ec.fit(
        precision(), {"x": standardized()}, loss=loss, steps=200, learning_rate=0.05,
        loop=Loop(batch=1000, held_out=0, decay=0.02),
    )  # fmt: skip
    assert fit.mean.item() == pytest.approx(1.0, abs=1e-4)


def test_noise_contrastive_estimation_learns_log_z():
    """c = log Z = log(2 pi s) / 2, over fresh data of variance s = 4."""
    values, fits = precisions(
        NoiseContrastive(ratio=4, widened=1.5), lambda seed: 2 * normal(1000, seed), learning_rate=0.05
    )
    near(values, 0.25, 0.01)
    found = torch.tensor([fit.training.learned["log_partition"] for fit in fits], dtype=F64)
    near(found, 0.5 * math.log(2 * math.pi * 4), 0.03)


def test_beta_divides_what_is_learned():
    fit = ec.fit(
        precision(), {"x": standardized()}, loss=ScoreMatching(), beta=4.0, steps=250, learning_rate=0.02,
        loop=Loop(batch=1000, held_out=0, decay=0.02),
    )  # fmt: skip
    assert fit.mean.item() == pytest.approx(0.25, abs=1e-4)
