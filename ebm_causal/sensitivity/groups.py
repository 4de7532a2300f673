"""The covariates, or groups of them, that something hidden is compared with."""

from collections.abc import Iterable, Mapping, Sequence

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError

Groups = Sequence[str] | Mapping[str, Sequence[str]]


def chosen_groups(table: CausalTable, benchmarks: Groups) -> dict[str, tuple[str, ...]]:
    """The groups of covariates that a caller names, or every covariate by itself.

    Raises:
        ArgumentError: If a name is not a covariate, or a group is empty, or they are no names.
    """
    if isinstance(benchmarks, str):
        if benchmarks == "all":
            return {name: (name,) for name in table.covariates}
        raise ArgumentError(f"benchmarks must be a list of names, or 'all'; got the text {benchmarks!r}.")
    if not isinstance(benchmarks, Mapping):
        benchmarks = {name: [name] for name in _as_names(benchmarks)}
    for group, names in benchmarks.items():
        if isinstance(names, str) or not isinstance(names, Sequence) or not names:
            raise ArgumentError(f"Group {group!r} must be a list of covariates; got {names!r}.")
        for name in names:
            if name not in table.covariates:
                known = ", ".join(map(repr, table.covariates)) or "(none)"
                raise ArgumentError(f"Benchmark {name!r} is not among the covariates {known}.")
    return {group: tuple(names) for group, names in benchmarks.items()}


def _as_names(benchmarks: object) -> list[str]:
    if not isinstance(benchmarks, Iterable):
        raise ArgumentError(f"benchmarks must be a list of names, or 'all'; got {benchmarks!r}.")
    names = list(benchmarks)
    for name in names:
        if not isinstance(name, str):
            raise ArgumentError(f"benchmarks must be names of covariates; got {name!r}.")
    return names


def without_group(table: CausalTable, group: Sequence[str]) -> CausalTable:
    """The table without some covariates, the same rows."""
    kept = [name for name in table.covariates if name not in group]
    return CausalTable(
        table.frame, table.treatment, table.outcome, kept,
        categorical=[name for name in table.categorical if name in kept],
        squares=[name for name in table.squares if name in kept],
    )  # fmt: skip
