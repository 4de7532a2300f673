"""One fit: what is learned from what, its objective, and how its maximization went."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from ebm_causal.energies import Energy
from ebm_causal.gibbs import values_of
from ebm_causal.inference import Keeper, MarginalLikelihood, Objective, Optimum, ParameterVector
from ebm_causal.learning.fits import FitDiagnostics

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One fit's energy (a copy), rows and settings.

    Attributes:
        energy: A copy that is changed in place.
        rows: The data.
        latents: What is integrated out.
        parameters: What is learned.
        priors: By full parameter name; what has none is not penalized.
        beta: The inverse temperature.
        seed: The seed.
        progress: Told the share done and what is being done.
        keeper: Keeps states for a run that is started again; None where nothing is kept.
    """

    energy: Energy
    rows: Mapping[str, Tensor]
    latents: tuple[str, ...]
    parameters: ParameterVector
    priors: Mapping[str, Distribution]
    beta: float
    seed: int
    progress: Progress | None
    keeper: Keeper | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """The latents and their dimensions."""
        return {name: math.prod(self.energy.variables[name].shape or (1,)) for name in self.latents}

    @property
    def small(self) -> bool:
        """Whether the latents can be integrated out: finite ones alone, or one or two real dimensions."""
        finite = [values_of(self.energy.variables[name]) is not None for name in self.latents]
        return all(finite) or (not any(finite) and sum(self.sizes.values()) <= 2)

    def objective(self) -> Objective:
        """The collapsed objective."""
        likelihood = MarginalLikelihood(self.energy, self.rows, self.latents, self.beta)
        return Objective(
            likelihood=likelihood,
            parameters=self.parameters,
            log_prior=self.log_prior if self.priors else None,
            keeper=self.keeper,
        )

    def reporter(self, steps: int, what: str = "log likelihood") -> Callable[[int, float], None]:
        """What a run of at most so many steps tells its count and the value of its objective."""

        def report(count: int, value: float) -> None:
            if self.progress is not None:
                self.progress(min(count / steps, 1.0), f"{what} {value:.6g}")

        return report

    def log_prior(self, values: Sequence[Tensor]) -> Tensor:
        """The log prior density of the parameters' values."""
        scales = self.parameters.scale_names  # of either sign: a prior is on their size
        terms = [
            self.priors[name].log_prob(value.abs() if name in scales else value).sum()
            for name, value in zip(self.parameters.names, values, strict=True)
            if name in self.priors
        ]
        return torch.stack(terms).sum()


def unvalidated(law: Distribution) -> Distribution:
    """The same prior without a look at values: outside its support it says -inf or NaN, and does not raise."""
    own = copy.deepcopy(law)
    part: Distribution | None = own
    while part is not None:
        part._validate_args = False
        part = getattr(part, "base_dist", None)
    return own


def judged(optimum: Optimum) -> FitDiagnostics:
    """How a maximization went, in words."""
    notes = []
    if not optimum.resolved:
        notes.append("in some rows the lattice over the latents did not pass its self-check")
    measure = (
        f"{optimum.decrement:.2g} posterior sd from the optimum"
        if optimum.decrement is not None
        else "by the objective"
    )
    if not optimum.converged:
        notes.append(
            f"the fit has not converged ({measure}, after {optimum.evaluations} evaluations): allow more steps"
        )
    return FitDiagnostics(
        converged=optimum.converged, text=measure, warnings=tuple(notes), history=optimum.history,
        evaluations=optimum.evaluations,
    )  # fmt: skip
