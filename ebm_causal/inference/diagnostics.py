"""What can be trusted of a posterior, row by row, in numbers and in words."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from ebm_causal.inference.attempts import Attempt

Row = int | tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """What can be trusted of a posterior.

    Attributes:
        method_of_row: Which method served each row; for a schedule all rows at the first beta come first.
        tried: Which methods had failed each row before that one.
        reasons: Why a row is not to be trusted; empty where it is.
        numbers: Per row, ``[rows]``: ``r_hat`` (rank-normalized, the largest over coordinates), ``r_hat_modes``
            (of which of two modes, or halves, a draw is in), ``ess_bulk``, ``ess_tail``, ``pareto_k``,
            ``divergences``, ``non_finite`` (proposals); per chain, ``[chains, rows]``: ``acceptance``, ``moved``.
            NaN where a method has none: independent draws each count, and have no R-hat.
        rows: How many rows there are at each beta.
        schedule: Whether there is a schedule of beta.
        warnings: What is not to be trusted, in words.
    """

    method_of_row: tuple[str, ...]
    tried: tuple[tuple[str, ...], ...]
    reasons: tuple[str, ...]
    numbers: Mapping[str, Tensor]
    rows: int
    schedule: bool
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every row passed."""
        return not any(self.reasons)

    @property
    def method(self) -> str:
        """The method that served, or several with their numbers of rows."""
        names = list(dict.fromkeys(self.method_of_row))
        if len(names) == 1:
            return names[0]
        return ", ".join(f"{name} ({self.method_of_row.count(name)} rows)" for name in names)

    @property
    def failed(self) -> tuple[Row, ...]:
        """Rows that are not to be trusted; for a schedule pairs, of the place in the schedule and the row."""
        bad = (place for place, reason in enumerate(self.reasons) if reason)
        return tuple(divmod(place, self.rows) if self.schedule else place for place in bad)

    def summary(self) -> pd.DataFrame:
        """A row per row: the method, whether it passed, and its numbers, over chains the least."""
        columns: dict[str, object] = {
            "method": self.method_of_row,
            "ok": [not reason for reason in self.reasons],
        }
        for name, value in self.numbers.items():
            least = value.amin(0) if value.ndim == 2 else value
            columns[name] = least.cpu().numpy()
        index: pd.Index = pd.RangeIndex(len(self.reasons), name="row")
        if self.schedule:
            places = range(len(self.reasons) // self.rows)
            index = pd.MultiIndex.from_product([places, range(self.rows)], names=["beta", "row"])
        return pd.DataFrame(columns, index=index)

    def failures(self) -> pd.DataFrame:
        """The rows that failed: why, by which method, and which methods had failed before; empty where all passed."""
        frame = self.summary()
        frame.insert(1, "before", [", ".join(names) for names in self.tried])
        frame.insert(1, "reason", list(self.reasons))
        return frame[~frame["ok"]].drop(columns="ok")

    def __repr__(self) -> str:
        bad = f"{len(self.failed)} of {len(self.reasons)} rows failed"
        return f"Diagnostics(method={self.method!r}, {'ok' if self.ok else bad})"


def diagnose(
    found: Attempt,
    before: list[tuple[str, ...]],
    over: tuple[str, ...],
    shape: tuple[int, int] | None,
) -> Diagnostics:
    """The diagnostics of draws over some variables; the shape is that of betas and rows, for a schedule."""
    plain = Diagnostics(
        method_of_row=found.methods, tried=tuple(before), reasons=found.reasons, numbers=found.numbers,
        rows=shape[1] if shape else len(found.methods), schedule=shape is not None, warnings=(),
    )  # fmt: skip
    notes = (*_of_failures(plain, over), *_of_bias(found, over))
    return Diagnostics(
        method_of_row=plain.method_of_row, tried=plain.tried, reasons=plain.reasons,
        numbers=plain.numbers, rows=plain.rows, schedule=plain.schedule, warnings=notes,
    )  # fmt: skip


def _of_failures(diagnostics: Diagnostics, over: tuple[str, ...]) -> tuple[str, ...]:
    failed = diagnostics.failed
    if not failed:
        return ()
    what = "pairs of a beta and a row (by their numbers)" if diagnostics.schedule else "rows"
    kinds = [
        f"{name}: {reason}"
        for name, reason in zip(diagnostics.method_of_row, diagnostics.reasons, strict=True)
        if reason
    ]
    told = "; ".join(f"{kind} ({kinds.count(kind)})" for kind in dict.fromkeys(kinds))
    note = (
        f"the posterior over {list(over)} did not pass its self-check in {len(failed)} {what}, the first "
        f"{list(failed[:5])}. {told}. The draws of these rows are not to be trusted; diagnostics.failures() lists "
        "them."
    )
    return (note,)


def _of_bias(found: Attempt, over: tuple[str, ...]) -> tuple[str, ...]:
    if "langevin" not in found.methods:
        return ()
    share = 50 * float(found.numbers["step_size"].nanmedian())
    note = (
        f"Langevin steps over {list(over)} are taken without a Metropolis decision, so the draws are biased: the "
        f"variance of a normal would be about {share:.2g} % too large. method='mala' is exact."
    )
    return (note,)
