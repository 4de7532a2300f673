r"""The factors at which bounds, and draws, reach zero."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

from ebm_causal.sensitivity.weighted_arms import Arms, lower_bounds, upper_bounds

LARGEST = 1e12  # no tipping point is looked for beyond this


def tipping_lambda(
    drawn: Sequence[Arms], outcome: Float[np.ndarray, " rows"], level: float | None = None
) -> float | None:
    """The smallest factor at which the bound next to zero is zero.

    Args:
        drawn: The arms of the sample, or of resamples; of these the bound is the interval's end.
        outcome: All outcomes, which give the scale of zero.
        level: Of the interval of resamples.

    Returns:
        The factor; 1 where zero is no further than rounding without any, None where no factor does it.
    """
    tail = 0.5 if level is None else (1 - level) / 2
    positive = float(np.median(_ends(drawn, 1.0, True))) > 0
    bound = partial(_near_end, drawn, positive, tail)
    if bound(1.0) <= 1e-13 * np.abs(outcome).max():
        return 1.0
    return _zero_above(bound, 1.0)


def tipping_bias(
    seen: Float[np.ndarray, " draws"], bias: Float[np.ndarray, " draws"], tail: float
) -> float | None:
    """The smallest factor of the biases at which a share ``tail`` of what is left is zero or below.

    Args:
        seen: Draws of what is seen, mostly positive.
        bias: Draws of the bias in them.
        tail: The share.

    Returns:
        The factor; 0 where that share is there without any bias, None where no factor does it.
    """

    def near(factor: float) -> float:
        return float(np.quantile(seen - factor * bias, tail))

    if near(0.0) <= 0:
        return 0.0
    return _zero_above(near, 0.0)


def _zero_above(near: Callable[[float], float], low: float) -> float | None:
    """Where a falling function that is positive at ``low`` reaches zero; None where it does not."""
    high = low + 1
    while near(high) > 0:
        high *= 2
        if high > LARGEST:
            return None
    return float(brentq(near, low, high, xtol=1e-12, rtol=1e-14))


def _near_end(drawn: Sequence[Arms], positive: bool, tail: float, factor: float) -> float:
    ends = _ends(drawn, factor, positive)
    return float(np.quantile(ends if positive else -ends, tail))


def _ends(drawn: Sequence[Arms], factor: float, lower: bool) -> Float[np.ndarray, " drawn"]:
    factors = np.array([factor])
    of = lower_bounds if lower else upper_bounds
    return np.array([of(arms, factors)[0] for arms in drawn])
