"""Derivatives along equally spaced points, by finite differences of high order."""

from functools import lru_cache

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError


def differentiate(values: Tensor, step: float, *, order: int = 1, points: int = 9) -> Tensor:
    r"""The first or second derivative of a curve at each of its equally spaced points.

    Each derivative is that of the polynomial through the ``points`` nearest values, centered inside and
    one-sided at the ends. The error is of order ``step ** (points - order)``, one better for second derivatives inside,
    plus rounding of about :math:`\epsilon\,|r|/\Delta t^{\text{order}}`, which is several hundred times
    as large at the ends: a smaller step is not always a better one.

    Args:
        values: The curve, time along the first dimension.
        step: The time from one value to the next.
        order: 1 or 2.
        points: How many values each derivative uses, odd; fewer where the curve has fewer.

    Returns:
        The derivatives, in the shape of ``values``.

    Raises:
        ArgumentError: If there are fewer than three values.

    Example:
        >>> import torch
        >>> t = 0.1 * torch.arange(12, dtype=torch.float64)
        >>> bool((differentiate(t.sin(), 0.1) - t.cos()).abs().max() < 1e-8)
        True

    References:
        Fornberg (1988), Generation of finite difference formulas on arbitrarily spaced grids.
    """
    width = min(points, len(values) - (1 - len(values) % 2))
    if width <= order:
        raise ArgumentError(f"a derivative along a curve needs at least 3 points; got {len(values)}.")
    centered = values - values[:1]  # a curve at rest has no rounding
    table = torch.tensor([_weights(width, place, order) for place in range(width)], dtype=torch.float64)
    table = (table / step**order).to(values)
    half, flat = width // 2, centered.reshape(len(values), -1)
    inside = flat.unfold(0, width, 1) @ table[half]
    ends = table[:half] @ flat[:width], table[half + 1 :] @ flat[-width:]
    return torch.cat([ends[0], inside, ends[1]]).reshape(values.shape)


@lru_cache(maxsize=256)
def _weights(width: int, place: int, order: int) -> tuple[float, ...]:
    """Fornberg's recursion for the derivative at one of the points 0, ..., width - 1."""
    rows = [[0.0] * width for _ in range(order + 1)]  # rows[m][j]: the weight of point j in derivative m
    rows[0][0], scale = 1.0, 1.0
    for n in range(1, width):
        product = 1.0
        last = [row[n - 1] for row in rows]
        for j in range(n):
            product *= n - j
            for m in range(order, -1, -1):
                lower = m * rows[m - 1][j] if m else 0.0
                rows[m][j] = ((n - place) * rows[m][j] - lower) / (n - j)
        for m in range(order, -1, -1):
            lower = m * last[m - 1] if m else 0.0
            rows[m][n] = scale / product * (lower - (n - 1 - place) * last[m])
        scale = product
    return tuple(rows[order])
