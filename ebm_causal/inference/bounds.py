r"""Lower bounds of the marginal likelihood by a guide: the evidence lower bound, and the tighter one by many draws.

.. math:: \mathrm{ELBO} = E_q \log\frac{p(v, z)}{q(z)} \le
    E_q \log \frac1K \sum_k \frac{p(v, z_k)}{q(z_k)} = \mathrm{IWAE}_K \le \log p(v)
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.energies import Energy, normalized
from ebm_causal.errors import EnergyError
from ebm_causal.gibbs import restrict, values_of
from ebm_causal.inference.guides import NormalGuide
from ebm_causal.inference.marginal import checked_priors, log_normalizer, refuse_undirected

DRAWS, REPEATS = 64, 16  # draws under one logarithm, and how often


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What is known of the log likelihood of all rows, in nats.

    Attributes:
        elbo: The evidence lower bound.
        iwae: The importance weighted bound, between the former and the log likelihood.
        standard_error: Of the difference between the two, by Monte Carlo.
        draws: How many draws stand under one logarithm; None where both are the log likelihood itself.
    """

    elbo: float
    iwae: float
    standard_error: float
    draws: int | None

    @property
    def gap(self) -> float:
        """How much tighter the second is: zero where the guide is the posterior of the latents."""
        return self.iwae - self.elbo

    def __repr__(self) -> str:
        if self.draws is None:
            return f"Bounds(log likelihood {self.elbo:.6g}: the guide is the posterior)"
        return f"Bounds(elbo={self.elbo:.6g}, iwae={self.iwae:.6g}, gap={self.gap:.3g} +- {self.standard_error:.1g})"


class CompleteLikelihood:
    """The log density of data and latents together, per row, locally normalized; latents in unconstrained coordinates.

    Args:
        energy: An energy of mechanisms and regularizers; its parameters are read in place.
        data: Rows of every variable that is not latent.
        latents: The others.
        beta: The inverse temperature.

    Raises:
        IdentificationError: If a factor is neither a mechanism nor a regularizer.
        EnergyError: If a latent takes finitely many values: it has no unconstrained coordinate.
    """

    def __init__(
        self, energy: Energy, data: Mapping[str, object], latents: Iterable[str], beta: float = 1.0
    ) -> None:
        refuse_undirected(energy)
        self.energy, self.beta = energy, beta
        self.whole = restrict(normalized(energy), tuple(latents), data, beta)
        self._priors = checked_priors(energy, self.whole.over)
        if any(values_of(variable) is not None for variable in self.whole.variables):
            raise EnergyError(
                f"among the latents {list(self.whole.over)} some take finitely many values, beside others that no "
                "lattice serves: sum them out within a cost or a regularizer, or fit with fewer latents."
            )

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.whole.rows

    @property
    def dim(self) -> int:
        """The latents' dimensions in all."""
        return self.whole.dim

    def __call__(self, points: Tensor) -> Tensor:
        """The log density ``[points, rows]`` at latents ``[points, rows, dim]``."""
        total = -self.whole(points)
        for prior in self._priors:
            total = total - log_normalizer(prior, self.beta, self.whole.like)
        return total


def log_weights(
    complete: CompleteLikelihood, guide: NormalGuide, data: Mapping[str, Tensor], noise: Tensor
) -> Tensor:
    """The log of p(v, z) / q(z), ``[points, rows]``, at the guide's draws from standard normal noise."""
    mean, scale = guide.flat(data)
    log_density = (
        -scale.log().sum(-1) - 0.5 * (noise * noise).sum(-1) - 0.5 * noise.shape[-1] * math.log(2 * math.pi)
    )
    return complete(mean + scale * noise) - log_density


def bounds_of(
    complete: CompleteLikelihood, guide: NormalGuide, data: Mapping[str, Tensor], generator: torch.Generator
) -> tuple[Bounds, Tensor]:
    """Both bounds, and the importance weighted estimate of each row's log likelihood by all draws together."""
    found = []
    with torch.no_grad():
        for _ in range(REPEATS):
            noise = torch.randn(
                (DRAWS, complete.rows, complete.dim), generator=generator, dtype=torch.float64
            )
            found.append(log_weights(complete, guide, data, noise.to(complete.whole.like)))
    weights = torch.stack(found).to(torch.float64)
    plain = weights.mean(1).sum(-1)
    tight = (weights.logsumexp(1) - math.log(DRAWS)).sum(-1)
    rows = weights.flatten(0, 1).logsumexp(0) - math.log(DRAWS * REPEATS)
    error = float((tight - plain).std()) / math.sqrt(REPEATS)
    told = Bounds(elbo=float(plain.mean()), iwae=float(tight.mean()), standard_error=error, draws=DRAWS)
    return told, rows
