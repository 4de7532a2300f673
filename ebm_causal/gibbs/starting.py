"""Where descents begin: stratified over the prior, or over an interval, half of them the best of many."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import constraints

from ebm_causal.energies import regularizers_of
from ebm_causal.gibbs.restriction import Restriction, values_of

SCREENED = 32  # candidates, of which the best becomes a start


def draw_starts(restriction: Restriction, starts: int, generator: torch.Generator) -> Tensor:
    """Unconstrained starts ``[starts, dim]``: in each coordinate one in each of as many equally likely strata.

    Uniform over an interval and over finite values, else normal, with the standard deviation of the
    regularizer where there is one; where that is above one, every other start is standard normal.
    """
    shape = (starts, restriction.dim)
    strata = torch.rand(shape, generator=generator, dtype=torch.float64).argsort(0)
    uniform = (strata + torch.rand(shape, generator=generator, dtype=torch.float64)) / starts
    warmest = float(torch.as_tensor(restriction.beta).min())
    regularizers, columns, start = regularizers_of(restriction.energy), [], 0
    for name, variable in zip(restriction.over, restriction.variables, strict=True):
        size = math.prod(variable.shape or (1,))
        part = uniform[:, start : start + size].clamp(1e-9, 1 - 1e-9)
        start += size
        values = values_of(variable)
        if values is not None:
            columns.append(part.new_tensor(values)[(part * len(values)).long()])
            continue
        if isinstance(variable.support, constraints.interval):
            columns.append(part.logit())
            continue
        known = regularizers.get(name)
        scale = torch.full_like(part, 1.0 if known is None else known.standard_deviation(warmest))
        scale[1::2].clamp_(max=1.0)
        columns.append(scale * torch.special.ndtri(part))
    return torch.cat(columns, -1).to(restriction.like) if columns else restriction.like.new_zeros(shape)


def screened_starts(
    restriction: Restriction, starts: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Starts ``[starts, dim]`` and the pool ``[32 halves, dim]`` whose best take the place of half of them."""
    begin = draw_starts(restriction, starts, generator)
    return begin, draw_starts(restriction, SCREENED * ((starts + 1) // 2), generator)


def screen(surface: Callable[[Tensor], Tensor], begin: Tensor, pool: Tensor, rows: int) -> Tensor:
    """Starts ``[starts, rows, dim]``: half of them as drawn, half each the best of 32 others for its row.

    Args:
        surface: The energy of points ``[points, 1, dim]`` in each row, ``[points, rows]``.
        begin: Starts as drawn.
        pool: The others.
        rows: How many rows.
    """
    with torch.no_grad():
        energies = surface(pool[:, None])
    groups = torch.where(energies.isnan(), math.inf, energies).reshape(SCREENED, -1, rows)
    best = groups.argmin(0)
    places = torch.arange(len(best), device=best.device)[:, None]
    chosen = pool.reshape(SCREENED, -1, pool.shape[-1])[best, places]
    return torch.cat([chosen, begin[len(best) :, None].expand(-1, rows, -1)])
