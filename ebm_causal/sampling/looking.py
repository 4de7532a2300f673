r"""What a dense grid of energies shows of a density: its floor, where it may have mass, how sharply it bends."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

UNKNOWN = 1e15  # the energy where none was evaluated, or where it is infinite
BENT = 1e13  # a larger bend has an unknown neighbor
ROUGH = 0.125  # of the change of a bend from a point to the next, by which predictions may be too high
MISSED = 1.0  # a look whose lowest point lies so far above an earlier one's is too coarse
CURVED = {1: (1.0, 1.0), 2: (1.0, 1.0), 3: (4.0, 8.0)}  # times that for cells, fine points: ridges may curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Energies on a dense grid of some rows.

    Attributes:
        rows: Which rows these are.
        base: The grid's first point, ``[rows, dim]``.
        cell: The edges of a cell, ``[rows, dim, dim]`` (columns).
        shape: Points along each axis.
        energies: ``[points, rows]``, unknown where none was evaluated.
        level: How many looks went before.
        laid: How many of them were lattices that failed the self-check, where they were no mere looks.
        turns: How often the frame was turned with the covariance.
        whole: Whether every point was evaluated.
        filled: Whether that was so of a look at the place where lattices failed, this one or an earlier.
        finer: Rows whose last lattice was too coarse, ``[rows]``.
        shared: Where the rows' grids are parts of a common one: its first point and its cell.
        anchor: The common one's coordinates of the first point of each row, whole numbers ``[rows, dim]``.
        known: The lowest energy of each row in earlier looks, ``[rows]``.
    """

    rows: Tensor
    base: Tensor
    cell: Tensor
    shape: tuple[int, ...]
    energies: Tensor
    level: int = 0
    laid: int = 0
    turns: int = 0
    whole: bool = True
    filled: bool = False
    finer: Tensor | None = None
    shared: tuple[Tensor, Tensor] | None = None
    anchor: Tensor | None = None
    known: Tensor | None = None

    @property
    def dim(self) -> int:
        """The dimension."""
        return len(self.shape)

    @property
    def lowest(self) -> Tensor:
        """The lowest energy of each row, in this look and all before."""
        floor = self.energies.nan_to_num(nan=math.inf).amin(0)
        return floor if self.known is None else torch.minimum(floor, self.known)

    @property
    def blind(self) -> Tensor:
        """Rows whose lowest point lies far above that of an earlier look."""
        return self.misses(self.energies, slice(None))

    def misses(self, energies: Tensor, index: Tensor | slice) -> Tensor:
        """Whether points ``[points, rows]`` of some rows all lie far above the lowest that was seen before."""
        floor = energies.nan_to_num(nan=math.inf).amin(0)
        return floor > (math.inf if self.known is None else self.known[index] + MISSED)

    def some(self, index: Tensor) -> "Look":
        """The same of some of the rows."""
        return replace(
            self, rows=self.rows[index], base=self.base[index], cell=self.cell[index],
            energies=self.energies[:, index], finer=None if self.finer is None else self.finer[index],
            anchor=None if self.anchor is None else self.anchor[index],
            known=None if self.known is None else self.known[index],
        )  # fmt: skip


