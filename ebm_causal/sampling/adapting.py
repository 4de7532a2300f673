"""Where a lattice should lie: the box grows, shrinks and turns until it holds the mass of each row."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.sampling.lattice import Lattice, RowEnergy, unit_indices

DROP = 32.0
COARSE = {1: 33, 2: 17}
MOST = {1: 16_385, 2: 513}
FAIR = {1: 1025, 2: 129}
MANY = 1_000_000  # points times rows, beyond which a lattice has at most FAIR points per axis
FEWEST = 9
REFINEMENTS = 4
SHRINK = 0.45  # less than half, so that a box which doubles does not shrink back
TURNS = 3


def adapt_lattice(
    energy: RowEnergy,
    rows: int,
    dim: int,
    *,
    like: Tensor,
    center: Tensor | float = 0.0,
    scale: Tensor | float = 1.0,
    step: float = 1 / 3,
    levels: int = 40,
    drop: float = DROP,
    coarse: int | None = None,
) -> Lattice:
    r"""Find where :math:`e^{-u}` has its mass in each row, and lay a lattice there.

    Holds for densities that are smooth at the scale of their narrowest mode. A mode narrower than
    the first lattice's step and far from all its points' slopes can be missed; the first step is half
    of ``scale``.

    Args:
        energy: The reduced energy, ``[points, rows, dim] -> [points, rows]``.
        rows: How many rows it has.
        dim: One or two.
        like: Gives dtype and device.
        center: Where to look first, a number or ``[rows, dim]``.
        scale: How widely: the first box reaches eight of these to each side.
        step: The lattice's step in local standard deviations.
        levels: How often the box may change before a row is given up (``resolved`` is then False).
        drop: Energies so far above the minimum are left out: a relative mass of exp(-drop).
        coarse: Points per axis of the first look; fewer serve where the center and scale are known well.

    Returns:
        The lattice.

    Raises:
        ArgumentError: If the dimension is not one or two.
    """
    if dim not in COARSE:
        raise ArgumentError(f"a lattice serves dimension one or two; got {dim}: use a sampler instead.")
    with torch.no_grad():
        box = _first_box(center, scale, rows, dim, like)
        for _ in range(levels):
            look = _look(energy, box, coarse or COARSE[dim], drop)
            if bool(look.settled.all()):
                break
            box = _moved(box, look)
        settled = look.settled
        for _ in range(REFINEMENTS):
            here, tightened = (
                look.needed(settled, step, torch.ones_like(look.local)),
                look.needed(settled, step, look.shrunk),
            )
            if 0.9 * here <= look.lattice.per_axis <= 1.3 * tightened:
                break
            box = replace(
                box, low=_where(settled, look.low, box.low), high=_where(settled, look.high, box.high)
            )
            look = _look(energy, box, tightened, drop)
        return replace(look.lattice, resolved=settled & (look.local * step >= 0.8))


@dataclass(frozen=True, slots=True)
class _Box:
    origin: Tensor  # [rows, dim]
    frame: Tensor  # [rows, dim, dim], columns are directions
    low: Tensor  # [rows, dim], in units of the frame
    high: Tensor
    turns: Tensor  # [rows], how often the frame has been turned with the covariance


def _first_box(center: Tensor | float, scale: Tensor | float, rows: int, dim: int, like: Tensor) -> _Box:
    origin = torch.as_tensor(center, dtype=like.dtype, device=like.device).expand(rows, dim).clone()
    size = torch.as_tensor(scale, dtype=like.dtype, device=like.device).expand(rows, dim)
    half = torch.full((rows, dim), 8.0, dtype=like.dtype, device=like.device)
    turns = torch.full((rows,), TURNS if dim == 1 else 0, device=like.device)
    return _Box(origin, torch.diag_embed(size), -half, half, turns)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one lattice over a box shows."""

    lattice: Lattice
    keep: Tensor  # [points, rows], which points may carry mass
    low: Tensor  # [rows, dim], the box that holds them, one step wider
    high: Tensor
    touches: Tensor  # [rows, 2 * dim], whether they reach the box's edges
    local: Tensor  # [rows], the smallest local standard deviation in steps
    shrunk: Tensor  # [rows], how wide the box that holds the mass is, against the box that was looked at
    settled: Tensor  # [rows]

    def needed(self, rows: Tensor, step: float, shrunk: Tensor) -> int:
        """Points per axis for a step that is this fraction of the local deviations, over a box shrunk so far."""
        if not bool(rows.any()):
            return FEWEST
        dim, intervals = self.lattice.dim, self.lattice.per_axis - 1
        needed = math.ceil(float((intervals * shrunk / (step * self.local))[rows].max())) + 1
        return min(max(needed, FEWEST), _most(dim, len(self.local)))


def _most(dim: int, rows: int) -> int:
    """The most points per axis: fewer for many rows, so that memory stays bounded."""
    affordable = MANY // rows if dim == 1 else math.isqrt(MANY // rows)
    return min(MOST[dim], max(FAIR[dim], affordable))


