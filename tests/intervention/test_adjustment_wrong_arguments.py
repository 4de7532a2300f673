"""What is no table, no name, no number or no estimator is refused by name."""

import numpy as np
import pandas as pd
import pytest

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.intervention import Bootstrap, covariate_balance, effects_by

pytestmark = pytest.mark.usefixtures("unchecked")


def table(kind="continuous"):
    draws = np.random.default_rng(0)
    w, t = draws.standard_normal(200), draws.integers(0, 2, 200)
    y = t + w + draws.standard_normal(200)
    y = (y > 0.5).astype(float) if kind == "binary" else y
    return ec.CausalTable(pd.DataFrame({"w": w, "t": t, "y": y}), "t", "y", ["w"])


class Means:
    """An estimator that predicts zeros, as many as it is told to."""

    def __init__(self, error=None, rows=None):
        self.error, self.rows = error, rows

    def fit(self, columns, target):
        if self.error is not None:
            raise self.error
        return self

    def predict(self, columns):
        return np.zeros(len(columns) if self.rows is None else self.rows)


class Chances(Means):
    """A classifier that knows so many classes."""

    def __init__(self, classes=2):
        super().__init__()
        self.classes = classes

    def predict_proba(self, columns):
        return np.full((len(columns), self.classes), 1 / self.classes)


@pytest.mark.parametrize("ask", [ec.adjust, covariate_balance, lambda found: effects_by(found, "w")])
@pytest.mark.parametrize("found", [None, 3, pd.DataFrame({"t": [0, 1]})])
def test_what_is_no_table(ask, found):
    with pytest.raises(ArgumentError, match=f"a CausalTable is needed; got {type(found).__name__}"):
        ask(found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "standardization", "interactions": 3}, "interactions must be a list of names; got 3"),
        ({"method": "front_door", "mediators": 3}, "mediators must be a list of names; got 3"),
        (
            {"method": "instrument", "instruments": "w"},
            "instruments must be a list of names; got the text 'w'",
        ),
        ({"method": "weighting", "stabilized": 3}, "stabilized must be True or False; got 3"),
        ({"method": "weighting", "trim": "a"}, "trim must be a propensity from 0 to below .5; got 'a'"),
        (
            {"method": "doubly_robust", "outcome_model": Chances()},
            "outcome_model is a classifier .* 'y' is continuous",
        ),
        (
            {"method": "doubly_robust", "outcome_model": Means(ValueError("odd"))},
            "Means cannot be fitted to .* odd",
        ),
        (
            {"method": "doubly_robust", "outcome_model": Means(rows=3)},
            "outcome_model predicts 3 values for 41 rows",
        ),
        ({"method": "doubly_robust", "propensity_model": Chances(3)}, r"gives chances of shape \[41, 3\]"),
    ],
)
def test_options_of_another_kind(options, message):
    with pytest.raises(ArgumentError, match=message):
        ec.adjust(table(), **options)


@pytest.mark.parametrize("classes", [1, 2.5, "a", None])
def test_classes_that_are_no_number(classes):
    with pytest.raises(ArgumentError, match="classes must be 2 or more; got"):
        effects_by(table(), "w", classes=classes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": "a"}, "workers must be a whole number; got 'a'"),
        ({"backend": 3}, "backend must be the name of a back end of joblib; got 3"),
        ({"progress": 3}, "progress"),
        ({"draws": "a"}, "a bootstrap needs 20 draws or more; got a"),
    ],
)
def test_a_bootstrap_of_another_kind(options, message):
    with pytest.raises(ArgumentError, match=message):
        Bootstrap(**options)


def test_rows_of_draws_that_are_not_there():
    energy = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError()) + ec.GaussianRegularizer(1)
    draws = ec.interventional(energy, do={"z": [0.0, 1.0]}, draws=10)
    for row in (2, -3, 0.5, None):
        with pytest.raises(ArgumentError, match="a contrast is of two rows, from 0 to 1"):
            draws.contrast(row, 0)
    for share in ("a", None, 0.0):
        with pytest.raises(ArgumentError, match="an interval's probability lies between 0 and 1"):
            draws.interval(share)


def test_probabilities_of_causation_of_no_energy():
    with pytest.raises(ec.errors.EnergyError, match="an energy is made by .* got int"):
        ec.probabilities_of_causation(3)
