r"""Scaled parts of an energy: :math:`w E`, which at inverse temperature beta is E at :math:`w\beta`."""

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn

from ebm_causal.energies.costs import Cost, PositiveScale, Temperature
from ebm_causal.errors import ArgumentError

Weight = float | Tensor


class Weighted(nn.Module):
    """A weight times a callable.

    Args:
        function: Any callable that gives a tensor; a module keeps its parameters.
        weight: A number of either sign, or a parameter.
    """

    weight: Tensor

    def __init__(self, function: Callable[..., Tensor], weight: Weight) -> None:
        super().__init__()
        self.function = function
        if isinstance(weight, nn.Parameter):
            self.weight = weight
        else:
            self.register_buffer("weight", torch.as_tensor(weight, dtype=torch.float64))

    def forward(self, *values: Tensor, **named: Tensor) -> Tensor:
        """The weighted value, in the dtype of the callable's."""
        value = self.function(*values, **named)
        return self.weight.to(value) * value


class ScaledCost(Cost):
    r"""A cost times a positive weight: its normalizer at beta is that of the cost at :math:`w\beta`.

    Args:
        cost: The cost.
        weight: Positive; may be an ``nn.Parameter``, whose absolute value is taken.
    """

    def __init__(self, cost: Cost, weight: Weight) -> None:
        super().__init__()
        self.cost, self.weight = cost, PositiveScale(weight)
        self.support = cost.support
        self.constant_normalizer = cost.constant_normalizer
        self.without_normalizer = cost.without_normalizer

    def forward(self, prediction: Tensor, value: Tensor) -> Tensor:
        """The cost, weighted."""
        return self.weight(prediction) * self.cost(prediction, value)

    def log_normalizer(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """That of the cost at the weighted inverse temperature."""
        return self.cost.log_normalizer(prediction, warmed(beta, self.weight, prediction))

    def distribution(self, prediction: Tensor, beta: Temperature) -> TorchDistributionMixin:
        """That of the cost at the weighted inverse temperature."""
        return self.cost.distribution(prediction, warmed(beta, self.weight, prediction))

    def mean(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """That of the cost at the weighted inverse temperature."""
        return self.cost.mean(prediction, warmed(beta, self.weight, prediction))

    def prediction_shape(self, shape: tuple[int, ...]) -> tuple[int | None, ...]:
        """That of the cost."""
        return self.cost.prediction_shape(shape)


def warmed(beta: Temperature, weight: PositiveScale, like: Tensor) -> Tensor:
    """The inverse temperature times a weight."""
    return (beta.to(like) if isinstance(beta, Tensor) else beta) * weight(like)


def one_weight(weight: object) -> Weight:
    """A weight as it is, or a refusal.

    Raises:
        ArgumentError: If it is not one finite, real number, or a tensor that holds one.
    """
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    tensor = isinstance(weight, Tensor) and weight.ndim == 0 and weight.is_floating_point()
    if not (number or tensor) or not math.isfinite(_number(weight)):
        found = f"shape {list(weight.shape)}" if isinstance(weight, Tensor) and weight.ndim else repr(weight)
        raise ArgumentError(
            f"a weight must be one finite number, or a tensor without dimensions; got {found}."
        )
    return cast(Weight, weight)


def positive_weight(weight: Weight, name: str) -> Weight:
    """The weight of a part that is a probability law, or a refusal.

    Raises:
        ArgumentError: If it is not positive, naming the part.
    """
    if _number(one_weight(weight)) <= 0:
        raise ArgumentError(
            f"{name} cannot be weighted by {_number(weight):g}: exp(-beta E) would grow with the cost and have no "
            "normalizer. Weights of mechanisms and regularizers must be positive."
        )
    return weight


def _number(weight: Any) -> float:
    return float(weight.detach()) if isinstance(weight, Tensor) else float(weight)
