"""The front door and instruments: effects that hidden confounding does not spoil."""

import numpy as np
import pandas as pd
import pytest

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.graph import CausalGraph, identify
from ebm_causal.intervention import adjust


def front_door_world(rows=2000, seed=0, binary=False):
    r"""u -> t -> m -> y <- u: the effect of t is .8 * 1.5 = 1.2."""
    draws = np.random.default_rng(seed)
    u, w = draws.standard_normal((2, rows))
    t = u + 0.5 * w + draws.standard_normal(rows)
    t = (t > 0).astype(float) if binary else t
    m = 0.8 * t + 0.3 * w + draws.standard_normal(rows)
    y = 1.5 * m + 2 * u + 0.5 * w + draws.standard_normal(rows)
    return pd.DataFrame({"t": t, "m": m, "y": y, "w": w, "x": draws.standard_normal(rows)})


def instrument_world(rows=2000, seed=0, strength=1.0, kinds=1):
    draws = np.random.default_rng(seed)
    u, w = draws.standard_normal((2, rows))
    z = draws.standard_normal((rows, kinds)) + 0.5 * w[:, None]
    t = strength * z.sum(axis=1) + u + w + draws.standard_normal(rows)
    y = 1.0 * t + 2 * u + w + draws.standard_normal(rows)
    return pd.DataFrame({"t": t, "y": y, "w": w, **{f"z{j}": z[:, j] for j in range(kinds)}})


# The front door


@pytest.mark.parametrize("binary", [True, False])
def test_the_front_door_gives_the_effect_that_regression_misses(binary):
    table = CausalTable(front_door_world(binary=binary), "t", "y", ["w"])
    effect = adjust(table, "front_door", mediators=["m"])
    assert abs(effect.estimate - 1.2) < 4 * effect.standard_error
    assert abs(adjust(table).estimate - 1.2) > 0.5
    assert effect.diagnostics["through m"] == pytest.approx(effect.estimate)


def test_a_binary_front_door_equals_the_sum_over_its_table():
    draws = np.random.default_rng(1)
    u = draws.random(3000) < 0.5
    t = draws.random(3000) < 0.3 + 0.4 * u
    m = draws.random(3000) < 0.2 + 0.5 * t
    y = draws.random(3000) < 0.1 + 0.3 * m + 0.4 * u
    frame = pd.DataFrame({"t": t * 1, "m": m * 1, "y": y * 1})
    law = identify(CausalGraph(["t -> m -> y", "t <-> y"]), "t", "y").expression.estimate(frame)
    effect = adjust(CausalTable(frame, "t", "y"), "front_door", mediators=["m"])
    assert effect.estimate == pytest.approx(law.loc[1, 1] - law.loc[0, 1], abs=1e-10)


def test_front_door_errors_agree_with_the_spread_over_worlds():
    effects = [
        adjust(
            CausalTable(front_door_world(400, seed, binary=True), "t", "y", ["w"]),
            "front_door",
            mediators=["m"],
        )
        for seed in range(150)
    ]
    estimates = np.array([effect.estimate for effect in effects])
    spread = estimates.std(ddof=1)
    assert abs(estimates.mean() - 1.2) < 4 * spread / np.sqrt(150)
    assert abs(np.mean([effect.standard_error for effect in effects]) / spread - 1) < 4 * 0.058


def test_a_mediator_that_does_nothing_adds_nothing():
    table = CausalTable(front_door_world(5000), "t", "y")
    effect = adjust(table, "front_door", mediators=["m", "x"])
    assert abs(effect.diagnostics["through x"]) < 0.02
    assert sum(effect.diagnostics.values()) == pytest.approx(effect.estimate)


# Instruments


def test_one_binary_instrument_is_wald_s_quotient():
    frame = instrument_world(500).assign(z=lambda f: (f["z0"] > 0) * 1)
    means = frame.groupby("z")[["y", "t"]].mean()
    effect = adjust(CausalTable(frame, "t", "y"), "instrument", instruments=["z"])
    assert effect.estimate == pytest.approx(
        (means.loc[1] - means.loc[0])["y"] / (means.loc[1] - means.loc[0])["t"]
    )


