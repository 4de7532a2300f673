"""Arguments that several analyses take: a table, a seed, a switch, multiples of a benchmark."""

from typing import Any

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError
from ebm_causal.sensitivity.ranges import check_numbers, check_positive
from ebm_causal.shapes import check_seed


def check_table(table: object) -> None:
    """Refuse what is no table with roles."""
    if not isinstance(table, CausalTable):
        raise ArgumentError(
            f"table must be a CausalTable; got {type(table).__name__}. A DataFrame becomes one by "
            "CausalTable(frame, treatment, outcome, covariates)."
        )


def check_natural_seed(seed: Any) -> int:
    """Return a seed that numpy takes, or refuse it."""
    if check_seed(seed) < 0:
        raise ArgumentError(f"seed must be 0 or more; got {seed}.")
    return int(seed)


def check_switch(name: str, value: object) -> None:
    """Refuse what is not True or False."""
    if not isinstance(value, bool):
        raise ArgumentError(f"{name} must be True or False; got {value!r}.")


def as_two_means(strength: object) -> tuple[float, float]:
    """The means of a prior, toward treatment and outcome."""
    means = check_numbers("strength", strength)
    if means.shape != (2,):
        raise ArgumentError(
            f"strength must be the two prior means, toward treatment and outcome; got {strength!r}."
        )
    return float(means[0]), float(means[1])


def as_multiples(multiples: object) -> tuple[float, ...]:
    """How many times as strong as a benchmark, as a tuple."""
    values = check_numbers("multiples", multiples)
    if values.ndim != 1:
        raise ArgumentError(f"multiples must be a list of numbers, as (1, 2, 3); got {multiples!r}.")
    return tuple(check_positive("multiples", value) for value in values.tolist())
