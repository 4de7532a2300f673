r"""Schedules of :math:`\beta` in the place of a number: every row at every temperature, in one pass."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.gibbs.restriction import Restriction, restrict
from ebm_causal.sampling import check_schedule
from ebm_causal.shapes import Betas, check_beta


def single_or_schedule(beta: Betas) -> float | Tensor:
    """An inverse temperature as a number; a schedule of them as a tensor ``[betas]`` in double precision.

    Raises:
        ArgumentError: If it is neither positive nor a schedule (see ``check_schedule``).
    """
    if isinstance(beta, Sequence) or (isinstance(beta, (Tensor, np.ndarray)) and beta.ndim > 0):
        return check_schedule(beta)
    return check_beta(beta)


def at_each(beta: float | Tensor) -> list[float]:
    """The inverse temperatures one after another; one alone for a number."""
    return beta.tolist() if isinstance(beta, Tensor) else [beta]


def restrict_at(
    energy: Energy,
    over: str | Iterable[str],
    given: Mapping[str, object] | pd.DataFrame | None,
    beta: Betas,
) -> tuple[Restriction, tuple[int, int] | None]:
    """A restriction, and for a schedule the shape ``(betas, rows)`` of its rows: all rows at the first beta come first.

    Raises:
        EnergyError: As for ``restrict``.
        ArgumentError: If beta is neither positive nor a schedule.
    """
    betas = single_or_schedule(beta)
    if not isinstance(betas, Tensor):
        return restrict(energy, over, given, betas), None
    single = restrict(energy, over, given, float(betas[0]))
    rows, count = single.rows, len(betas)
    held = {
        name: value if len(value) == 1 else value.repeat(count, *[1] * (value.ndim - 1))
        for name, value in single.given.items()
    }
    each = betas.to(single.like).repeat_interleave(rows)
    return replace(single, given=held, rows=rows * count, beta=each), (count, rows)
