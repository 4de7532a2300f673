import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from joblib.parallel import SequentialBackend
from scipy.special import expit

from ebm_causal.data import CausalTable, load_dataset, village_world
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.intervention import Bootstrap, adjust

METHODS = ("naive", "regression", "weighting", "standardization", "doubly_robust")


def small_world(rows=400, seed=0):
    draws = np.random.default_rng(seed)
    w = draws.standard_normal(rows)
    t = (draws.random(rows) < expit(w)).astype(float)
    z = (draws.random(rows) < 0.5).astype(float)
    m = t + draws.standard_normal(rows)
    y = t + w + 0.5 * m + draws.standard_normal(rows)
    return pd.DataFrame({"w": w, "t": t, "y": y, "m": m, "z": z, "site": np.arange(rows) // 8})


def table_of(frame):
    return CausalTable(frame, "t", "y", ["w"])


@pytest.mark.parametrize("method", METHODS)
def test_a_resample_gives_what_the_method_gives_on_its_rows(method):
    frame = small_world()
    effect = adjust(table_of(frame), method, errors=Bootstrap(draws=20, seed=3))
    for draw in (0, 19):
        rows = np.random.default_rng([3, draw]).integers(400, size=400)
        again = adjust(table_of(frame.iloc[rows].reset_index(drop=True)), method)
        assert effect.replicates[draw] == pytest.approx(again.estimate, rel=1e-7)


def test_a_resample_of_villages_gives_what_the_regression_gives_on_its_rows():
    world = village_world(rows=400, villages=60, seed=4)
    effect = adjust(world.table(), errors=Bootstrap(draws=20))
    rows = np.random.default_rng([0, 5]).integers(400, size=400)
    frame = world.frame.iloc[rows].reset_index(drop=True)
    again = adjust(CausalTable(frame, "treatment", "outcome", world.covariates))
    assert effect.replicates[5] == pytest.approx(again.estimate, rel=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_bootstraps_spread_as_the_analytic_errors_say(method):
    table = table_of(small_world(600, seed=1))
    plain = adjust(table, method)
    effect = adjust(table, method, errors=Bootstrap(draws=400))
    assert effect.estimate == plain.estimate
    # 400 draws know a standard deviation to 3.5 %; weights taken as known are too wide by design
    ratio = effect.standard_error / plain.standard_error
    assert ratio < 1 + 4 * 0.035 + 0.03
    assert method == "weighting" or ratio > 1 - 4 * 0.035 - 0.03
    assert effect.interval_kind == "percentile, 400 bootstraps"
    assert effect.interval == pytest.approx(tuple(np.quantile(effect.replicates, [0.025, 0.975])))


def test_every_back_end_gives_the_same_numbers():
    table = table_of(small_world())
    found = {
        name: adjust(
            table, "doubly_robust", errors=Bootstrap(draws=60, backend=name, workers=workers)
        ).replicates
        for name, workers in (("sequential", None), ("threading", 2))
    }
    joblib.register_parallel_backend("an own one", SequentialBackend)
    with joblib.parallel_config(backend="an own one"):
        found["the caller's configuration"] = adjust(
            table, "doubly_robust", errors=Bootstrap(draws=60)
        ).replicates
    assert len(set(found.values())) == 1
    assert adjust(table, "doubly_robust", errors=Bootstrap(draws=60, seed=1)).replicates not in found.values()


@pytest.mark.slow
def test_processes_of_their_own_give_the_same_numbers():
    """Two workers of loky, each of which imports everything first: eight seconds."""
    table = table_of(small_world())
    here = adjust(table, "doubly_robust", errors=Bootstrap(draws=60)).replicates
    there = adjust(table, "doubly_robust", errors=Bootstrap(draws=60, backend="loky", workers=2))
    assert there.replicates == here


def test_dask_gives_the_same_numbers_where_it_is_installed():
    distributed = pytest.importorskip("distributed")
    table = table_of(small_world())
    here = adjust(table, "weighting", errors=Bootstrap(draws=26)).replicates
    with distributed.Client(n_workers=1, threads_per_worker=1, dashboard_address=None):
        there = adjust(table, "weighting", errors=Bootstrap(draws=60, backend="dask")).replicates
    assert there == here


def test_clusters_are_drawn_whole():
    frame = small_world(400)
    frame["y"] += np.random.default_rng(9).standard_normal(50)[frame["site"]] * 3
    frame["t"] = (np.random.default_rng(8).random(50) < 0.5)[frame["site"]].astype(float)
    table = table_of(frame)
    whole = adjust(table, errors=Bootstrap(draws=300), cluster="site")
    rows = adjust(table, errors=Bootstrap(draws=300))
    analytic = adjust(table, cluster="site")
    assert whole.standard_error > 1.5 * rows.standard_error
    assert whole.standard_error == pytest.approx(analytic.standard_error, rel=4 * 0.041 + 0.05)


def test_intervals_of_three_kinds():
    table = table_of(small_world())
    kinds = {
        k: adjust(table, errors=Bootstrap(draws=200, interval=k)) for k in ("percentile", "basic", "normal")
    }
    estimate, (low, high) = kinds["basic"].estimate, kinds["percentile"].interval
    assert kinds["basic"].interval == pytest.approx((2 * estimate - high, 2 * estimate - low))
    reach = 1.959964 * kinds["normal"].standard_error
    assert kinds["normal"].interval == pytest.approx((estimate - reach, estimate + reach), rel=1e-6)


def test_ratios_estimators_front_doors_and_instruments_are_resampled_too():
    from sklearn.linear_model import LinearRegression

    frame = small_world().assign(y=lambda f: (f["y"] > 0) * 1)
    table, few = table_of(frame), Bootstrap(draws=20)
    ratio = adjust(table, "weighting", contrast="ratio", errors=few)
    assert min(ratio.replicates) > 0
    assert ratio.interval[0] < ratio.estimate < ratio.interval[1]
    assert adjust(table, "front_door", mediators=["m"], errors=few).standard_error > 0
    assert adjust(table, "instrument", instruments=["z"], errors=few).standard_error > 0
    learned = adjust(table, "doubly_robust", outcome_model=LinearRegression(), errors=few)
    own = adjust(table, "doubly_robust", folds=5, errors=few)
    assert learned.replicates == pytest.approx(own.replicates, rel=1e-6)


def test_progress_counts_the_draws():
    seen = []
    adjust(table_of(small_world()), errors=Bootstrap(draws=60, progress=lambda *done: seen.append(done)))
    assert seen == [(25, 60), (50, 60), (60, 60)]


def test_resamples_without_overlap_are_counted_and_too_many_are_refused():
    frame = small_world(60).assign(rare=0.0)
    frame.loc[[0, 1, 2], "rare"], frame.loc[[0, 1], "t"], frame.loc[2, "t"] = 1.0, 0.0, 1.0
    frame.loc[[3, 4], "rare"], frame.loc[[3, 4], "t"] = 1.0, 1.0
    table = CausalTable(frame, "t", "y", ["w", "rare"], categorical=["rare"])
    effect = adjust(table, "weighting", errors=Bootstrap(draws=200))
    assert any(
        "of 200 resamples had no estimate (an arm lacked rows)" in warning for warning in effect.warnings
    )
    assert len(effect.replicates) < 200
    lone = frame.assign(rare=0.0)
    lone.loc[[0, 1], "rare"], lone.loc[0, "t"], lone.loc[1, "t"] = 1.0, 0.0, 1.0
    with pytest.raises(ConvergenceError, match="of 200 resamples have no estimate: the arms hardly overlap"):
        adjust(
            CausalTable(lone, "t", "y", ["rare"], categorical=["rare"]),
            "weighting",
            errors=Bootstrap(draws=200),
        )


def test_nothing_of_the_table_is_changed():
    table = load_dataset("lalonde-nsw")
    before, hashed = table.frame.copy(), table.sha256
    adjust(table, "doubly_robust", errors=Bootstrap(draws=20))
    pd.testing.assert_frame_equal(table.frame, before)
    assert table.sha256 == hashed


def test_bootstraps_that_make_no_sense_are_refused():
    with pytest.raises(ArgumentError, match="a bootstrap needs 20 draws or more; got 5"):
        Bootstrap(draws=5)
    with pytest.raises(ArgumentError, match="interval must be 'percentile', 'basic' or 'normal'; got 'bca'"):
        Bootstrap(interval="bca")
    table = table_of(small_world(60))
    with pytest.raises(ArgumentError, match="'ray-of-light' is not a back end that joblib knows"):
        adjust(table, errors=Bootstrap(draws=20, backend="ray-of-light"))
    with pytest.raises(ArgumentError, match="workers must be a number of workers, or -1"):
        adjust(table, errors=Bootstrap(draws=20, workers=0))


def test_joblib_is_loaded_when_something_is_resampled():
    assert "ebm_causal.parallel" in sys.modules
    source = sys.modules["ebm_causal.parallel"].__dict__
    assert "Parallel" not in source
