"""What ``fit`` is asked for, looked at before anything is computed."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch.distributions import Distribution

from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_names, as_number, check_callable, check_seed, is_whole


def check_numbers(counts: Mapping[str, object], learning_rate: object, seed: object) -> None:
    """Refuse counts that are not whole, a rate that is not positive, and what is no seed.

    Args:
        counts: By the argument's name; None is left to the method.
        learning_rate: Of an optimizer.
        seed: Of all randomness.

    Raises:
        ArgumentError: By the argument's name.
    """
    for name, value in counts.items():
        if not (is_whole(value) or (value is None and name == "steps")):
            raise ArgumentError(f"{name} must be a whole number; got {value!r}.")
    rate = as_number(learning_rate)
    if rate is None or not 0 < rate < math.inf:
        raise ArgumentError(f"learning_rate must be positive and finite; got {learning_rate!r}.")
    check_seed(seed)


def check_learned(fixed: Iterable[str], priors: Any, progress: object) -> None:
    """Refuse names that are none, priors that are no distributions by name, and progress that cannot be told.

    Raises:
        EnergyError: If ``fixed`` holds something else than names.
        ArgumentError: If a prior is no distribution, or ``progress`` cannot be called.
    """
    as_names(fixed)
    if priors is not None and not isinstance(priors, Mapping):
        raise ArgumentError(f"priors are distributions by parameter name; got {type(priors).__name__}.")
    for name, law in (priors or {}).items():
        if not isinstance(law, Distribution):
            raise ArgumentError(f"the prior of {name!r} must be a torch or Pyro distribution; got {law!r}.")
    if progress is not None:
        check_callable("progress", progress)
