r"""An adaptive lattice per row: integrals, moments and draws for densities of one or two dimensions.

All rows are one batch. A coarse lattice over a wide box finds where the mass is; the box shrinks to
it (or grows, where mass touches its boundary), turns with the covariance, and is refined until its
step is a given fraction of the local standard deviation. For smooth densities the equal-weight sum
converges exponentially in that fraction, so three points per standard deviation are exact to rounding.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError

RowEnergy = Callable[[Tensor], Tensor]
DROP = 32.0
COARSE = {1: 33, 2: 17}
MOST = {1: 1025, 2: 129}
FEWEST = 9
REFINEMENTS = 3
TURNS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Points that carry a density's mass, one parallelepiped per row.

    Attributes:
        points: ``[points, rows, dim]``.
        energies: The reduced energies there, ``[points, rows]``.
        log_cell: The log volume of a cell, per row.
        frame: The edges of a cell, per row, ``[rows, dim, dim]`` (columns).
        resolved: Whether the step is fine enough and the boundary empty, per row.
        per_axis: Points along each axis.
    """

    points: Tensor
    energies: Tensor
    log_cell: Tensor
    frame: Tensor
    resolved: Tensor
    per_axis: int

    @property
    def dim(self) -> int:
        """The dimension that is integrated over."""
        return self.points.shape[-1]

    def log_partition(self, energies: Tensor | None = None) -> Tensor:
        """The log integral of exp(-energy), per row; differentiable through energies given anew."""
        return torch.logsumexp(-(self.energies if energies is None else energies), 0) + self.log_cell

    def weights(self) -> Tensor:
        """Probabilities of the points, ``[points, rows]``."""
        return torch.softmax(-self.energies, 0)

    def expectation(self, values: Tensor) -> Tensor:
        """The mean of ``values [points, rows, ...]`` under the density, per row."""
        weights = self.weights()
        return (weights.reshape(*weights.shape, *([1] * (values.ndim - 2))) * values).sum(0)

    def mean(self) -> Tensor:
        """The mean, ``[rows, dim]``."""
        return self.expectation(self.points)

    def covariance(self) -> Tensor:
        """The covariance, ``[rows, dim, dim]``."""
        centered = self.points - self.mean()
        return self.expectation(centered[..., :, None] * centered[..., None, :])

    def disagreement(self) -> Tensor:
        """The self-check: by how much the log integrals on the even and the odd sub-lattice differ, per row.

        It is the error of a lattice of twice the step, far above that of the lattice itself.
        """
        parity = _unit_indices(self.per_axis, self.dim).sum(-1) % 2
        even = torch.logsumexp(-self.energies[parity == 0], 0)
        odd = torch.logsumexp(-self.energies[parity == 1], 0)
        return (even - odd).abs()

    def draw(self, energy: RowEnergy, draws: int, generator: torch.Generator) -> Tensor:
        """Stratified draws ``[draws, rows, dim]``: a cell by its mass, a place within it, reweighted to the density."""
        rows = self.points.shape[1]
        cumulative = self.weights().cumsum(0).T.contiguous()
        strata = torch.arange(draws, dtype=self.points.dtype)[:, None]
        uniform = (strata + _uniform((draws, rows), generator, self.points)) / draws
        cells = torch.searchsorted(cumulative, (uniform.T * cumulative[:, -1:]).contiguous()).clamp_max(len(self.points) - 1)
        jitter = _uniform((draws, rows, self.dim), generator, self.points) - 0.5
        index = cells.T
        chosen = self.points.gather(0, index[..., None].expand(-1, -1, self.dim))
        proposals = chosen + torch.einsum("rij,drj->dri", self.frame, jitter)
        surplus = self.energies.gather(0, index) - energy(proposals)
        return _resample(proposals, surplus, generator)


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
            lattice, box, settled, needed = _level(energy, box, COARSE[dim], (step, drop))
            if bool(settled.all()):
                break
        for _ in range(REFINEMENTS):
            if needed == lattice.per_axis or 0.9 * needed <= lattice.per_axis <= needed:
                break
            lattice, _, _, needed = _level(energy, box, min(needed, MOST[dim]), (step, drop))
        return lattice


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


