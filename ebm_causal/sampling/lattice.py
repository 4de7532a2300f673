r"""An adaptive lattice per row: integrals, moments and draws for densities of one or two dimensions.

All rows are one batch. A coarse lattice over a wide box finds where the mass is; the box shrinks to
it (or grows, where mass touches its boundary), turns with the covariance, and is refined until its
step is a given fraction of the local standard deviation. For smooth densities the equal-weight sum
converges exponentially in that fraction, so three points per standard deviation are exact to rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

RowEnergy = Callable[[Tensor], Tensor]
FEWEST = 32  # proposals, of which a few draws are chosen by weight


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
        parity = unit_indices(self.per_axis, self.dim).sum(-1) % 2
        even = torch.logsumexp(-self.energies[parity == 0], 0)
        odd = torch.logsumexp(-self.energies[parity == 1], 0)
        return (even - odd).abs()

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
        return _resample(proposals, surplus, draws, generator)


def unit_indices(per_axis: int, dim: int) -> Tensor:
    """The integer coordinates of a lattice's points, ``[points, dim]``."""
    axis = torch.arange(per_axis)
    return torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)


def _uniform(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=like.dtype).to(like.device)


def _resample(proposals: Tensor, log_weights: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """Systematic resampling of ``[many, rows, dim]`` by log weights, row by row, in a random order."""
    many, rows = log_weights.shape
    cumulative = torch.softmax(log_weights, 0).cumsum(0).T.contiguous()
    offset = _uniform((rows, 1), generator, proposals)
    places = (torch.arange(draws, dtype=proposals.dtype) + offset) / draws
    index = torch.searchsorted(cumulative, (places * cumulative[:, -1:]).contiguous()).clamp_max(many - 1)
    order = torch.rand((rows, draws), generator=generator).argsort(-1)
    index = index.gather(-1, order).T
    return proposals.gather(0, index[..., None].expand(-1, -1, proposals.shape[-1]))
