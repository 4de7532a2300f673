"""Omitted-variable bias over a grid of strengths, against PySensemakr where it is installed."""

import math

import numpy as np
from side_by_side import installed, interleaved, publish, skipped, table, where

import ebm_causal as ec

ESTIMATE, ERROR, DOF = 0.0973158193, 0.0232565378, 783
GRID = np.linspace(0, 0.9, 200)


def one_by_one():
    """The grid as a loop over plain numbers, from the formula."""
    return np.array(
        [
            [ESTIMATE - ERROR * math.sqrt(DOF) * math.sqrt(y * d / (1 - d)) for d in GRID.tolist()]
            for y in GRID.tolist()
        ]
    )


def peer():
    """The same grid by PySensemakr."""
    from sensemakr.bias_functions import adjusted_estimate

    d, y = np.meshgrid(GRID, GRID)
    return adjusted_estimate(d.ravel(), y.ravel(), estimate=ESTIMATE, se=ERROR, dof=DOF).reshape(d.shape)


def main():
    darfur = ec.OmittedVariableBias.from_statistics(ESTIMATE, ERROR, DOF)
    assert abs(darfur.robustness_value - 0.1387763539) < 1e-9

    def ours():
        return darfur.adjusted_estimate(GRID, GRID[:, None])

    tasks = {"ebm_causal, one expression": ours, "plain Python loop": one_by_one}
    if installed("PySensemakr"):
        tasks["PySensemakr"] = peer
    grids = [task() for task in tasks.values()]
    assert all(np.abs(grid - grids[0]).max() < 1e-12 for grid in grids)
    rows = interleaved(tasks, repetitions=7)
    if not installed("PySensemakr"):
        rows.append(skipped("PySensemakr"))
    publish(
        "omitted_variable",
        "## A grid of sensitivities\n\n"
        f"Adjusted estimates at {len(GRID)} x {len(GRID)} strengths, all alike to 1e-12.\n\n"
        f"{table(rows)}\n\n{where('ebm-causal', 'numpy', 'PySensemakr')}",
    )


if __name__ == "__main__":
    main()
