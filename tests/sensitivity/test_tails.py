"""The slope under Student-t noise, which decides on an outcome's cost."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import check_grad

import ebm_causal as ec
from ebm_causal.energies import Strength, confounded_energy
from ebm_causal.learning import HELD, average_effect
from ebm_causal.sensitivity.tails import _student_cost, outcome_tail, student_slope


def heavy_world(rows, seed=0):
    draws = np.random.default_rng(seed)
    columns = draws.normal(size=(rows, 3)) @ np.array([[1.0, 0.3, 0.1], [0.0, 1.0, 0.4], [0.0, 0.0, 2.0]])
    return columns, columns @ [1.5, -0.4, 0.2] + 0.7 + 0.5 * draws.standard_t(2.5, size=rows)


def test_it_is_the_effect_of_the_energy_with_nothing_hidden():
    scaled = ec.load_dataset("lalonde-nsw").standardized()
    nothing = Strength(treatment=0.0, outcome=0.0)
    energy = confounded_energy(
        scaled.covariates.shape[1], binary_treatment=True, tail="heavy", strength=nothing
    )
    rows = {"t": scaled.treatment, "y": scaled.outcome, "w": scaled.covariates}
    fitted = ec.fit(energy, rows, method="map", fixed=HELD)
    columns = np.column_stack([scaled.treatment.numpy(), scaled.covariates.numpy()])
    found = student_slope(columns, scaled.outcome.numpy().ravel())
    assert found == pytest.approx(float(average_effect(fitted.energy, fitted.data).detach()), abs=1e-4)


def test_the_gradient_is_that_of_the_cost():
    columns, outcome = heavy_world(50)
    at = np.array([1.0, -0.5, 0.3, -0.2, 0.4])
    orthogonal = np.linalg.qr(columns)[0]
    gap = check_grad(
        *(lambda x, part=part: _student_cost(x, orthogonal, outcome)[part] for part in (0, 1)), at
    )
    assert gap < 1e-4


def test_heavy_tails_leave_the_slope_nearer_than_least_squares():
    mine, plain = [], []
    for seed in range(40):
        columns, outcome = heavy_world(200, seed)
        mine.append(student_slope(columns, outcome) - 1.5)
        design = np.column_stack([columns, np.ones(200)])
        plain.append(np.linalg.lstsq(design, outcome, rcond=None)[0][0] - 1.5)
    assert abs(np.mean(mine)) < 4 * np.std(mine) / np.sqrt(40)
    assert np.std(mine) < np.std(plain)


def test_normal_noise_has_the_slope_of_least_squares():
    draws = np.random.default_rng(3)
    columns = draws.normal(size=(400, 2))
    outcome = columns @ [0.5, 1.0] + draws.uniform(-1, 1, size=400)  # lighter tails than normal
    design = np.column_stack([columns, np.ones(400)])
    slope = np.linalg.lstsq(design, outcome, rcond=None)[0][0]
    assert student_slope(columns, outcome) == pytest.approx(slope, abs=1e-4)


def tail_of(table):
    scaled, regression = table.standardized(), ec.adjust(table)
    unit = scaled.effect_in_units(1.0)
    columns = np.column_stack([scaled.treatment.numpy(), scaled.covariates.numpy()])
    least_squares = regression.estimate / unit, regression.standard_error / unit
    return outcome_tail(table, columns, scaled.outcome.numpy().ravel(), least_squares)


def test_heavy_tails_get_their_cost_where_the_effect_stays_and_residuals_do_not_lean():
    columns, outcome = heavy_world(500)
    frame = pd.DataFrame(columns, columns=["t", "w1", "w2"]).assign(y=outcome)
    tail, note = tail_of(ec.CausalTable(frame, "t", "y", ["w1", "w2"]))
    assert tail == "heavy"
    assert "has a Student-t cost" in note
    tail, note = tail_of(ec.load_dataset("nhefs"))
    assert tail == "normal"
    assert "would move the effect by 1.4 standard errors" in note
    tail, note = tail_of(ec.load_dataset("lalonde-nsw"))
    assert tail == "normal"
    assert "residuals lean" in note


def test_units_do_not_matter_to_the_tail():
    columns, outcome = heavy_world(300)
    found = []
    for unit in (1.0, 1e150, 1e-150):
        frame = pd.DataFrame(columns, columns=["t", "w1", "w2"]).assign(y=unit * outcome)
        found.append(tail_of(ec.CausalTable(frame, "t", "y", ["w1", "w2"])))
    assert found[0] == found[1] == found[2]
