r"""Minimization without a gradient: each coordinate in turn, then along the last progress and across it.

Serves kinks, staircases and finite values. A real coordinate is tried one step to either side and where the
parabola through the three energies is lowest; a finite one at all of its values. Steps grow where they
serve and shrink where they do not. A point is done when its steps have shrunk to rounding and a poll, along
random axes at several lengths, finds nothing lower.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.directions import PointEnergy, rounding
from ebm_causal.sampling.minimizers import Minima, SelectRows

Surface = Callable[[Tensor], Tensor]
Values = Sequence[tuple[float, ...] | None]
POLLED = (1.0, 1e-2, 1e-4, 1e-6)  # lengths of the last poll, times one plus the point's
ZOOMS, MARKS, DOUBLINGS = 5, 8, 16  # on the way back to a kink, and along it
LONGEST = 1e30


class State(NamedTuple):
    """What the next sweep needs, one entry per point.

    Attributes:
        point: ``[points, dim]``.
        energy: There, ``[points]``; infinite where it is not a number.
        size: The step along each real coordinate, ``[points, reals]``.
        radius: The step along turned axes, ``[points]``.
        progress: How far the last sweep went, ``[points, reals]``.
        settled: Whether the last sweep changed no finite coordinate.
    """

    point: Tensor
    energy: Tensor
    size: Tensor
    radius: Tensor
    progress: Tensor
    settled: Tensor


def search_coordinates(
    select: SelectRows,
    starts: Tensor,
    generator: torch.Generator,
    *,
    values: Values | None = None,
    sweeps: int = 300,
) -> Minima:
    r"""Minimize the energies of rows by their values alone, each from several starts.

    Finds a minimum along the axes that were polled. On a kink that is narrow and crooked, no polled axis may
    go down, and the point is not a minimum.

    Args:
        select: As for ``minimize_rows``; no gradient is taken.
        starts: ``[starts, rows, dim]``; finite coordinates at one of their values.
        generator: Draws the turned axes.
        values: For each coordinate its values, or None where it is real; all real by default.
        sweeps: The most that are taken.

    Returns:
        Where they ended; ``arrived`` where the poll found nothing lower.

    References:
        Rosenbrock (1960), An automatic method for finding the greatest or least value of a function.
        Audet and Dennis (2006), Mesh adaptive direct search algorithms (the poll along random axes).
    """
    count, rows, dim = starts.shape
    values = [None] * dim if values is None else values
    real = _reals(values)
    owner = torch.arange(rows, device=starts.device).expand(count, -1).reshape(-1)
    active, surface, taken = torch.arange(count * rows, device=starts.device), _stacked(select, owner), 0
    state = init(surface, starts.reshape(-1, dim), values)
    ended, arrived = state, torch.zeros_like(owner, dtype=torch.bool)
    while len(active):
        state, taken = step(state, surface, values, generator), taken + 1
        there = _has_shrunk(state)
        if bool(there.any()):
            shrunk = State(*(part[there] for part in state))
            polled = _poll(shrunk, _stacked(select, owner[active[there]]), generator, real)
            state = State(*(_put(old, there, new) for old, new in zip(state, polled, strict=True)))
            there = _put(there, there, polled.energy == shrunk.energy)
        lost = ~state.energy.isfinite() | (state.point.norm(dim=-1) > LONGEST)
        ended = State(*(old.index_copy(0, active, new) for old, new in zip(ended, state, strict=True)))
        arrived[active] = there & ~lost
        stays = ~(there | lost) if taken < sweeps else torch.zeros_like(there)
        if not bool(stays.all()):
            active, state = active[stays], State(*(part[stays] for part in state))
            surface = _stacked(select, owner[active])
    shape = (count, rows)
    return Minima(
        ended.point.reshape(starts.shape), ended.energy.reshape(shape), arrived.reshape(shape), taken
    )


def init(surface: Surface, point: Tensor, values: Values) -> State:
    """A state at a point, with first steps of half its length."""
    real = _reals(values)
    first = 0.5 * (1 + point[:, real].abs())
    none = torch.zeros(len(point), dtype=torch.bool, device=point.device)
    radius = point.new_full((len(point),), 0.5 if real else 0.0)
    return State(point, surface(point[None])[0], first, radius, torch.zeros_like(first), none)


def step(state: State, surface: Surface, values: Values, generator: torch.Generator) -> State:
    """One sweep: all finite coordinates, all real ones, then along and across the progress made."""
    before = state
    for column, choices in enumerate(values):
        if choices is not None:
            state = _try_values(state, surface, column, choices)
    real = _reals(values)
    changed = (state.point != before.point).any(-1)
    if not real:
        return state._replace(settled=~changed)
    size = state.size.clone()
    for k, column in enumerate(real):
        state, size[:, k] = _try_along(state, surface, _unit_vector(state.point, column), state.size[:, k])
    return _turned_sweep(state._replace(size=size, settled=~changed), surface, real, before, generator)


def evaluate(energy: PointEnergy, points: Tensor) -> Tensor:
    """The energy, infinite where it is not a number."""
    with torch.no_grad():
        return energy(points).nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)


def _stacked(select: SelectRows, owner: Tensor) -> Surface:
    """The energies of several points for each owner, ``[trials, points, dim] -> [trials, points]``."""

    def surface(points: Tensor) -> Tensor:
        return evaluate(select(owner.repeat(len(points))), points.flatten(0, 1)).reshape(points.shape[:2])

    return surface


def _try_values(state: State, surface: Surface, column: int, choices: tuple[float, ...]) -> State:
    trials = state.point.repeat(len(choices), 1, 1)
    trials[..., column] = state.point.new_tensor(choices)[:, None]
    return _take_lowest(state, trials, surface(trials))


def _try_along(state: State, surface: Surface, axis: Tensor, size: Tensor) -> tuple[State, Tensor]:
    """Try both sides and the parabola's lowest point; also the next step along this axis."""
    start, first, shift = state.point, state.energy, size[:, None] * axis
    sides = torch.stack([start + shift, start - shift])
    ahead, behind = values = surface(sides)
    bend = (ahead + behind - 2 * first).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    slope = (behind - ahead).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    vertex = torch.where(bend > 0, 0.5 * slope / bend.clamp_min(torch.finfo(bend.dtype).tiny), slope.sign())
    middle = (start + vertex.clamp(-4, 4)[:, None] * shift)[None]
    state = _take_lowest(_take_lowest(state, sides, values), middle, surface(middle))
    moved = (state.point - start).norm(dim=-1)
    grown = torch.where(moved >= size, 2 * moved, moved.maximum(0.1 * size))
    return state, torch.where(state.energy < first, grown, 0.25 * size)


