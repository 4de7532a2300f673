"""Draws that are spread evenly, in independent blocks, so that they err less and still tell how much they err."""

import math

import torch
from torch import Tensor
from torch.distributions import Independent

BLOCKS = 25
FEWEST = 4  # draws of a block; with fewer in all, draws are plain


def blocks_of(draws: int) -> int:
    """In how many blocks so many draws are spread; 0 where they are too few."""
    return BLOCKS if draws >= BLOCKS * FEWEST else 0


def spread_evenly(
    law: torch.distributions.Distribution, draws: int, generator: torch.Generator
) -> Tensor | None:
    r"""Draws ``[draws, 1, *event]`` of a law of independent coordinates: a Latin hypercube in each block.

    Each block has one draw in each n-th of each coordinate's probability, in an order of its own. Its mean has less
    variance than that of n plain draws by the part of a query that is a sum of functions of single coordinates.

    Args:
        law: The law; None is returned where its quantiles are not known.
        draws: How many.
        generator: Drives all randomness.

    References:
        M. McKay, R. Beckman and W. Conover 1979, A comparison of three methods; A. Owen 2013, Monte Carlo theory,
        methods and examples, chapters 10.3 and 17.2.
    """
    base = law.base_dist if isinstance(law, Independent) else law
    blocks = blocks_of(draws)
    if not blocks:
        return None
    shape = law.event_shape
    sizes = [len(part) for part in torch.arange(draws).tensor_split(blocks)]
    shares = torch.cat([_hypercube(size, math.prod(shape), generator) for size in sizes])
    try:
        values = base.icdf(shares.reshape(draws, 1, *shape))
    except NotImplementedError:
        return None
    return values.to(base.mean.dtype)


def blocked(deviations: Tensor, blocks: int) -> Tensor:
    """What each block adds to the error of the whole, if what each draw adds is known; all of it without blocks."""
    if not blocks:
        return deviations
    sums = torch.stack([part.sum(0) for part in deviations.tensor_split(blocks)])
    return sums * math.sqrt(blocks / (blocks - 1))


def _hypercube(size: int, coordinates: int, generator: torch.Generator) -> Tensor:
    order = torch.rand(size, coordinates, generator=generator, dtype=torch.float64).argsort(0)
    within = torch.rand(size, coordinates, generator=generator, dtype=torch.float64)
    return ((order + within) / size).clamp(torch.finfo(torch.float64).eps, 1 - torch.finfo(torch.float64).eps)
