r"""Partition functions: :math:`\log Z = \log\int e^{-\beta E}`."""

from collections.abc import Iterable, Mapping

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs.estimates import Estimate
from ebm_causal.gibbs.free_energies import Method
from ebm_causal.gibbs.quadrature import exactly, log_integral
from ebm_causal.gibbs.restriction import restrict


def log_partition(
    energy: Energy,
    over: str | Iterable[str],
    given: Mapping[str, object] | None = None,
    beta: float = 1.0,
    method: Method = "auto",
) -> Estimate:
    r"""The log partition function, :math:`\log\int e^{-\beta E}`, of the raw sum of factors.

    Holds where the integral is finite; a density that cannot be normalized does not pass the lattice's
    self-check, and is warned about or refused.

    Args:
        energy: The energy.
        over: What to integrate out.
        given: All other variables; None where there are none.
        beta: The inverse temperature.
        method: As for ``free_energy``.

    Returns:
        A scalar without ``given``, else one number per row.

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
    restriction = restrict(energy, over, given, beta)
    if method not in ("auto", "exact", "lattice"):
        raise ArgumentError(f"method must be 'auto', 'exact' or 'lattice'; got {method!r}.")
    exact = exactly(restriction) if method != "lattice" else None
    if method == "exact" and exact is None:
        raise ArgumentError(
            "method='exact' serves a LinearGaussianEnergy over 'z', or 'y' and 'z'; use 'auto'."
        )
    found = exact or log_integral(restriction)
    if given:
        return found
    return Estimate(
        value=found.value[0],
        standard_error=found.standard_error[0],
        method=found.method,
        warnings=found.warnings,
    )
