r"""Partition functions: :math:`\log Z = \log\int e^{-\beta E}`."""

from collections.abc import Iterable, Mapping

from pyro.distributions.torch_distribution import TorchDistributionMixin

from ebm_causal.energies import Energy
from ebm_causal.gibbs.estimates import Estimate
from ebm_causal.gibbs.integrating import Effort, Method, Report, integrate
from ebm_causal.gibbs.temperatures import Betas, restrict_at


def log_partition(
    energy: Energy,
    over: str | Iterable[str],
    given: Mapping[str, object] | None = None,
    beta: Betas = 1.0,
    method: Method = "auto",
    *,
    draws: int | None = None,
    seed: int = 0,
    proposal: TorchDistributionMixin | None = None,
    progress: Report | None = None,
) -> Estimate:
    r"""The log partition function, :math:`\log\int e^{-\beta E}`, of the raw sum of factors.

    Holds where the integral is finite; a density that cannot be normalized does not pass the self-check
    of its method, and is warned about or refused.

    Args:
        energy: The energy.
        over: What to integrate out.
        given: All other variables; None where there are none.
        beta: The inverse temperature; a schedule of them gives the number at each.
        method: As for ``free_energy``.
        draws: As for ``free_energy``.
        seed: Of the draws.
        proposal: For ``importance``, as for ``free_energy``.
        progress: Told the share done and what is being done, where it takes long.

    Returns:
        A scalar without ``given``, else one number per row; for a schedule ``[betas]`` or ``[betas, rows]``.

    Raises:
        EnergyError: If variables are missing or unknown, or no method serves.
        ArgumentError: If ``beta`` is not positive or the method does not serve.
        ConvergenceError: If the integral is not finite.

    Example:
        >>> import ebm_causal as ec
        >>> well = ec.energy(lambda x: 2 * (x.squeeze(-1) ** 2 - 1) ** 2, x=1)
        >>> ec.log_partition(well, over="x")
        Estimate([0.344238], method='lattice', warnings=0)
    """
    restriction, shape = restrict_at(energy, over, given, beta)
    effort = Effort(method=method, draws=draws, seed=seed, proposal=proposal, progress=progress)
    found = integrate(restriction, effort)
    whole: tuple[int, ...] = shape or (restriction.rows,)
    own = whole if given else whole[:-1]
    return Estimate(
        value=found.value.reshape(own),
        standard_error=found.standard_error.reshape(own),
        method=found.method,
        warnings=found.warnings,
    )
