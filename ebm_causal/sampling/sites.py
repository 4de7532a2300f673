"""The sites of a cover's points: those that several rows share are computed once."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.sampling.checking import PERIOD
from ebm_causal.sampling.looking import Look, placed, strides_of
from ebm_causal.sampling.selecting import Rows, SharedTable

WIDEST = 4_000_000  # cells of a common grid
TABLED = 2  # points for each site, from which on a table pays


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Fine points of some rows, as a flat list that is sorted by row.

    Attributes:
        look: The look whose cells are divided.
        sizes: Into how many parts along each axis.
        cell: The cell of each point, counted among those that are divided.
        sub: Its place within, ``[points]``.
        place: The first cell's coordinates, ``[cells, dim]``, whole numbers.
        row: The row of each cell.
        counts: Points of each row.
        predicted: The predicted energy of each point.
        blind: Whether no mode can be told by these points: another look follows.
    """

    look: Look
    sizes: tuple[int, ...]
    cell: Tensor
    sub: Tensor
    place: Tensor
    row: Tensor
    counts: Tensor
    predicted: Tensor
    blind: bool


def offsets(sizes: tuple[int, ...], like: Tensor) -> Tensor:
    """Where the parts of a cell have their centers, from its own, ``[parts, dim]``."""
    axes = [(torch.arange(size).to(like) + 0.5) / size - 0.5 for size in sizes]
    return torch.cartesian_prod(*axes).reshape(-1, len(sizes))


def parts_of(found: Cover) -> Tensor:
    """The whole-number coordinates of the parts within a cell, ``[parts, dim]``."""
    parts = torch.cartesian_prod(*[torch.arange(size) for size in found.sizes]).reshape(-1, found.look.dim)
    return parts.to(found.cell.device)


def flat_places(places: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Coordinates as numbers in a grid's flat order."""
    strides = torch.tensor(strides_of(shape), device=places.device)
    return (places * strides).sum(-1)


def taken(values: Tensor, slots: Tensor) -> Tensor:
    """Values ``[points, rows, ...]`` at slots ``[rows, points]``: in memory, a row's points lie side by side."""
    return values.index_select(0, slots.reshape(-1)).reshape(*slots.shape, *values.shape[1:]).transpose(0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sites:
    """The sites of a cover's points, each row's own.

    Attributes:
        found: The cover.
        codes: The remainders of each site's coordinates by six, as numbers in base six.
        places: In units of the look's cells.
    """

    found: Cover
    codes: Tensor
    places: Tensor

    def codes_at(self, slots: Tensor) -> Tensor:
        """Codes of points, ``[rows, points]``."""
        return taken(self.codes, slots).T

    def evaluated(self, slots: Tensor, index: Tensor, energy: Rows) -> tuple[Tensor, Tensor]:
        """Points of some rows, and their energies."""
        look = self.found.look
        points = placed(look.base[index], look.cell[index], taken(self.places, slots))
        if look.whole and math.prod(self.found.sizes) == 1:
            flat = flat_places(self.found.place, look.shape)[self.found.cell[slots.T]]
            return points, look.energies[flat, index]
        return points, _finite(energy.at(points, look.rows[index]))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSites:
    """Sites of a grid that all rows share, with a table of what the energy has in common there.

    Attributes:
        found: The cover.
        codes: Of each site.
        site: The site of each point.
        points: Of each site, ``[sites, dim]``.
        table: What the energy has in common.
    """

    found: Cover
    codes: Tensor
    site: Tensor
    points: Tensor
    table: SharedTable

    def codes_at(self, slots: Tensor) -> Tensor:
        """Codes of points, ``[rows, points]``."""
        return taken(self.codes, taken(self.site, slots).T).T

    def evaluated(self, slots: Tensor, index: Tensor, energy: Rows) -> tuple[Tensor, Tensor]:
        """Points of some rows, and their energies."""
        site = taken(self.site, slots).T
        return taken(self.points, site), _finite(self.table.at(site, self.found.look.rows[index]).T)


def _finite(energies: Tensor) -> Tensor:
    return energies.nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)


def sites_of(found: Cover, energy: Rows) -> Sites | CommonSites:
    """The sites of a cover, those that rows have in common once where that pays."""
    common = _common_sites(found, energy)
    if common is not None:
        return common
    sizes = torch.tensor(found.sizes, device=found.cell.device)
    fine = (found.place * sizes % PERIOD)[found.cell] + parts_of(found)[found.sub]
    places = found.place.to(found.look.base)[found.cell] + offsets(found.sizes, found.look.base)[found.sub]
    return Sites(found=found, codes=_codes(fine), places=places)


def _codes(fine: Tensor) -> Tensor:
    return flat_places(fine % PERIOD, (PERIOD,) * fine.shape[-1])


def _common_sites(found: Cover, energy: Rows) -> CommonSites | None:
    look = found.look
    if look.shared is None or look.anchor is None or not len(found.cell):
        return None
    (base, cell), sizes = look.shared, torch.tensor(found.sizes, device=found.cell.device)
    first = (look.anchor[found.row] + found.place) * sizes  # the first part of each cell, on the common grid
    low = first.amin(0)
    shape = tuple((first.amax(0) - low + sizes).tolist())
    if math.prod(shape) > WIDEST:
        return None
    number = flat_places(first - low, shape)[found.cell] + flat_places(parts_of(found), shape)[found.sub]
    used = torch.zeros(math.prod(shape), dtype=torch.bool, device=number.device)
    used[number] = True
    sites = used.nonzero().flatten()
    if len(sites) * TABLED > len(number):
        return None
    strides = strides_of(shape)
    fine = (
        torch.stack([sites // stride % size for stride, size in zip(strides, shape, strict=True)], -1) + low
    )
    points = placed(base, cell, (fine.to(base) + 0.5) / sizes.to(base) - 0.5)
    table = energy.tabulate(points)
    if table is None:
        return None
    return CommonSites(
        found=found, codes=_codes(fine), site=(used.cumsum(0) - 1)[number], points=points, table=table
    )
