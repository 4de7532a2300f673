r"""Omitted-variable bias of a table, with its covariates as the yardstick of what is hidden."""

from collections.abc import Sequence

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError, TableError
from ebm_causal.intervention import ResidualRegression, regress
from ebm_causal.sensitivity.omitted_variable import OmittedVariableBias


def omitted_variable_bias(
    table: CausalTable,
    benchmarks: Sequence[str] = (),
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
        benchmarks: Names of covariates, or ``"all"``.
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
    names = _chosen(table, benchmarks)
    full = regress(table, table.design)
    if full.dof < 2:
        raise TableError(
            f"{table.rows} rows leave the regression 1 degree of freedom, and a confounder would take it. "
            "Leave covariates out, or bring more rows."
        )
    return OmittedVariableBias.from_statistics(
        full.estimate,
        full.standard_error,
        full.dof,
        q=q,
        alpha=alpha,
        benchmarks={name: _own_strengths(table, name, full) for name in names},
        multiples=multiples,
    )


def _chosen(table: CausalTable, benchmarks: Sequence[str]) -> tuple[str, ...]:
    """The covariates that a caller names, or all of them.

    Raises:
        ArgumentError: If a name is not a covariate.
    """
    if isinstance(benchmarks, str):
        if benchmarks == "all":
            return table.covariates
        raise ArgumentError(f"benchmarks must be a list of names, or 'all'; got the text {benchmarks!r}.")
    for name in benchmarks:
        if name not in table.covariates:
            known = ", ".join(map(repr, table.covariates)) or "(none)"
            raise ArgumentError(f"Benchmark {name!r} is not among the covariates {known}.")
    return tuple(benchmarks)


def _own_strengths(table: CausalTable, name: str, full: ResidualRegression) -> tuple[float, float]:
    """The partial R^2 of all columns of a covariate, with the treatment and with the outcome."""
    short = regress(table, table.design.without(name))
    left = (
        (full.treatment @ full.treatment) / (short.treatment @ short.treatment),
        (full.noise @ full.noise) / (short.noise @ short.noise),
    )
    return max(0.0, float(1 - left[0])), max(0.0, float(1 - left[1]))
