"""Regularizers: factors on a latent alone, which limit what it can carry; normalized, they are its prior."""

import math
from abc import abstractmethod
from collections.abc import Mapping

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from ebm_causal.energies.costs import PositiveScale, Temperature, total
from ebm_causal.energies.factors import Factor, Values, flattened
from ebm_causal.energies.scaling import Weight, one_weight, positive_weight, warmed
from ebm_causal.energies.variables import Variable
from ebm_causal.shapes import as_names


class Regularizer(Factor):
    """A factor on one latent, with its normalizer and, as a prior, its Pyro distribution."""

    variable: str

    @abstractmethod
    def log_normalizer(self, beta: Temperature, like: Tensor) -> Tensor:
        """The log of the integral of exp(-beta R); one number, or one for each beta."""

    @abstractmethod
    def distribution(self, beta: Temperature, like: Tensor) -> TorchDistributionMixin:
        """The prior proportional to exp(-beta R), for one row, or one for each beta."""

    @abstractmethod
    def standard_deviation(self, beta: float) -> float:
        """The prior's standard deviation in each coordinate: where a lattice starts to look."""

    def scaled(self, weight: Weight) -> "Regularizer":
        """The regularizer times a weight."""
        return ScaledRegularizer(self, weight)


class VectorRegularizer(Regularizer):
    """A regularizer that is a weight times a sum over the coordinates.

    Args:
        dim: The latent's dimension.
        weight: Positive.
        variable: The latent's name.
    """

    def __init__(self, dim: int | tuple[int, ...], weight: Weight, variable: str) -> None:
        super().__init__()
        self.weight = PositiveScale(one_weight(weight))
        (variable,) = as_names(variable)
        self.variable, self.name = variable, f"R({variable})"
        self._variable = Variable(dim)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The latent."""
        return {self.variable: self._variable}

    @property
    def _shape(self) -> tuple[int, ...]:
        return self._variable.shape or (1,)

    def _latent(self, values: Values) -> Tensor:
        return flattened(values[self.variable], self._shape)

    def _strength(self, beta: Temperature, like: Tensor) -> Tensor:
        """Beta times the weight, as it meets the coordinates."""
        strength = warmed(beta, self.weight, like)
        return strength.reshape(*strength.shape, *[1] * len(self._shape)).expand(
            *strength.shape, *self._shape
        )

    def _strength_now(self, beta: float) -> float:
        return float(beta * self.weight(torch.zeros((), dtype=torch.float64)).detach())


class GaussianRegularizer(VectorRegularizer):
    r"""The quadratic regularizer :math:`R(z) = \tfrac{\lambda}{2}|z|^2`: a normal prior.

    At inverse temperature beta the prior has variance :math:`1/(\beta\lambda)`; as the weight
    grows the latent carries less, and the gap between seeing and doing shrinks.

    Args:
        dim: The latent's dimension; a tuple for images and sequences.
        weight: The weight :math:`\lambda`, positive; may be an ``nn.Parameter``.
        variable: The latent's name.

    Raises:
        ArgumentError: If the weight is not one positive number.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.GaussianRegularizer(2, weight=3.0)(z=torch.ones(2))
        tensor(3.)
    """

    def __init__(self, dim: int | tuple[int, ...], weight: Weight = 1.0, variable: str = "z") -> None:
        super().__init__(dim, weight, variable)

    def term(self, values: Values) -> Tensor:
        """The regularizer's value."""
        z = self._latent(values)
        return (0.5 * self.weight(z)) * total(z * z)

    def log_normalizer(self, beta: Temperature, like: Tensor) -> Tensor:
        r"""The log normalizer, :math:`\tfrac d2\log\frac{2\pi}{\beta\lambda}`."""
        return 0.5 * math.prod(self._shape) * (math.log(2 * math.pi) - warmed(beta, self.weight, like).log())

    def distribution(self, beta: Temperature, like: Tensor) -> TorchDistributionMixin:
        """A normal of variance 1 / (beta weight)."""
        scale = self._strength(beta, like).rsqrt()
        return dist.Normal(torch.zeros_like(scale), scale).to_event(len(self._shape))

    def standard_deviation(self, beta: float) -> float:
        """One over the root of beta times the weight."""
        return self._strength_now(beta) ** -0.5


class LaplaceRegularizer(VectorRegularizer):
    r"""The sparse regularizer :math:`R(z) = \lambda \sum_i |z_i|`: a Laplace prior.

    Minimizing over z sets coordinates to exactly zero (sparse coding); averaging over z shrinks, and sets none
    to zero. The kink at zero slows Newton steps and breaks Laplace's approximation there.

    Args:
        dim: The latent's dimension; a tuple for images and sequences.
        weight: The weight :math:`\lambda`, positive; may be an ``nn.Parameter``.
        variable: The latent's name.

    Raises:
        ArgumentError: If the weight is not one positive number.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.LaplaceRegularizer(2, weight=3.0)(z=torch.tensor([1.0, -1.0]))
        tensor(6.)

    References:
        Olshausen and Field (1996), Emergence of simple-cell receptive field properties by learning a sparse code.
    """

    def __init__(self, dim: int | tuple[int, ...], weight: Weight = 1.0, variable: str = "z") -> None:
        super().__init__(dim, weight, variable)

    def term(self, values: Values) -> Tensor:
        """The regularizer's value."""
        z = self._latent(values)
        return self.weight(z) * total(z.abs())

    def log_normalizer(self, beta: Temperature, like: Tensor) -> Tensor:
        r"""The log normalizer, :math:`d\log\frac{2}{\beta\lambda}`."""
        return math.prod(self._shape) * (math.log(2) - warmed(beta, self.weight, like).log())

    def distribution(self, beta: Temperature, like: Tensor) -> TorchDistributionMixin:
        """A Laplace law of scale 1 / (beta weight)."""
        scale = self._strength(beta, like).reciprocal()
        return dist.Laplace(torch.zeros_like(scale), scale).to_event(len(self._shape))

    def standard_deviation(self, beta: float) -> float:
        """The root of two over beta times the weight."""
        return math.sqrt(2) / self._strength_now(beta)


class ScaledRegularizer(Regularizer):
    r"""A regularizer times a positive weight: at beta it is the regularizer at :math:`w\beta`.

    Args:
        regularizer: What is weighted.
        weight: Positive; may be an ``nn.Parameter``, whose absolute value is taken.
    """

    def __init__(self, regularizer: Regularizer, weight: Weight) -> None:
        super().__init__()
        self.regularizer = regularizer
        self.variable, self.name = regularizer.variable, regularizer.name
        self.weight = PositiveScale(positive_weight(weight, f"the regularizer of {self.variable!r}"))

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The latent."""
        return self.regularizer.variables

    def term(self, values: Values) -> Tensor:
        """The weighted value."""
        term = self.regularizer.term(values)
        return self.weight(term) * term

    def log_normalizer(self, beta: Temperature, like: Tensor) -> Tensor:
        """That of the regularizer at the weighted inverse temperature."""
        return self.regularizer.log_normalizer(warmed(beta, self.weight, like), like)

    def distribution(self, beta: Temperature, like: Tensor) -> TorchDistributionMixin:
        """That of the regularizer at the weighted inverse temperature."""
        return self.regularizer.distribution(warmed(beta, self.weight, like), like)

    def standard_deviation(self, beta: float) -> float:
        """That of the regularizer at the weighted inverse temperature."""
        weight = self.weight(torch.zeros((), dtype=torch.float64)).detach()
        return self.regularizer.standard_deviation(float(beta * weight))
