r"""Noise contrastive estimation: data are told from noise of a known density, and log Z is learned on the way."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.learning.losses import Criterion, Loss, Terms, normal_like
from ebm_causal.learning.problems import Batch, Problem


class NoiseCriterion(Criterion):
    """Logistic regression of data against noise, its log odds the difference of log densities.

    Args:
        problem: What it is about.
        ratio: Noise rows for each row of data.
        widened: The noise's standard deviations in those of the data.
    """

    center: Tensor
    factor: Tensor

    def __init__(self, problem: Problem, ratio: int, widened: float) -> None:
        super().__init__(problem)
        points = problem.join(problem.rows)
        dim = points.shape[-1]
        covariance = torch.cov(points.T, correction=0).reshape(dim, dim)
        jitter = 1e-6 * covariance.diagonal().mean().clamp_min(1e-12) * torch.eye(dim).to(points)
        self.register_buffer("center", points.mean(0))
        self.register_buffer("factor", widened * torch.linalg.cholesky(covariance + jitter))
        self.ratio = ratio
        with torch.no_grad():
            level = (problem.reduced(problem.rows) + self._log_noise(points)).mean()
        self.log_partition = nn.Parameter(-level.detach().reshape(()))

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The cross entropy for each row of data."""
        points = self.problem.join(batch.rows)
        drawn = normal_like(points.expand(self.ratio, -1, -1).flatten(0, 1), generator)
        noise = self.center + drawn @ self.factor.mT
        low, high = self.problem.reduced(batch.rows), self.problem.reduced(self.problem.split(noise))
        ratio = torch.log(points.new_tensor(float(self.ratio)))
        odds = -low - self.log_partition - self._log_noise(points) - ratio
        against = -high - self.log_partition - self._log_noise(noise) - ratio
        loss = nn.functional.softplus(-odds).mean() + self.ratio * nn.functional.softplus(against).mean()
        return Terms(loss, low.detach().mean(), high.detach().mean() - low.detach().mean())

    def learned(self) -> dict[str, float]:
        """The log partition function."""
        return {"log_partition": float(self.log_partition.detach())}

    def _log_noise(self, points: Tensor) -> Tensor:
        law = torch.distributions.MultivariateNormal(self.center, scale_tril=self.factor, validate_args=False)
        return law.log_prob(points)


@dataclass(frozen=True)
class NoiseContrastive(Loss):
    r"""Noise contrastive estimation with a learned log Z.

    .. math:: G = -\beta E(y) - \log Z - \log p_n(y), \qquad
        \langle\mathrm{softplus}(\log\nu - G)\rangle_\text{data}
        + \nu\,\langle\mathrm{softplus}(G - \log\nu)\rangle_\text{noise}

    Consistent for the energy and log Z where the noise (normal, of the data's mean and covariance) covers the
    data; slow where the two hardly overlap. It needs one Z, so nothing may be given: where there is an x, use
    :class:`InfoNCE`. The estimate is ``fit.training.learned["log_partition"]``.

    Attributes:
        ratio: Noise rows for each row of data, nu.
        widened: The noise's standard deviations in those of the data.

    References:
        Gutmann and Hyvarinen (2012), Noise-contrastive estimation of unnormalized statistical models, equation 8.
    """

    ratio: int = 1
    widened: float = 1.0

    def __post_init__(self) -> None:
        if self.ratio < 1 or not self.widened > 0:
            raise ArgumentError(
                f"ratio must be at least 1 and widened positive; got {self.ratio} and {self.widened}."
            )

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem.

        Raises:
            EnergyError: If something is given, so that there is a log Z for each x.
        """
        problem.refuse_what_is_not_real("normal noise", "Use CollapsedLikelihood.")
        if problem.given:
            raise EnergyError(
                f"NoiseContrastive learns one log Z, and given {list(problem.given)} there is another for each row: "
                "use InfoNCE, or contrast all variables with over=."
            )
        return NoiseCriterion(problem, self.ratio, self.widened)
