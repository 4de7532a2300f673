r"""The design of a table: the columns of its covariates, and regression on them by residuals.

The theorem of Frisch, Waugh and Lovell: the slope of y on t given X is that of the residuals of y on the
residuals of t, both after X. A covariate with hundreds of levels is never written out as indicators for
this; taking the mean of its level away is the same projection.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

ABSORB_ABOVE = 32  # levels; with fewer, indicator columns cost less than a second projection
DEPENDENT = 1e-8  # of a column's length; shorter remainders are rounding


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numbers:
    """Columns of one covariate that enter as they stand: its values, and perhaps their squares."""

    source: str
    names: tuple[str, ...]
    values: Float[np.ndarray, "rows columns"]

    def matrix(self) -> Float[np.ndarray, "rows columns"]:
        """The columns themselves."""
        return self.values


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factor:
    """A covariate of levels; each but the first gives an indicator column."""

    source: str
    levels: tuple[str, ...]
    codes: Int[np.ndarray, " rows"]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the indicators, as in ``education[2]``."""
        return tuple(f"{self.source}[{level}]" for level in self.levels[1:])

    def matrix(self) -> Float[np.ndarray, "rows columns"]:
        """One column for each level but the first, 1 where a row has the level."""
        columns = np.zeros((len(self.codes), len(self.levels)))
        columns[np.arange(len(self.codes)), self.codes] = 1.0
        return columns[:, 1:]

    def demean(self, values: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
        """Take away from each row the mean of its level."""
        size = np.bincount(self.codes, minlength=len(self.levels))
        sums = [np.bincount(self.codes, weights=column, minlength=len(size)) for column in values.T]
        means = np.stack(sums, axis=1) / size[:, None] if sums else np.zeros((len(size), 0))
        return values - means[self.codes]


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    r"""The covariates of a table as columns, without the intercept.

    Residuals are after the intercept and all columns. A covariate with more than 32 levels (the one with the
    most) is absorbed by taking means away, the rest by an orthogonal basis, so 486 villages cost no more
    than a few columns. This holds as long as no column is a combination of the others; a ``CausalTable``
    refuses such columns.

    Attributes:
        rows: The number of rows.
        blocks: The covariates, in order.
    """

    rows: int
    blocks: tuple[Numbers | Factor, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each column, for example ``age``, ``age^2``, ``education[2]``."""
        return tuple(name for block in self.blocks for name in block.names)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The covariate that each column comes from."""
        return tuple(block.source for block in self.blocks for _ in block.names)

    @property
    def columns(self) -> int:
        """The number of columns."""
        return len(self.names)

    @property
    def rank(self) -> int:
        """The number of independent columns, the intercept not counted: all of them, as a table sees to."""
        return self.columns

    @cached_property
    def absorbed(self) -> Factor | None:
        """The covariate that is absorbed by taking means away, if there is one."""
        factors = [block for block in self.blocks if isinstance(block, Factor)]
        largest = max(factors, key=lambda factor: len(factor.levels), default=None)
        return largest if largest is not None and len(largest.levels) > ABSORB_ABOVE else None

    def matrix(self) -> Float[np.ndarray, "rows columns"]:
        """All columns, written out."""
        return self._written_out(self.blocks)

    def without(self, covariate: str) -> "Design":
        """The design without the columns of one covariate."""
        return Design(
            rows=self.rows, blocks=tuple(block for block in self.blocks if block.source != covariate)
        )

    def residualize(self, values: Float[np.ndarray, " rows *columns"]) -> Float[np.ndarray, " rows *columns"]:
        """What is left of the values after a regression on the intercept and all columns."""
        basis, _ = self._factored
        left = self._centered(values.reshape(self.rows, -1))
        for _ in range(2):  # the second pass takes away the rounding of the first
            left = left - basis @ (basis.T @ left)
        return left.reshape(values.shape)

    def first_dependent(self) -> tuple[str, tuple[str, ...]] | None:
        """The first column that is a combination of those before it, and the covariates that it combines.

        An absorbed covariate counts as standing before all others.
        """
        _, triangle = self._factored
        short = np.flatnonzero(np.abs(np.diagonal(triangle)) < DEPENDENT)
        if not short.size:
            return None
        rest = [block for block in self.blocks if block is not self.absorbed]
        names = [(name, block.source) for block in rest for name in block.names]
        at = int(short[0])
        weights = np.linalg.solve(triangle[:at, :at], triangle[:at, at])
        used = [source for (_, source), weight in zip(names, weights, strict=False) if abs(weight) > 1e-6]
        absorbed = [self.absorbed.source] if self.absorbed is not None else []
        return names[at][0], tuple(dict.fromkeys(used + absorbed))

    @cached_property
    def _factored(self) -> tuple[np.ndarray, np.ndarray]:
        # The diagonal of the triangle is the share of each column's length that those before it leave.
        columns = self._written_out([block for block in self.blocks if block is not self.absorbed])
        length = np.linalg.norm(columns - columns.mean(axis=0), axis=0)
        return np.linalg.qr(self._centered(columns) / np.where(length > 0, length, 1.0))

    def _centered(self, values: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
        centered = values - values.mean(axis=0)
        return self.absorbed.demean(centered) if self.absorbed is not None else centered

    def _written_out(self, blocks: Sequence[Numbers | Factor]) -> Float[np.ndarray, "rows columns"]:
        return np.concatenate([np.zeros((self.rows, 0)), *(block.matrix() for block in blocks)], axis=1)
