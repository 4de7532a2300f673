"""Numbers as words: rounded to what their errors warrant, a dash where there is none."""

import math
from collections.abc import Sequence

MISSING = "—"


def number(value: float | None, decimals: int | None = None) -> str:
    """A number with separators of thousands; without ``decimals``, three significant digits.

    >>> [number(v) for v in (-8497.5, 0.43845, 3.0, 0.0, None)]
    ['−8,498', '0.438', '3', '0', '—']
    >>> number(699.1318, 1)
    '699.1'
    """
    if value is None:
        return MISSING
    if decimals is not None:
        return _minus(f"{_no_negative_zero(round(value, decimals)):,.{decimals}f}")
    if value != 0 and not 1e-4 <= abs(value) < 1e9:
        return _minus(f"{value:.2e}")
    return _minus(_trimmed(f"{value:,.{_decimals(value)}f}"))


def decimals_for(errors: Sequence[float | None], digits: int = 3) -> int | None:
    """Decimals that show so many digits of the smallest error, so that a column of numbers lines up.

    >>> decimals_for([547.6, 712.0, None]), decimals_for([0.4384])
    (0, 3)
    """
    sizes = [abs(error) for error in errors if error]
    return _decimals(min(sizes), digits) if sizes else None


def interval(lower: float | None, upper: float | None, decimals: int | None = None) -> str:
    """An interval in brackets, or a dash.

    >>> interval(-374.3, 1772.6, 0)
    '[−374, 1,773]'
    """
    if lower is None or upper is None:
        return MISSING
    return f"[{number(lower, decimals)}, {number(upper, decimals)}]"


def percent(value: float | None) -> str:
    """A share in percent.

    >>> [percent(v) for v in (0.00999, 0.126, 0.0, 0.00004, 1.0)]
    ['1.00%', '12.6%', '0%', '<0.01%', '100%']
    """
    if value is None:
        return MISSING
    size = abs(100 * value)
    if 0 < size < 0.01:
        return "<0.01%" if value > 0 else "≈0%"
    if size in (0, 100):
        return _minus(f"{100 * value:.0f}%")
    return _minus(f"{100 * value:.{1 if size >= 10 else 2}f}%")


def p_value(value: float | None) -> str:
    """A p value; a simulated one of zero is given as less than its resolution allows to say.

    >>> p_value(0.52), p_value(0.0)
    ('0.52', '<0.001')
    """
    if value is None:
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.2g}"


def count(value: int | None) -> str:
    """A whole number with separators of thousands.

    >>> count(16177)
    '16,177'
    """
    return MISSING if value is None else f"{value:,}"


def level_of(level: float | None) -> str:
    """The probability of an interval.

    >>> level_of(0.95)
    '95%'
    """
    return "" if level is None else f"{100 * level:.3g}%"


def _decimals(value: float, digits: int = 3) -> int:
    return 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))


def _trimmed(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _no_negative_zero(value: float) -> float:
    return value + 0.0


def _minus(digits: str) -> str:
    return digits.replace("-", "−") if digits.strip("-0.,%") else digits.replace("-", "")
