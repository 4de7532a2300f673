r"""Simulated annealing: Metropolis moves of one coordinate at a time while the temperature falls.

Serves finite values with too many states to enumerate, energies without a gradient, and rugged ones. It
keeps the lowest point seen. Only infinitely slow cooling is sure to find the lowest of all.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.coordinate_search import Values, evaluate
from ebm_causal.sampling.directions import PointEnergy
from ebm_causal.sampling.minimizers import Minima, SelectRows

ACCEPTED = 0.4  # the share of moves of real coordinates that their length is adapted to


class State(NamedTuple):
    """What the next move needs, one entry per point.

    Attributes:
        point: ``[points, dim]``.
        energy: There, ``[points]``.
        log_length: Of moves in each coordinate, ``[points, dim]``.
        best: The lowest point seen.
        lowest: Its energy.
    """

    point: Tensor
    energy: Tensor
    log_length: Tensor
    best: Tensor
    lowest: Tensor


class Moves(NamedTuple):
    """What each coordinate may do.

    Attributes:
        table: The values of finite coordinates, padded, ``[dim, most]``.
        counts: How many values each has, ``[dim]``; zero where it is real.
        finite: Whether none is real.
    """

    table: Tensor
    counts: Tensor
    finite: bool


class Draws(NamedTuple):
    """The randomness of one move of each point.

    Attributes:
        column: Which coordinate moves, ``[points, 1]``.
        uniform: Where to, among finite values.
        normal: How far, in lengths of this coordinate.
        log_uniform: What the Metropolis ratio must exceed, ``[points]``.
    """

    column: Tensor
    uniform: Tensor
    normal: Tensor
    log_uniform: Tensor


def search_annealed(
    select: SelectRows,
    starts: Tensor,
    betas: Tensor,
    generator: torch.Generator,
    *,
    values: Values | None = None,
    relative: bool = True,
    report: Callable[[int, int], None] | None = None,
) -> Minima:
    r"""Minimize the energies of rows by annealing, each from several starts, in one batch.

    At each inverse temperature there are as many moves as coordinates, each of a coordinate drawn at random:
    a finite one to another of its values, a real one by a normal step whose length adapts.

    Args:
        select: As for ``minimize_rows``; no gradient is taken.
        starts: ``[starts, rows, dim]``.
        betas: Inverse temperatures, rising, for example from ``geometric_schedule``.
        generator: Drives all randomness.
        values: For each coordinate its values, or None where it is real; all real by default.
        relative: Whether betas are in units of one over the mean change of energy by a first move, row by row.
        report: Told how many temperatures are done, and how many there are.

    Returns:
        The lowest points seen; none has ``arrived``: a descent from there may show that.

    References:
        Kirkpatrick, Gelatt and Vecchi (1983), Optimization by simulated annealing.
    """
    count, rows, dim = starts.shape
    moves = _moves([None] * dim if values is None else values, starts)
    owner = torch.arange(rows, device=starts.device).expand(count, -1).reshape(-1)
    energy = select(owner)
    state = init(energy, starts.reshape(-1, dim))
    unit = _unit(state, energy, moves, generator, count) if relative else torch.ones_like(state.energy)
    for done, beta in enumerate(betas.tolist()):
        for draws in draw(dim, state.point, moves, generator):
            state = step(state, energy, beta * unit, moves, draws)
        if report is not None:
            report(done + 1, len(betas))
    shape = (count, rows)
    arrived = torch.zeros(shape, dtype=torch.bool, device=starts.device)
    return Minima(state.best.reshape(starts.shape), state.lowest.reshape(shape), arrived, len(betas) * dim)


def init(energy: PointEnergy, point: Tensor) -> State:
    """A state at a point, with first moves of length one."""
    value = evaluate(energy, point)
    return State(point, value, torch.zeros_like(point), point, value)


def draw(count: int, like: Tensor, moves: Moves, generator: torch.Generator) -> list[Draws]:
    """What so many moves of each point need."""
    shape = (count, len(like), 1)
    columns = torch.randint(like.shape[-1], shape, generator=generator).to(like.device)
    uniform = torch.rand((2, *shape), generator=generator, dtype=torch.float64).to(like)
    normal = uniform[0]
    if not moves.finite:
        normal = torch.randn(shape, generator=generator, dtype=torch.float64).to(like)
    entries = (columns, uniform[0], normal, uniform[1, ..., 0].log())
    return [Draws(*part) for part in zip(*(entry.unbind() for entry in entries), strict=True)]


def step(state: State, energy: PointEnergy, beta: Tensor, moves: Moves, draws: Draws) -> State:
    """Move one coordinate of each point, and accept by the Metropolis ratio."""
    trial = propose(state, moves, draws)
    value = evaluate(energy, trial)
    accepted = draws.log_uniform < beta * (state.energy - value)
    lower = accepted & (value < state.lowest)
    best, lowest, log_length = state.best, state.lowest, state.log_length
    if bool(lower.any()):
        best, lowest = torch.where(lower[:, None], trial, best), torch.where(lower, value, lowest)
    if not moves.finite:
        change = (accepted.to(value) - ACCEPTED) * 0.3
        log_length = log_length.scatter_add(1, draws.column, change[:, None])
    point = torch.where(accepted[:, None], trial, state.point)
    return State(point, torch.where(accepted, value, state.energy), log_length, best, lowest)


def propose(state: State, moves: Moves, draws: Draws) -> Tensor:
    """A point with one coordinate changed."""
    now, counts = state.point.gather(1, draws.column), moves.counts[draws.column]
    table = moves.table[draws.column[:, 0]]
    place = (table == now).to(torch.uint8).argmax(-1, keepdim=True)
    other = table.gather(1, (place + 1 + (draws.uniform * (counts - 1)).long()) % counts.clamp_min(1))
    if not moves.finite:
        length = state.log_length.gather(1, draws.column).clamp(-30, 10).exp()
        other = torch.where(counts > 0, other, now + length * draws.normal)
    return state.point.scatter(1, draws.column, other)


def _moves(values: Values, like: Tensor) -> Moves:
    most = max([1, *(len(choices) for choices in values if choices is not None)])
    rows = [[*(c or ()), *([math.nan] * (most - len(c or ())))] for c in values]
    counts = torch.tensor([len(c or ()) for c in values], device=like.device)
    return Moves(like.new_tensor(rows), counts, bool((counts > 0).all()))


def _unit(state: State, energy: PointEnergy, moves: Moves, generator: torch.Generator, count: int) -> Tensor:
    """One over the mean size of the changes of energy by first moves, the same for all starts of a row."""
    changes = [
        (evaluate(energy, propose(state, moves, draws)) - state.energy).abs()
        for draws in draw(8, state.point, moves, generator)
    ]
    sizes = torch.stack(changes).reshape(8 * count, -1)
    finite = sizes.isfinite()
    mean = torch.where(finite, sizes, 0.0).sum(0) / finite.sum(0).clamp_min(1)
    return torch.where(mean > 0, 1 / mean.clamp_min(1e-300), 1.0).repeat(count)
