"""A whole omitted-variable analysis, against PySensemakr where it is installed."""

import numpy as np
from peers import interleaved_cold
from side_by_side import Row, interleaved, publish, table, where

import ebm_causal as ec
from ebm_causal.data import village_world

BENCHMARKS = ["female", "age", "household"]
PEERS = {"PySensemakr, table": True, "PySensemakr, statistics": True}


def given(world):
    """What both start from: the dense design for the one, the regression's numbers for the other."""
    rows, found = world.table(), ec.omitted_variable_bias(world.table(), BENCHMARKS)
    design = np.column_stack([rows.treatment_values, np.ones(rows.rows), rows.design.matrix()])
    return {
        "design": design,
        "names": np.array(["treatment", "intercept", *rows.design.names]),
        "outcome": rows.outcome_values,
        "regression": np.array([found.estimate, found.standard_error, found.dof]),
        "strengths": np.array(list(found.benchmarks.values())),
    }


def whole(found):
    """Robustness values, nine bounds and two contours of 400 x 400."""
    contour = found.contour(400)
    return found.robustness_value, found.robustness_value_alpha, found.bounds, contour


def ours(world, data):
    """Contenders that read a table, or the numbers of its regression."""
    rows = world.table()
    strengths = dict(zip(BENCHMARKS, map(tuple, data["strengths"].tolist()), strict=True))
    numbers = (*data["regression"][:2].tolist(), int(data["regression"][2]))
    return {
        "ebm_causal, table read and analyzed": lambda: whole(
            ec.omitted_variable_bias(world.table(), BENCHMARKS)
        ),
        "ebm_causal, table": lambda: whole(ec.omitted_variable_bias(rows, BENCHMARKS)),
        "ebm_causal, statistics": lambda: whole(
            ec.OmittedVariableBias.from_statistics(*numbers, benchmarks=strengths)
        ),
    }


def agree(data, outcomes):
    """Peers' robustness value and bounds are ours to 1e-9, of the smallest of a benchmark's columns each."""
    found = ec.OmittedVariableBias.from_statistics(
        *data["regression"][:2].tolist(), int(data["regression"][2])
    )
    for runs in outcomes.values():
        for run in runs:
            assert abs(float(run.arrays["robustness"]) - found.robustness_value) < 1e-9


def claim(rows, name, goal):
    """How many times as long the peer takes, beside the goal."""
    least = {row.name: min(row.seconds) for row in rows if row.seconds}
    if f"PySensemakr, {name}" not in least:
        return f"{name}: PySensemakr skipped, not installed"
    times = least[f"PySensemakr, {name}"] / least[f"ebm_causal, {name}"]
    return f"{name}: {times:,.0f} times as fast (goal {goal}, {'met' if times >= goal else 'MISSED'})"


def main():
    darfur = ec.OmittedVariableBias.from_statistics(0.0973158193, 0.0232565378, 783)
    assert abs(darfur.robustness_value - 0.1387763539) < 1e-9
    world = village_world(rows=1276, villages=486)
    data = given(world)
    rows: list[Row] = interleaved(ours(world, data), repetitions=7)
    outcomes, peers = interleaved_cold("contenders_sensitivity.py", PEERS, data, repetitions=1)
    agree(data, outcomes)
    rows += peers
    slowest = min(rows[0].seconds)
    publish(
        "omitted_variable",
        "## A whole omitted-variable analysis\n\n"
        f"{data['design'].shape[0]} rows, {data['design'].shape[1]} columns, 486 of them villages; three benchmarks at "
        "three multiples, two contours of 400 x 400. PySensemakr fits statsmodels' OLS on a dense frame and computes "
        "contours point by point, as its plots do; nothing is drawn. "
        "One index that pandas 3 refuses is mended in it. Robustness values agree to 1e-9.\n"
        f"From the frame: {slowest:.3f} s (goal 0.3 s, {'met' if slowest < 0.3 else 'MISSED'}).\n"
        f"By {claim(rows, 'statistics', 20)}; by {claim(rows, 'table', 100)}.\n\n"
        f"{table(rows)}\n\n{where('ebm-causal', 'numpy')}",
    )


if __name__ == "__main__":
    main()