@pytest.mark.parametrize("kinds", [1, 3])
def test_two_stages_equal_their_matrix_formula(kinds):
    frame = instrument_world(400, kinds=kinds)
    names = [f"z{j}" for j in range(kinds)]
    effect = adjust(CausalTable(frame, "t", "y", ["w"]), "instrument", instruments=names)
    ones = np.ones((400, 1))
    x, z = np.hstack([ones, frame[["w", "t"]]]), np.hstack([ones, frame[["w", *names]]])
    predicted = z @ np.linalg.solve(z.T @ z, z.T @ x)
    bread = np.linalg.inv(predicted.T @ x)
    y = frame["y"].to_numpy()
    coefficients = bread @ predicted.T @ y
    noise = y - x @ coefficients
    variance = bread @ (predicted.T @ (predicted * (noise**2)[:, None])) @ bread.T
    assert effect.estimate == pytest.approx(coefficients[2], rel=1e-9)
    assert effect.standard_error == pytest.approx(np.sqrt(variance[2, 2]), rel=1e-8)
    t = frame["t"].to_numpy()
    full, without = (np.linalg.lstsq(c, t, rcond=None)[1][0] for c in (z, z[:, :2]))
    strength = (without - full) / kinds / (full / (400 - z.shape[1]))
    assert effect.diagnostics["first-stage F"] == pytest.approx(strength, rel=1e-8)
    assert ("Sargan" in effect.diagnostics) == (kinds > 1)


def test_instruments_give_the_effect_that_regression_misses():
    table = CausalTable(instrument_world(), "t", "y", ["w"])
    effect = adjust(table, "instrument", instruments=["z0"])
    assert abs(effect.estimate - 1.0) < 4 * effect.standard_error
    assert not effect.warnings
    assert abs(adjust(table).estimate - 1.0) > 0.5


def test_weak_instruments_are_warned_about():
    table = CausalTable(instrument_world(300, strength=0.02), "t", "y", ["w"])
    effect = adjust(table, "instrument", instruments=["z0"])
    assert "'z0' is a weak instrument: the first-stage F is" in effect.warnings[0]


def test_instruments_that_disagree_are_warned_about():
    frame = instrument_world(2000, kinds=2)
    frame["y"] += frame["z1"]
    effect = adjust(CausalTable(frame, "t", "y", ["w"]), "instrument", instruments=["z0", "z1"])
    assert "the instruments 'z0', 'z1' disagree (Sargan's p = " in effect.warnings[0]


def test_sargan_is_uniform_where_instruments_agree():
    p = np.array(
        [
            adjust(
                CausalTable(instrument_world(300, seed, kinds=2), "t", "y", ["w"]),
                "instrument",
                instruments=["z0", "z1"],
            ).diagnostics["Sargan p"]
            for seed in range(150)
        ]
    )
    assert abs((p < 0.2).mean() - 0.2) < 4 * np.sqrt(0.16 / 150)


# Refusals


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("front_door", {}, r"method 'front_door' needs mediators=\[...\]"),
        ("instrument", {}, r"method 'instrument' needs instruments=\[...\]"),
        ("front_door", {"mediators": "m"}, "mediators must be a list of names; got the text 'm'"),
        ("regression", {"mediators": ["m"]}, "mediators serve front_door, not regression"),
        (
            "front_door",
            {"instruments": ["m"], "mediators": ["m"]},
            "instruments serve instrument, not front_door",
        ),
        ("front_door", {"mediators": ["q"]}, "the mediator 'q' must be one column"),
        ("front_door", {"mediators": ["w"]}, "the mediator 'w' is a covariate of the table too"),
        ("front_door", {"mediators": ["t"]}, "the mediator 't' is the treatment or the outcome"),
        ("front_door", {"mediators": ["m", "m"]}, "a mediator is named twice"),
        ("instrument", {"instruments": ["text"]}, "the instrument 'text' is not numeric"),
        ("instrument", {"instruments": ["wide"]}, "the instrument 'wide' has values that are not finite"),
        ("instrument", {"instruments": ["gap"]}, "the instrument 'gap' has 1 missing values"),
        (
            "instrument",
            {"instruments": ["w2"]},
            "the instrument 'w2' has no variance left given the covariates",
        ),
        ("front_door", {"mediators": ["t2"]}, "'t2' is a combination of its other columns"),
    ],
)
def test_columns_that_cannot_serve_are_refused(method, options, message):
    frame = front_door_world(60)
    frame = frame.assign(text="a", wide=np.inf, gap=[np.nan, *range(59)], w2=2 * frame["w"], t2=frame["t"])
    with pytest.raises((ArgumentError, TableError), match=message):
        adjust(CausalTable(frame, "t", "y", ["w"]), method, **options)
