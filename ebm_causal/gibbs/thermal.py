r"""Thermodynamics of a Gibbs density: energy, entropy, temperature, heat capacity, and Gibbs' formula between them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import Energy, LinearGaussianEnergy, LocalNormalizer
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs.integrating import exact_log_integral
from ebm_causal.gibbs.judging import judged
from ebm_causal.gibbs.quadrature import TRUSTED, LogIntegral, read_rows
from ebm_causal.gibbs.restriction import Restriction
from ebm_causal.gibbs.temperatures import Betas, restrict_at
from ebm_causal.sampling import Lattice

STEP = 0.03  # of the logarithm of the temperature, in the differences below
PRECISE = ((0.5, 0.5), 32.0)  # steps and drop of the lattices: differences of free energies lose digits
DIFFERENCES = (4 / 5, -1 / 5, 4 / 105, -1 / 280)  # a first derivative to eighth order, by 1 to 4 steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermodynamics:
    """The thermodynamic quantities of each row, in the units of the energy.

    Attributes:
        internal_energy: The mean energy U.
        entropy: S, as minus the derivative of the free energy by the temperature.
        temperature: T = 1 / beta; ``[betas]`` for a schedule.
        free_energy: F.
        heat_capacity: dU/dT, from the variance of the energy.
        residual: F - (U - T S): zero but for errors of the quadrature and of the derivative.
        method: ``exact`` (a ``LinearGaussianEnergy``), ``enumeration`` or ``lattice``.
        warnings: What cannot be trusted, in words; empty where all can.
    """

    internal_energy: Tensor
    entropy: Tensor
    temperature: float | Tensor
    free_energy: Tensor
    heat_capacity: Tensor
    residual: Tensor
    method: str
    warnings: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """A row per row, and per temperature: U, S, T, F, the heat capacity and the residual of F = U - T S."""
        names = ("internal_energy", "entropy", "free_energy", "heat_capacity", "residual")
        frame = pd.DataFrame({name: getattr(self, name).detach().cpu().reshape(-1).numpy() for name in names})
        frame.insert(2, "temperature", self._temperatures.numpy())
        return frame

    def plot(self, ax: Any = None) -> Any:
        """U, S, F and the heat capacity against the temperature, of the first row; for a schedule.

        Raises:
            ArgumentError: If there is one temperature alone.
        """
        from ebm_causal.figures import curves_picture

        if not isinstance(self.temperature, Tensor):
            raise ArgumentError(
                "there is one temperature alone; give thermodynamics a schedule of beta to plot."
            )
        names = ("internal_energy", "entropy", "free_energy", "heat_capacity")
        first = {name: getattr(self, name)[:, 0].detach().cpu().numpy() for name in names}
        return curves_picture(
            self._temperatures[:: self.entropy.shape[-1]].numpy(), first, "temperature", ax=ax
        )

    @property
    def _temperatures(self) -> Tensor:
        """One for each entry of the summary."""
        each = torch.as_tensor(self.temperature, dtype=torch.float64).cpu()
        return each.reshape(-1, 1).expand(-1, self.entropy.shape[-1]).reshape(-1)

    def __repr__(self) -> str:
        entries = len(self._temperatures)
        many = f", the first of {entries} rows" if entries > 1 else ""
        u, s, f, c = (
            float(value.reshape(-1)[0])
            for value in (self.internal_energy, self.entropy, self.free_energy, self.heat_capacity)
        )
        return (
            f"Thermodynamics(U={u:.6g}, S={s:.6g}, T={float(self._temperatures[0]):.6g}, F={f:.6g}, C={c:.6g}{many}, "
            f"residual {self.residual.abs().max():.1g}, method={self.method!r})"
        )


def thermodynamics(
    energy: Energy,
    over: str | Iterable[str] = "z",
    given: Mapping[str, object] | None = None,
    beta: Betas = 1.0,
) -> Thermodynamics:
    r"""Internal energy, entropy, free energy and heat capacity, and how far Gibbs' formula holds.

    .. math:: F = U - TS, \qquad U = \mathbb E_p[E], \quad S = -\frac{\partial F}{\partial T},
        \quad C = \beta^2 \operatorname{Var}_p(E), \quad T = 1/\beta

    The entropy is not taken from U and F, nor from the same points: it is the derivative of F by eighth-order
    differences over eight other temperatures, each with a lattice of its own (in closed form, of any dimension, for
    z, or y and z, of a ``LinearGaussianEnergy``). Where the variables are real
    it is the differential entropy, which may be negative; the measure is Lebesgue's. In a raw sum beta
    weighs everything, so an energy that keeps local normalizers, as ``do`` leaves them, has no T and is refused.

    Args:
        energy: The energy, taken as the raw sum of its factors.
        over: The variables of the density.
        given: All other variables, ``[rows, dim]`` each; None where there are none (one row).
        beta: The inverse temperature; a schedule of them gives the quantities at each, ``[betas, rows]``.

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
    restriction, shape = restrict_at(energy, over, given, beta)
    if any(isinstance(factor, LocalNormalizer) for factor in energy.factors.values()):
        raise EnergyError(
            "this energy keeps local normalizers that depend on beta, as ec.do leaves them: its F has no internal "
            "energy and entropy. Hand over the raw sum of the factors, with the variable given."
        )
    with torch.no_grad():
        closed = _exactly(restriction)
        method, notes, (internal, entropy, free, capacity) = closed or _by_points(restriction)
    temperature = 1 / restriction.beta
    found = {
        "internal_energy": internal,
        "entropy": entropy,
        "free_energy": free,
        "heat_capacity": capacity,
        "residual": free - (internal - temperature * entropy),
    }
    shaped = {name: value.reshape(shape or value.shape) for name, value in found.items()}
    warmth = (
        temperature if not isinstance(temperature, Tensor) else temperature.reshape(shape or (-1, 1))[:, 0]
    )
    return Thermodynamics(**shaped, temperature=warmth, method=method, warnings=notes)


