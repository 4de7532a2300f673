r"""Free energies :math:`F_\beta = -\frac1\beta\log\int e^{-\beta E}\,dz`, exact or on a lattice that checks itself."""

import math
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import Energy, LinearGaussianEnergy
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.gibbs.restriction import Restriction, restrict

Method = Literal["auto", "exact", "lattice"]
TRUSTED = 1e-3  # a larger disagreement of the sub-lattices is warned about


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number per row, with how it was found and how far it can be trusted.

    Attributes:
        value: One number per row (a scalar where there are no rows).
        standard_error: Of the same shape; zero where exact. On a lattice, the disagreement of the two
            half-lattices, which bounds its error from far above.
        method: ``exact``, ``enumeration`` or ``lattice``.
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


def free_energy(
    energy: Energy,
    over: str | Iterable[str] = "z",
    given: Mapping[str, object] | None = None,
    beta: float = 1.0,
    method: Method = "auto",
) -> Estimate:
    r"""The free energy of each row, some variables integrated out.

    .. math:: F_\beta(x, y) = -\frac1\beta \log \int e^{-\beta E(x, y, z)}\,dz

    with Lebesgue measure on real variables (no division by a volume) and counting measure on finite
    ones. Differentiable in the energy's parameters and in what is given: its gradient is the posterior
    mean of the energy's. ``beta = inf`` gives the minimum over z, its limit without the volume term, found from
    eight starts (see ``minimize``).

    Args:
        energy: The energy, taken as the raw sum of its factors.
        over: What to integrate out.
        given: All other variables, ``[rows, dim]`` each.
        beta: The inverse temperature.
        method: ``exact`` for a ``LinearGaussianEnergy`` over z; ``lattice`` for one or two real
            dimensions or finite variables; ``auto`` takes the first of these that serves.

    Returns:
        One free energy per row, in the energy's units.

    Raises:
        EnergyError: If a variable is missing, unknown or of the wrong shape, or no method serves.
        ArgumentError: If ``beta`` is not positive or the method does not serve.
        ConvergenceError: If a row's integral is not finite.

    Example:
        >>> import ebm_causal as ec, torch
        >>> energy = ec.LinearGaussianEnergy(torch.ones(1, 1))
        >>> ec.free_energy(energy, over="z", given={"y": torch.ones(1, 1)})
        Estimate([-0.322365], method='exact', warnings=0)

    References:
        LeCun et al. (2006), A tutorial on energy-based learning, section 2.3.
    """
    restriction = restrict(energy, over, given, 1.0 if beta == math.inf else beta)
    if method not in ("auto", "exact", "lattice"):
        raise ArgumentError(f"method must be 'auto', 'exact' or 'lattice'; got {method!r}.")
    over_z = isinstance(energy, LinearGaussianEnergy) and restriction.over == ("z",)
    if method == "exact" and not over_z:
        raise ArgumentError("method='exact' serves a LinearGaussianEnergy over 'z' alone; use 'auto'.")
    if isinstance(energy, LinearGaussianEnergy) and over_z and method != "lattice":
        value = energy.free_energy(restriction.given["y"], restriction.given.get("x"), beta)
        return Estimate(value=value, standard_error=torch.zeros_like(value), method="exact")
    if math.isinf(beta):
        from ebm_causal.gibbs.minimization import minimum_free_energy  # which itself needs Estimate

        return minimum_free_energy(energy, over, given)
    log_partition = log_integral(restriction)
    return Estimate(
        value=-log_partition.value / beta,
        standard_error=log_partition.standard_error / beta,
        method=log_partition.method,
        warnings=log_partition.warnings,
    )


def exactly(restriction: Restriction) -> Estimate | None:
    """The log integral in closed form, of a ``LinearGaussianEnergy`` over z or over y and z; None for others."""
    energy, given, beta = restriction.energy, restriction.given, restriction.beta
    if not isinstance(energy, LinearGaussianEnergy):
        return None
    if set(restriction.over) == {"y", "z"}:
        value = energy.log_partition(beta).expand(restriction.rows)
    elif restriction.over == ("z",):
        value = (-beta * energy.free_energy(given["y"], given.get("x"), beta)).expand(restriction.rows)
    else:
        return None
    return Estimate(value=value, standard_error=torch.zeros_like(value), method="exact")


def log_integral(restriction: Restriction) -> Estimate:
    """The log integral of exp(-reduced energy), per row, block by block; differentiable.

    Raises:
        ConvergenceError: If it is not finite in some row.
    """
    per_row = 1 if restriction.finite else 33**restriction.dim
    values, errors, resolved = [], [], []
    for block in restriction.blocks(per_row):
        lattice = block.quadrature()
        values.append(lattice.log_partition(block(lattice.points)))
        errors.append(torch.zeros_like(lattice.log_cell) if block.finite else lattice.disagreement())
        resolved.append(lattice.resolved)
    value, error, good = torch.cat(values), torch.cat(errors), torch.cat(resolved)
    method = "enumeration" if restriction.finite else "lattice"
    notes = _judge(value.detach(), error, good, restriction.over)
    return Estimate(value=value, standard_error=error, method=method, warnings=notes)


def _judge(value: Tensor, error: Tensor, resolved: Tensor, over: tuple[str, ...]) -> tuple[str, ...]:
    bad = (~value.isfinite()).nonzero().flatten().tolist()
    if bad:
        raise ConvergenceError(
            f"the integral over {list(over)} is not finite in rows {bad[:5]}: the energy is infinite or NaN "
            "everywhere there, or it does not grow at infinity."
        )
    doubtful = (~resolved | (error > TRUSTED)).nonzero().flatten().tolist()
    if not doubtful:
        return ()
    note = (
        f"the lattice over {list(over)} did not pass its self-check in {len(doubtful)} rows, the first {doubtful[:5]}: "
        "the density there is not normalizable, or has modes too narrow to resolve."
    )
    warnings.warn(note, stacklevel=_level_of_caller())
    return (note,)


def _level_of_caller() -> int:
    """The stack level, seen from the function that warns, of the first frame outside of this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("ebm_causal"):
        frame, level = frame.f_back, level + 1
    return level
