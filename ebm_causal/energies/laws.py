"""Pyro distributions that costs need and Pyro does not have: a few values, counts at any temperature, Huber's."""

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ebm_causal.energies.variables import FiniteSupport


class FiniteLaw(TorchDistribution):
    """A law on a few numbers in each coordinate, such as class indices or the two labels of a margin.

    Unlike ``Categorical`` it gives the numbers themselves, as floats that the next decoder can take.

    Args:
        values: The numbers, ``[K]``.
        logits: Their log weights, ``[*batch, dim, K]``.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    has_enumerate_support = True

    def __init__(self, values: Tensor, logits: Tensor) -> None:
        self.values, self.logits = values, logits.log_softmax(-1)
        super().__init__(logits.shape[:-2], logits.shape[-2:-1], validate_args=False)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self):
        """The numbers, in each coordinate."""
        return constraints.independent(FiniteSupport(tuple(self.values.tolist())), 1)

    @property
    def mean(self) -> Tensor:
        """The mean number."""
        return (self.logits.exp() * self.values).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log probability; minus infinity for another number."""
        chosen = value[..., None] == self.values
        return torch.where(chosen, self.logits, -math.inf).logsumexp(-1).sum(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Independent draws; torch's seed governs them."""
        shape = torch.Size(sample_shape) + self.logits.shape[:-1]
        flat = self.logits.detach().exp().reshape(-1, len(self.values))
        index = torch.multinomial(flat, max(math.prod(sample_shape), 1), replacement=True)
        index = index[:, : math.prod(sample_shape)].T
        return self.values[index].reshape(shape)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All the numbers, along a new first dimension; of one coordinate only."""
        if self.event_shape.numel() != 1:
            raise NotImplementedError("several coordinates are not enumerated one by one")
        values = self.values.reshape(-1, *[1] * len(self.batch_shape), 1)
        return values.expand(-1, *self.batch_shape, 1) if expand else values

    def expand(self, batch_shape: Any, _instance: Any = None) -> "FiniteLaw":
        """The same law over a larger batch, as plates ask for."""
        return FiniteLaw(self.values, self.logits.expand(*batch_shape, *self.logits.shape[-2:]))


class HuberLaw(TorchDistribution):
    r"""The density proportional to :math:`e^{-\beta\rho(u)}`: a normal body with exponential tails, per coordinate.

    Draws invert the distribution function, so they are exact and differentiable in location and scale.

    Args:
        location: ``[*batch, dim]``.
        scale: The scale s, in the value's units.
        threshold: Where the tails begin, in scales.
        beta: The inverse temperature.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    has_rsample = True

    def __init__(self, location: Tensor, scale: Tensor, threshold: Tensor, beta: Tensor) -> None:
        parts = torch.broadcast_tensors(location, scale, threshold, beta)
        self.location, self.scale, self.threshold, self.beta = parts
        shape = self.location.shape
        super().__init__(shape[:-1], shape[-1:], validate_args=False)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self):
        """The real line, in each coordinate."""
        return constraints.real_vector

    @property
    def mean(self) -> Tensor:
        """The location."""
        return self.location

    @property
    def log_volume(self) -> Tensor:
        """The log normalizer of each coordinate."""
        body, tails = huber_masses(self.threshold, self.beta)
        return self.scale.log() + (body + tails).log()

    def log_prob(self, value: Tensor) -> Tensor:
        """The log density."""
        cost = huber((value - self.location) / self.scale, self.threshold)
        return (-self.beta * cost - self.log_volume).sum(-1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Independent draws; torch's seed governs them."""
        body, tails = huber_masses(self.threshold, self.beta)
        share = body / (body + tails)
        shape = torch.Size(sample_shape) + self.location.shape
        place = torch.rand(shape, dtype=self.location.dtype, device=self.location.device)
        sign = torch.where(torch.rand_like(place) < 0.5, -1.0, 1.0)
        edge = (
            torch.special.ndtr(self.threshold * self.beta.sqrt()) - 0.5
        )  # half the mass of the unscaled body
        inside = torch.special.ndtri(0.5 + edge * (place / share).clamp_max(1.0)) / self.beta.sqrt()
        tiny = torch.finfo(place.dtype).tiny
        left = ((1 - place) / (1 - share).clamp_min(tiny)).clamp(tiny, 1.0)
        outside = self.threshold - left.log() / (self.beta * self.threshold)
        distance = torch.where(place < share, inside.minimum(self.threshold), outside)
        return self.location + self.scale * sign * distance

    def expand(self, batch_shape: Any, _instance: Any = None) -> "HuberLaw":
        """The same law over a larger batch, as plates ask for."""
        shape = (*batch_shape, *self.event_shape)
        parts = (self.location, self.scale, self.threshold, self.beta)
        return HuberLaw(*(part.expand(shape) for part in parts))


def huber(error: Tensor, threshold: Tensor) -> Tensor:
    """A parabola within the threshold, straight lines beyond, once differentiable where they meet."""
    inside = error.clamp(-threshold, threshold)
    return inside * (error - 0.5 * inside)


def huber_masses(threshold: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """The integrals of exp(-beta cost) over the body and over both tails, in scales."""
    body = (2 * math.pi / beta).sqrt() * torch.erf(threshold * (beta / 2).sqrt())
    return body, 2 * torch.exp(-0.5 * beta * threshold**2) / (beta * threshold)
