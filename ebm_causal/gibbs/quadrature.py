"""Log integrals of Gibbs weights in closed form, by enumeration, or on a lattice that checks itself."""

import warnings

import torch
from torch import Tensor

from ebm_causal.energies import LinearGaussianEnergy
from ebm_causal.errors import ConvergenceError
from ebm_causal.gibbs.estimates import Estimate, level_of_caller
from ebm_causal.gibbs.restriction import Restriction

TRUSTED = 1e-3  # a larger disagreement of the sub-lattices is warned about


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
    warnings.warn(note, stacklevel=level_of_caller())
    return (note,)
