r"""Maximum likelihood where log Z can be computed: by mechanisms that are normalized, by sums, or on a lattice."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.energies import mechanisms_of, undirected_of
from ebm_causal.errors import EnergyError
from ebm_causal.gibbs import log_partition, restrict
from ebm_causal.inference import MarginalLikelihood
from ebm_causal.learning.losses import Criterion, Loss, Terms
from ebm_causal.learning.problems import Batch, Problem


class MechanismLikelihood(Criterion):
    """Minus the mean log likelihood of a sum of mechanisms and regularizers, latents integrated out on lattices."""

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The mean over rows."""
        problem = self.problem
        likelihood = MarginalLikelihood(problem.energy, batch.rows, problem.latents, problem.beta)
        loss = -likelihood.log_likelihood().mean()
        return Terms(loss, loss.detach(), None)


class NormalizedLikelihood(Criterion):
    """The mean of the free energy plus log Z, the latter by a sum or on a lattice."""

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The mean over rows."""
        energy = self.problem.reduced(batch.rows).mean()
        return Terms(energy + self._log_normalizer(batch), energy.detach(), None)

    def _log_normalizer(self, batch: Batch) -> Tensor:
        problem = self.problem
        over, held = (*problem.over, *problem.latents), problem.held(batch.rows)
        return log_partition(problem.whole, over, held or None, problem.beta).value.mean()


@dataclass(frozen=True)
class CollapsedLikelihood(Loss):
    r"""The exact negative log likelihood, :math:`\beta F(x, y) + \log Z(x)`.

    For sums of mechanisms and regularizers log Z is known, and latents of one or two dimensions are integrated
    out; for other energies it is computed where what is contrasted, with the latents, is finite or has up to three
    real dimensions. Elsewhere it is refused: a likelihood without its log Z would be no likelihood.

    References:
        LeCun et al. (2006), A tutorial on energy-based learning, section 2.2.4 (negative log likelihood loss).
    """

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem.

        Raises:
            EnergyError: If log Z cannot be computed.
        """
        observed = (*problem.over, *problem.given)
        if mechanisms_of(problem.energy) and not undirected_of(problem.energy):
            few = {name: problem.rows[name][:1] for name in observed}
            MarginalLikelihood(problem.energy, few, problem.latents, problem.beta)
            return MechanismLikelihood(problem)
        held = {name: problem.rows[name][:1] for name in problem.given}
        restriction = restrict(problem.whole, (*problem.over, *problem.latents), held, problem.beta)
        if not restriction.served:
            raise EnergyError(
                f"the likelihood of {list(problem.over)} needs log Z, an integral over {restriction.dim} dimensions "
                "that no lattice serves: use ContrastiveDivergence, score matching or NoiseContrastive."
            )
        return NormalizedLikelihood(problem)
