r"""The noise of a mechanism: what is left of a child once its parents are known, kept while these change.

A conditional law does not say how a child would have come out under other parents; a *coupling* does:

- additive, :math:`v = \hat v(\text{parents}) + u`: a cost of the difference to its prediction says so itself;
- monotone, :math:`v = F^{-1}(u \mid \text{parents})`: the child keeps its quantile; for two values, and for counts;
- Gumbel, :math:`v = \arg\max_k (\eta_k + g_k)`: for classes without an order. A class that gained no less than the
  others is not left.

The last two are conventions: data from one world cannot tell one coupling from another.

References:
    Pearl (2009), Causality, section 7.1; Oberst and Sontag (2019), Counterfactual off-policy evaluation with
    Gumbel-max structural causal models.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, cast

import pyro.distributions as dist
import torch
from torch import Tensor

from ebm_causal.energies.costs import Cost
from ebm_causal.energies.counts import TemperedPoisson, count_series
from ebm_causal.energies.discrete_costs import CategoricalCost
from ebm_causal.energies.factors import Values
from ebm_causal.energies.laws import FiniteLaw
from ebm_causal.energies.mechanisms import Mechanism
from ebm_causal.energies.scaling import ScaledCost
from ebm_causal.errors import IdentificationError

Coupling = Literal["additive", "monotone", "Gumbel"]
Redraw = Callable[[Values], Tensor]


class Noise(NamedTuple):
    """What was found out of a child's noise in one world.

    Attributes:
        coupling: How the noise makes the child.
        under: The child under other parents, its noise kept.
    """

    coupling: Coupling
    under: Redraw


def coupling_of(mechanism: Mechanism) -> Coupling:
    """How a mechanism's noise makes its child.

    Raises:
        IdentificationError: If the cost does not say.
    """
    cost = _unscaled(mechanism.cost)
    if isinstance(cost, CategoricalCost):
        return "Gumbel"
    if isinstance(cost, Cost) and cost.without_normalizer is None:
        return "additive" if cost.constant_normalizer and cost.elementwise else "monotone"
    raise IdentificationError(
        f"the cost of {mechanism.child!r} does not say what the noise of {mechanism.child!r} is, so the row's own "
        "noise cannot be kept while its causes change: use one of the package's costs that has a law."
    )


def abduct(mechanism: Mechanism, values: Values, beta: float, generator: torch.Generator) -> Noise:
    """The noise that a child and its parents tell of; drawn from its posterior where they leave it open.

    Args:
        mechanism: Of the child.
        values: The child and its parents in the world that was seen.
        beta: The inverse temperature.
        generator: Drives what is left open.

    Returns:
        The noise, kept.

    Raises:
        IdentificationError: If the cost does not say how its noise makes the child.
    """
    coupling, child = coupling_of(mechanism), values[mechanism.child]
    if coupling == "additive":
        left = child - mechanism.predict(values)
        return Noise(coupling, lambda parents: mechanism.predict(parents) + left)
    find = _monotone if coupling == "monotone" else _gumbel
    levels, log_weights = _levels(mechanism, values, beta)
    kept = find(
        child.reshape(*child.shape[: child.ndim - _own(mechanism)], -1), (levels, log_weights), generator
    )

    def under(parents: Values) -> Tensor:
        flat = kept(*_levels(mechanism, parents, beta))
        return flat.reshape(*flat.shape[:-1], *child.shape[child.ndim - _own(mechanism) :])

    return Noise(coupling, under)


def _monotone(
    child: Tensor, law: tuple[Tensor, Tensor], generator: torch.Generator
) -> Callable[[Tensor, Tensor], Tensor]:
    """A place within the child's step of its distribution function; later read off another one."""
    levels, log_weights = law
    weights = log_weights.exp()
    at = child[..., None]
    below = torch.where(levels < at, weights, 0.0).sum(-1)
    step = torch.where(levels == at, weights, 0.0).sum(-1)
    place = below + step * _uniform(below, generator)

    def under(levels: Tensor, log_weights: Tensor) -> Tensor:
        reached = log_weights.exp().cumsum(-1)
        index = (reached < place[..., None]).sum(-1).clamp_max(reached.shape[-1] - 1)
        return levels.expand(*index.shape, levels.shape[-1]).gather(-1, index[..., None])[..., 0].to(child)

    return under


def _gumbel(
    child: Tensor, law: tuple[Tensor, Tensor], generator: torch.Generator
) -> Callable[[Tensor, Tensor], Tensor]:
    """Gumbel noise of each class, given which had the largest sum with its logit."""
    levels, log_weights = law
    chosen = levels == child[..., None]
    best = -(-_uniform(child.expand(chosen.shape[:-1]), generator).log()).log()[..., None]
    others = -torch.log(
        torch.exp(-best)
        - _uniform(log_weights.expand(chosen.shape), generator).log() * torch.exp(-log_weights)
    )
    noise = torch.where(chosen, best, others) - log_weights

    def under(levels: Tensor, log_weights: Tensor) -> Tensor:
        index = (log_weights + noise).argmax(-1)
        return levels.expand(*index.shape, levels.shape[-1]).gather(-1, index[..., None])[..., 0].to(child)

    return under


def _levels(mechanism: Mechanism, values: Values, beta: float) -> tuple[Tensor, Tensor]:
    """The values a discrete child can take, rising, and their log probabilities, ``[..., dim, levels]``, in doubles."""
    law = mechanism.distribution(values, beta)
    if isinstance(law, dist.TransformedDistribution):  # an image's or a sequence's, as it lies flat
        law = law.base_dist
    if isinstance(law, FiniteLaw):
        return law.values.double(), law.logits.double()
    if isinstance(law, TemperedPoisson):
        return _counts(law.log_rate, law.beta)
    return _plain_levels(cast(Any, law).base_dist)


def _plain_levels(law: Any) -> tuple[Tensor, Tensor]:
    """Of the laws that Pyro has itself: Bernoulli and Poisson."""
    if hasattr(law, "rate"):
        return _counts(law.rate.log(), torch.ones((), dtype=torch.float64, device=law.rate.device))
    logits = law.logits.double()
    sides = torch.stack([torch.zeros_like(logits), logits], -1)
    return torch.tensor([0.0, 1.0], dtype=torch.float64, device=logits.device), sides.log_softmax(-1)


def _counts(log_rate: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    counts, log_terms = count_series(log_rate, beta)
    return counts, log_terms.log_softmax(-1)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform draws strictly between zero and one, in doubles."""
    drawn = torch.rand(like.shape, generator=generator, dtype=torch.float64)
    return drawn.clamp_min(torch.finfo(torch.float64).tiny).to(like.device)


def _own(mechanism: Mechanism) -> int:
    """How many dimensions the child itself has."""
    return len(mechanism.known[mechanism.child].shape or (1,))


def _unscaled(cost: object) -> object:
    return _unscaled(cost.cost) if isinstance(cost, ScaledCost) else cost
