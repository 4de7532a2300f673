r"""The contrast that is seen, z hidden, of a confounded energy with a binary outcome."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ebm_causal.energies import BernoulliCost, Energy, Mechanism, decoders_of, mechanisms_of

NODES = 40


def seen_contrast(energy: Energy, rows: Mapping[str, Tensor]) -> float:
    r"""What :math:`p(y \mid t, w)` shows of the treatment, where do(t) would show ``average_effect``.

    .. math::
        \frac1n \sum_i p(y = 1 \mid t = 1, w_i) - p(y = 1 \mid t = 0, w_i), \qquad
        p(y \mid t, w) = \int p(y \mid t, w, z)\, p(z \mid t, w)\, dz,

    or the average slope in t of a continuous treatment. The difference of the two is the bias.

    Args:
        energy: A confounded energy with a binary outcome and a latent of one dimension.
        rows: The covariates w, where there are some, and t.
    """
    treatment, outcome = mechanisms_of(energy)["t"], mechanisms_of(energy)["y"]
    seen = {name: rows[name] for name in outcome.parents if name not in ("t", "z")}
    if isinstance(treatment.cost, BernoulliCost):
        treated, untreated = (
            _chance_among(treatment, outcome, seen, torch.full_like(rows["t"], level)) for level in (1.0, 0.0)
        )
        return float((treated - untreated).detach().mean())
    with torch.enable_grad():
        at = rows["t"].detach().clone().requires_grad_()
        chance = _chance_at(energy, outcome, seen, at)
        (slope,) = torch.autograd.grad(chance.sum(), at)
    return float(slope.mean())


def _chance_among(
    treatment: Mechanism, outcome: Mechanism, seen: Mapping[str, Tensor], level: Tensor
) -> Tensor:
    """The chance of y among those whose treatment is at a level: z weighs as it does among them."""
    nodes, weights = _nodes(level)
    parents = {name: seen[name] for name in treatment.parents if name != "z"} | {"z": nodes}
    treated = treatment.mean(parents)
    own = weights[:, None, None] * torch.where(level == 1, treated, 1 - treated)
    chance = outcome.mean({**seen, "t": level, "z": nodes})
    return (own * chance).sum(0) / own.sum(0)


def _chance_at(energy: Energy, outcome: Mechanism, seen: Mapping[str, Tensor], at: Tensor) -> Tensor:
    """The chance of y at a continuous treatment: z given t and w is normal, with less variance."""
    nodes, weights = _nodes(at)
    decoder = decoders_of(energy)[0]
    loading, noise = decoder.loading(), decoder.noise()
    spread = loading**2 + noise**2
    center = decoder(z=torch.zeros_like(at), **({"w": seen["w"]} if "w" in seen else {}))
    z = loading * (at - center) / spread + noise / spread.sqrt() * nodes
    return (weights[:, None, None] * outcome.mean({**seen, "t": at, "z": z})).sum(0)


def _nodes(like: Tensor) -> tuple[Tensor, Tensor]:
    """Gauss-Hermite nodes ``[nodes, 1, 1]`` and weights of a standard normal latent."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return like.new_tensor(nodes)[:, None, None], like.new_tensor(weights / weights.sum())
