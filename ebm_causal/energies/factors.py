"""Factors: the named terms of an energy."""

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ebm_causal.energies.costs import Temperature
from ebm_causal.energies.scaling import Weight, Weighted, one_weight
from ebm_causal.energies.variables import Variable
from ebm_causal.errors import EnergyError
from ebm_causal.shapes import broadcast_shapes

if TYPE_CHECKING:
    from ebm_causal.energies.energies import Energy

Values = Mapping[str, Tensor]


class Factor(nn.Module, ABC):
    """One named term of an energy. It is a mechanism, a regularizer, or any callable."""

    name: str

    def __init__(self) -> None:
        super().__init__()
        self._known: Mapping[str, Variable] | None = None

    def know(self, variables: Mapping[str, Variable]) -> None:
        """Take notice of dimensions that other factors or the data state: an energy tells its factors."""
        told = {name: variables[name] for name in self.variables if name in variables}
        self._known = {
            **self.known,
            **{name: variable for name, variable in told.items() if variable.dim is not None},
        }

    @property
    def known(self) -> Mapping[str, Variable]:
        """The variables, with the dimensions that are known of them."""
        return self.variables if self._known is None else self._known

    @property
    @abstractmethod
    def variables(self) -> Mapping[str, Variable]:
        """What it is a function of."""

    @abstractmethod
    def term(self, values: Values) -> Tensor:
        """Its share of the energy, one number per row; ``values`` may hold other variables too."""

    @abstractmethod
    def scaled(self, weight: Weight) -> "Factor":
        """The same factor times a weight.

        Raises:
            ArgumentError: If the weight is not a finite number, or not one for which the factor keeps its meaning.
        """

    def reduced(self, values: Values, beta: Temperature) -> Tensor:
        """What it adds to the negative log weight at an inverse temperature, which may be one per row."""
        term = self.term(values)
        if isinstance(beta, Tensor):
            return beta.to(term) * term
        return term if isinstance(beta, float) and beta == 1.0 else beta * term

    def fits(self, term: Tensor, batch: tuple[int, ...], values: Values) -> bool:
        """Whether a term has one number for each row of its variables."""
        return tuple(term.shape) == tuple(batch)

    def forward(self, **values: Tensor) -> Tensor:
        """Its share of the energy, with its variables by keyword."""
        return self.term(values)

    def __add__(self, other: "Factor | Energy") -> "Energy":
        from ebm_causal.energies.energies import Energy

        return Energy([self]) + other

    def __mul__(self, weight: Weight) -> "Factor":
        return self.scaled(weight)

    __rmul__ = __mul__

    def extra_repr(self) -> str:
        """The factor's name and variables, for ``print``."""
        return f"{self.name}: {', '.join(self.variables)}"


class FunctionFactor(Factor):
    """Any callable of named tensors as a factor; made by :func:`energy`.

    Args:
        function: Takes the variables by keyword, gives one number per row.
        variables: What it is a function of.
    """

    def __init__(self, function: Callable[..., Tensor], variables: Mapping[str, Variable]) -> None:
        super().__init__()
        self.function = function
        self._variables = dict(variables)
        self.name = getattr(function, "__name__", type(function).__name__)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """What it is a function of."""
        return self._variables

    def term(self, values: Values) -> Tensor:
        """The function's value."""
        return called(self.function, {name: values[name] for name in self._variables}, self.known)

    def scaled(self, weight: Weight) -> "FunctionFactor":
        """The weighted function, under the same name."""
        part = FunctionFactor(Weighted(self.function, one_weight(weight)), self._variables)
        part.name = self.name
        part.know(self.known)
        return part


def called(function: Callable[..., Tensor], values: Values, variables: Mapping[str, Variable]) -> Tensor:
    """Call a function of tensors whose batches broadcast; expand them only for one that cannot, as by ``torch.cat``.

    Where a variable is an image or a sequence, the function gets rows, one batch dimension, as convolutions need.
    Whole numbers and truth values that it gives become floating, as the values are.

    Raises:
        EnergyError: If it does not take the values by keyword.
    """
    shaped = any(len(variable.shape or ()) > 1 for variable in variables.values())
    try:
        result = (_called_on_rows if shaped else _called_on_batches)(function, values, variables)
    except TypeError:
        _refuse_wrong_keywords(function, values)
        raise
    if isinstance(result, Tensor) and not result.is_floating_point() and not result.is_complex():
        return result.to(next((value.dtype for value in values.values()), torch.get_default_dtype()))
    return result


def _refuse_wrong_keywords(function: Callable[..., Tensor], values: Values) -> None:
    """Refuse a function of other arguments; one whose arguments cannot be known passes."""
    try:
        signature = inspect.signature(function.forward if isinstance(function, nn.Module) else function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(**values)
    except TypeError as error:
        raise EnergyError(
            f"a function is called with {list(values)} by keyword, and takes {signature}: {error}. Name its arguments "
            "as the variables are named."
        ) from error


def _called_on_batches(
    function: Callable[..., Tensor], values: Values, variables: Mapping[str, Variable]
) -> Tensor:
    try:
        return function(**values)
    except RuntimeError:
        batches = {name: batch_of(value, variables[name]) for name, value in values.items()}
        if len(set(batches.values())) < 2:
            raise
        batch = broadcast_shapes(*batches.values())
        own = {name: value.shape[len(batches[name]) :] for name, value in values.items()}
        return function(**{name: value.expand(*batch, *own[name]) for name, value in values.items()})


def _called_on_rows(
    function: Callable[..., Tensor], values: Values, variables: Mapping[str, Variable]
) -> Tensor:
    batches = {name: batch_of(value, variables[name]) for name, value in values.items()}
    batch = broadcast_shapes(*batches.values())
    rows = {
        name: value.expand(*batch, *own).reshape(-1, *own)
        for name, value in values.items()
        for own in [value.shape[len(batches[name]) :]]
    }
    result, count = function(**rows), math.prod(batch)
    if not isinstance(result, Tensor) or result.ndim == 0 or len(result) != count:
        found = list(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise EnergyError(
            f"a function of {list(values)} was called with {count} rows and must give a result for each, "
            f"[{count}, ...]; got {found}."
        )
    return result.reshape(*batch, *result.shape[1:])


def batch_of(value: Tensor, variable: Variable) -> tuple[int, ...]:
    """The shape of a value before the variable's own dimensions; the last one where these are not known."""
    own = 1 if variable.shape is None else len(variable.shape)
    return tuple(value.shape[: max(value.ndim - own, 0)])


def flattened(value: Tensor, shape: tuple[int | None, ...] | None) -> Tensor:
    """A value with its own dimensions as one: costs and regularizers sum over the last."""
    return value if shape is None or len(shape) < 2 else value.flatten(-len(shape))
