r"""Free energies :math:`F_\beta = -\frac1\beta\log\int e^{-\beta E}\,dz`, exact or on a lattice that checks itself."""

import math
from collections.abc import Iterable, Mapping
from typing import Literal

import torch

from ebm_causal.energies import Energy, LinearGaussianEnergy
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs.estimates import Estimate
from ebm_causal.gibbs.quadrature import log_integral
from ebm_causal.gibbs.restriction import restrict

Method = Literal["auto", "exact", "lattice"]


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
