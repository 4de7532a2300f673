"""Log integrals and moments of Gibbs weights by enumeration, or on lattices that check themselves.

Rows stream through: each is done on a lattice of its own size, of which only its sums are kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.gibbs.restriction import Restriction
from ebm_causal.gibbs.streaming import Piece, differentiable, inputs_of
from ebm_causal.sampling import Lattice

TRUSTED = 1e-2  # a larger error is warned about; true errors are smaller, on smooth densities by far
STEPS = {
    1: (0.6, 0.5),
    2: (0.9, 0.75),
    3: (0.9, 0.75),
}  # in local deviations: to begin with, as the self-check asks
DROP = 22.0  # points with a weight below e^-22 of the largest are left out
Read = Callable[[Restriction, Lattice], tuple[Tensor, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIntegral:
    """A log integral per row, and whether it can be trusted.

    Attributes:
        value: One number per row.
        error: A bound of its error, from far above; zero for enumerations.
        trusted: Whether it is finite and the lattice passed its self-check.
    """

    value: Tensor
    error: Tensor
    trusted: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Moments of the variables of each row, with the integral that came in the same pass.

    Attributes:
        mean: ``[rows, dim]``, within the supports.
        covariance: ``[rows, dim, dim]``.
        integral: The log integral.
    """

    mean: Tensor
    covariance: Tensor
    integral: LogIntegral


def lattice_log_integral(restriction: Restriction) -> LogIntegral:
    """The log integral of exp(-reduced energy), per row; rows that fail say so, for another method to take them.

    Differentiable in all that the energy depends on, also twice: the gradient is found when it is asked for,
    piece by piece, so that memory holds the points of the lattices (8 bytes per coordinate) but no graph.

    Raises:
        EnergyError: If no lattice serves the variables.
    """
    inputs, pieces = inputs_of(restriction), []

    def read(block: Restriction, lattice: Lattice) -> tuple[Tensor, ...]:
        return lattice.log_integral, lattice.error, lattice.resolved

    def keep(rows: Tensor, lattice: Lattice) -> None:
        if inputs:
            points = lattice.points[:, :1] if lattice.shared else lattice.points
            weighs = lattice.energies.isfinite()
            pieces.append(Piece(rows=rows, points=points, weighs=weighs, log_cell=lattice.log_cell))

    value, error, resolved = read_rows(restriction, read, keep=keep)
    if inputs:
        value = differentiable(restriction, value, pieces, inputs)
    return LogIntegral(
        value=value, error=error, trusted=resolved & (error <= TRUSTED) & value.detach().isfinite()
    )


def lattice_moments(restriction: Restriction) -> Moments:
    """Mean and covariance of the variables of each row, with the log integral, in one pass without a graph.

    Raises:
        EnergyError: If no lattice serves the variables.
    """

    def read(block: Restriction, lattice: Lattice) -> tuple[Tensor, ...]:
        real = all(variable.is_real for variable in block.variables)
        moved = lattice if real or block.finite else lattice.at(block.to_support(lattice.points)[0])
        return lattice.log_integral, lattice.error, lattice.resolved, *moved.moments()

    value, error, resolved, mean, covariance = read_rows(restriction, read)
    trusted = resolved & (error <= TRUSTED) & value.isfinite()
    return Moments(
        mean=mean, covariance=covariance, integral=LogIntegral(value=value, error=error, trusted=trusted)
    )


def read_rows(
    restriction: Restriction,
    read: Read,
    *,
    keep: Callable[[Tensor, Lattice], None] | None = None,
    steps: tuple[float, float] | None = None,
    drop: float = DROP,
) -> tuple[Tensor, ...]:
    """What ``read`` makes of each row's lattice, ``[rows, ...]`` each; the lattices themselves are let go.

    Args:
        restriction: The density of each row.
        read: Takes a restriction and a lattice of its rows; gives tensors with a row each.
        keep: Called with the rows' numbers and their lattice.
        steps: Of the lattices, in local standard deviations: to begin with, and that of the self-check.
        drop: Energies so far above the minimum are left out.

    Raises:
        EnergyError: If no lattice serves the variables.
    """
    found: list[Tensor] = []
    step, fine = STEPS.get(restriction.dim, (1.0, 1.0)) if steps is None else steps
    with torch.no_grad():
        for rows, lattice in restriction.lattices(step=step, drop=drop, fine=fine):
            parts = read(restriction, lattice)
            found = found or [part.new_zeros(restriction.rows, *part.shape[1:]) for part in parts]
            for whole, part in zip(found, parts, strict=True):
                whole[rows] = part
            if keep is not None:
                keep(rows, lattice)
    return tuple(found)
