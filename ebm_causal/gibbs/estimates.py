"""What an estimate of an integral says of itself: its value, its error, its method, its warnings."""

import sys
from dataclasses import dataclass

import pandas as pd
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number per row, with how it was found and how far it can be trusted.

    Attributes:
        value: One number per row (a scalar where there are no rows).
        standard_error: Of the same shape; zero where exact. On a lattice, a bound by its
            self-check, mostly from far above.
        method: What was done: ``exact``, ``enumeration``, ``lattice``, ``laplace``, ``importance`` or ``annealed``;
            with numbers of rows where it was not one for all.
        warnings: What cannot be trusted, in words; empty where all can.
    """

    value: Tensor
    standard_error: Tensor
    method: str
    warnings: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """A row per row: value, standard error, method."""
        columns = {"value": self.value, "standard_error": self.standard_error}
        frame = pd.DataFrame({k: v.detach().cpu().reshape(-1).numpy() for k, v in columns.items()})
        return frame.assign(method=self.method)

    def __repr__(self) -> str:
        shown = ", ".join(f"{v:.6g}" for v in self.value.detach().reshape(-1)[:4].tolist())
        more = ", ..." if self.value.numel() > 4 else ""
        return f"Estimate([{shown}{more}], method={self.method!r}, warnings={len(self.warnings)})"


def level_of_caller() -> int:
    """The stack level, seen from the function that warns, of the first frame outside of this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("ebm_causal"):
        frame, level = frame.f_back, level + 1
    return level
