r"""Costs :math:`C(\hat y, y)` with their local log normalizers :math:`\log\int e^{-\beta C}\,dy`.

A cost that knows its normalizer can be part of a conditional density, so that deleting its
mechanism is graph surgery (see ``do``). Each also gives its Pyro distribution. An inverse temperature
is a number, or a tensor ``[*batch]`` with one for each row.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor, nn
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ebm_causal.energies.distances import squared_distance
from ebm_causal.errors import ArgumentError

Scale = float | Tensor | Callable[[], Tensor]
Temperature = float | Tensor  # an inverse one: a number, or one for each row


class Cost(nn.Module, ABC):
    """A cost and what is known of its normalizer: what a mechanism needs to be a conditional density.

    Predictions and values are ``[*batch, dim]``; a mechanism flattens those of images and sequences.
    """

    support: Constraint = constraints.real
    constant_normalizer = False  # whether the normalizer is the same for every prediction
    elementwise = False  # whether a prediction has the shape of its value
    without_normalizer: str | None = None  # why there is none, for a cost that has none

    @abstractmethod
    def forward(self, prediction: Tensor, value: Tensor) -> Tensor:
        """The cost, summed over the last dimension."""

    @abstractmethod
    def log_normalizer(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The log of the integral of exp(-beta cost) over the value, for each prediction."""

    @abstractmethod
    def distribution(self, prediction: Tensor, beta: Temperature) -> TorchDistributionMixin:
        """The conditional law of the value, proportional to exp(-beta cost)."""

    @abstractmethod
    def mean(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The mean of the value under that law."""

    def prediction_shape(self, shape: tuple[int, ...]) -> tuple[int | None, ...]:
        """The shape of a prediction of one value of this shape; None where any size will do."""
        return shape if self.elementwise or len(shape) > 1 else (None,)


class PositiveScale(nn.Module):
    """A scale that is a number, a tensor, a parameter, or computed by a callable without arguments.

    Args:
        value: Positive where it is a number. Only its square is used, so a parameter may have any sign.

    Raises:
        ArgumentError: If a number is not positive and finite, or a parameter is zero.
    """

    def __init__(self, value: Scale) -> None:
        super().__init__()
        if not callable(value):
            number = _numbers(value)
            positive = (number.abs() if isinstance(value, nn.Parameter) else number) > 0
            if not bool((positive & number.isfinite()).all()):
                raise ArgumentError(
                    f"a scale must be positive; got {number.tolist()}. Give finite numbers above zero."
                )
        if isinstance(value, nn.Parameter) or callable(value):
            self.value = value
        else:
            self.register_buffer(
                "value", torch.as_tensor(value, dtype=None if isinstance(value, Tensor) else torch.float64)
            )

    def forward(self, like: Tensor) -> Tensor:
        """The scale, in the dtype and on the device of ``like``."""
        value = self.value if isinstance(self.value, Tensor) else self.value()
        return value.abs().to(dtype=like.dtype, device=like.device)


def _numbers(value: object) -> Tensor:
    try:
        number = torch.as_tensor(value).detach()
    except (TypeError, ValueError, RuntimeError):
        number = torch.zeros((), dtype=torch.complex64)
    if number.is_complex() or number.dtype == torch.bool:
        raise ArgumentError(f"a scale must be a positive number, a tensor or a callable; got {value!r}.")
    return number


class SquaredError(Cost):
    r"""Half the squared error in units of a scale: a normal law.

    .. math:: C(\hat y, y) = \frac{|y - \hat y|^2}{2 s^2}, \qquad
        \log\int e^{-\beta C}\,dy = \tfrac d2 \log\frac{2\pi s^2}{\beta}.

    Holds for any real outcome; misleads where the tails are heavy (see :class:`StudentTCost`).

    Args:
        scale: The standard deviation at beta = 1, in the outcome's units. May be an ``nn.Parameter``
            (``fit`` then adds the normalizer, a raw energy does not) or one number per coordinate.

    Raises:
        ArgumentError: If the scale is not positive.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.SquaredError(2.0)(torch.zeros(1, 1), torch.tensor([[4.0]]))
        tensor([2.])
    """

    constant_normalizer = elementwise = True

    def __init__(self, scale: Scale = 1.0) -> None:
        super().__init__()
        self.scale = PositiveScale(scale)

    def forward(self, prediction: Tensor, value: Tensor) -> Tensor:
        """The cost."""
        scale = self.scale(prediction)
        at_once = squared_distance(prediction, value, 2 * scale * scale)
        if at_once is not None:
            return at_once
        error = value - prediction
        if scale.ndim > 0:
            return 0.5 * total((error / scale) ** 2)
        return total(error * error) * (0.5 / (scale * scale))

    def log_normalizer(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The log normalizer; it depends on the prediction's dimension alone."""
        return summed(
            0.5 * log(2 * math.pi / across(beta, prediction)) + self.scale(prediction).log(), prediction
        )

    def distribution(self, prediction: Tensor, beta: Temperature) -> TorchDistributionMixin:
        """A normal with standard deviation s / sqrt(beta)."""
        return dist.Normal(prediction, self.scale(prediction) / across(beta, prediction) ** 0.5).to_event(1)

    def mean(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The prediction itself."""
        return prediction


class BernoulliCost(Cost):
    r"""Cross-entropy of a binary value under a log-odds prediction.

    .. math:: C(\eta, y) = \log(1 + e^\eta) - \eta y, \qquad
        \log\sum_y e^{-\beta C} = \log(1 + e^{\beta\eta}) - \beta\log(1 + e^\eta).

    The value is 0 or 1 in each coordinate (counting measure).

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.BernoulliCost()(torch.zeros(1, 1), torch.ones(1, 1))
        tensor([0.6931])
    """

    support = constraints.boolean
    elementwise = True

    def forward(self, prediction: Tensor, value: Tensor) -> Tensor:
        """The cost."""
        return total(nn.functional.softplus(prediction) - prediction * value)

    def log_normalizer(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The log normalizer; zero at beta = 1."""
        if is_one(beta):
            return prediction.new_zeros(())
        softplus, beta = nn.functional.softplus, across(beta, prediction)
        return total(softplus(beta * prediction) - beta * softplus(prediction))

    def distribution(self, prediction: Tensor, beta: Temperature) -> TorchDistributionMixin:
        """A Bernoulli whose log-odds are beta times the prediction."""
        return dist.Bernoulli(logits=across(beta, prediction) * prediction).to_event(1)

    def mean(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The probability of one."""
        return torch.sigmoid(across(beta, prediction) * prediction)


class StudentTCost(Cost):
    r"""The heavy-tailed cost: a Student-t law, for outcomes whose outliers must not steer the fit.

    .. math:: C(\hat y, y) = \tfrac{\nu+1}2 \log\Big(1 + \frac{(y-\hat y)^2}{\nu s^2}\Big), \qquad
        \int e^{-\beta C}\,dy = s\sqrt\nu\,B\big(\tfrac12, \tfrac{\nu'}2\big),\quad \nu' = \beta(\nu+1) - 1,

    per coordinate. Normalizable only where :math:`\nu' > 0`.

    Args:
        scale: The scale s, in the outcome's units; may be an ``nn.Parameter``.
        degrees_of_freedom: The tail index :math:`\nu`; may be an ``nn.Parameter``.

    Raises:
        ArgumentError: If either is not positive, or, when a normalizer is asked for, beta is too small for it.

    References:
        Lange, Little and Taylor (1989), Robust statistical modeling using the t distribution.
    """

    constant_normalizer = elementwise = True

    def __init__(self, scale: Scale = 1.0, degrees_of_freedom: Scale = 4.0) -> None:
        super().__init__()
        self.scale = PositiveScale(scale)
        self.degrees_of_freedom = PositiveScale(degrees_of_freedom)

    def forward(self, prediction: Tensor, value: Tensor) -> Tensor:
        """The cost."""
        scale, tail = self.scale(prediction), self.degrees_of_freedom(prediction)
        error = value - prediction
        return total(0.5 * (tail + 1) * torch.log1p(error * error / (tail * scale * scale)))

    def log_normalizer(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The log normalizer; it depends on the prediction's dimension alone."""
        scale, tail = self.scale(prediction), self.degrees_of_freedom(prediction)
        half = self.tail_at(tail, across(beta, prediction)) / 2
        log_beta_function = math.lgamma(0.5) + torch.lgamma(half) - torch.lgamma(half + 0.5)
        return summed(scale.log() + 0.5 * tail.log() + log_beta_function, prediction)

    def distribution(self, prediction: Tensor, beta: Temperature) -> TorchDistributionMixin:
        """A Student-t with the tail index at this beta."""
        tail = self.degrees_of_freedom(prediction)
        warm = self.tail_at(tail, across(beta, prediction))
        return dist.StudentT(warm, prediction, self.scale(prediction) * (tail / warm).sqrt()).to_event(1)

    def mean(self, prediction: Tensor, beta: Temperature) -> Tensor:
        """The prediction, which is the mean where the tail index at this beta exceeds one."""
        return prediction

    def tail_at(self, tail: Tensor, beta: Temperature) -> Tensor:
        r"""The tail index :math:`\nu' = \beta(\nu + 1) - 1` of the law at this beta."""
        warm = beta * (tail + 1) - 1
        if bool((warm <= 0).any()):
            lowest = float(beta.detach().min()) if isinstance(beta, Tensor) else beta
            raise ArgumentError(
                f"a Student-t cost cannot be normalized at beta {lowest:g}: beta (nu + 1) must exceed 1."
            )
        return warm


def total(terms: Tensor) -> Tensor:
    """Sum over the variable's dimension: a view where that is one, a product where it is small, ten times faster."""
    size = terms.shape[-1]
    if size == 1:
        return terms.squeeze(-1)
    return terms @ terms.new_ones(size) if size <= 16 else terms.sum(-1)


def summed(terms: Tensor, prediction: Tensor) -> Tensor:
    """The sum of what is the same in each coordinate of a prediction, or is given for each, over these."""
    return terms.expand(*terms.shape[:-1], prediction.shape[-1]).sum(-1)


def across(beta: Temperature, like: Tensor) -> Temperature:
    """An inverse temperature per row as it meets tensors ``[*batch, dim]``; a number stays one."""
    return beta.to(like)[..., None] if isinstance(beta, Tensor) else beta


def as_temperature(beta: Temperature, like: Tensor) -> Tensor:
    """The same as a tensor, for what takes tensors only."""
    return torch.as_tensor(across(beta, like), dtype=like.dtype, device=like.device)


def is_one(beta: Temperature) -> bool:
    """Whether it is the number one, at which many normalizers are zero."""
    return not isinstance(beta, Tensor) and beta == 1


def log(value: Temperature) -> Temperature:
    """The logarithm of a number or a tensor."""
    return value.log() if isinstance(value, Tensor) else math.log(value)
