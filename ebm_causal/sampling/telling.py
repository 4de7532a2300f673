"""How far a computation is: a function that is told the share done, and the parts of it that others tell."""

from collections.abc import Callable

Tell = Callable[[float], None]


def silent(share: float) -> None:
    """Tell nobody."""


def part_of(tell: Tell, start: float, size: float) -> Tell:
    """What a part tells, of which the whole is ``start`` done before it and ``start + size`` after it."""
    return lambda share: tell(start + size * share)


def round_of(tell: Tell, rows: tuple[int, int], rounds: tuple[int, int]) -> Tell:
    """What a round tells: rows that have left are done, the others by the share of all rounds.

    Args:
        tell: Of all rounds.
        rows: How many are left, and how many there are.
        rounds: How many rounds are over, and how many there are at most.
    """
    (left, every), (over, most) = rows, rounds
    return part_of(tell, 1 - left / every * (1 - over / most), left / every / most)
