"""The ranges that numbers of a sensitivity analysis must keep to."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_number, is_whole


def check_number(name: str, value: object) -> float:
    """Return a real number, or refuse what is none or not finite."""
    number = _number(name, value)
    if not math.isfinite(number):
        raise ArgumentError(f"{name} must be finite; got {number}.")
    return number


def check_positive(name: str, value: object) -> float:
    """Return a real number, or refuse what is none or not positive and finite."""
    number = _number(name, value)
    if not (math.isfinite(number) and number > 0):
        raise ArgumentError(f"{name} must be positive and finite; got {value}.")
    return number


def check_fraction(name: str, value: object) -> float:
    """Return a real number, or refuse what is none or not strictly between 0 and 1."""
    number = _number(name, value)
    if not 0 < number < 1:
        raise ArgumentError(f"{name} must be between 0 and 1; got {number}.")
    return number


def check_count(name: str, value: Any, least: int = 2) -> int:
    """Return a whole number, or refuse what is none or too small."""
    if not is_whole(value):
        raise ArgumentError(f"{name} must be a whole number, {least} or more; got {value!r}.")
    if value < least:
        raise ArgumentError(f"{name} must be {least} or more; got {value}.")
    return int(value)


def check_numbers(name: str, values: object) -> Float[np.ndarray, "*numbers"]:
    """Return real numbers as an array of double precision, or refuse what are none."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError):  # ragged, or a tensor that has gradients
        array = np.array(None)
    if array.dtype == object and array.size:
        numbers = [as_number(value) for value in array.flat]
        if None not in numbers:
            array = np.array(numbers, dtype=np.float64).reshape(array.shape)
    if array.dtype.kind not in "iuf":
        raise ArgumentError(f"{name} must be of real numbers; got {values!r}.")
    return array.astype(np.float64)


def check_factors(name: str, values: object) -> Float[np.ndarray, " factors"]:
    """Return one factor or several, or refuse what is not 1 or more and finite."""
    factors = np.atleast_1d(check_numbers(name, values))
    if factors.ndim != 1:
        raise ArgumentError(f"{name} must be a number or a list of them; got shape {list(factors.shape)}.")
    if not factors.size:
        raise ArgumentError(f"{name} must hold one factor or more; got none.")
    wrong = ~(np.isfinite(factors) & (factors >= 1))
    if wrong.any():
        raise ArgumentError(f"{name} must be finite and 1 or more; got {factors[wrong][0]:g}.")
    return factors


def check_strengths(
    r2_treatment: ArrayLike, r2_outcome: ArrayLike
) -> tuple[Float[np.ndarray, "*treatment"], Float[np.ndarray, "*outcome"]]:
    """Refuse a partial R^2 that is not in [0, 1), and shapes that do not go together."""
    found = []
    for name, values in (("r2_treatment", r2_treatment), ("r2_outcome", r2_outcome)):
        strengths = check_numbers(name, values)
        wrong = ~((strengths >= 0) & (strengths < 1))
        if wrong.any():
            raise ArgumentError(f"{name} must be in [0, 1); got {np.ravel(strengths[wrong])[0]:g}.")
        found.append(strengths)
    check_shapes({"r2_treatment": found[0], "r2_outcome": found[1]})
    return found[0], found[1]


def check_shapes(arrays: dict[str, np.ndarray]) -> None:
    """Refuse arrays that do not broadcast, by their names."""
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items() if array.ndim)
        raise ArgumentError(f"arrays must be of one shape, or broadcast; got {shapes}.") from error


def _number(name: str, value: object) -> float:
    number = as_number(value)
    if number is None:
        raise ArgumentError(f"{name} must be a real number; got {value!r}.")
    return number
