"""How each row is searched: by its slopes, or by its values alone and then by its slopes where it has any."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.gibbs.certificates import certify_inside, columns_of
from ebm_causal.gibbs.modes import NEWTON_UP_TO, only_rows
from ebm_causal.gibbs.restriction import Restriction, values_of
from ebm_causal.sampling import (
    Minima,
    PointEnergy,
    geometric_schedule,
    minimize_rows,
    search_annealed,
    search_coordinates,
    search_evolving,
)

Report = Callable[[float, str], None]
MOVES, SWEEPS = 10_000, (50, 300)  # of annealing: about how many moves, and between which numbers of sweeps
POLLED_UP_TO = 64  # dimensions in which rows that do not arrive go on by coordinates
POLISHING = 50  # steps by slopes after a search by values


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to search.

    Attributes:
        method: One of the methods, decided.
        starts: How many per row.
        differentiable: Whether there are slopes to go by.
        fallback: Whether rows that do not arrive go on by the next method.
        every: Whether each start has to arrive, for several modes, or the lowest alone.
        schedule: The inverse temperatures of annealing; None for those of its own.
        report: Told the share done and what is being done.
    """

    method: str
    starts: int
    differentiable: bool
    fallback: bool
    every: bool = False
    schedule: Tensor | None = None
    report: Report | None = None


class Ends(NamedTuple):
    """Where the starts of each row have ended.

    Attributes:
        points: Unconstrained, ``[ends, rows, dim]``.
        energies: ``[ends, rows]``.
        polled: Whether a poll around the point found nothing lower, ``[ends, rows]``.
    """

    points: Tensor
    energies: Tensor
    polled: Tensor


def point_energy(restriction: Restriction, rows: Tensor) -> PointEnergy:
    """The energy of one unconstrained point in each of some rows."""
    part = only_rows(restriction, rows)
    if all(variable.is_real or values_of(variable) is not None for variable in part.variables):
        return lambda points: part.at(points[None])[0]
    return lambda points: part.at(part.to_support(points[None])[0])[0]


def has_slopes(restriction: Restriction, begin: Tensor) -> bool:
    """Whether autograd knows slopes: there is a graph, and not zeros everywhere under an energy that varies."""
    rows = torch.arange(restriction.rows, device=begin.device)[:16]
    owner = rows.repeat(len(begin))
    points = begin[:, : len(rows)].flatten(0, 1).detach().requires_grad_()
    with torch.enable_grad():
        value = point_energy(restriction, owner)(points)
        if not value.requires_grad:
            return False
        slope = torch.autograd.grad(value.sum(), points, allow_unused=True, materialize_grads=True)[0]
    rows_of_values = value.detach().reshape(len(begin), -1)
    return bool((slope != 0).any()) or bool((rows_of_values == rows_of_values[:1]).all())


def descend(
    restriction: Restriction, begin: Tensor, plan: Plan, generator: torch.Generator
) -> tuple[Ends, int]:
    """The ends of all starts ``[starts, rows, dim]``; also in how many rows the first method did not arrive."""
    if plan.method in ("newton", "lbfgs", "gradient"):
        return _by_slopes(restriction, begin, plan, generator)
    return _by_values(restriction, begin, plan, generator), 0


def _by_slopes(
    restriction: Restriction, begin: Tensor, plan: Plan, generator: torch.Generator
) -> tuple[Ends, int]:
    first = minimize_rows(lambda rows: point_energy(restriction, rows), begin, method=plan.method)
    ends = Ends(first.points, first.energies, torch.zeros_like(first.arrived))
    late, helped = torch.zeros(0, dtype=torch.long), 0
    if plan.fallback:
        late = _late(restriction, ends, plan)
    if len(late) and plan.method == "newton":
        part, helped = only_rows(restriction, late), len(late)
        again = minimize_rows(lambda rows: point_energy(part, rows), ends.points[:, late], method="lbfgs")
        _put(ends, late, Ends(again.points, again.energies, torch.zeros_like(again.arrived)))
        late = late[_late(part, Ends(*(entry[:, late] for entry in ends)), plan)]
    if len(late) and restriction.dim <= POLLED_UP_TO:
        part, helped = only_rows(restriction, late), max(helped, len(late))
        _put(ends, late, _by_values(part, ends.points[:, late], plan, generator))
    return ends, helped