def _turned_sweep(
    state: State, surface: Surface, real: list[int], before: State, generator: torch.Generator
) -> State:
    """Along the progress of this sweep, and along random axes across it."""
    progress = (state.point - before.point)[:, real]
    start, size = state.point, state.radius.maximum(0.5 * progress.norm(dim=-1))
    for turned in _axes(progress, generator):
        state, _ = _try_along(state, surface, _embed(turned, state.point, real), size)
    went = (state.point - start).norm(dim=-1)
    radius = torch.where(went > 0, went.maximum(0.25 * size), 0.25 * size)
    revived = state.size.maximum(0.1 * went[:, None])
    return state._replace(radius=radius, size=revived, progress=(state.point - before.point)[:, real])


def _axes(progress: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Orthonormal axes of each point, the first along its progress; the first alone where there are many."""
    dim = progress.shape[-1]
    if dim == 1:
        return []
    others = torch.randn(dim, dim, generator=generator, dtype=torch.float64).to(progress)
    still = progress.norm(dim=-1, keepdim=True) == 0
    first = torch.where(still, others[:, 0], progress)
    first = first / first.norm(dim=-1, keepdim=True)
    if dim > 32:
        return [first]
    frame = others.expand(len(progress), -1, -1).clone()
    frame[:, :, 0] = first
    return list(torch.linalg.qr(frame).Q.unbind(-1))


def _has_shrunk(state: State) -> Tensor:
    tolerance = 64 * rounding(state.point) * (1 + state.point.norm(dim=-1))
    return state.settled & (state.size <= tolerance[:, None]).all(-1) & (state.radius <= tolerance)


def _poll(state: State, surface: Surface, generator: torch.Generator, real: list[int]) -> State:
    """Look around points whose steps have shrunk; those that find something lower have long steps again."""
    size, radius = state.size, state.radius
    for share in POLLED if real else ():
        before, length = state.energy, share * (1 + state.point.norm(dim=-1))
        axes = torch.stack([_unit_vector(state.size, 0), *_axes(torch.zeros_like(state.size), generator)])
        shifts = length[:, None] * _embed(torch.cat([axes, -axes]), state.point, real)
        state = _look_at(state, surface, shifts)
        state = _slide(state, surface, length, generator, real)
        lower = state.energy < before
        size = torch.where(lower[:, None], size.maximum(length[:, None]), size)
        radius = torch.where(lower, radius.maximum(length), radius)
    return state._replace(size=size, radius=radius)


def _slide(
    state: State, surface: Surface, length: Tensor, generator: torch.Generator, real: list[int]
) -> State:
    """Step aside, come back to the kink along the axes, and go on in the direction that this has led."""
    aside = torch.randn(len(real), generator=generator, dtype=torch.float64).to(state.point)
    point = state.point + length[:, None] * _embed(
        (aside / aside.norm()).expand_as(state.size), state.point, real
    )
    there = state._replace(point=point, energy=surface(point[None])[0])
    ruler = torch.linspace(-1, 1, 2 * MARKS + 1).to(state.point)[:, None, None]
    for column in real:
        shift = 2 * length[:, None] * _unit_vector(state.point, column)
        for zoom in range(ZOOMS):
            there = _look_at(there, surface, ruler * shift / MARKS**zoom)
    along = there.point - state.point
    doubling = 2.0 ** torch.arange(DOUBLINGS).to(state.point)[:, None, None]
    return _look_at(state, surface, torch.cat([doubling * along, -doubling * along]))


def _look_at(state: State, surface: Surface, shifts: Tensor) -> State:
    trials = state.point + shifts
    return _take_lowest(state, trials, surface(trials))


def _unit_vector(like: Tensor, column: int) -> Tensor:
    axis = torch.zeros_like(like)
    axis[:, column] = 1.0
    return axis


def _embed(axis: Tensor, like: Tensor, real: list[int]) -> Tensor:
    """Axes in the real coordinates as axes in all."""
    whole = like.new_zeros(*axis.shape[:-1], like.shape[-1])
    whole[..., real] = axis
    return whole


def _reals(values: Values) -> list[int]:
    return [column for column, choices in enumerate(values) if choices is None]


def _put(whole: Tensor, places: Tensor, part: Tensor) -> Tensor:
    """A copy with some entries replaced."""
    return whole.index_copy(0, places.nonzero().flatten(), part)


def _take_lowest(state: State, trials: Tensor, values: Tensor) -> State:
    """Go to the lowest of the trials, where that is lower by more than rounding."""
    value, place = values.min(0)
    trial = trials[place, torch.arange(len(place), device=place.device)]
    slack = rounding(value) * (1 + state.energy.abs().nan_to_num(posinf=0.0))
    lower = value < state.energy - slack
    return state._replace(
        point=torch.where(lower[:, None], trial, state.point), energy=torch.where(lower, value, state.energy)
    )