def _look(energy: RowEnergy, box: _Box, per_axis: int, drop: float) -> _Look:
    """Evaluate one lattice over a box."""
    dim = box.origin.shape[-1]
    width = (box.high - box.low) / (per_axis - 1)
    coordinates = box.low + unit_indices(per_axis, dim).to(box.low)[:, None] * width
    points = box.origin + torch.einsum("rij,prj->pri", box.frame, coordinates)
    energies = energy(points).nan_to_num(nan=math.inf)
    keep, sharpest = _worth_keeping(energies.reshape(*([per_axis] * dim), -1), dim, drop)
    keep = keep.reshape(len(points), -1)
    low, high = _bounds(keep, coordinates, (box.low, box.high))
    touches = torch.cat([low <= box.low + 0.5 * width, high >= box.high - 0.5 * width], -1)
    low, high = low - width, high + width
    ratio = (high - low) / (box.high - box.low)
    shrinks = (ratio < SHRINK).any(-1)
    still = ~touches.any(-1) & ~shrinks & energies.isfinite().any(0)
    cell = box.frame * width[:, None, :]
    lattice = Lattice(
        points=points, energies=energies, frame=cell, per_axis=per_axis,
        log_cell=torch.linalg.det(cell).abs().log(), resolved=still,
    )  # fmt: skip
    local = 1 / sharpest.clamp_min(1e-12).sqrt()
    return _Look(lattice, keep, low, high, touches, local, ratio.amax(-1), still & (box.turns == TURNS))


def _moved(box: _Box, look: _Look) -> _Box:
    """Where to look next: rows that have settled stay, mass at an edge doubles the box, mass inside shrinks it."""
    dim = box.origin.shape[-1]
    at_low, at_high = look.touches[:, :dim], look.touches[:, dim:]
    growth = (box.high - box.low) * torch.where(at_low & at_high, 0.5, 1.0)
    grown = replace(box, low=box.low - at_low * growth, high=box.high + at_high * growth)
    edge, stay = look.touches.any(-1), look.settled
    low = _where(stay, box.low, _where(edge, grown.low, look.low))
    high = _where(stay, box.high, _where(edge, grown.high, look.high))
    turn = look.lattice.resolved & (box.turns < TURNS)
    moved = replace(box, low=low, high=high)
    return _turn(moved, look, turn) if bool(turn.any()) else moved


def _bounds(keep: Tensor, coordinates: Tensor, otherwise: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The bounding box of the points kept; what it was before where there are none."""
    inside = keep[..., None]
    low = torch.where(inside, coordinates, torch.inf).amin(0)
    high = torch.where(inside, coordinates, -torch.inf).amax(0)
    return torch.where(low.isfinite(), low, otherwise[0]), torch.where(high.isfinite(), high, otherwise[1])


def _where(rows: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return torch.where(rows[:, None], first, second)


def _worth_keeping(grid: Tensor, dim: int, drop: float) -> tuple[Tensor, Tensor]:
    """Which points may carry mass, and the sharpest curvature (per step squared) near the minima, per row.

    A basin that a coarse lattice steps over is seen by the parabola through a local minimum and its neighbors.
    """
    lowest, is_minimum = grid, torch.ones_like(grid, dtype=torch.bool)
    curvature = torch.zeros_like(grid)
    for axis in range(dim):
        left, right = _neighbors(grid, axis)
        is_minimum = is_minimum & (grid <= left) & (grid <= right)
        bend = (left + right - 2 * grid).nan_to_num(nan=0.0, posinf=1e30).clamp_min(1e-30)
        below = ((left - right) ** 2 / (8 * bend)).nan_to_num(nan=0.0, posinf=0.0)
        lowest = lowest - torch.minimum(below, bend)
        curvature = torch.maximum(curvature, bend)
    bottom = torch.where(is_minimum, lowest, grid)
    axes = tuple(range(dim))
    floor = bottom.amin(axes)
    keep = (bottom <= floor + drop) & grid.isfinite()
    deep = (bottom <= floor + 4.0) & (curvature < 1e29)
    return keep, torch.where(deep, curvature, torch.zeros_like(curvature)).amax(axes)


def _neighbors(grid: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The values one step to each side along an axis; beyond the edge, the point's mirror image."""
    size = grid.shape[axis]
    left = grid.narrow(axis, 0, size - 1)
    right = grid.narrow(axis, 1, size - 1)
    return torch.cat([right.narrow(axis, 0, 1), left], axis), torch.cat(
        [right, left.narrow(axis, size - 2, 1)], axis
    )


def _turn(box: _Box, look: _Look, turn: Tensor) -> _Box:
    """Turn the frames of some rows with their covariance, and bound the points kept in the new coordinates."""
    lattice = look.lattice
    spread = lattice.frame @ lattice.frame.mT / 12  # within a cell; keeps the covariance positive definite
    factor = torch.linalg.cholesky(lattice.covariance() + spread)
    coordinates = torch.linalg.solve_triangular(
        factor, (lattice.points - box.origin)[..., None], upper=False
    )[..., 0]
    corner = torch.linalg.solve_triangular(factor, lattice.frame, upper=False).abs().sum(-1)
    low, high = _bounds(look.keep, coordinates, (box.low, box.high))
    return _Box(
        box.origin,
        torch.where(turn[:, None, None], factor, box.frame),
        _where(turn, low - corner, box.low),
        _where(turn, high + corner, box.high),
        box.turns + turn.to(box.turns.dtype),
    )