def _late(restriction: Restriction, ends: Ends, plan: Plan) -> Tensor:
    """Rows whose lowest end, or any where each counts, is finite but not a minimum."""
    rows = torch.arange(restriction.rows, device=ends.points.device)
    best = ends.energies.argmin(0, keepdim=True)
    points, energies = ends.points[best, rows], ends.energies[best, rows]
    if plan.every:
        points, energies = ends.points, ends.energies
    part = only_rows(restriction, rows.repeat(len(points)))
    found = certify_inside(part, points.flatten(0, 1), differentiable=True)
    late = ~found.stationary.reshape(energies.shape) & energies.isfinite()
    return late.any(0).nonzero().flatten()


def _put(ends: Ends, rows: Tensor, new: Ends) -> None:
    """Write the ends of some rows over the old ones, where they are not higher."""
    lower = new.energies <= ends.energies[:, rows]
    for old, fresh in zip(ends, new, strict=True):
        where = lower[..., None] if fresh.ndim > lower.ndim else lower
        old[:, rows] = torch.where(where, fresh, old[:, rows])


def _by_values(restriction: Restriction, begin: Tensor, plan: Plan, generator: torch.Generator) -> Ends:
    """Annealing or evolution where asked for, then each coordinate in turn, then slopes where there are any."""

    def select(rows: Tensor) -> PointEnergy:
        return point_energy(restriction, rows)

    values = [
        values_of(variable)
        for variable in restriction.variables
        for _ in range(math.prod(variable.shape or (1,)))
    ]
    if plan.method == "annealing":
        begin = _annealed(select, begin, values, plan, generator).points
    if plan.method == "cmaes":
        begin = search_evolving(select, begin, generator, report=_counted(plan, "generation")).points
    found = search_coordinates(select, begin, generator, values=values)
    ends = Ends(found.points, found.energies, found.arrived)
    return _polished(restriction, ends) if plan.differentiable and None in values else ends


def _annealed(
    select: Callable[[Tensor], PointEnergy],
    begin: Tensor,
    values: list[tuple[float, ...] | None],
    plan: Plan,
    generator: torch.Generator,
) -> Minima:
    least, most = SWEEPS
    sweeps = max(least, min(most, MOVES // begin.shape[-1]))
    betas = geometric_schedule(0.1, 100.0, sweeps) if plan.schedule is None else plan.schedule
    report = _counted(plan, "temperature")
    return search_annealed(
        select, begin, betas, generator, values=values, relative=plan.schedule is None, report=report
    )


def _counted(plan: Plan, what: str) -> Callable[[int, int], None] | None:
    report = plan.report
    if report is None:
        return None
    return lambda done, of: report(done / of, f"{what} {done} of {of}")


def _polished(restriction: Restriction, ends: Ends) -> Ends:
    """Some steps by slopes from each end, in the real coordinates alone; no energy rises."""
    columns, rows = columns_of(restriction), restriction.rows
    flat = ends.points.flatten(0, 1)

    def select(chosen: Tensor) -> PointEnergy:
        part, held = only_rows(restriction, chosen % rows), flat[chosen]

        def energy(reals: Tensor) -> Tensor:
            points = held.index_copy(1, columns.real, reals)
            return part.at(part.to_support(points[None])[0])[0]

        return energy

    method = "newton" if len(columns.real) <= NEWTON_UP_TO else "lbfgs"
    found = minimize_rows(select, flat[None][..., columns.real], method=method, steps=POLISHING)
    lower = found.energies[0] <= ends.energies.flatten()
    points = torch.where(lower[:, None], flat.index_copy(1, columns.real, found.points[0]), flat)
    energies = torch.where(lower, found.energies[0], ends.energies.flatten())
    shape = ends.energies.shape
    return Ends(points.reshape(ends.points.shape), energies.reshape(shape), ends.polled)
