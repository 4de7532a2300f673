"""The loss of joint embeddings that needs no contrast: variance, invariance, covariance."""

from dataclasses import dataclass
from typing import cast

import torch

from ebm_causal.energies import JointEmbeddingEnergy, VICRegRegularizer
from ebm_causal.errors import EnergyError
from ebm_causal.learning.losses import Criterion, Loss, Terms
from ebm_causal.learning.problems import Batch, Problem


class EmbeddingCriterion(Criterion):
    """VICReg of the two embeddings of a batch.

    Args:
        problem: What it is about.
        terms: The weighted terms.
    """

    def __init__(self, problem: Problem, terms: VICRegRegularizer) -> None:
        super().__init__(problem)
        self.terms = terms

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The loss of the batch as a whole."""
        energy = cast(JointEmbeddingEnergy, self.problem.energy)
        first, second = energy.encoder_x(batch.rows["x"]), energy.encoder_y(batch.rows["y"])
        with torch.no_grad():
            level = self.problem.raw(batch.rows).mean()
        return Terms(self.terms(first, second), level, None)


@dataclass(frozen=True)
class VICReg(Loss):
    r"""Variance, invariance, covariance of the embeddings of a :class:`JointEmbeddingEnergy`.

    The invariance term pulls pairs together; alone it is least where both encoders are constant, which the other
    two prevent without a contrast. See :class:`VICRegRegularizer` for the formula. Batches are compared as wholes,
    so they must hold at least two rows.

    Attributes:
        invariance: Its weight.
        variance: Its weight.
        covariance: Its weight.

    References:
        Bardes, Ponce and LeCun (2022), VICReg, equations 1 to 6.
    """

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0

    def __post_init__(self) -> None:
        VICRegRegularizer(self.invariance, self.variance, self.covariance)

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem.

        Raises:
            EnergyError: If the energy has no encoders.
        """
        if not isinstance(problem.energy, JointEmbeddingEnergy):
            raise EnergyError(
                "VICReg is the loss of two encoders: it takes a JointEmbeddingEnergy; got "
                f"{type(problem.energy).__name__}."
            )
        return EmbeddingCriterion(problem, VICRegRegularizer(self.invariance, self.variance, self.covariance))
