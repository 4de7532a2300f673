import numpy as np
import pytest

from ebm_causal.data import CausalTable, linear_world, load_dataset, village_world
from ebm_causal.errors import ArgumentError
from ebm_causal.intervention import adjust

METHODS = ("naive", "regression", "weighting", "standardization", "doubly_robust")


@pytest.fixture(scope="module")
def nhefs():
    return load_dataset("nhefs")


def lalonde(name, covariates=None):
    table = load_dataset(name)
    covariates = table.covariates if covariates is None else covariates
    return CausalTable(table.frame, "treat", "re78", covariates)


# Known answers: Hernan and Robins 2020, chapters 12, 13 and 15, to more digits.


def test_nhefs_difference_of_means(nhefs):
    assert adjust(nhefs, "naive").estimate == pytest.approx(2.5405814550, abs=1e-10)


def test_nhefs_least_squares(nhefs):
    effect = adjust(nhefs, "regression")
    assert effect.estimate == pytest.approx(3.4626218292, abs=1e-10)
    assert effect.standard_error == pytest.approx(0.4384542551, abs=1e-10)
    assert effect.dof == 1546
    assert effect.interval == pytest.approx((2.6026, 4.3226), abs=5e-5)
    assert effect.interval_kind == "t, 1546 dof, classical"


def test_nhefs_weighting(nhefs):
    effect = adjust(nhefs, "weighting")
    assert effect.estimate == pytest.approx(3.4405354296, abs=1e-10)
    assert effect.standard_error == pytest.approx(0.5254935530, abs=1e-10)
    assert effect.interval == pytest.approx((2.4106, 4.4705), abs=5e-5)
    assert effect.interval_kind == "normal, HC0, weights taken as known"


@pytest.mark.parametrize(
    ("interactions", "estimate", "digits"),
    [(("smokeintensity",), 3.5173742009, 1e-10), (None, 3.43580, 5e-6), ((), 3.4626218292, 1e-10)],
    ids=["smokeintensity", "all columns", "none"],
)
def test_nhefs_standardization(nhefs, interactions, estimate, digits):
    effect = adjust(nhefs, "standardization", interactions=interactions)
    assert effect.estimate == pytest.approx(estimate, abs=digits)


# LaLonde 1986; Dehejia and Wahba 1999. The third was checked in rational arithmetic.
LALONDE = {
    "experiment, difference": ("lalonde-nsw", (), "naive", 1794.3424, 632.8534),
    "observational, difference": ("lalonde-cps", (), "naive", -8497.5161, 712.0207),
    "observational, earlier earnings": ("lalonde-cps", ("re75",), "regression", -77.70501978, 536.5980),
    "observational, eight covariates": ("lalonde-cps", None, "regression", 699.1318, 547.6361),
}


@pytest.mark.parametrize(
    ("name", "covariates", "method", "estimate", "error"), LALONDE.values(), ids=LALONDE.keys()
)
def test_lalonde(name, covariates, method, estimate, error):
    effect = adjust(lalonde(name, covariates), method)
    assert effect.estimate == pytest.approx(estimate, abs=5e-5)
    assert effect.standard_error == pytest.approx(error, abs=5e-5)


def test_the_experiment_with_and_without_covariates():
    effect = adjust(lalonde("lalonde-nsw"), "naive")
    assert effect.dof == 443
    assert effect.estimate / effect.standard_error == pytest.approx(2.8353, abs=5e-5)
    effect = adjust(lalonde("lalonde-nsw"), "regression")
    assert effect.estimate == pytest.approx(1676.3426, abs=5e-5)
    assert effect.standard_error == pytest.approx(639, abs=0.5)


# Laws


