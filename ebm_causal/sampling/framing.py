"""Dense looks over boxes: the first, larger ones where mass lies at an edge, turned ones where a basin lies askew."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ebm_causal.sampling.looking import Look, Sight, coordinates, placed, quadratics
from ebm_causal.sampling.selecting import Rows

HALF = 7.0  # the first box reaches so many scales to each side
SKEWED = 0.05  # a frame is turned where the determinant of the correlations is lower
UNSURE = 4.0  # a doubt about energies, from which on cells stay as small while boxes grow
FINEST = {1: 4097, 2: 1025, 3: 65}  # points per axis of a look
AT_ONCE = 300_000  # points times rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """Where to look first.

    Attributes:
        middle: ``[dim]``, or for each row ``[rows, dim]``.
        scale: Of the same shape; the box reaches several of these to each side.
    """

    middle: Tensor
    scale: Tensor

    @property
    def shared(self) -> bool:
        """Whether it is the same for all rows, so that points depend on no row."""
        return self.middle.ndim == 1


def box_of(middle: Tensor | float, scale: Tensor | float, shape: tuple[int, int], like: Tensor) -> Box:
    """A box from a middle and a scale that are given for all rows, for each axis, or for each row of ``shape``."""
    parts = [torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (middle, scale)]
    whole = shape[1:] if all(part.ndim < 2 for part in parts) else shape
    return Box(middle=parts[0].expand(whole), scale=parts[1].expand(whole))


def look_at(energy: Rows, rows: Tensor, box: Box, coarse: int) -> Look:
    """A look over a box, of some rows."""
    middle, scale = (value[None] if box.shared else value[rows] for value in (box.middle, box.scale))
    cell = torch.diag_embed(scale * (2 * HALF / (coarse - 1)))
    first = middle - HALF * scale
    look = _look(energy, rows, first, cell, (coarse,) * middle.shape[-1])
    if not box.shared:
        return look
    anchor = torch.zeros(len(rows), middle.shape[-1], dtype=torch.long, device=rows.device)
    return replace(look, shared=(first[0], cell[0]), anchor=anchor)


def _look(energy: Rows, rows: Tensor, base: Tensor, cell: Tensor, shape: tuple[int, ...]) -> Look:
    """Evaluate a dense grid."""
    dim = base.shape[-1]
    places = coordinates(shape, base)[:, None]
    return Look(
        rows=rows, base=base.expand(len(rows), dim), cell=cell.expand(len(rows), dim, dim), shape=shape,
        energies=energy.at(placed(base, cell, places), rows),
    )  # fmt: skip


def grown(look: Look, sight: Sight, energy: Rows, coarse: int) -> Iterator[Look]:
    """Looks over boxes twice as large along the axes where mass lies at an edge.

    With as many points as before, where energies change like paraboloids; else with as large cells.
    """
    low, high = sight.touches[:, 0], sight.touches[:, 1]
    double = low | high
    factor, spans = torch.where(double, 2.0, 1.0).to(look.cell), torch.tensor(look.shape).to(look.cell) - 1
    shift = torch.where(low & high, 0.5, low.to(look.cell)) * spans * low
    corner, edges = placed(look.base, look.cell, -shift), look.cell * (factor * spans)[:, None]
    unsure = (sight.doubt * sight.keep).amax(0) > UNSURE
    sizes = torch.where(unsure[:, None], (factor * spans).long() + 1, coarse).clamp_max(FINEST[look.dim])
    for shape in sizes.unique(dim=0):
        some = (sizes == shape).all(-1).nonzero().flatten()
        yield from _again(look.some(some), corner[some], edges[some], energy, tuple(shape.tolist()))


def closer(look: Look, energy: Rows, coarse: int) -> Iterator[Look]:
    """Looks over the same boxes with other numbers of points."""
    spans = torch.tensor(look.shape).to(look.cell) - 1
    points = min(coarse, max(FINEST[look.dim], *look.shape))
    yield from _again(look, look.base, look.cell * spans[:, None], energy, (points,) * look.dim)


def _again(look: Look, corner: Tensor, edges: Tensor, energy: Rows, shape: tuple[int, ...]) -> Iterator[Look]:
    """Looks over other boxes, so fine that what was low before is seen as low."""
    known, left = look.lowest, torch.arange(len(look.rows), device=look.rows.device)
    while len(left):
        missed, spans = [], torch.tensor(shape).to(edges) - 1
        for part in left.split(max(1, AT_ONCE // math.prod(shape))):
            found = _look(energy, look.rows[part], corner[part], edges[part] / spans, shape)
            found = replace(
                found,
                level=look.level + 1,
                laid=look.laid,
                turns=look.turns,
                filled=look.filled,
                known=known[part],
            )
            blind = found.blind & (max(shape) < FINEST[look.dim])
            missed.append(part[blind])
            if not bool(blind.all()):
                yield found.some(~blind)
        left, shape = torch.cat(missed), tuple(min(2 * size - 1, FINEST[look.dim]) for size in shape)


def filled(look: Look, energy: Rows) -> Iterator[Look]:
    """Looks over the same grids that leave no point out."""
    places = coordinates(look.shape, look.base)[:, None]
    for part in torch.arange(len(look.rows), device=look.rows.device).split(max(1, AT_ONCE // len(places))):
        some = look.some(part)
        blocks = [
            energy.at(placed(some.base, some.cell, block), some.rows) for block in places.split(AT_ONCE)
        ]
        yield replace(some, energies=torch.cat(blocks), whole=True, filled=True)


def askew_frames(look: Look) -> tuple[Tensor, Tensor]:
    """Inverse square roots of the Hessians at the lowest points, in cells, and which rows need them."""
    lowest = look.energies.argmin(0)
    rows = torch.arange(len(look.rows), device=lowest.device)
    coefficients, sure = quadratics(look, lowest, rows)
    dim = look.dim
    hessian = torch.diag_embed(2 * coefficients[:, 1 + dim : 1 + 2 * dim])
    for (i, j), cross in zip(
        itertools.combinations(range(dim), 2), coefficients[:, 1 + 2 * dim :].unbind(-1), strict=True
    ):
        hessian[:, i, j] = hessian[:, j, i] = cross
    bends = hessian.diagonal(dim1=-2, dim2=-1).clamp_min(1e-30)
    scale = bends.sqrt()
    related = torch.where(
        sure[:, None, None], hessian / scale[:, :, None] / scale[:, None, :], torch.eye(dim).to(scale)
    )
    factor, info = torch.linalg.cholesky_ex(related)
    askew = (info == 0) & sure & (factor.diagonal(dim1=-2, dim2=-1).prod(-1) ** 2 < SKEWED)
    identity = torch.eye(dim).to(scale).expand_as(factor)
    inverse = torch.linalg.solve_triangular(
        torch.where(askew[:, None, None], factor, identity).mT, identity, upper=True
    )
    return inverse / scale[:, :, None], askew


def turned(look: Look, sight: Sight, factors: Tensor, energy: Rows, coarse: int) -> Iterator[Look]:
    """Looks in frames in which the lowest basin is round, over all points that were kept."""
    places = coordinates(look.shape, look.base)
    backward = torch.linalg.inv(factors)
    seen = torch.einsum("rij,pj->pri", backward, places)
    inside, reach = sight.keep[..., None], backward.abs().sum(-1)
    low = torch.where(inside, seen, math.inf).amin(0) - reach
    high = torch.where(inside, seen, -math.inf).amax(0) + reach
    frame = look.cell @ factors
    corner, edges = placed(look.base, frame, low), frame * (high - low)[:, None]
    yield from _again(replace(look, turns=look.turns + 1), corner, edges, energy, (coarse,) * look.dim)
