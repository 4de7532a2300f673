r"""Counts at any temperature: the law :math:`p(k) \propto (\lambda^k/k!)^\beta`, its normalizer a series."""

import math
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.constraints import Constraint

from ebm_causal.errors import ArgumentError

LEFT_OUT = 1e-15  # of the series' sum, at most
MOST_TERMS = 2**26


class TemperedPoisson(TorchDistribution):
    r"""The Conway-Maxwell-Poisson law, :math:`p(k) \propto (\lambda^k/k!)^\beta`, per coordinate.

    Args:
        log_rate: The log of the rate at beta = 1, ``[*batch, dim]``.
        beta: The inverse temperature, a tensor that broadcasts against the log rate.

    References:
        Shmueli, Minka, Kadane, Borle and Boatwright (2005), A useful distribution for fitting discrete data.
    """

    arg_constraints: ClassVar[dict[str, Constraint]] = {}

    def __init__(self, log_rate: Tensor, beta: Tensor) -> None:
        self.log_rate, self.beta = torch.broadcast_tensors(log_rate, beta)
        super().__init__(self.log_rate.shape[:-1], self.log_rate.shape[-1:], validate_args=False)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self):
        """Counts, in each coordinate."""
        return constraints.independent(constraints.nonnegative_integer, 1)

    @property
    def mean(self) -> Tensor:
        """The mean count."""
        counts, weights = count_series(self.log_rate, self.beta)
        return (counts * weights.softmax(-1)).sum(-1).to(self.log_rate.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """The log probability."""
        _, weights = count_series(self.log_rate, self.beta)
        term = self.beta * (self.log_rate * value - torch.lgamma(value + 1))
        return (term - weights.logsumexp(-1).to(term.dtype)).sum(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Independent draws; torch's seed governs them."""
        with torch.no_grad():
            counts, weights = count_series(self.log_rate, self.beta)
            index = torch.distributions.Categorical(logits=weights).sample(torch.Size(sample_shape))
            return torch.gather(counts.expand(*index.shape, -1), -1, index[..., None])[..., 0].to(
                self.log_rate
            )

    def expand(self, batch_shape: Any, _instance: Any = None) -> "TemperedPoisson":
        """The same law over a larger batch, as plates ask for."""
        shape = (*batch_shape, *self.event_shape)
        return TemperedPoisson(self.log_rate.expand(shape), self.beta.expand(shape))


def count_series(log_rate: Tensor, beta: Tensor, *, least: int = 16) -> tuple[Tensor, Tensor]:
    r"""The counts that carry the series :math:`\sum_k (\lambda^k/k!)^\beta`, and the logs of its terms there.

    The terms rise up to the rate and fall beyond it, by ratios that only shrink, so what is left out on either
    side is less than a geometric series; the window doubles until that is below 1e-15 of the sum.

    Args:
        log_rate: The log of the rate, any shape.
        beta: The inverse temperature, of a shape that broadcasts.
        least: How far from the rate the window reaches at least.

    Returns:
        Counts and log terms in double precision, ``[*shape, terms]``.

    Raises:
        ArgumentError: If the rates are so large, or beta so small, that the window does not fit in memory.
    """
    eta, inverse = torch.broadcast_tensors(log_rate.double(), beta.double())
    eta, inverse = eta[..., None], inverse[..., None]
    rate = eta.detach().exp()
    reach = least + int(8 * float((rate / inverse.detach()).max().clamp(max=2.0**60)) ** 0.5)
    while eta.numel() * reach <= MOST_TERMS:
        offsets = torch.arange(-reach, reach + 1, dtype=torch.float64, device=eta.device)
        counts = rate.floor() + offsets
        log_terms = inverse * (eta * counts - torch.lgamma(counts.clamp_min(0) + 1))
        log_terms = torch.where(counts >= 0, log_terms, -math.inf)
        if _left_out(counts, log_terms.detach(), rate, inverse.detach()) <= LEFT_OUT:
            return counts, log_terms
        reach *= 2
    raise ArgumentError(
        f"the normalizer of a Poisson cost at beta other than 1 needs more than {MOST_TERMS} terms here (rates up to "
        f"{float(rate.max()):.3g}, beta down to {float(inverse.detach().min()):.3g}): take beta = 1, fewer rows at "
        "once, or a SquaredError for counts this large."
    )


def _left_out(counts: Tensor, log_terms: Tensor, rate: Tensor, beta: Tensor) -> float:
    """The share of the sum that both tails hold at most, in the worst row."""
    total, first, last = log_terms.logsumexp(-1), counts[..., 0], counts[..., -1]
    up = (rate[..., 0] / (last + 1)) ** beta[..., 0]
    down = (first.clamp_min(0) / rate[..., 0].clamp_min(1e-300)) ** beta[..., 0]
    above = up / (1 - up) * (log_terms[..., -1] - total).exp()
    below = torch.where(first > 0, down / (1 - down) * (log_terms[..., 0] - total).exp(), 0.0)
    return float((above + below).nan_to_num(nan=math.inf).max())
