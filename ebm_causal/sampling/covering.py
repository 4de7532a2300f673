r"""Fine points over the cells of a look that may have mass and the lattice they make."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ebm_causal.sampling.aims import Aim
from ebm_causal.sampling.checking import checked, imbalances
from ebm_causal.sampling.lattice import Lattice, weighed
from ebm_causal.sampling.looking import (
    UNKNOWN,
    Look,
    Sight,
    monomials,
    placed,
    quadratics,
    strides_of,
    widened,
)
from ebm_causal.sampling.selecting import Rows
from ebm_causal.sampling.sites import Cover, flat_places, offsets, parts_of, sites_of, taken

MARGIN = 1.0  # by which a predicted energy may lie too high, beyond the drop, before a point is left out
SLACK = 4.0  # a prediction further off than this, where it matters, is not believed
AT_ONCE = 65_536  # points that are evaluated at once: activations of a small network stay in cache
ALIKE = 0.85  # rows with at least this share of the most points are evaluated together
LARGEST = 4_000_000  # cells of a dense grid


def cover(look: Look, sight: Sight, sizes: tuple[int, ...], drop: float, *, blind: bool = False) -> Cover:
    """Divide the cells that may have mass, and keep the points whose predicted energy is low.

    Args:
        look: The look whose cells are divided.
        sight: What it shows.
        sizes: Into how many parts along each axis.
        drop: Energies so far above the floor may be left out.
        blind: Whether predictions are not to be used: the parts are too coarse for any mode to be seen.
    """
    keep = widened(sight.keep, look.shape)
    row, flat = keep.T.nonzero().unbind(-1)
    coefficients, sure = quadratics(look, flat, row)
    threshold = (sight.floor + (drop + MARGIN))[row] + sight.doubt[flat, row]
    coefficients[~sure] = 0.0
    predicted = coefficients @ monomials(offsets(sizes, look.base)).T
    predicted[slice(None) if blind else ~sure] = -UNKNOWN
    flat_order = (predicted <= threshold[:, None]).reshape(-1).nonzero().reshape(-1)
    cell = flat_order // predicted.shape[1]
    sub = flat_order - cell * predicted.shape[1]
    place = torch.stack(
        [flat // stride % size for stride, size in zip(strides_of(look.shape), look.shape, strict=True)], -1
    )
    return Cover(
        look=look, sizes=sizes, cell=cell, sub=sub, place=place, row=row, blind=blind,
        counts=torch.bincount(row[cell], minlength=len(look.rows)), predicted=predicted.reshape(-1)[flat_order],
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A lattice of some of a cover's rows, and how far it can be believed.

    Attributes:
        index: The rows, counted within the look.
        lattice: Its ``resolved`` says whether the self-check was passed.
        coarse: Along which axes the step was too large, ``[rows, dim]``.
        whole: Whether nothing that matters was left out.
        slots: For each point, its place in the cover's list.
        blunt: Whether the step was too large where imbalances fall off slowly, as at a kink.
        walled: Whether energies are infinite next to where there is mass.
    """

    index: Tensor
    lattice: Lattice
    coarse: Tensor
    whole: Tensor
    slots: Tensor
    blunt: Tensor
    walled: Tensor


def evaluate(found: Cover, energy: Rows, aim: Aim) -> Iterator[Chunk]:
    """Lattices on a cover's points, rows of about as many points together.

    Args:
        found: The cover.
        energy: The reduced energy of all rows.
        aim: When a lattice is fine enough, and what may be left out.
    """
    look, dim = found.look, found.look.dim
    frame = look.cell / torch.tensor(found.sizes).to(look.cell)
    sites = sites_of(found, energy)
    for index in grouped(found.counts, energy.divisible):
        slots, valid = slots_of(found.counts, index)
        points, energies = sites.evaluated(slots, index, energy)
        walled = (energies.isinf() & valid).any(0)
        if not bool(valid.all()):
            energies = torch.where(valid, energies, math.inf)
        lattice = weighed(points, energies, frame[index])
        check = checked(
            imbalances(sites.codes_at(slots), lattice.masses.T, dim), aim.allowed, kinks=aim.kinks
        )
        whole = _complete(energies, taken(found.predicted, slots), aim.drop)
        yield Chunk(
            index=index, slots=torch.where(valid, slots.T, -1), coarse=check.coarse, whole=whole,
            blunt=check.blunt & (not found.blind), walled=walled & (not found.blind),
            lattice=replace(lattice, error=check.error, resolved=whole & ~check.coarse.any(-1) & (not found.blind)),
        )  # fmt: skip


