r"""Contrastive losses: the data's energy is pushed down, that of contrasting values up."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.learning.losses import Criterion, Loss, Terms
from ebm_causal.learning.negatives import Negatives, PermutedPairs
from ebm_causal.learning.problems import Batch, Problem

Margin = float | Callable[[Tensor, Tensor], Tensor]
Pull = Callable[[Tensor, Tensor, Tensor], Tensor]
ANOTHER, FIFTEEN = PermutedPairs(), PermutedPairs(15)


class Contrast(Criterion):
    """A loss of the energies of the data ``[batch]`` and of contrasting values ``[count, batch]``.

    Args:
        problem: What it is about.
        negatives: Where contrasting values come from.
        margin: How far apart they should be, or a function of the pair.
        pull: The loss of (low, high, margin).
    """

    def __init__(self, problem: Problem, negatives: Negatives, margin: Margin, pull: Pull) -> None:
        super().__init__(problem)
        self.negatives, self.margin, self.pull = negatives, margin, pull

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The mean loss over rows."""
        drawn = self.negatives.draw(self.problem, batch, generator)
        low = self.problem.raw(batch.rows)
        high = self.problem.raw({**self.problem.held(batch.rows), **drawn})
        loss = self.pull(low, high, self._margin(batch, drawn, high)).mean()
        return Terms(loss, low.detach().mean(), (high - low).detach().mean())

    def _margin(self, batch: Batch, drawn: dict[str, Tensor], high: Tensor) -> Tensor:
        if not callable(self.margin):
            return high.new_tensor(self.margin)
        margin = self.margin(self.problem.join(batch.rows), self.problem.join(drawn))
        if not isinstance(margin, Tensor) or margin.shape != high.shape:
            found = list(margin.shape) if isinstance(margin, Tensor) else type(margin).__name__
            raise ArgumentError(
                f"margin(y, contrast) gets [batch, dim] and [count, batch, dim] and must give {list(high.shape)}; "
                f"got {found}."
            )
        return margin


def squared_distance(y: Tensor, contrast: Tensor) -> Tensor:
    """A margin for ``ContrastiveHinge``: values that are far from the truth should cost more than near ones."""
    return ((contrast - y) ** 2).sum(-1)


@dataclass(frozen=True)
class ContrastiveHinge(Loss):
    r"""The hinge, :math:`[F(x, y) - F(x, \tilde y) + m(y, \tilde y)]^+`.

    Nothing pulls once the contrast is a margin above the data, so the energy stays as smooth as its negatives
    let it be. With latents F is the minimum over them.

    Attributes:
        margin: A number, or a function of y ``[batch, dim]`` and the contrasts ``[count, batch, dim]``.
        negatives: Where contrasts come from.

    Example:
        >>> import ebm_causal as ec, torch
        >>> from ebm_causal.learning import ContrastiveHinge
        >>> _ = torch.manual_seed(0)
        >>> x = torch.randn(200, 1)
        >>> energy = ec.JointEmbeddingEnergy(torch.nn.Linear(1, 1), torch.nn.Identity())
        >>> fit = ec.fit(energy, {"x": x, "y": 2 * x}, loss=ContrastiveHinge(0.1), steps=1000)
        >>> fit.training.ranking.share > 0.7
        True

    References:
        LeCun et al. (2006), A tutorial on energy-based learning, section 2.2.2; Taskar, Guestrin and Koller (2003),
        Max-margin Markov networks (margins that grow with the distance).
    """

    margin: Margin = 1.0
    negatives: Negatives = ANOTHER

    def __post_init__(self) -> None:
        check_margin(self.margin)

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem."""
        return Contrast(problem, self.negatives, self.margin, lambda low, high, m: (low - high + m).relu())


@dataclass(frozen=True)
class SquareSquare(Loss):
    r"""Square-square, :math:`F(x, y)^2 + ([m - F(x, \tilde y)]^+)^2`: for energies that cannot be negative.

    Attributes:
        margin: The energy that contrasts should have at least, or a function of the pair.
        negatives: Where contrasts come from.

    References:
        LeCun et al. (2006), A tutorial on energy-based learning, equation 17.
    """

    margin: Margin = 1.0
    negatives: Negatives = ANOTHER

    def __post_init__(self) -> None:
        check_margin(self.margin)

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem."""
        return Contrast(
            problem, self.negatives, self.margin, lambda low, high, m: low**2 + (m - high).relu() ** 2
        )


@dataclass(frozen=True)
class InfoNCE(Loss):
    r"""The cross entropy of picking the true y among contrasts.

    .. math:: -\log \frac{e^{-F(x, y)/T}}{e^{-F(x, y)/T} + \sum_k e^{-F(x, \tilde y_k)/T}}

    The conditional form of noise contrastive estimation: with negatives from p(y) it learns
    :math:`\log p(y|x)/p(y)` up to a function of x, not :math:`\log p(y|x)`.

    Attributes:
        temperature: T, in the energy's units.
        negatives: Where contrasts come from.

    References:
        van den Oord, Li and Vinyals (2018), Representation learning with contrastive predictive coding, equation 4;
        Ma and Collins (2018), Noise contrastive estimation and negative sampling for conditional models, section 3.
    """

    temperature: float = 1.0
    negatives: Negatives = FIFTEEN

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ArgumentError(f"temperature must be positive and finite; got {self.temperature}.")

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem."""

        def pull(low: Tensor, high: Tensor, margin: Tensor) -> Tensor:
            logits = -torch.cat([low[None], high]) / self.temperature
            return logits.logsumexp(0) - logits[0]

        return Contrast(problem, self.negatives, 0.0, pull)


def check_margin(margin: Margin) -> None:
    """Refuse a margin that asks for nothing.

    Raises:
        ArgumentError: If it is a number that is not positive and finite.
    """
    if not callable(margin) and not 0 < margin < math.inf:
        raise ArgumentError(f"margin must be positive and finite, or a function of a pair; got {margin}.")
