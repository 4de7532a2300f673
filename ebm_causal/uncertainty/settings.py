"""How to propagate: method, shares, draws, names and units."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_names, as_number, check_callable, check_choice, check_count, check_seed
from ebm_causal.uncertainty.uncertain import Uncertain

Method = Literal["first_order", "second_order", "third_order", "sigma_points", "monte_carlo"]
Shares = Literal["covariance", "shapley"]
Progress = Callable[[float, str], None]


def check_progress(progress: object) -> None:
    """Refuse what cannot be told how far it is.

    Raises:
        ArgumentError: If it is given and cannot be called.
    """
    if progress is not None:
        check_callable("progress", progress)


def check_damping(damping: object) -> float:
    """Return a number that is added to a diagonal, or refuse it.

    Raises:
        ArgumentError: If it is no finite number, or negative.
    """
    number = as_number(damping)
    if number is None or not 0 <= number < math.inf:
        raise ArgumentError(f"damping must not be negative, and finite; got {damping!r}.")
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to propagate.

    Attributes:
        method: The method.
        shares: The kind of shares.
        draws: For Monte Carlo.
        seed: Of the draws.
        cross_check: Whether to do it by Monte Carlo too.
        units: By name.
        outputs: Names of the outputs.
        progress: Told the share done and what is being done.
    """

    method: str = "first_order"
    shares: str = "covariance"
    draws: int = 10_000
    seed: int = 0
    cross_check: bool = False
    units: Mapping[str, str] | None = None
    outputs: Sequence[str] | None = None
    progress: Progress | None = None

    def check(self) -> None:
        """Refuse what is no setting.

        Raises:
            ArgumentError: By the argument's name.
        """
        check_choice("method", self.method, get_args(Method))
        if self.shares not in get_args(Shares):
            raise ArgumentError(f"shares must be 'covariance' or 'shapley'; got {self.shares!r}.")
        check_count("draws", self.draws, least=2)
        check_seed(self.seed)
        check_progress(self.progress)
        if self.units is not None and not isinstance(self.units, Mapping):
            raise ArgumentError(
                f"units must be given by name, as {{'y': 'm'}}; got {type(self.units).__name__}."
            )

    def named(self, inputs: Uncertain, size: int) -> dict[str, Any]:
        """Names of inputs and outputs, and their units.

        Raises:
            ArgumentError: If they are not those of the inputs and of so many outputs.
        """
        outputs, units = as_names(self.outputs or ()), dict(self.units or {})
        if outputs and len(outputs) != size:
            raise ArgumentError(f"outputs must name {size} outputs; got {list(outputs)}.")
        unknown = [name for name in units if name not in (*inputs.names, *outputs)]
        if unknown:
            raise ArgumentError(
                f"{unknown[0]!r} has a unit but is no input {list(inputs.names)} and no output {list(outputs)}."
            )
        return {"names": inputs.names, "outputs": outputs, "units": units}

    def variances(self, spread: Tensor) -> Tensor:
        """The variances in a covariance, if there are shares to divide.

        Raises:
            ArgumentError: If an output has none, or the expansion makes it negative.
        """
        variances = spread.diagonal(dim1=-2, dim2=-1)
        if not bool((variances <= 0).any()):
            return variances
        number = int((variances <= 0).nonzero()[0][-1])
        value = float(variances[variances <= 0][0])
        output = repr(as_names(self.outputs)[number]) if self.outputs else str(number)
        if value < 0:
            raise ArgumentError(
                f"the third-order variance of output {output} is {value:.3g}, below zero: the expansion does not serve "
                "a spread so wide. Use 'monte_carlo'."
            )
        raise ArgumentError(
            f"output {output} has no variance: no input that moves it is uncertain (to first order: its slopes are "
            "zero there; take 'second_order' or 'monte_carlo'), so there are no shares."
        )
