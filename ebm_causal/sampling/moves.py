"""Moves of a population that leave its law as it is: along the gradient, along differences, from value to value."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.paths import Path, Population

LEAPS = 16
SPREAD_OF_STEPS = 4.0  # step sizes reach down to exp(-4) of the largest, for densities of many scales
MOST_CHANGED = 3  # coordinates that a move along a difference changes at most
JITTER = 0.05
KERNELS = 8
WIDTHS = (0.03, 0.1, 0.3)  # of kernels, in standard deviations


class Pace(NamedTuple):
    """How far a Hamiltonian move goes.

    Attributes:
        log_step: The log of the largest step size, ``[rows]``.
        scale: Of each coordinate, ``[rows, dim]``.
    """

    log_step: Tensor
    scale: Tensor


def move_along_gradient(
    population: Population, path: Path, share: Tensor, pace: Pace, generator: torch.Generator
) -> tuple[Population, Tensor]:
    """One Hamiltonian trajectory of each particle, its length and step sizes drawn; also the acceptance of each row.

    References:
        Neal (2011), MCMC using Hamiltonian dynamics, section 5.3.
    """
    like = population.points
    momentum = _normal(like.shape, generator, like) * path.continuous
    step = (pace.log_step - SPREAD_OF_STEPS * _uniform(like.shape[:2], generator, like)).exp()[..., None]
    stride = step * pace.scale
    (here, gradient), end = path.slope(like, share), momentum
    proposal = here
    half = 0.5 * stride
    for _ in range(int(torch.randint(1, LEAPS + 1, (1,), generator=generator))):
        end = end - half * gradient
        proposal, gradient = path.slope(proposal.points + stride * end, share)
        end = end.addcmul_(half, gradient, value=-1.0)
    kinetic = 0.5 * ((end * end).sum(-1) - (momentum * momentum).sum(-1))
    log_ratio = here.at(share) - proposal.at(share) - kinetic
    finite = log_ratio.isfinite() & gradient.isfinite().all(-1)
    acceptance = torch.where(finite, log_ratio.clamp_max(0.0).exp(), 0.0)
    accepted = _uniform(acceptance.shape, generator, like) < acceptance
    return here.where(accepted, proposal), acceptance.mean(0)


def move_along_differences(
    population: Population, path: Path, share: Tensor, generator: torch.Generator
) -> Population:
    """Change a few coordinates of each particle by the difference of two others, which may lie in two modes.

    One half of the population moves by differences of the other, so that the move is reversible.

    References:
        ter Braak and Vrugt (2008), Differential evolution Markov chain with snooker updater and fewer chains;
        Vrugt et al. (2009), Accelerating Markov chain Monte Carlo simulation by differential evolution.
    """

    among = path.continuous.nonzero().flatten()

    def propose(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        count, rows, _ = points.shape
        places = _some(among, generator)
        first = torch.randint(len(others), (count,), generator=generator)
        gap = torch.randint(1, len(others), (count,), generator=generator)
        theirs = others[..., places]
        difference = theirs[first] - theirs[(first + gap) % len(others)]
        stretch = 1 + JITTER * _normal((count, rows, 1), generator, points)
        noise = JITTER * _normal(difference.shape, generator, points) * theirs.std(0)
        moved = points.clone()
        moved[..., places] += stretch * difference + noise
        return moved, points.new_zeros(())

    return _by_halves(population, path, share, propose, generator)


def move_to_marginals(
    population: Population, path: Path, share: Tensor, generator: torch.Generator
) -> Population:
    r"""Give a few coordinates of each particle values near those of others, whatever its own were.

    The proposal is a kernel density of 16 particles of the other half, coordinate by coordinate; its ratio enters
    the acceptance. It jumps between modes that differ in some coordinates and leaves the others alone.
    """
    among = path.continuous.nonzero().flatten()

    def propose(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
        count, rows, _ = points.shape
        places = _some(among, generator)
        centers = others[torch.randperm(len(others), generator=generator)[:KERNELS]][..., places]
        level = WIDTHS[int(torch.randint(len(WIDTHS), (1,), generator=generator))]
        width = level * others[..., places].std(0).clamp_min(torch.finfo(points.dtype).tiny)
        chosen = torch.randint(len(centers), (count, rows, len(places)), generator=generator)
        old = points[..., places]
        new = centers.gather(0, chosen.to(centers.device)) + width * _normal(old.shape, generator, points)
        moved = points.clone()
        moved[..., places] = new
        return moved, _log_kernels(old, centers, width) - _log_kernels(new, centers, width)

    return _by_halves(population, path, share, propose, generator)


def _some(among: Tensor, generator: torch.Generator) -> Tensor:
    """A few of the coordinates."""
    count = int(torch.randint(1, MOST_CHANGED + 1, (1,), generator=generator))
    return among[torch.randperm(len(among), generator=generator)[:count].to(among.device)]


def _log_kernels(values: Tensor, centers: Tensor, width: Tensor) -> Tensor:
    """The log density of a sum of kernels up to a constant, summed over coordinates."""
    distance = (values / width)[:, None] - centers / width
    return distance.square_().mul_(-0.5).logsumexp(1).sum(-1)


def move_among_values(
    population: Population, path: Path, share: Tensor, generator: torch.Generator
) -> Population:
    """Give one finite coordinate of each particle another of its values, by the Metropolis rule."""
    finite = [(place, values) for place, values in enumerate(path.choices) if values is not None]
    place, values = finite[int(torch.randint(len(finite), (1,), generator=generator))]
    points = population.points.clone()
    index = torch.randint(len(values), points.shape[:2], generator=generator).to(points.device)
    points[..., place] = values[index]
    return _metropolis(population, path, share, points, generator)


def _by_halves(
    population: Population,
    path: Path,
    share: Tensor,
    propose: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    generator: torch.Generator,
) -> Population:
    """Move either half of the population by proposals from the other."""
    order = torch.randperm(len(population.points), generator=generator).to(population.points.device)
    places = order.tensor_split(2)
    halves = [Population(*(part[place] for part in population)) for place in places]
    for mine in (0, 1):
        proposal, correction = propose(halves[mine].points, halves[1 - mine].points)
        halves[mine] = _metropolis(halves[mine], path, share, proposal, generator, correction=correction)
    back = order.argsort()
    return Population(*(torch.cat(pair)[back] for pair in zip(*halves, strict=True)))


def _metropolis(
    population: Population,
    path: Path,
    share: Tensor,
    points: Tensor,
    generator: torch.Generator,
    *,
    correction: Tensor | float = 0.0,
) -> Population:
    """Accept or not; the correction is the log of the proposal's density back over that of the way there."""
    proposal = path.weigh(points)
    log_ratio = population.at(share) - proposal.at(share) + correction
    return population.where(_uniform(log_ratio.shape, generator, points).log() < log_ratio, proposal)


def _normal(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=like.dtype).to(like.device)


def _uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    tiny = math.ulp(0.0) if like.dtype == torch.float64 else 1e-45
    return torch.rand(shape, generator=generator, dtype=like.dtype).to(like.device).clamp_min(tiny)