@pytest.mark.parametrize("method", METHODS)
def test_without_covariates_every_method_gives_the_difference_of_means(method):
    table = lalonde("lalonde-nsw", ())
    assert adjust(table, method).estimate == pytest.approx(adjust(table, "naive").estimate, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_an_effect_turns_and_scales_with_the_outcome(method, nhefs):
    frame = nhefs.frame.assign(turned=-1000 * nhefs.outcome_values + 5)
    other = CausalTable(
        frame, "qsmk", "turned", nhefs.covariates, categorical=nhefs.categorical, squares=nhefs.squares
    )
    effect, turned = adjust(nhefs, method), adjust(other, method)
    assert turned.estimate == pytest.approx(-1000 * effect.estimate, rel=1e-8)
    assert turned.standard_error == pytest.approx(1000 * effect.standard_error, rel=1e-8)
    assert turned.interval == pytest.approx(
        (-1000 * effect.interval[1], -1000 * effect.interval[0]), rel=1e-8
    )


@pytest.mark.parametrize("method", METHODS)
def test_an_effect_says_what_it_is(method, nhefs):
    effect = adjust(nhefs, method)
    assert (effect.method, effect.rows, effect.treatment, effect.outcome) == (method, 1566, "qsmk", "wt82_71")
    assert effect.level == 0.95
    assert effect.interval[0] < effect.estimate < effect.interval[1]
    assert list(effect.summary().columns) == ["estimate", "standard_error", "lower", "upper", "interval"]
    assert effect.summary().index.tolist() == [method]
    assert method in repr(effect)
    assert "95 %" in repr(effect)
    assert (effect.dof is None) == (method not in ("naive", "regression"))


@pytest.mark.parametrize(
    ("method", "binary"),
    [*((method, True) for method in METHODS[1:]), ("regression", False), ("standardization", False)],
)
def test_adjusting_for_all_confounders_recovers_the_effect(method, binary):
    world = linear_world(4000, effect=0.5, covariates=1, binary_treatment=binary, seed=11)
    frame = world.frame.assign(z=world.latent)
    effect = adjust(CausalTable(frame, "treatment", "outcome", ["w1", "z"]), method)
    assert abs(effect.estimate - 0.5) < 4 * effect.standard_error


@pytest.mark.parametrize("method", ["standardization", "doubly_robust"])
def test_errors_agree_with_the_spread_over_worlds(method):
    effects = []
    for seed in range(200):
        world = linear_world(
            300, effect=1.0, treatment_on_latent=0.8, covariates=1, binary_treatment=True, seed=seed
        )
        frame = world.frame.assign(z=world.latent)
        effects.append(adjust(CausalTable(frame, "treatment", "outcome", ["w1", "z"]), method))
    estimates = np.array([effect.estimate for effect in effects])
    errors = np.array([effect.standard_error for effect in effects])
    spread = estimates.std(ddof=1)
    assert abs(estimates.mean() - 1.0) < 4 * spread / np.sqrt(200)
    # the standard deviation of 200 normal draws is known to 5 %; these influence functions are first order
    assert abs(np.sqrt((errors**2).mean()) / spread - 1) < 4 * 0.05
    covered = np.mean([effect.interval[0] < 1.0 < effect.interval[1] for effect in effects])
    assert covered > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 200)


# Oracles: the plain way, written out


def dense(table):
    return np.column_stack([np.ones(table.rows), table.treatment_values, table.design.matrix()])


@pytest.mark.parametrize(
    "table", [village_world(rows=600, villages=60, seed=2).table(), linear_world(50).table()]
)
def test_regression_by_residuals_equals_the_dense_one(table):
    columns, outcome = dense(table), table.outcome_values
    coefficients = np.linalg.lstsq(columns, outcome, rcond=None)[0]
    noise = outcome - columns @ coefficients
    variance = noise @ noise / (len(outcome) - columns.shape[1])
    effect = adjust(table, "regression")
    assert effect.dof == len(outcome) - columns.shape[1]
    assert effect.estimate == pytest.approx(coefficients[1], rel=1e-9)
    error = np.sqrt(variance * np.linalg.inv(columns.T @ columns)[1, 1])
    assert effect.standard_error == pytest.approx(error, rel=1e-9)


def test_standardization_equals_a_regression_in_each_arm(nhefs):
    treatment, outcome = nhefs.treatment_values, nhefs.outcome_values
    columns = np.column_stack([np.ones(nhefs.rows), nhefs.design.matrix()])
    fits = [
        np.linalg.lstsq(columns[treatment == arm], outcome[treatment == arm], rcond=None)[0] for arm in (0, 1)
    ]
    assert adjust(nhefs, "standardization").estimate == pytest.approx(
        (columns @ (fits[1] - fits[0])).mean(), rel=1e-9
    )