Quantities = tuple[str, tuple[str, ...], tuple[Tensor, Tensor, Tensor, Tensor]]


def _exactly(restriction: Restriction) -> Quantities | None:
    """U, S, F and the heat capacity of a normal density in closed form; the entropy from the integral at beta = 1."""
    integral = exact_log_integral(restriction)
    at_one = exact_log_integral(replace(restriction, beta=1.0))
    if integral is None or at_one is None or not isinstance(restriction.energy, LinearGaussianEnergy):
        return None
    given, value = restriction.given, integral.value
    beta, lowest = torch.as_tensor(restriction.beta).to(value), torch.zeros_like(value)
    if "y" in given:
        lowest = restriction.energy.free_energy(given["y"], given.get("x"), math.inf).expand(len(value))
    half = 0.5 * restriction.dim
    entropy = half * (1 - beta.log()) + at_one.value + lowest
    capacity = torch.full_like(value, half)
    return "exact", (), (lowest + half / beta, entropy, -value / beta, capacity)


def _by_points(restriction: Restriction) -> Quantities:
    """U, S, F and the heat capacity from all states, or from lattices.

    Raises:
        EnergyError: If neither serves.
    """
    if not restriction.served:
        raise EnergyError(
            f"thermodynamics over {list(restriction.over)} (dimension {restriction.dim}) takes finite variables, or "
            "one to three real dimensions, or z of a LinearGaussianEnergy: put some variables into given, or take the "
            "free energy alone (ec.free_energy) and the mean energy of draws (ec.sample)."
        )
    method = "enumeration" if restriction.finite else "lattice"
    internal, capacity, integral = _moments(restriction)
    notes = judged(integral, restriction, method)
    return method, notes, (internal, _entropy(restriction), -integral.value / restriction.beta, capacity)


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
        return mean, spread, lattice.log_integral, lattice.error, lattice.resolved

    mean, capacity, value, error, resolved = read_rows(restriction, read, steps=PRECISE[0], drop=PRECISE[1])
    integral = LogIntegral(value=value, error=error, trusted=resolved & (error <= TRUSTED) & value.isfinite())
    return mean / restriction.beta, capacity, integral


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
