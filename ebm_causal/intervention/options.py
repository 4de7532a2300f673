"""What an adjustment can be told, and which method each option serves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_number, check_callable, is_whole

METHODS = (
    *("naive", "regression", "weighting", "standardization", "doubly_robust"),
    *("front_door", "instrument"),
)
TWO_ARMS = ("weighting", "doubly_robust")
ARMS = ("weighting", "standardization", "doubly_robust")
TARGETS = ("ate", "att", "atc")
CONTRASTS = ("difference", "ratio")
ROBUST = ("HC0", "HC1", "HC2", "HC3")
SERVES = {
    "interactions": ("standardization", "doubly_robust"),
    "folds": ("doubly_robust",),
    "target": ARMS,
    "contrast": ARMS,
    "stabilized": ("weighting",),
    "trim": TWO_ARMS,
    "outcome_model": ("doubly_robust",),
    "propensity_model": ("doubly_robust",),
    "mediators": ("front_door",),
    "instruments": ("instrument",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    r"""Errors by resampling rows with replacement, or whole clusters of them.

    Every step is done again on each resample, the propensity included. The same seed gives the same numbers
    on every back end. It fails where an estimate is not smooth in the data, as with matching, and says little
    where a handful of rows carries the weight.

    Attributes:
        draws: The number of resamples.
        seed: Of the resamples.
        interval: ``"percentile"``: the quantiles of the resampled estimates; ``"basic"``: these mirrored at the
            estimate; ``"normal"``: the estimate and multiples of their standard deviation.
        backend: A back end of joblib, such as ``"loky"``, ``"threading"`` or ``"dask"``; by default the one of
            the caller's ``joblib.parallel_config``, or none.
        workers: How many work at once; -1, and the default where a back end is named: one on each processor.
        progress: Called with the number of resamples done and the number in all.

    References:
        B. Efron and R. Tibshirani 1993, An Introduction to the Bootstrap, chapters 6 and 13.
    """

    draws: int = 1000
    seed: int = 0
    interval: str = "percentile"
    backend: str | None = None
    workers: int | None = None
    progress: Callable[[int, int], None] | None = None

    def __post_init__(self) -> None:
        if not is_whole(self.draws) or self.draws < 20:
            raise ArgumentError(f"a bootstrap needs 20 draws or more; got {self.draws}.")
        check_row_seed(self.seed)
        for name, value in (("workers", self.workers), ("backend", self.backend)):
            kind = is_whole(value) if name == "workers" else isinstance(value, str)
            if value is not None and not kind:
                what = "a whole number" if name == "workers" else "the name of a back end of joblib"
                raise ArgumentError(f"{name} must be {what}; got {value!r}.")
        if self.progress is not None:
            check_callable("progress", self.progress)
        if self.interval not in ("percentile", "basic", "normal"):
            raise ArgumentError(f"interval must be 'percentile', 'basic' or 'normal'; got {self.interval!r}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of one adjustment; a default means that it was not asked for."""

    method: str
    interactions: Sequence[str] | None = None
    folds: int | None = None
    target: str = "ate"
    contrast: str = "difference"
    stabilized: bool = False
    trim: float = 0.0
    outcome_model: Any = None
    propensity_model: Any = None
    mediators: Sequence[str] = ()
    instruments: Sequence[str] = ()
    seed: int = 0

    @classmethod
    def among(cls, arguments: Mapping[str, Any]) -> "Options":
        """Those options that are among a function's arguments; lists become tuples, so that an empty one is none."""
        names = {option.name for option in fields(cls)}
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in arguments.items()
            if name in names
        }
        return cls(**given)

    @property
    def learned(self) -> bool:
        """Whether a caller's own estimator is to be fitted."""
        return self.outcome_model is not None or self.propensity_model is not None


def check_options(table: CausalTable, options: Options) -> None:
    """Refuse what a method does not take.

    Raises:
        ArgumentError: With the option, and the methods that it serves.
    """
    if not isinstance(table, CausalTable):
        raise ArgumentError(
            f"a CausalTable is needed; got {type(table).__name__}. Make one by ec.CausalTable(frame, treatment, "
            "outcome, covariates)."
        )
    method = options.method
    if method not in METHODS:
        raise ArgumentError(f"method must be one of {', '.join(map(repr, METHODS))}; got {method!r}.")
    defaults = Options(method=method)
    for option in fields(Options):
        serves = SERVES.get(option.name, METHODS)
        given = getattr(options, option.name)
        if method not in serves and given != getattr(defaults, option.name):
            raise ArgumentError(f"{option.name} serve{_plural(option.name)} {_listed(serves)}, not {method}.")
    if method in TWO_ARMS and table.treatment_kind != "binary":
        raise ArgumentError(
            f"{method} compares two arms, and {table.treatment!r} is continuous: use regression "
            "or standardization."
        )
    _check_values(table, options)


def check_row_seed(seed: Any) -> None:
    """Refuse what does not seed draws of rows.

    Raises:
        ArgumentError: If it is not a whole number, or negative.
    """
    if not is_whole(seed) or seed < 0:
        raise ArgumentError(f"seed must be a whole number, not negative; got {seed!r}.")


def _check_values(table: CausalTable, options: Options) -> None:
    check_row_seed(options.seed)
    if options.folds is not None and not is_whole(options.folds):
        raise ArgumentError(f"folds must be a whole number; got {options.folds!r}.")
    if options.target not in TARGETS:
        raise ArgumentError(f"target must be one of {', '.join(map(repr, TARGETS))}; got {options.target!r}.")
    if options.contrast not in CONTRASTS:
        raise ArgumentError(f"contrast must be 'difference' or 'ratio'; got {options.contrast!r}.")
    trim = as_number(options.trim)
    if trim is None or not 0 <= trim < 0.5:
        raise ArgumentError(f"trim must be a propensity from 0 to below .5; got {options.trim!r}.")
    arms = options.target != "ate" or options.contrast == "ratio"
    if arms and table.treatment_kind != "binary":
        raise ArgumentError(f"target and contrast compare two arms, and {table.treatment!r} is continuous.")
    if not isinstance(options.stabilized, bool):
        raise ArgumentError(f"stabilized must be True or False; got {options.stabilized!r}.")
    for role, names in (("mediators", options.mediators), ("instruments", options.instruments)):
        if isinstance(names, str) or not isinstance(names, Sequence):
            what = "the text " if isinstance(names, str) else ""
            raise ArgumentError(f"{role} must be a list of names; got {what}{names!r}.")
        if options.method == {"mediators": "front_door", "instruments": "instrument"}[role] and not names:
            raise ArgumentError(
                f"method {options.method!r} needs {role}=[...], columns of the table's frame."
            )


def _plural(name: str) -> str:
    return "" if name.endswith("s") else "s"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
