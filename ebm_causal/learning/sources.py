"""Where batches come from: the same step always gives the same rows, so that a run can go on at any step."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ebm_causal.energies import Energy, like_of
from ebm_causal.errors import EnergyError
from ebm_causal.learning.problems import Batch, Rows
from ebm_causal.learning.rows import rows_of
from ebm_causal.learning.storage import digest_of
from ebm_causal.shapes import refuse_non_finite

LOOK = 10_000  # rows of which scales and first draws are taken
SCORED = 1000  # rows held out that are looked at

Part = tuple[int, int]  # of how many processes this is which


class Source(ABC):
    """Batches of training rows by step, and rows held out.

    Attributes:
        count: How many training rows there are.
        sample: Some of them.
        held_out: Rows that no batch holds; None where there are none.
        digest: Tells other data.
    """

    count: int
    sample: Rows
    held_out: Rows | None
    digest: str

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """The rows of a step."""


class MemoryRows:
    """Rows by variable that are all there.

    Args:
        rows: By variable.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows, self.count = dict(rows), max(len(value) for value in rows.values())
        self._lengths = {name: len(value) for name, value in self.rows.items()}

    def fetch(self, index: Tensor) -> dict[str, Tensor]:
        """Rows by number; one row goes with any."""
        return {
            name: value.index_select(0, index.to(value.device)) if self._lengths[name] == self.count
            else value.expand(len(index), *value.shape[1:])
            for name, value in self.rows.items()
        }  # fmt: skip


class DatasetRows:
    """Rows of a map-style dataset whose items are mappings by variable, fetched when they are asked for.

    Args:
        dataset: The dataset.
        energy: The energy, which says what a row must be.
        latents: What rows do not hold.
    """

    def __init__(self, dataset: Dataset, energy: Energy, latents: tuple[str, ...]) -> None:
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise EnergyError(
                f"a dataset needs a length and items by number; {type(dataset).__name__} has not. Write its rows to "
                "parquet and use ParquetRows, or give tensors."
            )
        self.dataset, self.count, self.latents = dataset, len(dataset), latents
        if not self.count:
            raise EnergyError("the dataset has no rows: give at least one.")
        if not isinstance(dataset[0], Mapping):
            raise EnergyError(
                f"a dataset's items must be mappings by variable; got {type(dataset[0]).__name__}."
            )
        self.names = [name for name in energy.variables if name not in latents]
        rows_of(energy, self._stacked(torch.arange(1)), latents)
        self.energy, self.like = energy, like_of(energy)

    def fetch(self, index: Tensor) -> dict[str, Tensor]:
        """Rows by number, checked.

        Raises:
            EnergyError: If one is not finite, naming its number.
        """
        found = {}
        for name, value in self._stacked(index).items():
            shaped = value.reshape(len(index), *(self.energy.variables[name].shape or (1,))).to(self.like)
            refuse_rows(name, shaped, index)
            found[name] = shaped
        return found

    def _stacked(self, index: Tensor) -> dict[str, Tensor]:
        items = [self.dataset[int(i)] for i in index]
        missing = [name for name in self.names if name not in items[0]]
        if missing:
            raise EnergyError(f"the dataset's items lack {missing[0]!r}; the energy needs {self.names}.")
        return {name: torch.stack([torch.as_tensor(item[name]) for item in items]) for name in self.names}


def refuse_rows(name: str, value: Tensor, index: Tensor) -> None:
    """Refuse rows that are not finite, by their numbers in the data.

    Raises:
        EnergyError: Naming the variable and the row.
    """
    bad = ~value.isfinite().flatten(1).all(-1)
    if bool(bad.any()):
        raise EnergyError(f"{name!r} is not finite in row {int(index[bad.cpu()][0])}: drop or mend it.")


class ShuffledSource(Source):
    """Rows in an order that is drawn anew for each pass; what is left of a pass that fills no batch is left out.

    Args:
        access: Gives rows by number.
        batch: Rows for each step, over all processes.
        held_out: The share that is held out.
        seed: Of the split and the orders.
        part: Which of how many processes; each takes its share of every batch.
    """

    def __init__(
        self, access: MemoryRows | DatasetRows, batch: int, held_out: float, seed: int, part: Part
    ) -> None:
        self.access, self.seed, self.part = access, seed, part
        order = torch.randperm(access.count, generator=torch.Generator().manual_seed(seed))
        kept = int(held_out * access.count)
        if kept < 2:
            kept = 0
        self.train = order[kept:].sort().values
        self.count = len(self.train)
        self.size = min(batch, self.count)
        self.sample = access.fetch(self.train[:LOOK])
        self.held_out = access.fetch(order[:kept][:SCORED].sort().values) if kept else None
        self.digest = f"{access.count} {digest_of(self.sample)}"
        self._order: tuple[int, Tensor] = (-1, self.train)

    def batch(self, step: int) -> Batch:
        """The rows of a step."""
        of = self.part[1]
        if self.size == self.count:
            return self._whole
        each = self.count // self.size
        start = step % each * self.size
        index = self._pass(step // each)[start : start + self.size]
        return self._shared(index) if of > 1 else Batch(self.access.fetch(index), index)

    @functools.cached_property
    def _whole(self) -> Batch:
        """All rows, which are every batch where no more are asked for."""
        return self._shared(self.train)

    def _shared(self, index: Tensor) -> Batch:
        """This process's rows of a batch."""
        place, of = self.part
        return Batch(self.access.fetch(index[place::of]), index[place::of], self.part, len(index))

    def _pass(self, number: int) -> Tensor:
        if self._order[0] != number:
            generator = torch.Generator().manual_seed(self.seed + 1_000_003 * (number + 1))
            self._order = (number, self.train[torch.randperm(self.count, generator=generator)])
        return self._order[1]


def checked_rows(
    energy: Energy, data: Mapping[str, object] | pd.DataFrame, latents: tuple[str, ...]
) -> tuple[MemoryRows, tuple[str, ...]]:
    """Rows of a mapping or a frame, and a word for each variable whose dtype was changed."""
    before = {name: value.dtype for name, value in data.items() if isinstance(value, Tensor)}
    rows = rows_of(energy, data, latents)
    for name, value in rows.items():
        refuse_non_finite(name, value)
    return MemoryRows(rows), tuple(
        f"{name!r} was cast from {before[name]} to {value.dtype}, the parameters' dtype"
        for name, value in rows.items()
        if name in before and before[name].is_floating_point and before[name] != value.dtype
    )
