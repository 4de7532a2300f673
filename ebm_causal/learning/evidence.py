r"""Variational inference as a loss: parameters and a guide in one module, by minibatches of any source."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.inference import AmortizedGuide, CompleteLikelihood, NormalGuide, bounds_of, log_weights
from ebm_causal.learning.losses import Criterion, Loss, Terms
from ebm_causal.learning.problems import Batch, Problem, Rows

LOOKED_AT = 300  # rows on which bounds are compared
WIDE = 1.0  # nats per row between them, above which a guide is said not to be the posterior


class EvidenceCriterion(Criterion):
    """Minus the evidence lower bound of a row, on average.

    Args:
        problem: What it is about.
        hidden: The width of the guide's network.
        draws: Of the latents, for each row and step.
    """

    alike = True

    def __init__(self, problem: Problem, hidden: int, draws: int) -> None:
        super().__init__(problem)
        self._complete({name: value[:1] for name, value in problem.rows.items()})
        sizes = {name: math.prod(problem.shapes[name]) for name in problem.latents}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(problem.seed)
            self.guide = AmortizedGuide(sizes, problem.rows, hidden)
        self.draws = draws

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The mean over rows, so that the bound of all data is as many times this as they have rows."""
        complete, (place, of) = self._complete(batch.rows), batch.share
        whole = complete.rows if batch.whole is None else batch.whole
        noise = _noise((self.draws, whole, complete.dim), generator, complete.whole.like)
        loss = -log_weights(complete, self.guide, batch.rows, noise[:, place::of]).mean()
        return Terms(loss, loss.detach(), None)

    def notes(self, generator: torch.Generator) -> tuple[str, ...]:
        """How far the guide is from the posterior of the latents, by a tighter bound."""
        rows = {name: value[:LOOKED_AT] for name, value in self.problem.rows.items()}
        complete = self._complete(rows)
        bounds, _ = bounds_of(complete, self.guide, rows, generator)
        elbo, gap = bounds.elbo / complete.rows, bounds.gap / complete.rows
        if gap <= WIDE:
            return (f"evidence lower bound {elbo:.4g} nats per row, importance weighted {gap:.2g} higher",)
        loose = (
            f"only a loose bound: the evidence lower bound is {gap:.2g} nats per row below the importance weighted one "
            f"(threshold {WIDE:g}); the latents' posterior is not normal as the guide is"
        )
        return (loose,)

    def network(self) -> NormalGuide | None:
        """The guide, from which a fit draws latents."""
        return self.guide

    def _complete(self, rows: Rows) -> CompleteLikelihood:
        return CompleteLikelihood(self.problem.energy, rows, self.problem.latents, self.problem.beta)


@dataclass(frozen=True)
class EvidenceLowerBound(Loss):
    r"""The evidence lower bound, raised by stochastic gradients in parameters and guide together.

    .. math:: \Big\langle E_{q(z|v)} \log\frac{p(v, z)}{q(z|v)} \Big\rangle_\text{rows}

    What ``method="svi"`` does with an amortized guide, but by minibatches: rows may come from parquet, and under
    ``torchrun`` each process takes its share of each batch and of its noise, so that two give what one gives. A
    batch's mean stands for all rows. For sums of mechanisms
    and regularizers whose latents are real; the fit keeps the guide, from which it draws latents.

    Attributes:
        hidden: The width of the guide's network.
        draws: Of the latents, for each row and step.

    Example:
        >>> import ebm_causal as ec, torch
        >>> from ebm_causal.learning import EvidenceLowerBound
        >>> energy = ec.LinearGaussianEnergy(torch.ones(2, 1)).double()
        >>> rows = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
        >>> ec.fit(energy, {"y": rows}, loss=EvidenceLowerBound(), steps=20).guide
        'amortized'

    References:
        Hoffman, Blei, Wang and Paisley (2013), Stochastic variational inference, section 2.4; Kingma and Welling
        (2014), Auto-encoding variational Bayes, equation 8.
    """

    hidden: int = 32
    draws: int = 1

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.draws < 1:
            raise ArgumentError(f"hidden and draws must be at least 1; got {self.hidden} and {self.draws}.")

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem.

        Raises:
            ArgumentError: If there is no latent.
            IdentificationError: If a factor is neither a mechanism nor a regularizer.
            EnergyError: If a latent takes finitely many values.
        """
        if not problem.latents:
            raise ArgumentError(
                "EvidenceLowerBound has a guide for latents, and every variable is in the data: use "
                "CollapsedLikelihood."
            )
        return EvidenceCriterion(problem, self.hidden, self.draws)


def _noise(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=like.dtype).to(like.device)
