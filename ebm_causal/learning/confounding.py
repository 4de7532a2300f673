r"""A table's effect under a hidden confounder whose strength the data do not say: fits over the prior of that strength.

For each of a few strengths, drawn from their prior, the energy's other parameters are fitted with the
confounder integrated out; the effect then is a mixture of one normal per strength. The strengths keep their
prior ("cut" inference): the likelihood could only tell them from the form of the mechanisms, which is an assumption.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import ndtr
from scipy.stats import beta as beta_law
from scipy.stats import qmc
from torch import Tensor

from ebm_causal.energies import Strength, strengths_of
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.inference import MarginalLikelihood, Objective, ParameterVector, maximize, whiten
from ebm_causal.learning.carrying import carry, stretches
from ebm_causal.learning.fits import Fit
from ebm_causal.learning.implied import average_effect, implied_strength

HELD = ("t.decoder.strengths.treatment", "t.decoder.strengths.outcome")
STRONGEST = 0.95
NEAR = 0.01  # posterior standard deviations: how near its optimum each fit ends


@dataclass(frozen=True, slots=True, kw_only=True)
class StrengthPrior:
    r"""The prior of a confounder's strengths: each partial :math:`R^2` is Beta(1, (1 - m)/m), of mean m.

    Attributes:
        treatment: The mean toward the treatment (toward its log-odds index, if it is binary).
        outcome: The mean toward the outcome.
        latent_dim: The dimension of the confounder: one means that both sides line up, with either sign;
            more, that the angle between them is that of two random directions.
        source: Where the means come from, in words.
    """

    treatment: float
    outcome: float
    latent_dim: int = 1
    source: str = "stated by the user"

    def __post_init__(self) -> None:
        for side, mean in (("treatment", self.treatment), ("outcome", self.outcome)):
            if not 0 < mean < 1:
                raise ArgumentError(f"the mean partial R^2 toward the {side} must be in (0, 1); got {mean}.")

    def median(self, sign: float) -> Strength:
        """Both strengths at their medians, with what sign the confounder biases the effect."""
        medians = [float(self._law(mean).ppf(0.5)) for mean in (self.treatment, self.outcome)]
        return Strength(treatment=medians[0], outcome=medians[1], alignment=math.copysign(1.0, sign))

    def draws(self, count: int, seed: int) -> tuple[Strength, ...]:
        """Strengths that fill the prior evenly (a scrambled Sobol sequence), weak ones first on either side."""
        points = qmc.Sobol(3, rng=np.random.default_rng(seed)).random(count)
        treatment = self._law(self.treatment).ppf(points[:, 0]).clip(max=STRONGEST)
        outcome = self._law(self.outcome).ppf(points[:, 1]).clip(max=STRONGEST)
        found = [Strength(treatment=t, outcome=y, alignment=a)
                 for t, y, a in zip(treatment, outcome, self._alignments(points[:, 2]), strict=True)]  # fmt: skip
        return tuple(sorted(found, key=lambda s: (s.alignment > 0, s.treatment * s.outcome)))

    def _alignments(self, uniform: np.ndarray) -> np.ndarray:
        if self.latent_dim == 1:
            return np.where(uniform < 0.5, -1.0, 1.0)
        half = (self.latent_dim - 1) / 2
        return 2 * beta_law(half, half).ppf(uniform) - 1

    @staticmethod
    def _law(mean: float):
        return beta_law(1, (1 - mean) / mean)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfoundedFits:
    """The effect at each of many strengths, on the energy's own scale.

    Attributes:
        fit: The fit at the prior's median strengths.
        prior: The strengths' prior.
        strengths: The draws from it.
        implied: The linear partial R^2 with treatment and outcome that each fitted energy implies, ``[strengths, 2]``.
        unconfounded: The effect at strength zero.
        effects: The effect at each strength.
        standard_errors: Their standard errors, from the observed information at each.
        converged: Which of the fits arrived.
    """

    fit: Fit
    prior: StrengthPrior
    strengths: tuple[Strength, ...]
    implied: np.ndarray
    unconfounded: float
    effects: np.ndarray
    standard_errors: np.ndarray
    converged: np.ndarray

    @property
    def bias(self) -> np.ndarray:
        """The signed bias that each strength implies: the effect without a confounder less the one with it."""
        return self.unconfounded - self.effects

    @property
    def mean(self) -> float:
        """The mean of the effect over the strengths."""
        return float(self.effects.mean())

    @property
    def standard_deviation(self) -> float:
        """Of the mixture: chance and strength together."""
        return float(np.sqrt(self.effects.var() + (self.standard_errors**2).mean()))

    def quantile(self, probability: float) -> float:
        """A quantile of the mixture."""
        reach = 12 * self.standard_errors.max()

        def excess(value: float) -> float:
            return float(ndtr((value - self.effects) / self.standard_errors).mean()) - probability

        return float(brentq(excess, self.effects.min() - reach, self.effects.max() + reach))


def fit_over_strengths(
    fit: Fit,
    prior: StrengthPrior,
    *,
    draws: int,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> ConfoundedFits:
    """Fit a confounded energy anew at strengths drawn from their prior.

    Args:
        fit: A fit of a ``confounded_energy``, its strengths held; where the others start.
        prior: The prior of the strengths.
        draws: How many strengths; a power of two fills the prior best.
        seed: Of the strengths.
        progress: Told the share done and what is being done.

    Returns:
        The effect at each.

    Raises:
        ConvergenceError: If the information about the effect is not positive at some strength.
    """
    objective = _objective(fit)
    whitening = whiten(fit.curvature if fit.curvature is not None else objective.curvature())
    start, held = objective.parameters.get(), copy.deepcopy(strengths_of(fit.energy).state_dict())
    strengths, found = prior.draws(draws, seed), []
    for done, strength in enumerate((replace(strengths[0], treatment=0.0, outcome=0.0), *strengths)):
        whitening = _stretched(whitening, objective.parameters, stretches(fit.energy, strength))
        carry(fit.energy, objective.likelihood.whole.given, strength)
        found.append(_one(objective, whitening))
        if progress is not None:
            progress((done + 1) / (draws + 1), f"fitting at strength {done} of {draws}")
    strengths_of(fit.energy).load_state_dict(held)
    objective.parameters.set(start)
    effects, errors, converged, implied = (np.array(column) for column in zip(*found, strict=True))
    return ConfoundedFits(
        fit=fit, prior=prior, strengths=strengths, implied=implied[1:], unconfounded=float(effects[0]),
        effects=effects[1:], standard_errors=errors[1:], converged=converged[1:].astype(bool),
    )  # fmt: skip


def _objective(fit: Fit) -> Objective:
    likelihood = MarginalLikelihood(fit.energy, fit.data, fit.latents, fit.beta)
    return Objective(likelihood=likelihood, parameters=ParameterVector(fit.energy, HELD))


def _stretched(whitening: Tensor, parameters: ParameterVector, by: Mapping[str, Tensor]) -> Tensor:
    """The whitening where some parameters have been stretched."""
    one = whitening.new_ones(())
    factors = [
        by.get(name, one).expand(tensor.numel())
        for name, tensor in zip(parameters.names, parameters.tensors, strict=True)
    ]
    return torch.cat(factors)[:, None] * whitening


def _one(objective: Objective, whitening: Tensor) -> tuple[float, float, bool, tuple[float, float]]:
    found = maximize(objective, whitening=whitening, curved=False, tolerance=NEAR)
    energy, rows = objective.likelihood.energy, objective.likelihood.whole.given
    effect = average_effect(energy, rows)
    slope = objective.parameters.gradient(effect)
    error = math.sqrt(_variance(objective, whitening, slope))
    return float(effect.detach()), error, found.converged, implied_strength(energy, rows)


def _variance(objective: Objective, whitening: Tensor, slope: Tensor) -> float:
    """The delta method's variance, slope' H^-1 slope, by conjugate gradients in whitened coordinates."""
    first = torch.autograd.grad(-objective.value(), objective.parameters.tensors, create_graph=True)
    flat = torch.cat([part.reshape(-1) for part in first])

    def product(vector: np.ndarray) -> np.ndarray:
        step = whitening @ torch.as_tensor(vector.reshape(-1))
        second = torch.autograd.grad(flat @ step, objective.parameters.tensors, retain_graph=True)
        return (whitening.mT @ torch.cat([part.reshape(-1) for part in second])).numpy()

    target = (whitening.mT @ slope).numpy()
    solution, failed = cg(
        LinearOperator((len(target), len(target)), matvec=product, dtype=target.dtype),
        target,
        rtol=1e-3,
        maxiter=60,
    )
    variance = float(target @ solution)
    if failed:
        variance = float(slope @ torch.linalg.solve(objective.curvature(), slope))
    if not variance > 0:
        raise ConvergenceError(
            f"the information about the effect is not positive (its inverse came out as {variance:.3g}): "
            "the covariates or the treatment leave the effect undetermined."
        )
    return variance
