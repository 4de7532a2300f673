"""Variables: what an energy is a function of."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ebm_causal.errors import ArgumentError, EnergyError


class FiniteSupport(Constraint):
    """Each coordinate is one of a few values; made by :func:`finite`."""

    is_discrete = True

    def __init__(self, values: tuple[float, ...]) -> None:
        self.values = values
        super().__init__()

    def check(self, value: Tensor) -> Tensor:
        """Where ``value`` is one of the values."""
        return torch.isin(value, torch.tensor(self.values, dtype=value.dtype, device=value.device))

    def __repr__(self) -> str:
        return f"finite({list(self.values)})"


def finite(values: Iterable[float]) -> FiniteSupport:
    """A support of a few values, such as the two of a spin.

    Args:
        values: The distinct values that each coordinate may take; counting measure.

    Raises:
        ArgumentError: If there are fewer than two, or one stands there twice.

    Example:
        >>> import ebm_causal as ec
        >>> ec.finite([-1, 1])
        finite([-1.0, 1.0])
    """
    numbers = tuple(float(value) for value in values)
    if len(numbers) < 2 or len(set(numbers)) < len(numbers):
        raise ArgumentError(f"finite() takes at least two distinct values; got {list(numbers)}.")
    return FiniteSupport(numbers)


@dataclass(frozen=True)
class Variable:
    r"""A named tensor's last dimensions: a real vector unless a support says otherwise.

    Args:
        dim: Its dimension; a tuple for images and sequences; None where the first data decide.
        support: A torch constraint, or :func:`finite`. Real by default.

    Raises:
        ArgumentError: If a dimension is not positive.

    Example:
        >>> import ebm_causal as ec
        >>> ec.Variable(2).shape
        (2,)
    """

    dim: int | tuple[int, ...] | None = 1
    support: Constraint = constraints.real

    def __post_init__(self) -> None:
        if self.shape is not None and any(size < 1 for size in self.shape):
            raise ArgumentError(f"a variable's dimension must be positive; got {self.dim}.")

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The variable's own shape, at the end of each of its tensors; None while unknown."""
        if self.dim is None:
            return None
        return self.dim if isinstance(self.dim, tuple) else (self.dim,)

    @property
    def is_real(self) -> bool:
        """Whether the support is the whole real space."""
        return isinstance(self.support, type(constraints.real))  # a copied energy has a copied support

    def check(self, name: str, rows: Tensor) -> None:
        """Refuse rows outside the support.

        Raises:
            EnergyError: Naming the variable and the first rows.
        """
        if self.is_real:
            return
        inside = self.support.check(rows).reshape(len(rows), -1).all(-1)
        bad = (~inside).nonzero().flatten()
        if len(bad):
            raise EnergyError(
                f"{name!r} must be in its support, {self.support}; it is not in {len(bad)} rows, the first of them "
                f"{bad[:5].tolist()}: {rows[bad[0]].tolist()}. Drop or mend these values, or state another support."
            )

    def refuse_endless(self, name: str) -> None:
        """Refuse to integrate or search over infinitely many separate values, such as all counts.

        Raises:
            EnergyError: Naming the variable.
        """
        if self.support.is_discrete and not isinstance(
            self.support, FiniteSupport | type(constraints.boolean)
        ):
            raise EnergyError(
                f"{name!r} may be any of infinitely many separate values ({self.support}), which can be drawn but "
                "neither enumerated nor searched: put it into given, or state those that matter, as in "
                "ec.Variable(1, ec.finite(range(100)))."
            )

    def merged(self, name: str, other: "Variable") -> "Variable":
        """What two factors say of one variable, together.

        Raises:
            EnergyError: If they contradict each other.
        """
        if self.dim is not None and other.dim is not None and self.shape != other.shape:
            raise EnergyError(f"{name!r} has dimension {self.dim} in one factor and {other.dim} in another.")
        if not (self.is_real or other.is_real) and repr(self.support) != repr(other.support):
            raise EnergyError(
                f"{name!r} has support {self.support} in one factor and {other.support} in another."
            )
        return Variable(
            dim=self.dim if self.dim is not None else other.dim,
            support=other.support if self.is_real else self.support,
        )
