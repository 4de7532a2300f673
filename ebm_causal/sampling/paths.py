r"""The path along which a population is annealed: from a law that can be drawn from to a target that cannot."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.lattice import RowEnergy

WALL = 1e30  # stands for an infinite energy, so that differences stay numbers


class Population(NamedTuple):
    """Particles, and what they weigh at both ends of the path.

    Attributes:
        points: ``[particles, rows, dim]``.
        target: The target's energy there, ``[particles, rows]``.
        base: The base's.
    """

    points: Tensor
    target: Tensor
    base: Tensor

    def at(self, share: Tensor) -> Tensor:
        """The energy where the path has gone this share, ``[rows]``, of its way."""
        return torch.lerp(self.base, self.target, share)

    def take(self, index: Tensor) -> "Population":
        """The particles of these places, ``[particles, rows]``."""
        points = self.points.gather(0, index[..., None].expand(-1, -1, self.points.shape[-1]))
        return Population(points, self.target.gather(0, index), self.base.gather(0, index))

    def where(self, accepted: Tensor, other: "Population") -> "Population":
        """Another population where accepted, ``[particles, rows]``, else this one."""
        return Population(
            torch.where(accepted[..., None], other.points, self.points),
            torch.where(accepted, other.target, self.target),
            torch.where(accepted, other.base, self.base),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    r"""The geometric path :math:`u_s = (1 - s)\,u_0 + s\,u` between a base and a target.

    The base is normal in the continuous coordinates and uniform over the values of the finite ones.

    Attributes:
        energy: The target's reduced energy u.
        scale: Standard deviations of the base, ``[dim]``; one for finite coordinates.
        choices: The values of each coordinate, or None for a continuous one.
    """

    energy: RowEnergy
    scale: Tensor
    choices: tuple[Tensor | None, ...]
    continuous: Tensor = field(init=False)  # as ones and zeros, [dim]
    precision: Tensor = field(init=False)  # of the base, zero where finite, [dim]

    def __post_init__(self) -> None:
        mask = self.scale.new_tensor([float(values is None) for values in self.choices])
        object.__setattr__(self, "continuous", mask)
        object.__setattr__(self, "precision", mask / self.scale**2)

    @property
    def log_volume(self) -> float:
        r"""The log integral of :math:`e^{-u_0}`."""
        normal = (self.continuous * (0.5 * math.log(2 * math.pi) + self.scale.log())).sum()
        return float(normal) + sum(math.log(len(values)) for values in self.choices if values is not None)

    def draw(self, count: int, rows: int, generator: torch.Generator) -> Population:
        """Draws from the base."""
        shape = (count, rows, len(self.scale))
        normal = torch.randn(shape, generator=generator, dtype=self.scale.dtype).to(self.scale.device)
        points = normal * self.scale
        for place, values in enumerate(self.choices):
            if values is not None:
                index = torch.randint(len(values), (count, rows), generator=generator)
                points[..., place] = values[index.to(values.device)]
        return self.weigh(points)

    def weigh(self, points: Tensor) -> Population:
        """Points with their energies."""
        with torch.no_grad():
            return Population(points, walled(self.energy(points)), self._base(points))

    def slope(self, points: Tensor, share: Tensor) -> tuple[Population, Tensor]:
        """Points with their energies, and the gradient of the path's energy in one pass; zero where finite.

        Of a target without a graph only the base's is known: a direction for moves that are accepted by energies.
        """
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            target = self.energy(points)
            gradient = _slope_of(target, points)
        points, toward = points.detach(), share[:, None]
        pull = points * self.precision
        base = 0.5 * (points * pull).sum(-1)
        whole = pull.mul_(1 - toward).addcmul_(gradient, toward * self.continuous)
        return Population(points, walled(target.detach()), base), whole

    def _base(self, points: Tensor) -> Tensor:
        return 0.5 * ((points * points) @ self.precision)


def _slope_of(target: Tensor, points: Tensor) -> Tensor:
    if not target.requires_grad:
        return torch.zeros_like(points)
    return torch.autograd.grad(target.sum(), points, allow_unused=True, materialize_grads=True)[0]


def walled(energies: Tensor) -> Tensor:
    """Energies with a wall in the place of infinity and of what is not a number."""
    return energies.nan_to_num(nan=WALL, posinf=WALL, neginf=-WALL).clamp(-WALL, WALL)