def slots_of(counts: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Places in a list sorted by row of the points of some rows, ``[rows, points]``, and which are no repetitions."""
    many, starts = counts[index, None], (counts.cumsum(0) - counts)[index, None]
    ranks = torch.arange(int(many.max()), device=counts.device)
    return starts + torch.where(ranks < many, ranks, 0), (ranks < many).T


def _complete(energies: Tensor, predicted: Tensor, drop: float) -> Tensor:
    """Whether nothing that matters was left out: predictions near the edge are not far too high."""
    floor = energies.amin(0)
    outer = (predicted - energies > SLACK) & (predicted > floor + drop - 3 * SLACK)
    return ~outer.any(0)


def grouped(counts: Tensor, divisible: bool) -> Iterator[Tensor]:
    """Rows of about as many points, so many that they are evaluated at once."""
    order = counts.argsort(descending=True, stable=True)
    if not divisible:
        yield order
        return
    sizes, start = counts[order].tolist(), 0
    while start < len(sizes):
        stop, most = start + 1, max(sizes[start], 1)
        room = max(1, AT_ONCE // most)
        while stop < len(sizes) and stop - start < room and sizes[stop] >= ALIKE * most:
            stop += 1
        yield order[start:stop]
        start = stop


def dense(found: Cover, chunk: Chunk, failed: Tensor) -> Look | None:
    """The energies of some of a chunk's rows on a dense grid; None where that grid is too large."""
    index, sizes = chunk.index[failed], torch.tensor(found.sizes, device=found.cell.device)
    slots = chunk.slots[:, failed]
    known = slots >= 0
    cells, subs = found.cell[slots], found.sub[slots]
    fine = found.place[cells] * sizes + parts_of(found)[subs]
    low = fine.amin(0) - 1
    shape = tuple((fine.amax(0) - low + 2).amax(0).tolist())
    if math.prod(shape) * len(index) > LARGEST:
        return None
    values = torch.full((math.prod(shape), len(index)), UNKNOWN).to(chunk.lattice.energies)
    columns = torch.arange(len(index), device=cells.device).expand_as(slots)
    values[flat_places(fine - low, shape)[known], columns[known]] = chunk.lattice.energies[:, failed][known]
    cell = found.look.cell[index] / sizes.to(found.look.cell)
    first = low.to(cell) + 0.5 - 0.5 * sizes.to(cell)  # the center of the first part, in parts
    return Look(
        rows=found.look.rows[index], base=placed(found.look.base[index], cell, first), cell=cell, shape=shape,
        energies=values, level=found.look.level + 1, laid=found.look.laid + (not found.blind),
        turns=found.look.turns, whole=False, filled=found.look.filled,
        finer=chunk.coarse[failed].any(-1), known=found.look.lowest[index], **_still_shared(found, index, low),
    )  # fmt: skip


def _still_shared(found: Cover, index: Tensor, low: Tensor) -> dict[str, Any]:
    """The common grid's parts as a finer common grid."""
    if found.look.shared is None or found.look.anchor is None:
        return {}
    (base, cell), sizes = found.look.shared, torch.tensor(found.sizes, device=low.device)
    first = 0.5 / sizes.to(base) - 0.5
    shared = (placed(base, cell, first), cell / sizes.to(cell))
    return {"shared": shared, "anchor": found.look.anchor[index] * sizes + low}
