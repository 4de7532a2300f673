"""What is said of rows whose integral cannot be trusted, in words."""

import warnings

import torch
from torch import Tensor

from ebm_causal.errors import ConvergenceError, EnergyError
from ebm_causal.gibbs.estimates import level_of_caller
from ebm_causal.gibbs.quadrature import LogIntegral
from ebm_causal.gibbs.restriction import Restriction
from ebm_causal.gibbs.starting import draw_starts

PROBES, PROBED = 32, 4  # places, and rows, at which an energy is looked at before it is integrated
NAMES = {
    "lattice": "a lattice",
    "laplace": "fits at the modes",
    "importance": "importance sampling",
    "annealed": "annealing",
}
DOUBTS = {
    "enumeration": "no state has a finite energy",
    "lattice": "the density there is not normalizable, or has modes too narrow to resolve",
    "laplace": "the tails are heavier, or the modes more, than fits at the modes found can cover, or its standard "
    "error is above a tenth; try 'annealed'",
    "importance": "too few draws carry the weight (Pareto k is too high, or the standard error above a tenth); take "
    "more draws, another proposal, or 'annealed'",
    "annealed": "the standard error is above a tenth (take more draws), or the way to the density and the way back "
    "disagree, or the population had not stopped widening: regions are hard to reach, or it cannot be normalized",
}


def judged(found: LogIntegral, restriction: Restriction, served: str | list[str]) -> tuple[str, ...]:
    """Warn about rows that cannot be trusted, and refuse those that are not finite.

    Args:
        found: The log integrals.
        restriction: Of what.
        served: The method, or that of each row.

    Raises:
        ConvergenceError: If a row is not finite.
    """
    judged_finite(found.value, restriction)
    over = list(restriction.over)
    by_row = [served] * restriction.rows if isinstance(served, str) else served
    doubtful = (~found.trusted).nonzero().flatten().tolist()
    notes = []
    for method in dict.fromkeys(by_row[row] for row in doubtful):
        rows = [row for row in doubtful if by_row[row] == method]
        notes.append(
            f"the estimate over {over} by {NAMES.get(method, method)} did not pass its self-check in {len(rows)} rows, "
            f"the first {rows[:5]}: {DOUBTS[method]}."
        )
    for note in notes:
        warnings.warn(note, stacklevel=level_of_caller())
    return tuple(notes)


def judged_finite(value: Tensor, restriction: Restriction) -> None:
    """Refuse rows that are not finite.

    Raises:
        ConvergenceError: If a row is not finite.
    """
    bad = (~value.detach().isfinite()).nonzero().flatten().tolist()
    if bad:
        raise ConvergenceError(
            f"the integral over {list(restriction.over)} is not finite in rows {bad[:5]}: the energy is infinite or "
            "NaN wherever it was evaluated there, its parameters are not finite, or it does not grow at infinity."
        )


def check_energy(restriction: Restriction, *, walls: bool = False) -> None:
    """Look at an energy at a few places before it is integrated, searched or sampled.

    Args:
        restriction: The energy.
        walls: Whether places where it is NaN are taken to have no probability, beside others.

    Raises:
        EnergyError: If it is NaN at some places and a number at others, for an integral over the latter is
            another's, or if a row's energy changes with the other rows.
        ConvergenceError: If it is NaN everywhere.
    """
    rows = torch.arange(min(PROBED, restriction.rows), device=restriction.like.device)
    some = restriction.select(rows)
    with torch.no_grad():
        starts = draw_starts(some, PROBES, torch.Generator().manual_seed(0))
        points = some.to_support(starts[:, None].expand(-1, some.rows, -1))[0]
        energies = some.at(points)
        few = points[:4, :1]
        alone = restriction.select(rows[:1]).at(few)[:, 0] if len(rows) > 1 else energies[:4, 0]
    _refuse_nan(energies, points, restriction.over, walls=walls)
    _refuse_mixed_rows(energies[:4, 0], alone, restriction.over)


def _refuse_nan(energies: Tensor, points: Tensor, over: tuple[str, ...], *, walls: bool) -> None:
    lost = energies.isnan()
    nowhere = lost.all(0)
    if bool(nowhere.any()):
        raise ConvergenceError(
            f"the energy is not finite in rows {nowhere.nonzero().flatten().tolist()[:5]}: it is NaN at every value of "
            f"{list(over)} that was tried, as it is undefined there or its parameters are not finite."
        )
    if walls or not bool(lost.any()):
        return
    place, row = lost.nonzero()[0].tolist()
    where = [round(value, 6) for value in points[place, row].tolist()[:5]]
    raise EnergyError(
        f"the energy is NaN at some values of {list(over)}, as at {where} in row {row}: state the support "
        "of the variable, as ec.Variable(1, constraints.positive), or make the energy infinite there."
    )


def _refuse_mixed_rows(together: Tensor, alone: Tensor, over: tuple[str, ...]) -> None:
    known = together.isfinite() & alone.isfinite()
    off = ((together - alone).abs() / (1 + alone.abs()))[known]
    if bool((off > torch.finfo(alone.dtype).eps ** 0.5).any()):
        raise EnergyError(
            f"the energy of row 0, at the same values of {list(over)}, is another beside other rows than without them: "
            "something in it mixes rows, such as a mean over the batch or batch normalization in training mode; "
            "each row must have an energy of its own."
        )
