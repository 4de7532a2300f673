"""Log integrals by annealing a population from the prior to the density and back: any dimension, any support."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ebm_causal.gibbs.importance import ROUGH, numbered_blocks
from ebm_causal.gibbs.quadrature import LogIntegral
from ebm_causal.gibbs.restriction import Restriction, values_of
from ebm_causal.sampling import WALL, Annealed, Path, anneal

SPREADING = 1.2  # times by which a population at its target may still widen
APART = 4.0  # joint standard errors by which the way there and the way back may differ
SLACK = 0.05


def annealed_log_integral(
    restriction: Restriction,
    particles: int,
    generator: torch.Generator,
    report: Callable[[float], None] | None = None,
) -> LogIntegral:
    r"""The log integral found on the way to the density, checked on the way back (see ``ebm_causal.sampling.anneal``).

    The base is normal with the regularizer's standard deviation (else one), uniform over finite values. Trusted
    where both ways agree, the population no longer widens at its target, and the error is small. The
    gradient is that of the population, as if it were drawn from the density.
    """
    blocks, parts, tell = numbered_blocks(restriction, particles), [], report or (lambda _: None)
    for place, (_, block) in enumerate(blocks):

        def told(share: float, done: int = place) -> None:
            tell((done + share) / len(blocks))

        with torch.no_grad():
            path = Path(energy=block, scale=_scale(block), choices=_choices(block))
            found = anneal(path, block.rows, generator, particles=particles, report=told)
        parts.append(_judged(block, found))
    whole = zip(*((part.value, part.error, part.trusted) for part in parts), strict=True)
    value, error, trusted = (torch.cat(entries) for entries in whole)
    return LogIntegral(value=value, error=error, trusted=trusted)


def _judged(block: Restriction, found: Annealed) -> LogIntegral:
    value, error = found.forward, found.forward_error
    value = torch.where(value.abs() < 0.1 * WALL, value, torch.nan)  # an energy of minus infinity
    gap, joint = found.forward - found.backward, torch.hypot(error, found.backward_error)
    agree = gap.abs() <= APART * joint + SLACK
    trusted = agree & (found.spreading <= SPREADING) & (error < ROUGH) & value.isfinite()
    surrogate = -block(found.population).mean(0)
    if surrogate.requires_grad:
        value = value + (surrogate - surrogate.detach())
    return LogIntegral(value=value, error=error, trusted=trusted)


def _scale(block: Restriction) -> Tensor:
    """Standard deviations of the base; one for finite coordinates, where they say nothing."""
    return block.first_scale().to(block.like)


def _choices(block: Restriction) -> tuple[Tensor | None, ...]:
    found: list[Tensor | None] = []
    for variable in block.variables:
        values = values_of(variable)
        own = None if values is None else block.like.new_tensor(values)
        found += [own] * math.prod(variable.shape or (1,))
    return tuple(found)
