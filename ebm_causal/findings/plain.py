"""Numbers as strict JSON has them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

DIGITS = 11


def as_plain(value: Any) -> Any:
    """A value as JSON can hold it: numpy becomes python, what is not finite becomes None.

    None is shown as "not available", so that nothing which is not a number passes for one. Numbers keep eleven
    digits: the last bits depend on where arrays happen to lie in memory, and the same seed must give the same text.
    """
    if isinstance(value, Mapping):
        return {str(key): as_plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return as_plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [as_plain(part) for part in value]
    if isinstance(value, np.generic):
        return as_plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def spread(values: np.ndarray, level: float = 0.95) -> dict[str, float]:
    """Mean and central interval of draws."""
    tail = (1 - level) / 2
    lower, upper = np.quantile(values, [tail, 1 - tail])
    return {"mean": float(np.mean(values)), "lower": float(lower), "upper": float(upper)}


def amount(value: float) -> str:
    """A number in a sentence: whole from a hundred on, else three digits."""
    return (f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}").replace("-", "\N{MINUS SIGN}")
