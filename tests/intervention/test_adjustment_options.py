import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from ebm_causal.data import CausalTable, load_dataset, village_world
from ebm_causal.errors import ArgumentError, ConvergenceError, OverlapError, TableError
from ebm_causal.intervention import adjust, propensity
from ebm_causal.intervention.regression_errors import leverages

ARMS = ("weighting", "standardization", "doubly_robust")


@pytest.fixture(scope="module")
def nhefs():
    return load_dataset("nhefs")


@pytest.fixture(scope="module")
def deaths(nhefs):
    return CausalTable(
        nhefs.frame, "qsmk", "death", nhefs.covariates, categorical=nhefs.categorical, squares=nhefs.squares
    )


def uneven_world(rows=3000, seed=0):
    """Effect 1 + w of a treatment that is likelier where w is high: ATE 1, ATT above, ATC below."""
    draws = np.random.default_rng(seed)
    w = draws.standard_normal(rows)
    t = (draws.random(rows) < expit(w)).astype(float)
    y = (1 + w) * t + w + draws.standard_normal(rows)
    return pd.DataFrame({"w": w, "t": t, "y": y, "site": np.arange(rows) // 5})


# Known answers


def test_the_experiment_with_errors_that_allow_for_uneven_noise():
    table = load_dataset("lalonde-nsw")
    effect = adjust(CausalTable(table.frame, "treat", "re78"), "naive", errors="HC2")
    assert effect.standard_error == pytest.approx(670.9965, abs=5e-5)
    assert effect.interval_kind == "t, 443 dof, HC2"


def test_the_risk_ratio_of_quitting(nhefs):
    table = CausalTable(nhefs.frame, "qsmk", "death")
    effect = adjust(table, "weighting", contrast="ratio")
    assert effect.estimate == pytest.approx(1.31306452, abs=5e-9)
    assert adjust(table, "standardization").estimate == pytest.approx(0.05383741, abs=5e-9)
    cases = table.frame.groupby("qsmk")["death"].agg(["sum", "count"])
    log_error = np.sqrt((1 / cases["sum"] - 1 / cases["count"]).sum())
    assert effect.standard_error == pytest.approx(effect.estimate * log_error, rel=1e-9)
    assert np.log(effect.interval) == pytest.approx(
        np.log(effect.estimate) + np.array([-1, 1]) * 1.959964 * log_error
    )
    assert repr(effect).startswith("Ratio of 'qsmk' on 'death'")


@pytest.mark.parametrize("method", ARMS)
def test_effects_among_the_treated_and_the_untreated_are_told_apart(method):
    frame = uneven_world(20_000)
    table = CausalTable(frame, "t", "y", ["w"])
    each = 1 + frame["w"]
    truth = {"ate": 1.0, "att": each[frame["t"] == 1].mean(), "atc": each[frame["t"] == 0].mean()}
    for target, expected in truth.items():
        effect = adjust(table, method, target=target)
        assert effect.target == target
        assert abs(effect.estimate - expected) < 4 * effect.standard_error
    assert truth["att"] - truth["atc"] > 0.5
    assert "among the treated" in repr(adjust(table, method, target="att"))


def test_the_experiment_is_met_among_the_treated_of_the_survey():
    table = load_dataset("lalonde-cps")
    for method in ("weighting", "doubly_robust"):
        effect = adjust(table, method, target="att")
        assert effect.interval[0] < 1794.3424 < effect.interval[1]
        assert not effect.warnings


# Oracles


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize(
    "table",
    [village_world(rows=300, villages=40, seed=3).table(), uneven_world(80)],
    ids=["absorbed", "plain"],
)
def test_robust_errors_equal_the_dense_sandwich(kind, table):
    if isinstance(table, pd.DataFrame):
        table = CausalTable(table, "t", "y", ["w"])
    columns = np.column_stack([np.ones(table.rows), table.treatment_values, table.design.matrix()])
    bread = np.linalg.pinv(columns.T @ columns)
    noise = table.outcome_values - columns @ bread @ columns.T @ table.outcome_values
    left = 1 - np.einsum("ij,jk,ik->i", columns, bread, columns)
    factors = {"HC0": 1.0, "HC1": table.rows / (table.rows - columns.shape[1])}
    factors |= {"HC2": 1 / left, "HC3": 1 / left**2}
    variance = bread @ (columns.T @ (columns * (factors[kind] * noise**2)[:, None])) @ bread
    assert adjust(table, errors=kind).standard_error == pytest.approx(np.sqrt(variance[1, 1]), rel=1e-8)
    assert leverages(table.design).sum() == pytest.approx(columns.shape[1] - 1)


def test_clustered_errors_equal_the_dense_sandwich():
    frame = uneven_world(200)
    table = CausalTable(frame, "t", "y", ["w"])
    columns = np.column_stack([np.ones(200), frame["t"], frame["w"]])
    bread = np.linalg.inv(columns.T @ columns)
    noise = frame["y"].to_numpy() - columns @ bread @ columns.T @ frame["y"].to_numpy()
    sums = pd.DataFrame(columns * noise[:, None]).groupby(frame["site"]).sum().to_numpy()
    variance = 40 / 39 * 199 / 197 * bread @ sums.T @ sums @ bread
    effect = adjust(table, cluster="site")
    assert effect.standard_error == pytest.approx(np.sqrt(variance[1, 1]), rel=1e-9)
    assert effect.interval_kind == "t, 39 dof, CR1, 40 clusters"


@pytest.mark.parametrize("method", ARMS)
def test_clusters_of_one_row_change_nothing_but_the_small_sample_factor(method, nhefs):
    frame = nhefs.frame.assign(row=np.arange(1566))
    table = CausalTable(frame, "qsmk", "wt82_71", nhefs.covariates, categorical=nhefs.categorical)
    alone, plain = adjust(table, method, cluster="row"), adjust(table, method)
    assert alone.estimate == plain.estimate
    assert alone.standard_error == pytest.approx(plain.standard_error * np.sqrt(1566 / 1565), rel=1e-9)
    assert "1566 clusters" in alone.interval_kind


def test_rows_given_twice_count_once_where_they_are_clusters():
    frame = uneven_world(400)
    single = CausalTable(frame.assign(row=range(400)), "t", "y", ["w"])
    double = CausalTable(pd.concat([frame.assign(row=range(400))] * 2, ignore_index=True), "t", "y", ["w"])
    for method in ARMS:
        once, twice = adjust(single, method, cluster="row"), adjust(double, method, cluster="row")
        assert twice.estimate == pytest.approx(once.estimate, rel=1e-8)
        assert twice.standard_error == pytest.approx(once.standard_error, rel=1e-6)


def test_weights_for_the_treated_equal_their_formula():
    frame = uneven_world(500)
    table = CausalTable(frame, "t", "y", ["w"])
    odds = propensity(table).values / propensity(table).complements
    treated, y = frame["t"].to_numpy() == 1, frame["y"].to_numpy()
    expected = y[treated].mean() - np.average(y[~treated], weights=odds[~treated])
    assert adjust(table, "weighting", target="att").estimate == pytest.approx(expected, rel=1e-10)


def test_stabilized_weights_give_the_same_means(nhefs):
    plain, stabilized = adjust(nhefs, "weighting"), adjust(nhefs, "weighting", stabilized=True)
    assert stabilized.estimate == pytest.approx(plain.estimate, rel=1e-12)
    assert stabilized.standard_error == pytest.approx(plain.standard_error, rel=1e-12)


def test_trimming_leaves_out_rows_and_says_so():
    table = load_dataset("lalonde-cps")
    effect = adjust(table, "weighting", trim=0.1)
    chance = propensity(table).values
    kept = (chance >= 0.1) & (chance <= 0.9)
    assert f"{int((~kept).sum())} of 16177 rows have a propensity below 0.1" in effect.warnings[0]
    y, t = table.outcome_values[kept], table.treatment_values[kept]
    expected = np.average(y, weights=t / chance[kept]) - np.average(y, weights=(1 - t) / (1 - chance[kept]))
    assert effect.estimate == pytest.approx(expected, rel=1e-10)


def test_warnings_name_the_region_without_overlap_and_the_rows_that_are_worth_something():
    effect = adjust(load_dataset("lalonde-cps"), "weighting")
    found = [warning for warning in effect.warnings if "chance below 0.01 to be treated" in warning]
    assert "14510 of 16177 rows" in found[0]
    assert "Mostly where re75 > " in found[0]
    assert 10 < effect.diagnostics["effective treated rows"] < 20


# Estimators of one's own


def test_any_estimator_serves_and_stays_as_it_was(nhefs):
    from sklearn.linear_model import LinearRegression, LogisticRegression

    outcome, chance = LinearRegression(), LogisticRegression(C=1e6, max_iter=1000)
    effect = adjust(nhefs, "doubly_robust", outcome_model=outcome, propensity_model=chance, folds=5)
    own = adjust(nhefs, "doubly_robust", folds=5)
    assert effect.estimate == pytest.approx(own.estimate, abs=2e-3)
    assert effect.standard_error == pytest.approx(own.standard_error, abs=2e-3)
    assert not hasattr(outcome, "coef_")
    assert not hasattr(chance, "coef_")
    assert adjust(nhefs, "doubly_robust", outcome_model=outcome).interval_kind.endswith(
        "cross-fitted in 5 folds"
    )


def test_flexible_estimators_find_an_effect_that_a_linear_model_misses():
    from sklearn.ensemble import RandomForestRegressor

    draws = np.random.default_rng(1)
    w = draws.standard_normal((4000, 2))
    t = (draws.random(4000) < 0.1 + 0.7 * (np.abs(w[:, 0]) < 0.7)).astype(float)
    y = t + 3 * (np.abs(w[:, 0]) < 0.7) + draws.standard_normal(4000)
    table = CausalTable(pd.DataFrame({"a": w[:, 0], "b": w[:, 1], "t": t, "y": y}), "t", "y", ["a", "b"])
    forest = RandomForestRegressor(60, min_samples_leaf=20, random_state=0)
    effect = adjust(table, "doubly_robust", outcome_model=forest)
    assert abs(effect.estimate - 1) < 4 * effect.standard_error
    assert abs(adjust(table, "doubly_robust").estimate - 1) > 0.5


def test_binary_outcomes_are_predicted_by_their_chances(deaths):
    from sklearn.linear_model import LogisticRegression

    effect = adjust(
        deaths, "doubly_robust", outcome_model=LogisticRegression(max_iter=1000), contrast="ratio"
    )
    plain = adjust(deaths, "doubly_robust", contrast="ratio")
    assert abs(effect.estimate - plain.estimate) < plain.standard_error


# Refusals


@pytest.mark.usefixtures("unchecked")
def test_estimators_that_cannot_be_fitted_or_asked_are_refused(nhefs):
    from sklearn.linear_model import LinearRegression
    from sklearn.tree import DecisionTreeClassifier

    class Silent(LinearRegression):
        def predict(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(
        ArgumentError, match="outcome_model must be an estimator with fit and predict; got 'ols'"
    ):
        adjust(nhefs, "doubly_robust", outcome_model="ols")
    with pytest.raises(ArgumentError, match="outcome_model must be .* got the class LinearRegression"):
        adjust(nhefs, "doubly_robust", outcome_model=LinearRegression)
    with pytest.raises(
        ArgumentError, match="propensity_model must be an estimator with fit and predict_proba"
    ):
        adjust(nhefs, "doubly_robust", propensity_model=LinearRegression())
    with pytest.raises(OverlapError, match="propensity_model gives .* rows a chance of 0 or 1"):
        adjust(nhefs, "doubly_robust", propensity_model=DecisionTreeClassifier())
    with pytest.raises(ConvergenceError, match="outcome_model predicts .* values that are not finite"):
        adjust(nhefs, "doubly_robust", outcome_model=Silent())


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (
            "regression",
            {"target": "att"},
            "target serves weighting, standardization and doubly_robust, not regr",
        ),
        ("naive", {"contrast": "ratio"}, "contrast serves weighting"),
        ("doubly_robust", {"stabilized": True}, "stabilized serves weighting, not doubly_robust"),
        ("standardization", {"trim": 0.1}, "trim serves weighting and doubly_robust"),
        ("weighting", {"outcome_model": 1}, "outcome_model serves doubly_robust"),
        ("weighting", {"target": "all"}, "target must be one of 'ate', 'att', 'atc'; got 'all'"),
        ("weighting", {"contrast": "odds"}, "contrast must be 'difference' or 'ratio'; got 'odds'"),
        ("weighting", {"trim": 0.6}, "trim must be a propensity from 0 to below .5; got 0.6"),
        ("weighting", {"errors": "HC3"}, "errors='HC3' cannot serve weighting, which has its own"),
        ("regression", {"errors": "HC9"}, "errors must be 'classical', 'HC0' to 'HC3', or a Bootstrap"),
        ("regression", {"errors": "HC1", "cluster": "sex"}, "cluster gives errors of its own"),
        ("regression", {"cluster": "q"}, "the cluster 'q' must be one column of the table's frame"),
        ("regression", {"cluster": "qsmk"}, "the cluster 'qsmk' is the treatment or the outcome"),
        ("regression", {"cluster": "one"}, "clustered errors need two clusters or more; 'one' has 1"),
        ("weighting", {"contrast": "ratio"}, "a ratio needs two positive means"),
    ],
)
def test_options_that_do_not_fit_are_refused(nhefs, method, options, message):
    frame = nhefs.frame.assign(one=1, down=nhefs.outcome_values - 100)
    table = CausalTable(frame, "qsmk", "down", nhefs.covariates, categorical=nhefs.categorical)
    with pytest.raises((ArgumentError, TableError), match=message):
        adjust(table, method, **options)


def test_targets_of_a_continuous_treatment_and_rows_that_are_fitted_exactly_are_refused():
    frame = uneven_world(50)
    with pytest.raises(ArgumentError, match="target and contrast compare two arms, and 'w' is continuous"):
        adjust(CausalTable(frame, "w", "y"), "standardization", target="att")
    lone = CausalTable(frame.assign(alone=(np.arange(50) == 7) * 1.0), "t", "y", ["alone"])
    with pytest.raises(ArgumentError, match="row 7 .* has a leverage of one, so HC3 is not defined"):
        adjust(lone, errors="HC3")
    with pytest.raises(TableError, match="the cluster 'gap' has 1 missing values"):
        adjust(CausalTable(frame.assign(gap=[np.nan, *range(49)]), "t", "y"), cluster="gap")


def test_trimming_everything_is_refused():
    table = CausalTable(uneven_world(200), "t", "y", ["w"])
    with pytest.raises(
        ConvergenceError, match="no row is left in an arm: loosen trim, or take a larger group"
    ):
        adjust(table, "weighting", trim=0.49999)
