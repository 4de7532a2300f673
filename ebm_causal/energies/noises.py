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
    own = child.shape[child.ndim - _own(mechanism) :]
    flat = child.reshape(*child.shape[: child.ndim - len(own)], -1)
    kept = find(flat, _reaching(mechanism, (values, beta), lambda *_: flat)[0], generator)

    def under(parents: Values) -> Tensor:
        found = _reaching(mechanism, (parents, beta), kept)[1]
        return found.reshape(*found.shape[:-1], *own)

    return Noise(coupling, under)


def _reaching(
    mechanism: Mechanism, at: tuple[Values, float], find: Callable[[Tensor, Tensor], Tensor]
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The values a child can take, so many that one is beyond each that is found among them, and what is found."""
    reach = 16
    while True:
        levels, log_weights = _levels(mechanism, at, reach)
        found = find(levels, log_weights)
        if levels.ndim == 1 or bool((found < levels[..., -1]).all()):
            return (levels, log_weights), found
        reach *= 2


def _monotone(
    child: Tensor, law: tuple[Tensor, Tensor], generator: torch.Generator
) -> Callable[[Tensor, Tensor], Tensor]:
    """A place within the child's step of its distribution function; later read off another one.

    It is kept as the logs of what lies below and above it, so that neither tail is lost to rounding.
    """
    levels, log_weights = law
    at, place = child[..., None], _uniform(child, generator)
    step = _log_sum(log_weights, levels == at)
    below = torch.logaddexp(_log_sum(log_weights, levels < at), step + place.log())
    above = torch.logaddexp(_log_sum(log_weights, levels > at), step + (-place).log1p())

    def under(levels: Tensor, log_weights: Tensor) -> Tensor:
        reached = log_weights.logcumsumexp(-1)
        left = log_weights.flip(-1).logcumsumexp(-1).flip(-1)[..., 1:]
        upward, downward = (reached < below[..., None]).sum(-1), (left > above[..., None]).sum(-1)
        index = torch.where(below < above, upward, downward).clamp_max(reached.shape[-1] - 1)
        return levels.expand(*index.shape, levels.shape[-1]).gather(-1, index[..., None])[..., 0].to(child)

    return under


def _log_sum(log_weights: Tensor, among: Tensor) -> Tensor:
    return torch.where(among, log_weights, -torch.inf).logsumexp(-1)


def _gumbel(
    child: Tensor, law: tuple[Tensor, Tensor], generator: torch.Generator
) -> Callable[[Tensor, Tensor], Tensor]:
    """Gumbel noise of each class, given which had the largest sum with its logit.

    A class that was impossible says nothing of its noise: that is drawn anew.
    """
    levels, log_weights = law
    chosen = levels == child[..., None]
    best = _gumbels(child.expand(chosen.shape[:-1]), generator)[..., None]
    free = _gumbels(log_weights.expand(chosen.shape), generator)
    others = -torch.logaddexp(-best, -free - log_weights)
    noise = torch.where(log_weights.isinf(), free, torch.where(chosen, best, others) - log_weights)

    def under(levels: Tensor, log_weights: Tensor) -> Tensor:
        index = (log_weights + noise).argmax(-1)
        return levels.expand(*index.shape, levels.shape[-1]).gather(-1, index[..., None])[..., 0].to(child)

    return under


def _levels(mechanism: Mechanism, at: tuple[Values, float], reach: int) -> tuple[Tensor, Tensor]:
    """The values a discrete child can take, rising, and their log probabilities, ``[..., dim, levels]``, in doubles.

    Of counts those that carry the law, and at least as many as ``reach`` on either side of the rate.
    """
    law = mechanism.distribution(*at)
    if isinstance(law, dist.TransformedDistribution):  # an image's or a sequence's, as it lies flat
        law = law.base_dist
    if isinstance(law, FiniteLaw):
        return law.values.double(), law.logits.double()
    if isinstance(law, TemperedPoisson):
        return _counts(law.log_rate, law.beta, reach)
    plain = cast(Any, law).base_dist
    if hasattr(plain, "rate"):
        rate = plain.rate.clamp_min(torch.finfo(plain.rate.dtype).tiny)
        return _counts(rate.log(), rate.new_ones(()), reach)
    logits = plain.logits.double()
    sides = torch.stack([torch.zeros_like(logits), logits], -1)
    return torch.tensor([0.0, 1.0], dtype=torch.float64, device=logits.device), sides.log_softmax(-1)


def _counts(log_rate: Tensor, beta: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    counts, log_terms = count_series(log_rate, beta, least=reach)
    return counts, log_terms.log_softmax(-1)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform draws strictly between zero and one, in doubles."""
    drawn = torch.rand(like.shape, generator=generator, dtype=torch.float64)
    return drawn.clamp_min(torch.finfo(torch.float64).tiny).to(like.device)


def _gumbels(like: Tensor, generator: torch.Generator) -> Tensor:
    return -(-_uniform(like, generator).log()).log()


def _own(mechanism: Mechanism) -> int:
    """How many dimensions the child itself has."""
    return len(mechanism.known[mechanism.child].shape or (1,))


def _unscaled(cost: object) -> object:
    return _unscaled(cost.cost) if isinstance(cost, ScaledCost) else cost