def test_standardization_errors_equal_the_stacked_equations(nhefs):
    effect = adjust(nhefs, "standardization", interactions=("smokeintensity",))
    treatment, outcome = nhefs.treatment_values, nhefs.outcome_values
    moderator = nhefs.frame["smokeintensity"].to_numpy()
    columns = np.column_stack([dense(nhefs), treatment * moderator])
    columns = columns / np.abs(columns).max(axis=0)
    top = np.abs(treatment * moderator).max()
    coefficients = np.linalg.lstsq(columns, outcome, rcond=None)[0]
    noise = outcome - columns @ coefficients
    contrast = np.zeros((nhefs.rows, columns.shape[1]))
    contrast[:, 1], contrast[:, -1] = 1.0, moderator / top
    each = np.column_stack([columns * noise[:, None], contrast @ coefficients - effect.estimate])
    bread = np.zeros((each.shape[1],) * 2)
    bread[:-1, :-1], bread[-1, :-1], bread[-1, -1] = columns.T @ columns, -contrast.sum(axis=0), nhefs.rows
    inverse = np.linalg.inv(bread)
    variance = (inverse @ (each.T @ each) @ inverse.T)[-1, -1]
    assert effect.standard_error == pytest.approx(np.sqrt(variance), rel=1e-6)


def test_doubly_robust_equals_its_formula(nhefs):
    treatment, outcome = nhefs.treatment_values, nhefs.outcome_values
    columns = np.column_stack([np.ones(nhefs.rows), nhefs.design.matrix()])
    columns = columns / np.abs(columns).max(axis=0)
    logit = np.zeros(columns.shape[1])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-columns @ logit))
        curvature = columns.T @ (columns * (chance * (1 - chance))[:, None])
        logit += np.linalg.solve(curvature, columns.T @ (treatment - chance))
    chance = 1 / (1 + np.exp(-columns @ logit))
    means = [
        columns @ np.linalg.lstsq(columns[treatment == arm], outcome[treatment == arm], rcond=None)[0]
        for arm in (0, 1)
    ]
    each = (
        means[1]
        - means[0]
        + treatment * (outcome - means[1]) / chance
        - (1 - treatment) * (outcome - means[0]) / (1 - chance)
    )
    effect = adjust(nhefs, "doubly_robust")
    assert effect.estimate == pytest.approx(each.mean(), rel=1e-9)
    assert effect.standard_error == pytest.approx(each.std() / np.sqrt(nhefs.rows), rel=1e-9)


def test_cross_fitting_depends_on_the_seed_alone_and_stays_near(nhefs):
    whole = adjust(nhefs, "doubly_robust")
    crossed = [adjust(nhefs, "doubly_robust", folds=5, seed=seed) for seed in (0, 0, 1)]
    assert crossed[0] == crossed[1] != crossed[2]
    assert abs(crossed[0].estimate - whole.estimate) < whole.standard_error
    assert crossed[0].interval_kind == "normal, influence function, cross-fitted in 5 folds"


def test_standardization_of_a_continuous_treatment_is_the_average_slope():
    draws = np.random.default_rng(5)
    moderator = draws.standard_normal(4000)
    dose = moderator + draws.standard_normal(4000)
    gain = dose * (1 + 2 * moderator) + draws.standard_normal(4000)
    frame = linear_world(4000).frame.assign(moderator=moderator + 1, dose=dose, gain=gain)
    effect = adjust(CausalTable(frame, "dose", "gain", ["moderator"]), "standardization")
    slopes = np.mean(1 + 2 * moderator)
    assert abs(effect.estimate - slopes) < 4 * effect.standard_error


# Refusals


def test_methods_for_two_arms_refuse_a_continuous_treatment():
    table = linear_world(100, covariates=1).table()
    for method in ("weighting", "doubly_robust"):
        with pytest.raises(ArgumentError, match=f"{method} compares two arms, and 'treatment' is continuous"):
            adjust(table, method)


def test_options_that_do_not_serve_are_refused(nhefs):
    with pytest.raises(ArgumentError, match="method must be one of 'naive', .*; got 'matching'"):
        adjust(nhefs, "matching")
    with pytest.raises(
        ArgumentError, match="interactions serve standardization and doubly_robust, not regression"
    ):
        adjust(nhefs, "regression", interactions=())
    with pytest.raises(ArgumentError, match="folds serve doubly_robust, not weighting"):
        adjust(nhefs, "weighting", folds=2)
    with pytest.raises(ArgumentError, match="interactions name 'height', which is not among the covariates"):
        adjust(nhefs, "standardization", interactions=("height",))
    for folds in (1, 404):
        with pytest.raises(ArgumentError, match=rf"folds must be from 2 to the 403 rows .* arm; got {folds}"):
            adjust(nhefs, "doubly_robust", folds=folds)
