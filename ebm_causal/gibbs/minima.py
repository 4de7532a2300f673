"""What a minimization found: the lowest point of each row, and several minima on request."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMinima:
    """Up to so many distinct minima of each row, the lowest first.

    Where a row has fewer, ``found`` is False, the energy infinite (so that weights of exp(-energy) are zero),
    and the values are those of its lowest again: nothing is NaN.

    Attributes:
        values: By name, ``[modes, rows, dim]``.
        energy: There, ``[modes, rows]``; differentiable in the parameters and in what was given.
        found: Whether there is such a minimum, ``[modes, rows]``.
        converged: Whether it is a minimum to rounding.
        gradient_norm: As in ``Minimum``, ``[modes, rows]``.
        smallest_eigenvalue: As in ``Minimum``.
        starts: How many starts ended in it, ``[modes, rows]``; their sum may be less than all.
    """

    values: Mapping[str, Tensor]
    energy: Tensor
    found: Tensor
    converged: Tensor
    gradient_norm: Tensor | None
    smallest_eigenvalue: Tensor | None
    starts: Tensor

    @property
    def count(self) -> Tensor:
        """How many minima each row has, ``[rows]``."""
        return self.found.sum(0)

    def summary(self) -> pd.DataFrame:
        """A row per row and minimum: columns ``row``, ``mode``, the values, the energy and its certificate."""
        rows, modes = self.found.T.nonzero(as_tuple=True)
        columns = {"row": rows, "mode": modes, **_value_columns(self.values, (modes, rows))}
        columns["energy"] = self.energy[modes, rows]
        columns |= {name: entry[modes, rows] for name, entry in _certificate(self).items()}
        columns["starts"] = self.starts[modes, rows]
        return _frame(columns)

    def __repr__(self) -> str:
        most, rows = self.found.shape
        return f"LocalMinima(over={list(self.values)}, {int(self.found.sum())} in {rows} rows, at most {most} each)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """The lowest point found in each row, with what certifies it.

    Gradient and curvature are those in the variables themselves. A coordinate on a closed bound (of an
    interval, say) counts only where the energy falls inward (Karush, Kuhn and Tucker).

    Attributes:
        values: By name, ``[rows, dim]``.
        energy: There, ``[rows]``; differentiable in the parameters and in what was given.
        converged: Whether a point is a minimum to rounding: stationary without a direction of descent, or,
            on a kink or where there is no gradient, no lower than what was polled around it; for finite
            variables, enumerated, or not to be lowered by changing one coordinate.
        gradient_norm: The length of the gradient, ``[rows]``; zero for finite variables, None where the
            energy has no gradient.
        agreement: The share of starts that ended as low, ``[rows]``.
        smallest_eigenvalue: Of the Hessian in the coordinates that are not on a bound, ``[rows]``: zero where
            the minimum is not unique, infinite where all are on bounds. None for finite variables, above
            64 dimensions, and where the energy has no gradient.
        method: How it was found.
        warnings: What cannot be trusted, in words; empty where all can.
        modes: The distinct minima, where more than one was asked for.
    """

    values: Mapping[str, Tensor]
    energy: Tensor
    converged: Tensor
    gradient_norm: Tensor | None
    agreement: Tensor
    smallest_eigenvalue: Tensor | None
    method: str
    warnings: tuple[str, ...] = ()
    modes: LocalMinima | None = None

    def summary(self) -> pd.DataFrame:
        """A row per row: the values as ``name[coordinate]``, the energy and its certificate."""
        columns = {**_value_columns(self.values, ()), "energy": self.energy, **_certificate(self)}
        return _frame({**columns, "agreement": self.agreement})

    def __repr__(self) -> str:
        shown = ", ".join(f"{value:.6g}" for value in self.energy.detach()[:4].tolist())
        more = ", ..." if len(self.energy) > 4 else ""
        return (
            f"Minimum(over={list(self.values)}, energy=[{shown}{more}], converged {int(self.converged.sum())} "
            f"of {len(self.converged)}, method={self.method!r}, warnings={len(self.warnings)})"
        )


def _value_columns(values: Mapping[str, Tensor], index: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """Columns ``name[coordinate]`` of the entries at an index."""
    return {
        f"{name}[{i}]": column
        for name, value in values.items()
        for i, column in enumerate((value[index] if index else value).flatten(1).unbind(-1))
    }


def _certificate(found: Minimum | LocalMinima) -> dict[str, Tensor]:
    columns = {"converged": found.converged}
    if found.gradient_norm is not None:
        columns["gradient_norm"] = found.gradient_norm
    if found.smallest_eigenvalue is not None:
        columns["smallest_eigenvalue"] = found.smallest_eigenvalue
    return columns


def _frame(columns: Mapping[str, Tensor]) -> pd.DataFrame:
    return pd.DataFrame({name: column.detach().cpu().numpy() for name, column in columns.items()})


def known(entries: Tensor) -> Tensor | None:
    """Entries of a certificate; None where they were not computed."""
    return None if bool(torch.isnan(entries).any()) else entries
