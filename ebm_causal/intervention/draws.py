"""Draws of a query in imagined worlds, with their Monte Carlo error."""

from dataclasses import dataclass

import pandas as pd
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What a query is, over draws of everything else.

    Attributes:
        query: The variable, or ``energy``.
        mean: ``[rows, dim]``: the average of the query's conditional mean given its parents in each draw,
            which is less noisy than the average of ``values``.
        standard_error: The Monte Carlo error of ``mean``, as for independent draws; with data, whose rows are dealt
            evenly, and for draws from a lattice it is an upper bound.
        values: The draws themselves, ``[draws, rows, dim]``.
        deviations: What each draw adds to the error of ``mean``, ``[draws, rows, dim]``: rows that met the same
            causes err together.
        method: How they were drawn.
        warnings: What cannot be trusted, or need not be computed, in words.
    """

    query: str
    mean: Tensor
    standard_error: Tensor
    values: Tensor
    deviations: Tensor
    method: str
    warnings: tuple[str, ...] = ()

    def contrast(self, high: int, low: int) -> tuple[Tensor, Tensor]:
        """The difference of two rows' means, ``[dim]``, and its Monte Carlo error."""
        together = self.deviations[:, high] - self.deviations[:, low]
        return self.mean[high] - self.mean[low], (together**2).sum(0).sqrt()

    def summary(self) -> pd.DataFrame:
        """A row per row and coordinate: mean, its Monte Carlo error, and the draws' standard deviation."""
        rows, dim = self.mean.flatten(1).shape
        labels = [f"{self.query}[{i}, {j}]" for i in range(rows) for j in range(dim)]
        columns = {
            "mean": self.mean.reshape(-1).numpy(),
            "standard_error": self.standard_error.reshape(-1).numpy(),
            "sd": self.values.std(0).reshape(-1).numpy(),
        }
        return pd.DataFrame(columns, index=labels)

    def __repr__(self) -> str:
        pairs = zip(
            self.mean.reshape(-1)[:4].tolist(), self.standard_error.reshape(-1)[:4].tolist(), strict=True
        )
        shown = ", ".join(f"{mean:.6g} (+- {error:.2g})" for mean, error in pairs)
        return f"Draws({self.query!r}, mean {shown}, {len(self.values)} draws, {self.method})"
