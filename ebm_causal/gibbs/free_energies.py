r"""Free energies :math:`F_\beta = -\frac1\beta\log\int e^{-\beta E}\,dz`, by the method that serves each row."""

import math
from collections.abc import Iterable, Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin

from ebm_causal.energies import Energy, LinearGaussianEnergy
from ebm_causal.gibbs.estimates import Estimate
from ebm_causal.gibbs.integrating import Effort, Method, Report, integrate
from ebm_causal.gibbs.minimization import minimum_free_energy
from ebm_causal.gibbs.temperatures import Betas, restrict_at


def free_energy(
    energy: Energy,
    over: str | Iterable[str] = "z",
    given: Mapping[str, object] | None = None,
    beta: Betas = 1.0,
    method: Method = "auto",
    *,
    draws: int | None = None,
    seed: int = 0,
    proposal: TorchDistributionMixin | None = None,
    progress: Report | None = None,
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
        beta: The inverse temperature; a schedule of them gives every row at each.
        method: ``exact`` for a ``LinearGaussianEnergy`` over z and for finite variables; ``lattice`` for up to
            three real dimensions, exact to many digits; ``laplace`` (fits at the modes, corrected by importance
            sampling), ``importance`` (draws from the prior or from ``proposal``) and ``annealed`` (a population carried
            from the prior to the density and back) for any number. ``auto`` takes the first that serves, in this
            order without ``importance``, hands the rows that it cannot be trusted on to the next, and
            says in the result which it was.
        draws: Per row: 4096 for ``laplace`` and ``importance``, 1024 for ``annealed``.
        seed: Of the draws.
        proposal: For ``importance``: a Pyro distribution over the joined variables, as a guide's.
        progress: Told the share done and what is being done, where it takes long.

    Returns:
        One free energy per row, in the energy's units, ``[rows]``; ``[betas, rows]`` for a schedule.

    Raises:
        EnergyError: If a variable is missing, unknown or of the wrong shape, or a lattice does not serve.
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
    if isinstance(beta, float) and math.isinf(beta) and beta > 0:
        return _at_zero_temperature(energy, over, given)
    restriction, shape = restrict_at(energy, over, given, beta)
    effort = Effort(method=method, draws=draws, seed=seed, proposal=proposal, progress=progress)
    found = integrate(restriction, effort)
    value, error = -found.value / restriction.beta, found.standard_error / restriction.beta
    return Estimate(
        value=value.reshape(shape or value.shape),
        standard_error=error.reshape(shape or error.shape),
        method=found.method,
        warnings=found.warnings,
    )


def _at_zero_temperature(
    energy: Energy, over: str | Iterable[str], given: Mapping[str, object] | None
) -> Estimate:
    restriction, _ = restrict_at(energy, over, given, 1.0)
    if isinstance(energy, LinearGaussianEnergy) and restriction.over == ("z",):
        value = energy.free_energy(restriction.given["y"], restriction.given.get("x"), math.inf)
        return Estimate(value=value, standard_error=torch.zeros_like(value), method="exact")
    return minimum_free_energy(energy, over, given)
