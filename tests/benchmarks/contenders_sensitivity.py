"""PySensemakr's omitted-variable analyses, one run each: run by ``bench_omitted_variable.py``."""

import numpy as np
import pandas as pd
import sensemakr
import statsmodels.api as sm
from sensemakr import bias_functions, sensitivity_statistics

BENCHMARKS = ["female", "age", "household"]

PARTIAL_R2 = sensitivity_statistics.partial_r2


def partial_r2(model=None, covariates=None, t_statistic=None, dof=None):
    """PySensemakr 0.0.8 takes the first of a Series by ``[0]``, which pandas 3 refuses: the same, by place."""
    if model is None:
        return PARTIAL_R2(t_statistic=t_statistic, dof=dof)
    found = sensitivity_statistics.model_helper(model, covariates=covariates)
    t = found["t_statistics"]
    return (t**2 / (t**2 + found["dof"])).iloc[0]


def peer_table(data):
    sensitivity_statistics.partial_r2 = partial_r2
    frame = pd.DataFrame(data["design"], columns=data["names"].tolist())
    fitted = sm.OLS(data["outcome"], frame).fit()
    made = sensemakr.Sensemakr(
        model=fitted, treatment="treatment", benchmark_covariates=BENCHMARKS, kd=[1, 2, 3]
    )
    return peer_results(made, made.estimate, made.se, made.dof)


def peer_statistics(data):
    estimate, error, dof = data["regression"].tolist()
    for treatment, outcome in data["strengths"].tolist():
        made = sensemakr.Sensemakr(
            estimate=estimate, se=error, dof=int(dof), r2dxj_x=treatment, r2yxj_dx=outcome, kd=[1, 2, 3]
        )
    return peer_results(made, estimate, error, int(dof))


def peer_results(made, estimate, error, dof):
    """Two contours of 400 x 400, point by point, as its plots compute them."""
    grid = np.linspace(0, 0.4, 400)
    numbers = {"estimate": estimate, "se": error, "dof": dof}
    estimates, t = (
        [[adjusted(x, y, **numbers) for x in grid] for y in grid]
        for adjusted in (bias_functions.adjusted_estimate, bias_functions.adjusted_t)
    )
    adjusted = np.sort(np.asarray(made.bounds["adjusted_estimate"], dtype=float))
    corner = np.array([float(estimates[0][0]), float(t[0][0])])
    robustness = np.array(float(made.sensitivity_stats["rv_q"]))
    return {"robustness": robustness, "bounds": adjusted, "corner": corner}


def versions(name):
    return ""


if __name__ == "__main__":
    from peers import main_of

    main_of(
        {
            "PySensemakr, table": peer_table,
            "PySensemakr, statistics": peer_statistics,
        },
        versions,
    )
