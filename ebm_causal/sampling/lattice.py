r"""A lattice per row that carries a density's mass: integrals, moments and draws."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

RowEnergy = Callable[[Tensor], Tensor]
FEWEST = 32  # proposals, of which a few draws are chosen by weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Points that carry a density's mass, in each row those of a lattice of its own.

    Rows with fewer points than others repeat one of them with infinite energy, so that it weighs nothing.

    Attributes:
        points: ``[points, rows, dim]``.
        energies: The reduced energies there, ``[points, rows]``.
        masses: Probabilities of the points, ``[points, rows]``.
        log_integral: The log integral of exp(-energy), per row.
        log_cell: The log volume of a cell, per row.
        frame: The edges of a cell, per row, ``[rows, dim, dim]`` (columns).
        resolved: Whether the step is fine enough and the boundary empty, per row.
        error: The self-check: a bound, from far above, of the log integral's error, per row (see
            ``covering``); zero where the points are all that there are.
        shape: Points along each edge, where the points are a whole grid in its order; else empty.
    """

    points: Tensor
    energies: Tensor
    masses: Tensor
    log_integral: Tensor
    log_cell: Tensor
    frame: Tensor
    resolved: Tensor
    error: Tensor
    shape: tuple[int, ...] = ()

    @property
    def dim(self) -> int:
        """The dimension that is integrated over."""
        return self.points.shape[-1]

    def log_partition(self, energies: Tensor | None = None) -> Tensor:
        """The log integral of exp(-energy), per row; differentiable through energies given anew."""
        if energies is None:
            return self.log_integral
        weights = torch.where(self.energies.isfinite(), -energies, -math.inf)
        return torch.logsumexp(weights, 0) + self.log_cell

    def weights(self) -> Tensor:
        """Probabilities of the points, ``[points, rows]``."""
        return self.masses

    def expectation(self, values: Tensor) -> Tensor:
        """The mean of ``values [points, rows, ...]`` under the density, per row."""
        return (self.masses.reshape(*self.masses.shape, *([1] * (values.ndim - 2))) * values).sum(0)

    def mean(self) -> Tensor:
        """The mean, ``[rows, dim]``."""
        if self.shared:
            return (self.points[:, 0].T @ self.masses).T
        return torch.matmul(self.masses.T[:, None], self.points.transpose(0, 1))[:, 0]

    def covariance(self) -> Tensor:
        """The covariance, ``[rows, dim, dim]``."""
        return self.moments()[1]

    def moments(self) -> tuple[Tensor, Tensor]:
        """The mean and the covariance, in one pass."""
        if not self.shared:
            mean = self.mean()
            centered = self.points.transpose(0, 1) - mean[:, None]
            return mean, torch.matmul((centered * self.masses.T[..., None]).mT, centered)
        points, dim = self.points[:, 0], self.dim
        products = (points[:, :, None] * points[:, None]).flatten(1)
        sums = (torch.cat([points, products], 1).T @ self.masses).T
        mean = sums[:, :dim]
        return mean, sums[:, dim:].reshape(-1, dim, dim) - mean[:, :, None] * mean[:, None]

    @property
    def shared(self) -> bool:
        """Whether all rows have the same points, and hold them once."""
        return self.points.stride(1) == 0

    def at(self, points: Tensor) -> "Lattice":
        """The same masses at other places, as after a change of variables."""
        return replace(self, points=points, shape=())

    def rows(self, index: Tensor | slice) -> "Lattice":
        """The lattices of some rows."""
        if isinstance(index, slice) and index == slice(None):
            return self
        points = (
            self.points[:, :1].expand(-1, len(self.log_cell[index]), -1)
            if self.shared
            else self.points[:, index]
        )
        return Lattice(
            points=points, energies=self.energies[:, index], masses=self.masses[:, index],
            log_integral=self.log_integral[index], log_cell=self.log_cell[index], frame=self.frame[index],
            resolved=self.resolved[index], error=self.error[index], shape=self.shape,
        )  # fmt: skip

    def choose(self, draws: int, generator: torch.Generator) -> Tensor:
        """Independent draws ``[draws, rows, dim]`` of the points themselves, for finite variables."""
        index = torch.multinomial(self.weights().T, draws, replacement=True, generator=generator).T
        return self.points.gather(0, index[..., None].expand(-1, -1, self.dim))

    def draw(self, energy: RowEnergy, draws: int, generator: torch.Generator) -> Tensor:
        """Stratified draws ``[draws, rows, dim]``: a cell by its mass, a place within, reweighted to the density."""
        rows, many = self.points.shape[1], max(draws, FEWEST)
        cumulative = self.weights().cumsum(0).T.contiguous()
        strata = torch.arange(many, dtype=self.points.dtype)[:, None]
        uniform = (strata + _uniform((many, rows), generator, self.points)) / many
        cells = torch.searchsorted(cumulative, (uniform.T * cumulative[:, -1:]).contiguous()).clamp_max(
            len(self.points) - 1
        )
        jitter = _uniform((many, rows, self.dim), generator, self.points) - 0.5
        index = cells.T
        chosen = self.points.gather(0, index[..., None].expand(-1, -1, self.dim))
        proposals = chosen + torch.einsum("rij,drj->dri", self.frame, jitter)
        surplus = self.energies.gather(0, index) - energy(proposals)
        return resample(proposals, surplus, draws, generator)