def together(looks: Sequence[Look]) -> Look:
    """Looks of other rows over the same grid as one."""
    first = looks[0]
    return replace(
        first, rows=torch.cat([look.rows for look in looks]), base=torch.cat([look.base for look in looks]),
        cell=torch.cat([look.cell for look in looks]), energies=torch.cat([look.energies for look in looks], 1),
        anchor=None if first.anchor is None else first.anchor[:1].expand(sum(len(k.rows) for k in looks), -1),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a look shows.

    Attributes:
        floor: The lowest energy, per row.
        keep: Which points may have mass in their neighborhood, ``[points, rows]``.
        sharp: The largest bend along each axis that counts, per step squared, ``[rows, dim]``.
        touches: Whether mass reaches the low and the high end of each axis, ``[rows, 2, dim]``.
        nears: Whether it may, as far as the look can tell.
        doubt: By how much predictions near a point may be too high, ``[points, rows]``.
    """

    floor: Tensor
    keep: Tensor
    sharp: Tensor
    touches: Tensor
    nears: Tensor
    doubt: Tensor

    def some(self, index: Tensor) -> "Sight":
        """The same of some of the rows."""
        return Sight(
            floor=self.floor[index], keep=self.keep[:, index], sharp=self.sharp[index],
            touches=self.touches[index], nears=self.nears[index], doubt=self.doubt[:, index],
        )  # fmt: skip


def coordinates(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """The integer coordinates of a grid's points, ``[points, dim]``."""
    axes = [torch.arange(size, dtype=like.dtype, device=like.device) for size in shape]
    return torch.cartesian_prod(*axes).reshape(-1, len(shape))


def placed(base: Tensor, cell: Tensor, places: Tensor) -> Tensor:
    """Points ``[points, rows, dim]`` of places in units of the cells' edges."""
    points = base
    for axis, part in enumerate(places.unbind(-1)):
        points = points + part[..., None] * cell[..., axis]
    return points


def see(look: Look, drop: float, step: float) -> Sight:
    r"""Find what lies less than ``drop`` above the lowest point, and how fine a lattice must be.

    Basins between the points are seen by the parabolas through each point and its neighbors, and where bends
    change from one point to the next, the energy may be lower than these by a part of the change. As all this
    may reach too deep, the floor is the lowest point itself: rather too much is kept than too little.
    In three dimensions cells and fine points are chosen with a wider doubt, as ridges may curve away from the
    paraboloids. Boxes grow where mass reaches an end without any, so that none grows for ever on kinks.
    A bend counts the less the higher it lies: at an energy e above the floor, a lattice of step h errs by
    :math:`e^{-e - 2\pi^2/(b h^2)}`.
    """
    dims = tuple(range(look.dim))
    grid = look.energies.clamp(-UNKNOWN, UNKNOWN).nan_to_num_(nan=UNKNOWN).reshape(*look.shape, -1)
    lowered, doubt, bends = grid.clone(), torch.zeros_like(grid), []
    for axis, size in enumerate(look.shape):
        left, right = grid.narrow(axis, 0, size - 2), grid.narrow(axis, 2, size - 2)
        slope, bend = right - left, (right + left).sub_(grid.narrow(axis, 1, size - 2), alpha=2)
        bend = bend.masked_fill_(bend.abs() > BENT, 0.0)
        changes = bend.narrow(axis, 1, size - 3).sub(bend.narrow(axis, 0, size - 3)).abs_().mul_(ROUGH)
        doubt.narrow(axis, 1, size - 3).add_(changes)
        doubt.narrow(axis, 2, size - 3).add_(changes)
        bend = bend.clamp_(min=1e-30)
        below = (slope * slope).div_(bend).mul_(0.125)
        below = below.masked_fill_(below > 0.5 * bend, 0.0)  # the lowest point is not between the neighbors
        lowered.narrow(axis, 1, size - 2).sub_(below)
        bends.append(bend)
    floor = grid.amin(dims)
    lowered.sub_(floor)
    known, (cells, points) = grid < BENT, CURVED[look.dim]
    touches, nears = (_ends((lowered - less <= drop) & known) for less in (0.0, doubt))
    keep = (lowered.sub(doubt, alpha=cells) <= drop) & known
    counts = lowered.mul_(-(step**2) / (2 * math.pi**2)).add_(1).clamp_(0, 1)
    sharp = [
        bend.mul_(counts.narrow(axis, 1, look.shape[axis] - 2)).amax(dims) for axis, bend in enumerate(bends)
    ]
    return Sight(
        floor=floor, keep=keep.reshape(-1, grid.shape[-1]), sharp=torch.stack(sharp, -1),
        touches=touches, nears=nears,
        doubt=doubt.mul_(points).reshape(-1, grid.shape[-1]),
    )  # fmt: skip


def _ends(mass: Tensor) -> Tensor:
    """Whether there is any at the low and the high end of each axis, ``[rows, 2, dim]``."""
    faces = [[mass.select(axis, end) for axis in range(mass.ndim - 1)] for end in (0, -1)]
    return torch.stack(
        [torch.stack([f.reshape(-1, f.shape[-1]).any(0) for f in end], -1) for end in faces], -2
    )


def widened(keep: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The points kept and all their neighbors, ``[points, rows]``."""
    wide = keep.reshape(*shape, -1)
    for axis, size in enumerate(shape):
        narrow, wide = wide, wide.clone()
        wide.narrow(axis, 0, size - 1).logical_or_(narrow.narrow(axis, 1, size - 1))
        wide.narrow(axis, 1, size - 1).logical_or_(narrow.narrow(axis, 0, size - 1))
    return wide.reshape(keep.shape)


def quadratics(look: Look, points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients ``[cells, 1 + 2 dim + pairs]`` of the paraboloids through grid points and their neighbors.

    In the order of :func:`monomials`. Also which of them are sure, having all neighbors known.
    """
    values, many = look.energies.reshape(-1), look.energies.shape[1]
    strides = strides_of(look.shape)
    place = [points // stride % size for stride, size in zip(strides, look.shape, strict=True)]
    inner = torch.stack([(p > 0) & (p < size - 1) for p, size in zip(place, look.shape, strict=True)]).all(0)
    center = torch.where(inner, points, sum(stride for stride in strides))

    def at(offset: int) -> Tensor:
        return values[(center + offset) * many + rows]

    middle = at(0)
    found, slopes, bends = [middle], [], []
    for stride in strides:
        left, right = at(-stride), at(stride)
        slopes.append(0.5 * (right - left))
        bends.append(0.5 * (right + left) - middle)
    crosses = [
        0.25 * (at(a + b) + at(-a - b) - at(a - b) - at(b - a)) for a, b in itertools.combinations(strides, 2)
    ]
    found += [*slopes, *bends, *crosses]
    coefficients = torch.stack(found, -1)
    return coefficients, inner & (coefficients.abs() < BENT).all(-1)


def monomials(offsets: Tensor) -> Tensor:
    """One, the coordinates, their squares, and their products of two, ``[points, 1 + 2 dim + pairs]``."""
    parts = offsets.unbind(-1)
    products = [a * b for a, b in itertools.combinations(parts, 2)]
    return torch.stack([torch.ones_like(parts[0]), *parts, *(p * p for p in parts), *products], -1)


def strides_of(shape: tuple[int, ...]) -> list[int]:
    """How far apart neighbors along each axis are in the flat order."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
