"""Rows from parquet, one row group in memory at a time."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.learning.problems import Batch
from ebm_causal.learning.rows import rows_of
from ebm_causal.learning.sources import LOOK, SCORED, Part, Source
from ebm_causal.learning.storage import digest_of

NUMBERS = (
    "float",
    "double",
    "halffloat",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
)


@dataclass(frozen=True)
class ParquetRows:
    """Data in parquet files, for ``ec.fit(energy, ParquetRows(path), loss=...)``: read by row groups, never as a whole.

    Columns are named as those of a frame: one per variable, or ``name[0]``, ``name[1]``, ... Row groups are visited
    in an order drawn anew for each pass, and rows within them too; a batch never crosses two groups. So rows that
    belong together should not fill whole groups, or batches are not mixed. What is held out are whole groups.

    Attributes:
        paths: A file, or several.

    Raises:
        ArgumentError: If pyarrow is not installed, or a file is none.
    """

    paths: str | Path | Iterable[str | Path]

    def __post_init__(self) -> None:
        for path in self.files:
            if not path.is_file():
                raise ArgumentError(f"there is no file {str(path)!r}.")
            _opened(path)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files."""
        paths = [self.paths] if isinstance(self.paths, str | Path) else self.paths
        return tuple(Path(path) for path in paths)

    def groups(self) -> list[tuple[Path, int, int]]:
        """File, number and rows of each row group that is not empty."""
        found = []
        for path in self.files:
            known = _opened(path).metadata
            rows = [known.row_group(i).num_rows for i in range(known.num_row_groups)]
            found += [(path, i, count) for i, count in enumerate(rows) if count]
        if not found:
            raise EnergyError(f"{[str(path) for path in self.files]} have no rows: give at least one.")
        return found


class ParquetSource(Source):
    """Batches from row groups.

    Args:
        data: The files.
        energy: Says which columns are read.
        latents: What the files do not hold.
        setting: Batch size, share held out and seed.
        part: Which of how many processes.
    """

    def __init__(
        self,
        data: ParquetRows,
        energy: Energy,
        latents: tuple[str, ...],
        setting: tuple[int, float, int],
        part: Part,
    ) -> None:
        (self.size, share, self.seed), self.part = setting, part
        self.energy, self.latents = energy, latents
        groups = data.groups()
        starts = torch.tensor([0, *(rows for _, _, rows in groups)]).cumsum(0).tolist()
        self.groups = [(*group, start) for group, start in zip(groups, starts, strict=False)]
        order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(self.seed)).tolist()
        kept = min(max(1, int(share * len(groups))), len(groups) - 1) if share else 0
        self.train = sorted(order[kept:])
        self.count = sum(self.groups[i][2] for i in self.train)
        self._cached: tuple[int, dict[str, Tensor]] = (-1, {})
        self.sample = {name: value[:LOOK] for name, value in self._read(self.train[0]).items()}
        held = self._read(order[0]) if kept else {}
        self.held_out = {name: value[:SCORED] for name, value in held.items()} or None
        self.digest = f"{[(str(p.name), i, n) for p, i, n, _ in self.groups]} {digest_of(self.sample)}"
        self._each = {i: max(1, self.groups[i][2] // self.size) for i in self.train}
        self._plan: tuple[int, list[tuple[int, int]]] = (-1, [])

    def batch(self, step: int) -> Batch:
        """The rows of a step."""
        whole = sum(self._each.values())
        number, place = divmod(step, whole)
        group, turn = self._pass(number)[place]
        rows, start = self._read(group), self.groups[group][3]
        generator = torch.Generator().manual_seed(self.seed + 1_000_003 * (number + 1) + group)
        order = torch.randperm(self.groups[group][2], generator=generator)
        index = order[turn * self.size : (turn + 1) * self.size]
        (place, of), whole = self.part, len(index)
        index = index[place::of]
        fetched = {name: value.index_select(0, index.to(value.device)) for name, value in rows.items()}
        return Batch(fetched, index + start, self.part, whole)

    def _pass(self, number: int) -> list[tuple[int, int]]:
        """Group and turn of each batch of a pass."""
        if self._plan[0] != number:
            generator = torch.Generator().manual_seed(self.seed + 1_000_003 * (number + 1))
            order = torch.randperm(len(self.train), generator=generator).tolist()
            visits = [(self.train[i], turn) for i in order for turn in range(self._each[self.train[i]])]
            self._plan = (number, visits)
        return self._plan[1]

    def _read(self, group: int) -> dict[str, Tensor]:
        if self._cached[0] != group:
            path, number, _, start = self.groups[group]
            frame = _frame(path, number, [name for name in self.energy.variables if name not in self.latents])
            try:
                rows = rows_of(self.energy, frame, self.latents)
            except EnergyError as error:
                where = f"in row group {number} of {str(path)!r}, whose first row is row {start}"
                raise EnergyError(f"{where}: {error}") from error
            self._cached = (group, rows)
        return self._cached[1]


def _opened(path: Path) -> Any:
    return _known(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _known(path: Path, changed: int) -> Any:
    """A file that is opened once, as long as it stays as it is: its description is read then."""
    try:
        from pyarrow import ArrowInvalid, parquet
    except ImportError as error:
        raise ArgumentError("parquet needs pyarrow: pip install 'ebm-causal[parquet]'.") from error
    try:
        return parquet.ParquetFile(path)
    except ArrowInvalid as error:
        raise ArgumentError(f"{str(path)!r} is no parquet file: {error}.") from error


def _frame(path: Path, group: int, names: list[str]) -> Mapping[str, object] | pd.DataFrame:
    """The columns of a row group: as arrays where they are plain numbers, else as a frame, which says what is wrong."""
    file = _opened(path)
    wanted = [name for name in file.schema_arrow.names if name.split("[")[0] in names or name in names]
    table = file.read_row_group(group, columns=wanted, use_threads=False)
    columns = {name: _columns_of(name, wanted) for name in names}
    whole = sum(len(each) for each in columns.values()) == len(wanted) and all(columns.values())
    if not whole or not all(str(kind) in NUMBERS for kind in table.schema.types):
        return table.to_pandas()
    arrays = {name: [table.column(one).to_numpy() for one in each] for name, each in columns.items()}
    return {name: np.stack(each, -1) if len(each) > 1 else each[0] for name, each in arrays.items()}


def _columns_of(name: str, wanted: list[str]) -> list[str]:
    """The columns of a variable in order; none where one is missing."""
    if name in wanted:
        return [name]
    numbered = [f"{name}[{i}]" for i in range(sum(one.startswith(f"{name}[") for one in wanted))]
    return numbered if set(numbered) <= set(wanted) else []
