"""The ranges that numbers of a sensitivity analysis must keep to."""

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ebm_causal.errors import ArgumentError


def check_number(name: str, value: float) -> None:
    """Refuse what is not finite."""
    if not math.isfinite(value):
        raise ArgumentError(f"{name} must be finite; got {value}.")


def check_positive(name: str, value: float) -> None:
    """Refuse what is not positive and finite."""
    if not (math.isfinite(value) and value > 0):
        raise ArgumentError(f"{name} must be positive and finite; got {value}.")


def check_fraction(name: str, value: float) -> None:
    """Refuse what is not strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ArgumentError(f"{name} must be between 0 and 1; got {value}.")


def check_count(name: str, value: int) -> None:
    """Refuse a whole number below 2."""
    if value < 2:
        raise ArgumentError(f"{name} must be 2 or more; got {value}.")


def check_strengths(
    r2_treatment: ArrayLike, r2_outcome: ArrayLike
) -> tuple[Float[np.ndarray, "*treatment"], Float[np.ndarray, "*outcome"]]:
    """Refuse a partial R^2 that is not in [0, 1)."""
    found = []
    for name, values in (("r2_treatment", r2_treatment), ("r2_outcome", r2_outcome)):
        strengths = np.asarray(values, dtype=np.float64)
        wrong = ~((strengths >= 0) & (strengths < 1))
        if wrong.any():
            raise ArgumentError(f"{name} must be in [0, 1); got {np.ravel(strengths[wrong])[0]:g}.")
        found.append(strengths)
    return found[0], found[1]
