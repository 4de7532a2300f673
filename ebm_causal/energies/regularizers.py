"""Regularizers: factors on a latent alone, which limit what it can carry; normalized, they are its prior."""

import math
from abc import abstractmethod
from collections.abc import Mapping

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from ebm_causal.energies.costs import PositiveScale, total
from ebm_causal.energies.factors import Factor, Values
from ebm_causal.energies.variables import Variable


class Regularizer(Factor):
    """A factor on one latent, with its normalizer and, as a prior, its Pyro distribution."""

    variable: str

    @abstractmethod
    def log_normalizer(self, beta: float, like: Tensor) -> Tensor:
        """The log of the integral of exp(-beta R)."""

    @abstractmethod
    def distribution(self, beta: float, like: Tensor) -> TorchDistributionMixin:
        """The prior proportional to exp(-beta R), for one row."""

    @abstractmethod
    def standard_deviation(self, beta: float) -> float:
        """The prior's standard deviation in each coordinate: where a lattice starts to look."""


class GaussianRegularizer(Regularizer):
    r"""The quadratic regularizer :math:`R(z) = \tfrac{\lambda}{2}|z|^2`: a normal prior.

    At inverse temperature beta the prior has variance :math:`1/(\beta\lambda)`; as the weight
    grows the latent carries less, and the gap between seeing and doing shrinks.

    Args:
        dim: The latent's dimension.
        weight: The weight :math:`\lambda`, positive; may be an ``nn.Parameter``.
        variable: The latent's name.

    Raises:
        ArgumentError: If the weight is not positive.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.GaussianRegularizer(2, weight=3.0)(z=torch.ones(2))
        tensor(3.)
    """

    def __init__(self, dim: int, weight: float | Tensor = 1.0, variable: str = "z") -> None:
        super().__init__()
        self.weight = PositiveScale(weight)
        self.variable, self.name = variable, f"R({variable})"
        self._variable = Variable(dim)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The latent."""
        return {self.variable: self._variable}

    def term(self, values: Values) -> Tensor:
        """The regularizer's value."""
        z = values[self.variable]
        return (0.5 * self.weight(z)) * total(z * z)

    def log_normalizer(self, beta: float, like: Tensor) -> Tensor:
        r"""The log normalizer, :math:`\tfrac d2\log\frac{2\pi}{\beta\lambda}`."""
        weight = self.weight(like)
        return 0.5 * self._dim * (math.log(2 * math.pi / beta) - weight.log())

    def distribution(self, beta: float, like: Tensor) -> TorchDistributionMixin:
        """A normal of variance 1 / (beta weight)."""
        weight = self.weight(like)
        scale = (beta * weight).rsqrt().expand(self._dim)
        return dist.Normal(torch.zeros_like(scale), scale).to_event(1)

    def standard_deviation(self, beta: float) -> float:
        """One over the root of beta times the weight."""
        weight = self.weight(torch.zeros((), dtype=torch.float64)).detach()
        return float(beta * weight) ** -0.5

    @property
    def _dim(self) -> int:
        return math.prod(self._variable.shape or (1,))
