"""Energies of many rows, of which some are evaluated: rows that are done are left alone."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from ebm_causal.sampling.lattice import RowEnergy


@runtime_checkable
class SelectableEnergy(Protocol):
    """A reduced energy ``[points, rows, dim] -> [points, rows]`` that can be narrowed to some of its rows."""

    def __call__(self, points: Tensor) -> Tensor:
        """The energies."""
        ...

    def select(self, rows: Tensor) -> RowEnergy:
        """The energy of the rows of these numbers, in this order."""
        ...


@runtime_checkable
class SharedTable(Protocol):
    """Energies at points that many rows share."""

    def at(self, places: Tensor, rows: Tensor) -> Tensor:
        """The energies of rows at points of their own, given by places in the table, ``[rows, points]`` both."""
        ...


@runtime_checkable
class TabulatedEnergy(Protocol):
    """A reduced energy of which the costly part may depend on the points alone."""

    def tabulate(self, points: Tensor) -> SharedTable | None:
        """The table at points ``[points, dim]``; None where it would save nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of an energy: narrowed where it can be, else evaluated all together.

    Attributes:
        energy: The reduced energy of all rows.
        count: How many rows.
    """

    energy: RowEnergy
    count: int

    @property
    def divisible(self) -> bool:
        """Whether some rows can be evaluated without the others."""
        return isinstance(self.energy, SelectableEnergy)

    def at(self, points: Tensor, rows: Tensor) -> Tensor:
        """The energies of some rows; points that all rows share may come as one column."""
        if isinstance(self.energy, SelectableEnergy):
            part = (
                self.energy
                if len(rows) == self.count and bool((rows[1:] > rows[:-1]).all())
                else self.energy.select(rows)
            )
            return part(points).expand(len(points), len(rows))
        if points.shape[1] == 1 < self.count:
            points = points.expand(-1, len(rows), -1)
        if len(rows) == self.count:
            whole = points.new_empty(len(points), self.count, points.shape[-1])
        else:
            whole = points[:, :1].repeat(1, self.count, 1)
        whole[:, rows] = points
        return self.energy(whole)[:, rows]

    def tabulate(self, points: Tensor) -> SharedTable | None:
        """What of the energy rows share at points ``[points, dim]``."""
        return self.energy.tabulate(points) if isinstance(self.energy, TabulatedEnergy) else None

    def shares(self, dim: int, like: Tensor) -> bool:
        """Whether what is costly depends on the points alone, so that rows can share it."""
        return self.tabulate(like.new_zeros(1, dim)) is not None