def weighed(
    points: Tensor,
    energies: Tensor,
    frame: Tensor,
    *,
    resolved: Tensor | None = None,
    log_cell: Tensor | None = None,
) -> Lattice:
    """A lattice from its points and their energies; the cell's volume is that of the frame unless it is given."""
    floor = energies.amin(0)
    floor = torch.where(floor.isfinite(), floor, 0.0)
    masses = (floor - energies).exp_()
    total = masses.sum(0)
    volume = torch.linalg.det(frame).abs().log() if log_cell is None else log_cell
    masses = masses.div_(total.clamp_min(torch.finfo(total.dtype).tiny))
    return Lattice(
        points=points, energies=energies, masses=masses, log_integral=total.log() - floor + volume, frame=frame,
        log_cell=volume, resolved=total > 0 if resolved is None else resolved, error=torch.zeros_like(total),
    )  # fmt: skip


def joined(parts: Sequence[tuple[Tensor, Lattice]]) -> Lattice:
    """Lattices of parts of the rows as one, in the order of the rows; short ones are filled up."""
    order = torch.cat([index for index, _ in parts]).argsort()
    longest = max(len(lattice.points) for _, lattice in parts)

    def filled(values: Tensor, fill: float | None) -> Tensor:
        missing = longest - len(values)
        extra = values[:1] if fill is None else torch.full_like(values[:1], fill)
        return torch.cat([values, extra.expand(missing, *values.shape[1:])]) if missing else values

    return Lattice(
        points=torch.cat([filled(lattice.points, None) for _, lattice in parts], 1)[:, order],
        energies=torch.cat([filled(lattice.energies, math.inf) for _, lattice in parts], 1)[:, order],
        masses=torch.cat([filled(lattice.masses, 0.0) for _, lattice in parts], 1)[:, order],
        log_integral=torch.cat([lattice.log_integral for _, lattice in parts])[order],
        log_cell=torch.cat([lattice.log_cell for _, lattice in parts])[order],
        frame=torch.cat([lattice.frame for _, lattice in parts])[order],
        resolved=torch.cat([lattice.resolved for _, lattice in parts])[order],
        error=torch.cat([lattice.error for _, lattice in parts])[order],
    )  # fmt: skip


def _uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=like.dtype).to(like.device)


def resample(proposals: Tensor, log_weights: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """Systematic resampling of ``[many, rows, dim]`` by log weights, row by row, in a random order."""
    many, rows = log_weights.shape
    cumulative = torch.softmax(log_weights, 0).cumsum(0).T.contiguous()
    offset = _uniform((rows, 1), generator, proposals)
    places = (torch.arange(draws, dtype=proposals.dtype) + offset) / draws
    index = torch.searchsorted(cumulative, (places * cumulative[:, -1:]).contiguous()).clamp_max(many - 1)
    order = torch.rand((rows, draws), generator=generator).argsort(-1)
    index = index.gather(-1, order).T
    return proposals.gather(0, index[..., None].expand(-1, -1, proposals.shape[-1]))