def _level(energy: RowEnergy, box: _Box, per_axis: int, precision: tuple[float, float]) -> tuple[Lattice, _Box, Tensor, int]:
    """Evaluate one lattice; say where the next should lie, which rows have settled, and how many points they need."""
    (step, drop), dim = precision, box.origin.shape[-1]
    width = (box.high - box.low) / (per_axis - 1)
    coordinates = box.low + _unit_indices(per_axis, dim).to(box.low)[:, None] * width
    points = box.origin + torch.einsum("rij,prj->pri", box.frame, coordinates)
    energies = energy(points).nan_to_num(nan=math.inf)
    grid = energies.reshape(*([per_axis] * dim), -1)
    keep, sharpest = _worth_keeping(grid, dim, drop)
    low, high, touches = _extent(keep.reshape(len(points), -1), coordinates, box, width)
    shrinks = ((high - low) < 0.75 * (box.high - box.low)).any(-1)
    local = 1 / sharpest.clamp_min(1e-12).sqrt()  # local standard deviations in steps, [rows]
    still = ~touches & ~shrinks & energies.isfinite().any(0)
    turn, settled = still & (box.turns < TURNS), still & (box.turns == TURNS)
    sharp = float(local[settled].min()) if bool(settled.any()) else math.inf
    needed = min(max(math.ceil((per_axis - 1) / (step * sharp)) + 1, FEWEST), MOST[dim])
    cell = box.frame * width[:, None, :]
    lattice = Lattice(
        points=points, energies=energies, frame=cell, per_axis=per_axis,
        log_cell=torch.linalg.det(cell).abs().log(), resolved=settled & (local * step >= 0.8),
    )  # fmt: skip
    moved = _Box(box.origin, box.frame, *(torch.where(settled[:, None], o, n) for o, n in ((box.low, low), (box.high, high))), box.turns)
    if bool(turn.any()):
        moved = _turn(moved, lattice, keep.reshape(len(points), -1), turn)
    return lattice, moved, settled, needed


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
    return torch.cat([right.narrow(axis, 0, 1), left], axis), torch.cat([right, left.narrow(axis, size - 2, 1)], axis)


def _extent(keep: Tensor, coordinates: Tensor, box: _Box, width: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The bounding box of the points kept and one step more; where it touches the edge, half the box more."""
    inside = keep[..., None]
    low = torch.where(inside, coordinates, torch.inf).amin(0)
    high = torch.where(inside, coordinates, -torch.inf).amax(0)
    low, high = torch.where(low.isfinite(), low, box.low), torch.where(high.isfinite(), high, box.high)
    at_low, at_high = low <= box.low + 0.5 * width, high >= box.high - 0.5 * width
    growth = 0.5 * (box.high - box.low)
    low = low - torch.where(at_low, growth, width)
    high = high + torch.where(at_high, growth, width)
    return low, high, (at_low | at_high).any(-1)


def _turn(box: _Box, lattice: Lattice, keep: Tensor, turn: Tensor) -> _Box:
    """Turn the frames of some rows with their covariance, and bound the points kept in the new coordinates."""
    spread = lattice.frame @ lattice.frame.mT / 12  # within a cell; keeps the covariance positive definite
    factor = torch.linalg.cholesky(lattice.covariance() + spread)
    coordinates = torch.linalg.solve_triangular(factor, (lattice.points - box.origin)[..., None], upper=False)[..., 0]
    corner = torch.linalg.solve_triangular(factor, lattice.frame, upper=False).abs().sum(-1)
    low = torch.where(keep[..., None], coordinates, torch.inf).amin(0) - corner
    high = torch.where(keep[..., None], coordinates, -torch.inf).amax(0) + corner
    row = turn[:, None]
    return _Box(
        box.origin,
        torch.where(row[..., None], factor, box.frame),
        torch.where(row, low, box.low),
        torch.where(row, high, box.high),
        box.turns + turn.to(box.turns.dtype),
    )


def _unit_indices(per_axis: int, dim: int) -> Tensor:
    axis = torch.arange(per_axis)
    return torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)


def _uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=like.dtype).to(like.device)


def _resample(proposals: Tensor, log_weights: Tensor, generator: torch.Generator) -> Tensor:
    """Systematic resampling of ``[draws, rows, dim]`` by log weights, row by row, in a random order."""
    draws, rows = log_weights.shape
    if draws == 1:
        return proposals
    cumulative = torch.softmax(log_weights, 0).cumsum(0).T.contiguous()
    offset = _uniform((rows, 1), generator, proposals)
    places = (torch.arange(draws, dtype=proposals.dtype) + offset) / draws
    index = torch.searchsorted(cumulative, (places * cumulative[:, -1:]).contiguous()).clamp_max(draws - 1)
    order = torch.rand((rows, draws), generator=generator).argsort(-1)
    index = index.gather(-1, order).T
    return proposals.gather(0, index[..., None].expand(-1, -1, proposals.shape[-1]))
