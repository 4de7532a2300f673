"""Whether an energy still falls far out from a point that slopes and curvature call a minimum.

Toward infinity exp(-z) and 1/(1 + z^2) lose slope and curvature to rounding: no step is left, and no minimum is
there. What tells is a look far out, and the way in which the energy rises behind the point.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.gibbs.certificates import Certified, Columns, columns_of, energy_of_reals
from ebm_causal.gibbs.modes import only_rows
from ebm_causal.gibbs.restriction import Restriction
from ebm_causal.sampling import PointEnergy, slopes

FARTHEST, NEAREST, TRIALS = (
    3.0,
    -6.0,
    28,
)  # decades of one plus the point's length, and how many trials between
MOST_AXES = 64  # dimensions up to which each axis is looked along
HALVINGS = 50
EXPONENTIAL = (
    3.0  # an exponential's rise takes two equal lengths, a power's a second one many times the first
)
OFF = 1e-6  # an open bound, of one plus its size


class Rays(NamedTuple):
    """Half lines from points, one entry each.

    Attributes:
        owner: The number of the point.
        start: ``[rays, reals]``.
        value: The energy there, ``[rays]``.
        along: Of length one, ``[rays, reals]``.
        floor: Coordinates stay above, ``[rays, reals]``: a closed bound, or a little off an open one.
        ceiling: And below.
    """

    owner: Tensor
    start: Tensor
    value: Tensor
    along: Tensor
    floor: Tensor
    ceiling: Tensor


def tails_of(restriction: Restriction, found: Certified, sure: Tensor, *, differentiable: bool) -> Tensor:
    """Where the energy still falls from what seems a minimum, and in what direction.

    A direction in which the energy rises on both sides, or on neither, is that of a minimum, of a valley or of
    a plateau. Where it falls on a side, there is none. Where it rises on one side alone, behind the point, the rise
    tells: a hinge's begins as a power of the distance from its edge, that of a tail as an exponential, or slower.

    Args:
        restriction: A row per point.
        found: The points.
        sure: Which are to be looked at, ``[points]``.
        differentiable: Whether there are slopes.

    Returns:
        Directions in all columns, ``[points, dim]``; zero where none falls.
    """
    columns, toward = columns_of(restriction), torch.zeros_like(found.points)
    chosen = sure.nonzero().flatten()
    if not len(chosen) or not len(columns.real):
        return toward
    inside, value = found.points[chosen].detach(), found.energies[chosen].detach()
    reals, held = inside[:, columns.real], only_rows(restriction, chosen)
    whole = energy_of_reals(held, columns, inside)
    directions = _axes(whole, reals, found.hessian[chosen], differentiable=differentiable)
    owner = torch.arange(len(chosen), device=chosen.device).repeat_interleave(directions.shape[1])
    bounds = (bound[owner] for bound in _bounds(reals, columns))
    axes = Rays(owner, reals[owner], value[owner], directions.flatten(0, 1), *bounds)
    bent = (directions @ found.hessian[chosen] * directions).sum(-1) if found.hessian.shape[-1] else None
    axes = _unproven(axes, held, columns, inside, None if bent is None else bent.flatten())
    if not len(axes.owner):
        return toward
    energy = energy_of_reals(only_rows(held, axes.owner), columns, inside[axes.owner])
    falls = _falling(energy, axes)
    some = falls.abs().sum(-1) > 0
    place = columns.real.expand(int(some.sum()), -1)
    toward[chosen[axes.owner[some]]] = toward[chosen[axes.owner[some]]].scatter(1, place, falls[some])
    return toward


def _axes(energy: PointEnergy, reals: Tensor, hessian: Tensor, *, differentiable: bool) -> Tensor:
    """Directions of length one, ``[points, directions, reals]``: of curvature, or the axes; outward, and downhill."""
    found = [_unit(reals)[:, None]]
    if differentiable:
        found.append(-_unit(slopes(energy, reals)[1])[:, None])
    if hessian.shape[-1]:
        found.append(torch.linalg.eigh(hessian)[1].mT)
    elif reals.shape[-1] <= MOST_AXES:
        found.append(torch.eye(reals.shape[-1]).to(reals).expand(len(reals), -1, -1))
    return torch.cat(found, 1)


def _unit(vectors: Tensor) -> Tensor:
    """Vectors of length one; zero where they are, or are not finite."""
    largest = vectors.nan_to_num().abs().amax(-1, keepdim=True)
    scaled = torch.where(largest > 0, vectors.nan_to_num() / largest, 0.0)
    return torch.where(largest > 0, scaled / scaled.norm(dim=-1, keepdim=True).clamp_min(1.0), 0.0)


def _unproven(axes: Rays, held: Restriction, columns: Columns, inside: Tensor, bent: Tensor | None) -> Rays:
    """The axes along which the energy does not rise on both sides as its curvature says."""
    left = axes.along.abs().sum(-1) > 0
    if bent is not None:
        rise = _level(axes.value, 0.375)
        length = (2 * rise / bent.clamp_min(torch.finfo(bent.dtype).tiny)).sqrt().clamp_max(1e30)
        energy = energy_of_reals(only_rows(held, axes.owner), columns, inside[axes.owner])
        sides = [axes._replace(along=sign * axes.along) for sign in (1, -1)]
        rises = [_at(energy, side, length) - axes.value for side in sides]
        left = left & ~((rises[0] >= rise / 8) & (rises[1] >= rise / 8))
    return Rays(*(entry[left] for entry in axes))


def _falling(energy: PointEnergy, axes: Rays) -> Tensor:
    """Along which axes, and to which side, the energy falls, ``[axes, reals]``; zero where it does not."""
    sides = [axes._replace(along=sign * axes.along) for sign in (1, -1)]
    looks = [_look(energy, side) for side in sides]
    toward = torch.zeros_like(axes.along)
    for ahead, behind in ((0, 1), (1, 0)):
        falls = looks[ahead].lower
        tail = ~looks[ahead].rises & looks[behind].rises & ~looks[behind].lower
        if bool(tail.any()):
            tail = tail & _rises_slowly(energy, sides[behind], looks[behind], looks[ahead].lowest)
        toward = torch.where((falls | tail)[:, None], sides[ahead].along, toward)
    return toward


class Look(NamedTuple):
    """What is seen along rays.

    Attributes:
        rises: Whether the energy rises before it falls.
        lower: Whether it falls first.
        where: How far out it has risen.
        lowest: The lowest energy seen before.
    """

    rises: Tensor
    lower: Tensor
    where: Tensor
    lowest: Tensor


def _look(energy: PointEnergy, rays: Rays) -> Look:
    up = rays.value + _level(rays.value, 0.375)
    down = rays.value - 0.04 * _level(rays.value, 0.5)  # four times what a certificate allows
    none = torch.zeros_like(rays.value, dtype=torch.bool)
    found = Look(none, none, torch.zeros_like(rays.value), rays.value)
    size, foot = 1 + rays.start.norm(dim=-1), -(rays.start * rays.along).sum(-1)
    lengths = [size * 10.0**decade for decade in torch.linspace(NEAREST, FARTHEST, TRIALS).tolist()]
    for length in [*lengths, foot.clamp_min(0.0)]:  # the last is nearest to zero
        value, open_yet = _at(energy, rays, length), ~(found.rises | found.lower)
        rises, lower = open_yet & (value > up), open_yet & (value < down)
        found = Look(
            found.rises | rises,
            found.lower | lower,
            torch.where(rises, length, found.where),
            torch.where(open_yet, found.lowest.minimum(value), found.lowest),
        )
    return found


def _rises_slowly(energy: PointEnergy, behind: Rays, look: Look, lowest: Tensor) -> Tensor:
    """Whether the rise behind a point is that of an exponential or slower, and not of a power from an edge."""
    first = (16 * _level(lowest, 1.0)).maximum(2 * (behind.value - lowest))
    top = (_at(energy, behind, look.where) - lowest).minimum(_level(lowest, 0.2))
    near, middle, far = (
        _distance(energy, behind, look.where, lowest + level) for level in (first, (first * top).sqrt(), top)
    )
    return (middle - near > 1e-6 * far) & (far - near < EXPONENTIAL * (middle - near))


def _distance(energy: PointEnergy, rays: Rays, beyond: Tensor, level: Tensor) -> Tensor:
    """How far out the energy has risen to a level that it has ``beyond``."""
    low, high = torch.zeros_like(beyond), beyond
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        below = _at(energy, rays, middle) < level
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return high


def _level(value: Tensor, power: float) -> Tensor:
    """A power of the rounding error of energies about as large."""
    return torch.finfo(value.dtype).eps ** power * (1 + value.abs())


def _at(energy: PointEnergy, rays: Rays, length: Tensor) -> Tensor:
    with torch.no_grad():
        points = (rays.start + length[:, None] * rays.along).maximum(rays.floor).minimum(rays.ceiling)
        return energy(points).nan_to_num(nan=torch.inf, posinf=torch.inf)


def _bounds(reals: Tensor, columns: Columns) -> tuple[Tensor, Tensor]:
    """Between what the coordinates of points may move."""
    off, above = OFF * (1 + columns.beyond.abs()), reals > columns.beyond
    opened = columns.beyond.isfinite()
    floor = torch.where(opened & above, reals.minimum(columns.beyond + off), columns.lower)
    ceiling = torch.where(opened & ~above, reals.maximum(columns.beyond - off), columns.upper)
    return floor, ceiling
