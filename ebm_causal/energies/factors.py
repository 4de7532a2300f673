"""Factors: the named terms of an energy."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ebm_causal.energies.variables import Variable

if TYPE_CHECKING:
    from ebm_causal.energies.energies import Energy

Values = Mapping[str, Tensor]


class Factor(nn.Module, ABC):
    """One named term of an energy. It is a mechanism, a regularizer, or any callable."""

    name: str

    @property
    @abstractmethod
    def variables(self) -> Mapping[str, Variable]:
        """What it is a function of."""

    @abstractmethod
    def term(self, values: Values) -> Tensor:
        """Its share of the energy, one number per row; ``values`` may hold other variables too."""

    def reduced(self, values: Values, beta: float) -> Tensor:
        """What it adds to the negative log weight at an inverse temperature."""
        term = self.term(values)
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
        return called(self.function, {name: values[name] for name in self._variables}, self._variables)


def called(function: Callable[..., Tensor], values: Values, variables: Mapping[str, Variable]) -> Tensor:
    """Call a function of tensors whose batches broadcast; expand them only for one that cannot, as by ``torch.cat``."""
    try:
        return function(**values)
    except RuntimeError:
        batches = {name: batch_of(value, variables[name]) for name, value in values.items()}
        if len(set(batches.values())) < 2:
            raise
        batch = torch.broadcast_shapes(*batches.values())
        own = {name: value.shape[len(batches[name]) :] for name, value in values.items()}
        return function(**{name: value.expand(*batch, *own[name]) for name, value in values.items()})


def batch_of(value: Tensor, variable: Variable) -> tuple[int, ...]:
    """The shape of a value before the variable's own dimensions; the last one where these are not known."""
    own = 1 if variable.shape is None else len(variable.shape)
    return tuple(value.shape[: value.ndim - own])
