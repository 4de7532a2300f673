r"""Thermodynamics of a Gibbs density: energy, entropy, temperature, heat capacity, and Gibbs' formula between them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import Energy, LocalNormalizer
from ebm_causal.errors import EnergyError
from ebm_causal.gibbs.quadrature import TRUSTED, LogIntegral, judged, read_rows
from ebm_causal.gibbs.restriction import Restriction, restrict
from ebm_causal.sampling import Lattice

STEP = 0.03  # of the logarithm of the temperature, in the differences below
PRECISE = (0.5, 32.0)  # step and drop of the lattices: differences of free energies lose digits
DIFFERENCES = (4 / 5, -1 / 5, 4 / 105, -1 / 280)  # a first derivative to eighth order, by 1 to 4 steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermodynamics:
    """The thermodynamic quantities of each row, in the units of the energy.

    Attributes:
        internal_energy: The mean energy U.
        entropy: S, as minus the derivative of the free energy by the temperature.
        temperature: T = 1 / beta.
        free_energy: F.
        heat_capacity: dU/dT, from the variance of the energy.
        residual: F - (U - T S): zero but for errors of the quadrature and of the derivative.
        method: ``enumeration`` or ``lattice``.
        warnings: What cannot be trusted, in words; empty where all can.
    """

    internal_energy: Tensor
    entropy: Tensor
    temperature: float
    free_energy: Tensor
    heat_capacity: Tensor
    residual: Tensor
    method: str
    warnings: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """A row per row: U, S, T, F, the heat capacity and the residual of F = U - T S."""
        names = ("internal_energy", "entropy", "free_energy", "heat_capacity", "residual")
        frame = pd.DataFrame({name: getattr(self, name).detach().cpu().numpy() for name in names})
        frame.insert(2, "temperature", self.temperature)
        return frame

    def __repr__(self) -> str:
        many = f", the first of {len(self.entropy)} rows" if len(self.entropy) > 1 else ""
        return (
            f"Thermodynamics(U={self.internal_energy[0]:.6g}, S={self.entropy[0]:.6g}, T={self.temperature:.6g}, "
            f"F={self.free_energy[0]:.6g}, C={self.heat_capacity[0]:.6g}{many}, "
            f"residual {self.residual.abs().max():.1g}, method={self.method!r})"
        )


def thermodynamics(
    energy: Energy,
    over: str | Iterable[str] = "z",
    given: Mapping[str, object] | None = None,
    beta: float = 1.0,
) -> Thermodynamics:
    r"""Internal energy, entropy, free energy and heat capacity, and how far Gibbs' formula holds.

    .. math:: F = U - TS, \qquad U = \mathbb E_p[E], \quad S = -\frac{\partial F}{\partial T},
        \quad C = \beta^2 \operatorname{Var}_p(E), \quad T = 1/\beta

    The entropy is not taken from U and F, nor from the same points: it is the derivative of F by eighth-order
    differences over eight other temperatures, each with a lattice of its own. Where the variables are real
    it is the differential entropy, which may be negative; the measure is Lebesgue's. In a raw sum beta
    weighs everything, so an energy that keeps local normalizers, as ``do`` leaves them, has no T and is refused.

    Args:
        energy: The energy, taken as the raw sum of its factors.
        over: The variables of the density.
        given: All other variables, ``[rows, dim]`` each; None where there are none (one row).
        beta: The inverse temperature.

    Returns:
        The quantities of each row.

    Raises:
        EnergyError: If a variable is missing, unknown or of the wrong shape, no lattice serves, or the
            energy keeps local normalizers.
        ArgumentError: If ``beta`` is not positive and finite.
        ConvergenceError: If an integral is not finite.

    Example:
        >>> import ebm_causal as ec
        >>> well = ec.energy(lambda x: 2 * (x.squeeze(-1) ** 2 - 1) ** 2, x=1)
        >>> ec.thermodynamics(well, over="x")
        Thermodynamics(U=0.545728, S=0.889966, T=1, F=-0.344238, C=0.401864, residual ..., method='lattice')

    References:
        Callen (1985), Thermodynamics and an introduction to thermostatistics, chapter 16.
    """
    restriction = restrict(energy, over, given, beta)
    if any(isinstance(factor, LocalNormalizer) for factor in energy.factors.values()):
        raise EnergyError(
            "this energy keeps local normalizers that depend on beta, as ec.do leaves them: its F has no internal "
            "energy and entropy. Hand over the raw sum of the factors, with the variable given."
        )
    with torch.no_grad():
        internal, capacity, integral = _moments(restriction)
        notes = judged(integral, restriction.over)
        free = -integral.value / restriction.beta
        entropy = _entropy(restriction)
    temperature = 1 / restriction.beta
    return Thermodynamics(
        internal_energy=internal,
        entropy=entropy,
        temperature=temperature,
        free_energy=free,
        heat_capacity=capacity,
        residual=free - (internal - temperature * entropy),
        method="enumeration" if restriction.finite else "lattice",
        warnings=notes,
    )


def _moments(restriction: Restriction) -> tuple[Tensor, Tensor, LogIntegral]:
    """The mean of the energy, the heat capacity and the log integral of each row, in one pass."""

    def read(block: Restriction, lattice: Lattice) -> tuple[Tensor, ...]:
        reduced = lattice.energies
        if not block.finite:
            reduced = (
                reduced + block.to_support(lattice.points)[1]
            )  # without the volume of the change of variables
        reduced = torch.where(lattice.energies.isfinite(), reduced, 0.0)  # no mass elsewhere
        mean = lattice.expectation(reduced)
        spread = lattice.expectation((reduced - mean) ** 2)
        return mean / block.beta, spread, lattice.log_integral, lattice.error, lattice.resolved

    mean, capacity, value, error, resolved = read_rows(restriction, read, step=PRECISE[0], drop=PRECISE[1])
    integral = LogIntegral(value=value, error=error, trusted=resolved & (error <= TRUSTED) & value.isfinite())
    return mean, capacity, integral


def _entropy(restriction: Restriction) -> Tensor:
    r"""Minus the derivative of F by T, as :math:`-T^{-1}\,dF/d\log T`."""
    slope = torch.zeros((), dtype=restriction.like.dtype)
    for k, weight in enumerate(DIFFERENCES, start=1):
        rise = _free_energy_at(restriction, k * STEP) - _free_energy_at(restriction, -k * STEP)
        slope = slope + weight * rise / STEP
    return -restriction.beta * slope


def _free_energy_at(restriction: Restriction, log_ratio: float) -> Tensor:
    """The free energy at a temperature that is exp(log_ratio) times as high, on a lattice of its own."""
    other = replace(restriction, beta=restriction.beta * math.exp(-log_ratio))
    return -_moments(other)[2].value / other.beta
