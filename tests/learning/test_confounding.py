"""Effects over the prior of a hidden confounder's strength."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import ebm_causal as ec
from ebm_causal.data import linear_world
from ebm_causal.energies import Strength, confounded_energy, strengths_of
from ebm_causal.errors import ArgumentError
from ebm_causal.learning import (
    HELD,
    StrengthPrior,
    average_effect,
    fit_over_strengths,
    implied_strength,
    index_strength,
)

PRIOR = StrengthPrior(treatment=0.2, outcome=0.15)


def table_of(binary: bool, rows: int = 400) -> ec.CausalTable:
    return linear_world(rows, covariates=2, binary_treatment=binary, seed=4).table()


def fitted(table: ec.CausalTable, strength: Strength, **options):
    standardized = table.standardized()
    columns = standardized.covariates.shape[1]
    energy = confounded_energy(
        columns, binary_treatment=table.treatment_kind == "binary", strength=strength, **options
    )
    data = {"t": standardized.treatment, "y": standardized.outcome} | (
        {"w": standardized.covariates} if columns else {}
    )
    return ec.fit(energy, data, method="map", fixed=HELD), standardized


@pytest.mark.parametrize("alignment", [-1.0, 1.0])
def test_a_linear_energy_gives_the_omitted_variable_formula(alignment):
    table = table_of(binary=False)
    omitted = ec.omitted_variable_bias(table)
    strength = Strength(treatment=0.3, outcome=0.2, alignment=alignment)
    fit, standardized = fitted(table, strength)
    effect = standardized.effect_in_units(float(average_effect(fit.energy, fit.data).detach()))
    moved = abs(float(omitted.bias(0.3, 0.2)))
    assert effect == pytest.approx(omitted.estimate - alignment * moved, abs=2e-4 * abs(moved))


def test_strength_zero_is_least_squares():
    table = table_of(binary=False)
    fit, standardized = fitted(table, Strength(treatment=0.0, outcome=0.0))
    effect = standardized.effect_in_units(float(average_effect(fit.energy, fit.data).detach()))
    assert effect == pytest.approx(ec.adjust(table, "regression").estimate, rel=1e-4)


def test_implied_strengths_of_a_linear_energy_are_the_stated_ones():
    fit, _ = fitted(table_of(binary=False), Strength(treatment=0.3, outcome=0.2))
    assert implied_strength(fit.energy, fit.data) == pytest.approx((0.3, 0.2), abs=1e-3)


def test_implied_strength_of_a_binary_treatment_agrees_with_a_simulation():
    fit, _ = fitted(table_of(binary=True), Strength(treatment=0.4, outcome=0.2))
    generator = np.random.default_rng(0)
    rows = fit.data["t"].repeat(500, 1)
    data = {name: value.repeat(500, 1) for name, value in fit.data.items()}
    z = torch.from_numpy(generator.normal(size=(len(rows), 1)))
    with torch.no_grad():
        chance = fit.energy.factors["t"].mean({**data, "z": z})
    treated = (torch.from_numpy(generator.uniform(size=(len(rows), 1))) < chance).double()
    columns = torch.cat([torch.ones_like(z), *([data["w"]] if "w" in data else [])], -1)
    left = treated - columns @ torch.linalg.lstsq(columns, treated).solution
    share = float((left * z).mean() ** 2 / (left**2).mean())
    error = 2 * math.sqrt(share / len(rows)) * 3
    assert implied_strength(fit.energy, fit.data)[0] == pytest.approx(share, abs=error + 2e-3)


@pytest.fixture(scope="module")
def swept():
    fit, _ = fitted(table_of(binary=True), PRIOR.median(1.0))
    return fit, fit_over_strengths(fit, PRIOR, draws=8, seed=1)


def test_every_fit_arrives_and_the_energy_is_left_as_it_came(swept):
    fit, found = swept
    assert found.converged.all()
    assert float(torch.sigmoid(strengths_of(fit.energy).treatment.detach())) == pytest.approx(
        PRIOR.median(1.0).treatment
    )


def test_a_confounder_that_raises_the_estimate_leaves_a_lower_effect(swept):
    _, found = swept
    signs = np.array([strength.alignment for strength in found.strengths])
    assert (np.sign(found.bias) == signs).all()


def test_mixture_quantiles_hold_their_probability(swept):
    _, found = swept
    generator = np.random.default_rng(0)
    pick = generator.integers(len(found.effects), size=200_000)
    draws = found.effects[pick] + found.standard_errors[pick] * generator.normal(size=len(pick))
    for probability in (0.025, 0.5, 0.975):
        below = (draws <= found.quantile(probability)).mean()
        assert below == pytest.approx(
            probability, abs=4 * math.sqrt(probability * (1 - probability) / len(draws))
        )
    assert draws.std() == pytest.approx(found.standard_deviation, rel=0.01)


def test_standard_errors_are_those_of_the_full_information(swept):
    fit, found = swept
    strength = found.strengths[0]
    energy = confounded_energy(
        fit.data["w"].shape[1] if "w" in fit.data else 0, binary_treatment=True, strength=strength
    )
    own = ec.fit(energy, fit.data, method="map", fixed=HELD)
    row = own.summary().loc["y.decoder.effect"]
    assert found.effects[0] == pytest.approx(row["mean"], abs=0.02 * row["sd"])
    assert found.standard_errors[0] == pytest.approx(row["sd"], rel=2e-3)


def test_the_prior_has_its_means_and_both_signs():
    draws = PRIOR.draws(256, seed=0)
    assert np.mean([d.treatment for d in draws]) == pytest.approx(0.2, abs=0.01)
    assert np.mean([d.outcome for d in draws]) == pytest.approx(0.15, abs=0.01)
    assert sum(d.alignment for d in draws) == 0


def test_alignments_of_many_dimensions_are_those_of_random_directions():
    draws = StrengthPrior(treatment=0.2, outcome=0.2, latent_dim=5).draws(512, seed=0)
    cosines = np.array([d.alignment for d in draws])
    assert cosines.mean() == pytest.approx(0, abs=0.01)
    assert cosines.var() == pytest.approx(1 / 5, abs=0.01)


def test_a_binary_outcome_has_an_average_difference_of_chances():
    generator = np.random.default_rng(2)
    t = generator.integers(0, 2, size=600)
    y = (generator.uniform(size=600) < 0.3 + 0.3 * t).astype(float)
    table = ec.CausalTable(pd.DataFrame({"t": t, "y": y}), "t", "y")
    fit, _ = fitted(table, Strength(treatment=0.0, outcome=0.0), binary_outcome=True)
    naive = ec.adjust(table, "naive").estimate
    assert float(average_effect(fit.energy, fit.data).detach()) == pytest.approx(naive, abs=1e-4)


def test_an_index_strength_gives_the_linear_strength_that_was_asked_for():
    chances = np.random.default_rng(0).uniform(0.1, 0.9, size=4000)
    left = float((chances * (1 - chances)).mean())
    share = index_strength(chances, left, 0.05, most=0.9)
    generator = np.random.default_rng(1)
    index = np.log(chances / (1 - chances)) / np.sqrt(1 - share)
    z = generator.normal(size=(500, 4000))
    chance = 1 / (1 + np.exp(-(index + np.pi / np.sqrt(3 / (share / (1 - share))) * z)))
    assert (z * chance).mean() ** 2 / left == pytest.approx(0.05, rel=0.02)


def test_a_linear_strength_out_of_reach_gives_the_most():
    assert index_strength(np.full(10, 0.01), 0.0099, 0.5, most=0.6) == 0.6


@pytest.mark.parametrize("mean", [0.0, 1.0, -0.1])
def test_prior_means_outside_the_unit_interval_are_refused(mean):
    with pytest.raises(ArgumentError, match="mean partial R\\^2 toward the treatment"):
        StrengthPrior(treatment=mean, outcome=0.1)
