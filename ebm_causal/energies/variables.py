"""Variables: what an energy is a function of."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.shapes import as_number, is_whole

MOST_VALUES = 65_536  # that integers between two bounds may be to count as finite


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
        ArgumentError: If there are fewer than two, one stands there twice, or is no finite number.

    Example:
        >>> import ebm_causal as ec
        >>> ec.finite([-1, 1])
        finite([-1.0, 1.0])
    """
    several = list(values) if isinstance(values, Iterable) else [None]
    numbers = tuple(number for number in map(as_number, several) if number is not None)
    wrong = len(numbers) < len(several) or not all(map(math.isfinite, numbers))
    if wrong or len(numbers) < 2 or len(set(numbers)) < len(numbers):
        shown = list(numbers) if len(numbers) == len(several) else values
        raise ArgumentError(f"finite() takes finite numbers, at least two distinct values; got {shown!r}.")
    return FiniteSupport(numbers)


@dataclass(frozen=True)
class Variable:
    r"""A named tensor's last dimensions: a real vector unless a support says otherwise.

    Args:
        dim: Its dimension; a tuple for images and sequences; None where the first data decide.
        support: A torch constraint, or :func:`finite`. Real by default; integers between two bounds are finite.

    Raises:
        ArgumentError: If a dimension is not a positive whole number, or the support is no constraint.

    Example:
        >>> import ebm_causal as ec
        >>> ec.Variable(2).shape
        (2,)
    """

    dim: int | tuple[int, ...] | None = 1
    support: Constraint = constraints.real

    def __post_init__(self) -> None:
        for size in self.shape or ():
            if not is_whole(size):
                raise ArgumentError(
                    f"a variable's dimension must be a whole number, or a tuple of them; got {self.dim!r}."
                )
            if size < 1:
                raise ArgumentError(f"a variable's dimension must be positive; got {self.dim}.")
        if not isinstance(self.support, Constraint):
            raise ArgumentError(
                f"a support must be a torch constraint, as constraints.positive, or ec.finite(values); got "
                f"{self.support!r}."
            )
        bounds = _integer_bounds(self.support)
        if bounds is not None and bounds[1] - bounds[0] < MOST_VALUES:
            values = tuple(float(value) for value in range(bounds[0], bounds[1] + 1))
            object.__setattr__(self, "support", FiniteSupport(values))

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
        """Refuse to integrate or search over infinitely many separate values, or coordinates that are tied.

        Raises:
            EnergyError: Naming the variable.
        """
        base = getattr(self.support, "base_constraint", self.support)
        if base.event_dim:
            raise EnergyError(
                f"the coordinates of {name!r} are tied by its support ({self.support}), over which nothing is "
                "integrated or searched: put it into given, or compute it from a free real vector within the "
                "energy, as by a softmax for a simplex (and state the index, not its one-hot vector)."
            )
        bounds = _integer_bounds(self.support)
        if bounds is not None:
            raise EnergyError(
                f"{name!r} may be any of {bounds[1] - bounds[0] + 1} integers, too many to enumerate: put it into "
                "given, or state those that matter, as in ec.Variable(1, ec.finite(range(100)))."
            )
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


def _integer_bounds(support: Constraint) -> tuple[int, int] | None:
    """The bounds of a support of all integers between two; None for any other."""
    if not isinstance(support, constraints.integer_interval):
        return None
    return int(support.lower_bound), int(support.upper_bound)


def is_true_somewhere(wrong: Tensor) -> bool:
    """Whether any is true; False where numbers may not be looked at, as of meta tensors and under vmap."""
    try:
        return bool(wrong.any())
    except RuntimeError:
        return False
