"""Independent draws: from lattices, from all states of finite variables, and from both where they are mixed."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ebm_causal.errors import EnergyError
from ebm_causal.gibbs import MOST_STATES, Restriction, count_states, hold, states_of, values_of
from ebm_causal.inference.attempts import Attempt, Counts, independent
from ebm_causal.sampling import Lattice, Tell, draw_within, silent

STEP, FINE, DROP = 0.9, 0.75, 22.0  # of local standard deviations; energies so far up are left out
AT_ONCE = 500_000  # draws times rows, which stay in memory
MOST_HELD = 256  # states of finite variables, in each of which there is a lattice
UNRESOLVED = "not normalizable, or with modes too narrow for the lattice to resolve"
NOTHING = "no state has a finite energy"


def draw_rows(
    restriction: Restriction, draws: int, generator: torch.Generator, tell: Tell = silent
) -> tuple[Tensor, tuple[int, ...]]:
    """Draws ``[draws, rows, dim]`` of a restriction, and the rows whose lattice failed its check."""
    if restriction.finite:
        return _drawn_states(restriction, draws, generator)
    points = restriction.like.new_empty(draws, restriction.rows, restriction.dim)
    failed: list[int] = []
    done = 0
    with torch.no_grad():
        for rows, lattice in restriction.lattices(step=STEP, drop=DROP, fine=FINE):
            for part in torch.arange(len(rows), device=rows.device).split(max(1, AT_ONCE // draws)):
                some = lattice if len(part) == len(rows) else lattice.rows(part)
                points[:, rows[part]] = _of_lattice(restriction, (rows[part], some), draws, generator)
            failed += rows[~lattice.resolved].tolist()
            done += len(rows)
            tell(done / restriction.rows)
    return points, tuple(sorted(failed))


def _of_lattice(
    restriction: Restriction, part: tuple[Tensor, Lattice], draws: int, generator: torch.Generator
) -> Tensor:
    """Draws within the supports of some rows, from their lattices."""
    rows, lattice = part
    if lattice.shape:
        return restriction.to_support(draw_within(lattice, draws, generator))[0]
    block = restriction.select(rows)
    return block.to_support(lattice.draw(block, draws, generator))[0]


def _drawn_states(
    restriction: Restriction, draws: int, generator: torch.Generator
) -> tuple[Tensor, tuple[int, ...]]:
    """Draws of finite variables, all of whose states are listed."""
    parts, bad = [], []
    with torch.no_grad():
        for block in restriction.blocks(draws):
            lattice = block.quadrature()
            parts.append(lattice.choose(draws, generator))
            bad.append(~lattice.resolved)
    return torch.cat(parts, 1), tuple(torch.cat(bad).nonzero().flatten().tolist())


def from_lattice(restriction: Restriction, counts: Counts, generator: torch.Generator, tell: Tell) -> Attempt:
    """Stratified draws of one to three real dimensions, or of all states."""
    if not restriction.finite and count_states(restriction) > 1:
        return _from_both(restriction, counts, generator, tell)
    points, failed = draw_rows(restriction, counts.total, generator, tell)
    method, reason = ("enumeration", NOTHING) if restriction.finite else ("lattice", UNRESOLVED)
    bad = set(failed)
    reasons = [reason if row in bad else "" for row in range(restriction.rows)]
    return independent(method, points, counts, reasons)


def serves_both(restriction: Restriction) -> bool:
    """Whether the real variables have a lattice in each state of the finite ones."""
    return _real_dim(restriction) <= 3 and count_states(restriction) <= MOST_HELD


def _real_dim(restriction: Restriction) -> int:
    real = [name for name in restriction.over if values_of(restriction.energy.variables[name]) is None]
    return replace(restriction, over=tuple(real)).dim


def _from_both(restriction: Restriction, counts: Counts, generator: torch.Generator, tell: Tell) -> Attempt:
    """The state of the finite variables by its share of the integral, then the real ones from its lattice.

    Raises:
        EnergyError: If there are too many states, or more than three real dimensions.
    """
    number = count_states(restriction)
    if not serves_both(restriction):
        raise EnergyError(
            f"{list(restriction.over)} are partly finite ({number} states) and partly real (dimension "
            f"{_real_dim(restriction)}): drawn together up to {MOST_HELD} states and dimension 3; put some into given."
        )
    states = states_of(restriction, number)
    parts, reasons = [], []
    with torch.no_grad():
        for block in restriction.blocks(number * counts.total):
            points, fine = _of_block(block, states, counts.total, generator)
            parts.append(points)
            reasons += ["" if good else UNRESOLVED for good in fine.tolist()]
            tell(len(reasons) / restriction.rows)
    return independent("lattice", torch.cat(parts, 1), counts, reasons)


def _of_block(
    block: Restriction, states: Mapping[str, Tensor], draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    number = len(next(iter(states.values())))
    real = tuple(name for name in block.over if name not in states)
    held = hold(block, real, states)
    if isinstance(block.beta, Tensor):
        held = replace(held, beta=block.beta.repeat(number))
    lattice = held.quadrature()
    shares = torch.softmax(lattice.log_integral.reshape(number, block.rows), 0)
    inside = held.to_support(lattice.draw(held, draws, generator))[0]
    inside = inside.reshape(draws, number, block.rows, held.dim)
    chosen = torch.multinomial(shares.T, draws, replacement=True, generator=generator).T  # [draws, rows]
    wide = chosen[:, None, :, None].expand(-1, 1, -1, held.dim)
    parts = held.split(inside.gather(1, wide)[:, 0]) | {name: value[chosen] for name, value in states.items()}
    fine = (lattice.resolved.reshape(number, block.rows) | (shares < 1e-6)).all(0)
    return torch.cat([parts[name].flatten(2) for name in block.over], -1), fine


def enumerable(restriction: Restriction) -> bool:
    """Whether all states of finite variables can be listed."""
    return count_states(restriction) <= MOST_STATES
