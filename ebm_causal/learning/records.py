"""How a training went, thinned to a fixed length, and what was measured in its course and at its end."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ebm_causal.figures import curves_picture

BINS = 200
WINDOW = 20  # bins whose mean loss is compared with that of as many before


class Trace:
    """Mean loss and gap over bins of steps: as long for a million steps as for two hundred.

    Args:
        steps: How many steps there will be.
    """

    def __init__(self, steps: int) -> None:
        self.steps, self.bins = steps, min(BINS, steps)
        self._sums = [[0.0, 0.0, 0.0] for _ in range(self.bins)]  # numbers, not a tensor: steps are short

    def add(self, step: int, loss: float, gap: float) -> None:
        """Count a step in."""
        row = self._sums[step * self.bins // self.steps]
        row[0] += 1.0
        row[1] += loss
        row[2] += gap

    @property
    def sums(self) -> Tensor:
        """Of each bin, the count of steps, their losses and gaps added."""
        return torch.tensor(self._sums, dtype=torch.float64)

    def restore(self, sums: Tensor) -> None:
        """Go on from the sums of an earlier run."""
        self._sums = sums.tolist()

    def means(self) -> tuple[Tensor, Tensor]:
        """Mean loss and gap of the bins that have steps."""
        sums = self.sums
        known = sums[sums[:, 0] > 0]
        return known[:, 1] / known[:, 0], known[:, 2] / known[:, 0]

    def settled(self) -> bool:
        """Whether the loss of the last tenth differs from that of the tenth before by no more than its noise."""
        losses, _ = self.means()
        if len(losses) < 2 * WINDOW:
            return False
        last, before = losses[-WINDOW:], losses[-2 * WINDOW : -WINDOW]
        noise = math.sqrt(float(last.var() + before.var()) / WINDOW)
        return abs(float(last.mean() - before.mean())) < 3 * noise + 1e-3 * abs(float(last.mean()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The ranking condition, F(x, y) below F(x, y'), measured.

    Attributes:
        share: The share of (row, contrast) pairs for which it holds.
        standard_error: Of the share, rows being independent.
        gap: By how much contrasts are higher on average.
        negatives: What the contrasts are.
        rows: How many rows, and whether they were held out.
    """

    share: float
    standard_error: float
    gap: float
    negatives: str
    rows: str

    def summary(self) -> pd.DataFrame:
        """One row."""
        columns = {
            name: getattr(self, name) for name in ("share", "standard_error", "gap", "negatives", "rows")
        }
        return pd.DataFrame(columns, index=["ranking"])

    def __repr__(self) -> str:
        return f"Ranking({self.share:.3f} of pairs, standard error {self.standard_error:.2g}, on {self.rows})"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One thing that may be wrong with a trained energy.

    Attributes:
        name: What.
        value: The number that tells.
        threshold: Where it begins to be wrong.
        ok: Whether it is on the right side.
        text: What that means, in words.
    """

    name: str
    value: float
    threshold: float
    ok: bool
    text: str

    def __repr__(self) -> str:
        state = "ok" if self.ok else "NOT ok"
        return f"HealthCheck({self.name}: {self.value:.3g}, threshold {self.threshold:g}, {state})"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """How a training went.

    Attributes:
        loss: Mean loss over bins of steps, at most 200.
        gap: Mean energy gap to the contrasts over the same bins; NaN where the loss has none.
        scores: Step and score of each evaluation on rows held out; the lower the better.
        steps: How many steps were taken.
        best_step: After which of them the parameters are those of the fit.
        stopped: Why it ended: ``steps``, ``patience`` or ``interrupted``.
        learned: What the loss learned beside the energy, such as ``log_partition``.
        ranking: The ranking condition on rows held out; None where nothing can be contrasted.
        health: What was looked at after training.
        settled: Whether the loss had stopped changing, by its last two tenths.
        notes: What else is to be known: casts, chains, the split.
    """

    loss: tuple[float, ...]
    gap: tuple[float, ...]
    scores: tuple[tuple[int, float], ...]
    steps: int
    best_step: int
    stopped: str
    learned: Mapping[str, float]
    ranking: Ranking | None
    health: tuple[HealthCheck, ...]
    settled: bool
    notes: tuple[str, ...]

    def summary(self) -> pd.DataFrame:
        """The checks of health, a row for each."""
        rows = [(c.value, c.threshold, c.ok, c.text) for c in self.health]
        index = [c.name for c in self.health]
        return pd.DataFrame(rows, columns=["value", "threshold", "ok", "text"], index=index)

    def plot(self, ax: Any = None) -> Any:
        """The loss over the steps, and the gap where there is one."""
        places = np.linspace(0, self.steps, len(self.loss) + 1)[1:]
        curves = {"loss": np.array(self.loss)}
        if np.isfinite(self.gap).any():
            curves["energy gap"] = np.array(self.gap)
        return curves_picture(places, curves, "step", ax)

    def __repr__(self) -> str:
        bad = [check.name for check in self.health if not check.ok]
        state = f"not healthy: {', '.join(bad)}" if bad else "healthy"
        return f"TrainingRecord({self.steps} steps, stopped by {self.stopped}, loss {self.loss[-1]:.4g}, {state})"
