r"""Schedules of :math:`\beta` in the place of a number: every row at every temperature, in one pass."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.gibbs.restriction import Restriction, restrict
from ebm_causal.sampling import check_schedule

Betas = float | Sequence[float] | Tensor


def as_schedule(beta: Betas) -> Tensor | None:
    """The inverse temperatures of a schedule; None for a single number.

    Raises:
        ArgumentError: If they are no schedule (see ``check_schedule``).
    """
    if isinstance(beta, Tensor) and beta.numel() == 1:
        return None
    return check_schedule(beta) if isinstance(beta, (Tensor, Sequence)) else None


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
    betas = as_schedule(beta)
    if betas is None:
        return restrict(energy, over, given, float(beta)), None
    single = restrict(energy, over, given, float(betas[0]))
    rows, count = single.rows, len(betas)
    held = {
        name: value if len(value) == 1 else value.repeat(count, *[1] * (value.ndim - 1))
        for name, value in single.given.items()
    }
    each = betas.to(single.like).repeat_interleave(rows)
    return replace(single, given=held, rows=rows * count, beta=each), (count, rows)
