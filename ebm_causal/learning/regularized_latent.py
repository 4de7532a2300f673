r"""The regularized latent: the data's energy is pushed down, and R alone keeps the rest up."""

from dataclasses import dataclass

import torch
from torch import nn

from ebm_causal.energies import PositiveScale
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.learning.losses import Criterion, Loss, Terms
from ebm_causal.learning.problems import Batch, Problem


class LatentMinimum(Criterion):
    """The mean over rows of the least energy over the latents."""

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The mean; its gradient is the energy's at the minimizers, by the envelope theorem."""
        energy = self.problem.raw(batch.rows).mean()
        return Terms(energy, energy.detach(), None)


@dataclass(frozen=True)
class RegularizedLatent(Loss):
    r"""The least energy over the latents, :math:`\min_z C(\mathrm{Dec}(\mathrm{Pred}(x), z), y) + R(z)`.

    No contrast is needed where R limits how much of y the latent can carry; where it does not, F is near zero
    everywhere, and the fit's health says so. Latents of finite support are enumerated, real ones found from four
    starts each step. The scale of a cost cannot be learned thus: its log normalizer is no part of the energy.

    References:
        LeCun (2022), A path towards autonomous machine intelligence, section 4.3; Danskin (1967), The theory of
        max-min (the gradient of a minimum).
    """

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem.

        Raises:
            ArgumentError: If there is no latent.
            EnergyError: If a scale is learned, which would grow without end.
        """
        if not problem.latents:
            raise ArgumentError(
                "RegularizedLatent minimizes over latents, and every variable is in the data."
            )
        for name, module in problem.energy.named_modules():
            if isinstance(module, PositiveScale) and _is_learned(module):
                raise EnergyError(
                    f"the scale or weight {name.split('.', 2)[-1]!r} is a parameter: without its log normalizer the "
                    "energy falls as it grows. Give it as a number, put it into fixed=, or use method='map'."
                )
        return LatentMinimum(problem)


def _is_learned(scale: PositiveScale) -> bool:
    return isinstance(scale.value, nn.Parameter) and scale.value.requires_grad
