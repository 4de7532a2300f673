r"""Omitted-variable bias of a table, with its covariates as the yardstick of what is hidden."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ebm_causal.data import CausalTable
from ebm_causal.errors import TableError
from ebm_causal.intervention import ResidualRegression, regress
from ebm_causal.sensitivity.arguments import check_table
from ebm_causal.sensitivity.groups import chosen_groups
from ebm_causal.sensitivity.omitted_variable import OmittedVariableBias

UNEVEN = 1.25  # times the classical standard error, or that much less


def omitted_variable_bias(
    table: CausalTable,
    benchmarks: Sequence[str] | Mapping[str, Sequence[str]] = (),
    multiples: Sequence[float] = (1, 2, 3),
    q: float = 1.0,
    alpha: float = 0.05,
) -> OmittedVariableBias:
    r"""How strong a hidden confounder would have to be to overturn the regression of a table.

    The regression is ``adjust(table, "regression")``. A benchmark takes all columns of its name, and is as
    strong as the share of residual variance that they explain given all other covariates (and, of the
    outcome, the treatment). That a hidden confounder is so many times as strong is a judgment about the
    subject; the data cannot make it.

    Args:
        table: The table.
        benchmarks: Names of covariates, or ``"all"``; or groups of them by a name of your own, as in
            ``{"earnings": ["re74", "re75"]}``, each as strong as its covariates together.
        multiples: How many times as strong as a benchmark the confounder may be.
        q: The share of the estimate that it would have to take away.
        alpha: The level of the test and of the intervals.

    Returns:
        The analysis.

    Raises:
        ArgumentError: If a benchmark is not a covariate, or a number is out of range.
        TableError: If the regression is saturated, or treatment or outcome have no variance left.

    Examples:
        >>> import ebm_causal as ec
        >>> found = ec.omitted_variable_bias(ec.load_dataset("nhefs"), ["smokeyrs"])
        >>> round(found.robustness_value, 4), len(found.bounds)
        (0.1817, 3)

    References:
        C. Cinelli and C. Hazlett 2020, section 4.4.
    """
    check_table(table)
    groups = chosen_groups(table, benchmarks)
    full = regress(table, table.design)
    if full.dof < 2:
        raise TableError(
            f"{table.rows} rows leave the regression 1 degree of freedom, and a confounder would take it. "
            "Leave covariates out, or bring more rows."
        )
    found = OmittedVariableBias.from_statistics(
        full.estimate,
        full.standard_error,
        full.dof,
        q=q,
        alpha=alpha,
        benchmarks={name: _own_strengths(table, group, full) for name, group in groups.items()},
        multiples=multiples,
    )
    return replace(found, notes=_uneven(table, full))


def _own_strengths(
    table: CausalTable, group: tuple[str, ...], full: ResidualRegression
) -> tuple[float, float]:
    """The partial R^2 of all columns of some covariates, with the treatment and with the outcome."""
    design = table.design
    for name in group:
        design = design.without(name)
    short = regress(table, design)
    left = (
        (full.treatment @ full.treatment) / (short.treatment @ short.treatment),
        (full.noise @ full.noise) / (short.noise @ short.noise),
    )
    return max(0.0, float(1 - left[0])), max(0.0, float(1 - left[1]))


def _uneven(table: CausalTable, full: ResidualRegression) -> tuple[str, ...]:
    """A warning where a robust standard error (HC1) is far from the classical one."""
    spread = full.treatment**2
    robust = math.sqrt(float(spread @ full.noise**2) * table.rows / full.dof) / float(spread.sum())
    ratio = robust / full.standard_error
    note = (
        f"The robust standard error (HC1) is {robust:.4g} where the classical one is {full.standard_error:.4g}: the "
        "errors are not of one variance, for which adjusted standard errors, t, intervals and the robustness value at "
        "alpha are made."
    )
    return () if 1 / UNEVEN < ratio < UNEVEN else (note,)
