import numpy as np
import pytest

from ebm_causal.data import linear_world, village_world
from ebm_causal.errors import ArgumentError


def slope(world):
    table = world.table()
    treatment, outcome = (
        table.design.residualize(values) for values in (table.treatment_values, table.outcome_values)
    )
    estimate = treatment @ outcome / (treatment @ treatment)
    noise = outcome - estimate * treatment
    return estimate, np.sqrt(noise @ noise / (treatment @ treatment) / table.rows)


@pytest.mark.parametrize("covariates", [0, 3])
def test_seen_the_slope_of_a_linear_world_is_the_biased_one(covariates):
    world = linear_world(20_000, effect=1.0, covariates=covariates, seed=3)
    assert world.observed_slope == 2.0
    estimate, error = slope(world)
    assert abs(estimate - 2.0) < 4 * error


def test_without_confounding_the_slope_is_the_effect():
    world = linear_world(20_000, treatment_on_latent=0.0, effect=0.7, seed=4)
    estimate, error = slope(world)
    assert world.observed_slope == world.effect == 0.7
    assert abs(estimate - 0.7) < 4 * error


def test_with_the_latent_seen_the_slope_is_the_effect():
    world = linear_world(20_000, seed=5)
    seen = world.frame.assign(z=world.latent)
    design = np.column_stack([np.ones(20_000), seen["treatment"], seen["z"]])
    coefficients, residual, *_ = np.linalg.lstsq(design, seen["outcome"], rcond=None)
    error = np.sqrt(residual[0] / 20_000 * np.linalg.inv(design.T @ design)[1, 1])
    assert abs(coefficients[1] - world.effect) < 4 * error


def test_a_binary_world_has_a_treatment_of_zeros_and_ones():
    world = linear_world(500, binary_treatment=True, covariates=1, seed=0)
    assert set(world.frame["treatment"]) == {0.0, 1.0}
    assert world.observed_slope is None
    assert world.table().covariates == ("w1",)


def test_a_village_world_has_the_size_of_the_survey_and_its_effect():
    world = village_world(seed=1)
    table = world.table()
    assert (table.rows, table.design.columns + 2) == (1276, 493)
    estimate, error = slope(world)
    assert abs(estimate - world.effect) < 4 * error * np.sqrt(1276 / (1276 - 493))


def test_worlds_repeat_with_their_seed():
    assert linear_world(10, seed=1).frame.equals(linear_world(10, seed=1).frame)
    assert not linear_world(10, seed=1).frame.equals(linear_world(10, seed=2).frame)
    assert village_world(seed=1).frame.equals(village_world(seed=1).frame)


def test_worlds_without_rows_are_refused():
    with pytest.raises(ArgumentError, match="rows must be 2 or more; got 1"):
        linear_world(1)
    with pytest.raises(ArgumentError, match="each of the 486 villages needs a row; got 100 rows"):
        village_world(rows=100)
