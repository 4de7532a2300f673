"""Draws of a query in imagined worlds, with their Monte Carlo error, at one temperature or along a schedule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.gibbs import single_or_schedule
from ebm_causal.shapes import Betas, as_number, is_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """What a query is, over draws of everything else; for a schedule each tensor has ``betas`` in front.

    Attributes:
        query: The variable, or ``energy``.
        mean: ``[rows, dim]``: the average of the query's conditional mean given its parents in each draw,
            which is less noisy than the average of ``values``.
        standard_error: The Monte Carlo error of ``mean``: from 25 blocks of draws where causes are spread evenly
            within each, else as for independent draws; with data, whose rows are dealt evenly, and for draws from a
            lattice it is an upper bound.
        values: The draws themselves, ``[draws, rows, dim]``.
        deviations: What each draw, or each block of draws, adds to the error of ``mean``, ``[draws, rows, dim]``:
            rows that met the same causes err together.
        method: How they were drawn.
        warnings: What cannot be trusted, or need not be computed, in words.
        beta: The inverse temperature, or the schedule, ``[betas]``.
        held: What was set or seen, by name, ``[rows, dim]``.
    """

    query: str
    mean: Tensor
    standard_error: Tensor
    values: Tensor
    deviations: Tensor
    method: str
    warnings: tuple[str, ...] = ()
    beta: float | Tensor = 1.0
    held: Mapping[str, Tensor] = field(default_factory=dict)

    def interval(self, probability: float = 0.9) -> tuple[Tensor, Tensor]:
        """The central interval of the draws, lower and upper, ``[rows, dim]``; for a schedule ``[betas, rows, dim]``.

        It is that of the query over worlds; of the mean's Monte Carlo error, ``standard_error`` tells.

        Raises:
            ArgumentError: If the probability is not between zero and one.
        """
        share = as_number(probability)
        if share is None or not 0 < share < 1:
            raise ArgumentError(f"an interval's probability lies between 0 and 1; got {probability!r}.")
        ends = torch.tensor([0.5 - share / 2, 0.5 + share / 2]).to(self.values)
        lower, upper = torch.quantile(self.values, ends, dim=self._depth)
        return lower, upper

    def contrast(self, high: int, low: int) -> tuple[Tensor, Tensor]:
        """The difference of two rows' means, ``[dim]`` or ``[betas, dim]``, and its Monte Carlo error.

        Raises:
            ArgumentError: If there is no such row.
        """
        place = self._depth
        rows = self.mean.shape[place]
        for row in (high, low):
            if not is_whole(row) or not -rows <= row < rows:
                raise ArgumentError(f"a contrast is of two rows, from 0 to {rows - 1}; got {row!r}.")
        difference = self.mean.select(place, high) - self.mean.select(place, low)
        together = self.deviations.select(place + 1, high) - self.deviations.select(place + 1, low)
        return difference, (together**2).sum(place).sqrt()

    def summary(self) -> pd.DataFrame:
        """A row per row and coordinate: mean, its Monte Carlo error, and the draws' standard deviation.

        For a schedule they come once for each beta, which the first column tells.
        """
        rows, dim = self.mean.flatten(self._depth + 1).shape[-2:]
        labels = [f"{self.query}[{i}, {j}]" for i in range(rows) for j in range(dim)]
        columns = {
            "mean": self.mean.reshape(-1).numpy(),
            "standard_error": self.standard_error.reshape(-1).numpy(),
            "sd": self.values.std(self._depth).reshape(-1).numpy(),
        }
        if not isinstance(self.beta, Tensor):
            return pd.DataFrame(columns, index=labels)
        each = self.beta.repeat_interleave(len(labels)).numpy()
        return pd.DataFrame({"beta": each, **columns}, index=labels * len(self.beta))

    def plot(self, ax: Any = None) -> Any:
        """The query's first coordinate against what was set or seen, a dose-response curve, or against beta.

        Along a schedule the means of up to four rows are drawn. Otherwise one number must have been held in at
        least two rows: the mean, the band that holds half of the draws, and the one that holds nine tenths.

        Raises:
            ArgumentError: If there is one temperature and nothing to draw along.
        """
        from ebm_causal.figures import curves_picture, response_picture

        if not isinstance(self.beta, Tensor):
            name, at = self._axis()
            bands = {f"{share:.0%} of draws": _band(self.interval(share)) for share in (0.9, 0.5)}
            mean = self.mean.flatten(1)[:, 0].numpy()
            return response_picture(at, mean, bands, (name, self.query), ax=ax)
        means = self.mean.flatten(2)[:, :4, 0]
        curves = {f"{self.query}, row {i}": means[:, i].numpy() for i in range(means.shape[1])}
        return curves_picture(self.beta.numpy(), curves, "beta", ax=ax)

    def _axis(self) -> tuple[str, np.ndarray]:
        """What alone differs from row to row, and its numbers."""
        moved = {name: rows for name, rows in self.held.items() if len(rows) > 1 and rows[0].numel() == 1}
        if len(moved) != 1 or len(self.mean) < 2:
            raise ArgumentError(
                "there is one beta, and no one number that differs between rows: give a schedule of betas, or set or "
                "see a variable at several values, as in do={'x': [0, 1, 2]}."
            )
        name, rows = next(iter(moved.items()))
        return name, rows.flatten().numpy()

    @property
    def _depth(self) -> int:
        """The dimension of the draws in ``values``: one more where there is a schedule."""
        return int(isinstance(self.beta, Tensor))

    def __repr__(self) -> str:
        pairs = zip(
            self.mean.reshape(-1)[:4].tolist(), self.standard_error.reshape(-1)[:4].tolist(), strict=True
        )
        shown = ", ".join(f"{mean:.6g} (+- {error:.2g})" for mean, error in pairs)
        each = f" at each of {len(self.beta)} betas" if isinstance(self.beta, Tensor) else ""
        draws = self.values.shape[self._depth]
        return f"Draws({self.query!r}, mean {shown}, {draws} draws{each}, {self.method})"


def _band(ends: tuple[Tensor, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = (end.flatten(1)[:, 0].numpy() for end in ends)
    return lower, upper


def asked_at(beta: Betas, ask: Callable[[float], Draws]) -> Draws:
    """A question asked at one inverse temperature, or at each of a schedule and stacked.

    Raises:
        ArgumentError: If beta is neither positive nor a schedule.
        ConvergenceError: If the question has no answer at some temperature, which is told.
    """
    betas = single_or_schedule(beta)
    if not isinstance(betas, Tensor):
        return replace(ask(betas), beta=betas)
    answers = []
    for each in betas.tolist():
        try:
            answers.append(ask(each))
        except ConvergenceError as error:
            raise ConvergenceError(f"at beta {each:g}: {error}") from error
    mean, spread, values, deviations = (
        torch.stack([getattr(answer, name) for answer in answers])
        for name in ("mean", "standard_error", "values", "deviations")
    )
    notes = dict.fromkeys(note for answer in answers for note in answer.warnings)
    return replace(answers[0], mean=mean, standard_error=spread, values=values, deviations=deviations,
                   warnings=tuple(notes), beta=betas)  # fmt: skip
