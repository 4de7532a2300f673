r"""Maximum likelihood with draws from the model: contrastive divergence and persistent chains."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.learning.losses import Criterion, Loss, Terms
from ebm_causal.learning.negatives import default_step_size, first_noise, potential_of
from ebm_causal.learning.problems import Batch, Problem
from ebm_causal.learning.replay import ReplayBuffer
from ebm_causal.learning.score_matching import sliced_score
from ebm_causal.learning.short_runs import Sampler, check_sampler, run_short

INSTEAD = "Use CollapsedLikelihood, which sums over finite variables."
LONGER = 10  # times as many steps, against which short runs are held
LABELLED = 3.0  # standard errors


class LikelihoodByDraws(Criterion):
    """The gap between the energies of data and of chains, whose gradient is that of the log likelihood.

    Args:
        problem: What it is about.
        sampler: The kernel.
        steps: Langevin steps for each batch.
        step_size: Their h.
        buffer: Persistent chains; None where chains start at the data.
    """

    def __init__(
        self, problem: Problem, sampler: Sampler, steps: int, step_size: float, buffer: ReplayBuffer | None
    ) -> None:
        super().__init__(problem)
        self.setting: tuple[Sampler, int, float] = (sampler, steps, step_size)
        self.buffer = buffer
        self.register_buffer("acceptance", problem.join(problem.rows).new_ones(()))

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The gap between data and chains, the chains held."""
        if self.buffer is None:
            held, start = self.problem.held(batch.rows), self.problem.join(batch.rows)
            index = None
        else:
            held, start, index = self.buffer.take(self.problem, batch, generator)
        ran = run_short(potential_of(self.problem, held), start, self.setting, generator)
        self.acceptance = ran.acceptance
        if self.buffer is not None and index is not None:
            self.buffer.put(index, held, ran.points)
        low = self.problem.reduced(batch.rows).mean()
        high = self.problem.reduced({**held, **self.problem.split(ran.points)}).mean()
        return Terms(low - high, low.detach(), (high - low).detach())

    def score(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The sliced score matching loss: the gap itself says nothing of the fit."""
        return sliced_score(self.problem, batch.rows, 1, generator).mean().detach()

    def notes(self, generator: torch.Generator) -> tuple[str, ...]:
        """The ages of chains, poor acceptance, and whether the draws of a short run are those of a long one."""
        found = [self._short_run(generator)]
        if self.buffer is not None:
            ages = self.buffer.ages.to(torch.float64)
            found.append(
                f"persistent chains: age {ages.mean():.0f} steps on average, {ages.max():.0f} at most"
            )
        if float(self.acceptance) < 0.1:
            found.append(f"only {float(self.acceptance):.0%} of the proposals were taken: lower step_size")
        return tuple(note for note in found if note)

    def _short_run(self, generator: torch.Generator) -> str:
        """K steps against 10 K, from where training starts its chains."""
        rows = {name: value[:1000] for name, value in self.problem.rows.items()}
        held, points = self.problem.held(rows), self.problem.join(rows)
        if self.buffer is not None:
            points = first_noise(self.problem, points, generator)
        potential, (sampler, steps, size) = potential_of(self.problem, held), self.setting
        few = run_short(potential, points, self.setting, generator).points
        many = run_short(potential, points, (sampler, LONGER * steps, size), generator).points
        with torch.no_grad():
            first, second = potential(few), potential(many)
        error = math.sqrt(float(first.var() + second.var()) / len(first))
        apart = abs(float(first.mean() - second.mean())) / max(error, 1e-12)
        if apart < LABELLED:
            return ""
        return (
            f"short run: the mean energy of draws after {steps} steps and after {LONGER * steps} differs by "
            f"{apart:.1f} standard errors (threshold {LABELLED:.0f}); what was learned is a sampler of {steps} steps, "
            "not a density"
        )


@dataclass(frozen=True)
class ContrastiveDivergence(Loss):
    r"""Contrastive divergence: chains of k Langevin steps that start at the data.

    .. math:: \nabla_\theta = \beta\,\big(\langle\nabla F(x, y)\rangle - \langle\nabla F(x, y_k)\rangle\big)

    With the Metropolis decision the fixed point for a Gaussian is that of maximum likelihood; unadjusted it is
    biased by the step: for data of variance s and :math:`E = l x^2/2` it stops at :math:`(1 - \sqrt{1 - 2h/s})/h`
    instead of 1/s, for any k.

    Attributes:
        steps: k.
        step_size: h; a tenth of the smallest variance of the data's coordinates by default.
        sampler: ``mala`` or ``ula``.

    References:
        Hinton (2002), Training products of experts by minimizing contrastive divergence, equation 5.
    """

    steps: int = 1
    step_size: float | None = None
    sampler: Sampler = "mala"

    def __post_init__(self) -> None:
        check_sampler(self.sampler, self.steps, self.step_size)

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem."""
        problem.refuse_what_is_not_real("contrastive divergence", INSTEAD)
        size = self.step_size or default_step_size(problem)
        return LikelihoodByDraws(problem, self.sampler, self.steps, size, None)


@dataclass(frozen=True)
class PersistentContrastiveDivergence(Loss):
    r"""Persistent contrastive divergence: chains go on from one batch to the next.

    A buffer holds pairs of what is given and where a chain stands beside it, so that no chain is carried to
    another x. Chains that were run are written back where they came from; a share of them begins anew, at noise or
    data, beside the batch's own x.

    Attributes:
        steps: Langevin steps for each batch.
        step_size: h; a tenth of the smallest variance of the data's coordinates by default.
        sampler: ``mala`` or ``ula``.
        size: How many chains the buffer holds.
        renewed: The share of chains that begin anew at each batch.
        start: Where they begin, ``noise`` (normal, of the data's moments) or ``data``.

    References:
        Tieleman (2008), Training restricted Boltzmann machines using approximations to the likelihood gradient;
        Du and Mordatch (2019), Implicit generation and modeling with energy-based models, section 3.2.
    """

    steps: int = 10
    step_size: float | None = None
    sampler: Sampler = "mala"
    size: int = 10_000
    renewed: float = 0.05
    start: Literal["noise", "data"] = "noise"

    def __post_init__(self) -> None:
        check_sampler(self.sampler, self.steps, self.step_size)
        if self.size < 1 or not 0 <= self.renewed <= 1:
            raise ArgumentError(
                f"size must be positive and renewed a share from 0 to 1; got {self.size} and {self.renewed}."
            )
        if self.start not in ("noise", "data"):
            raise ArgumentError(f"start must be 'noise' or 'data'; got {self.start!r}.")

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem."""
        problem.refuse_what_is_not_real("persistent contrastive divergence", INSTEAD)
        size = self.step_size or default_step_size(problem)
        buffer = ReplayBuffer(problem, self.size, self.renewed, at_data=self.start == "data")
        return LikelihoodByDraws(problem, self.sampler, self.steps, size, buffer)
