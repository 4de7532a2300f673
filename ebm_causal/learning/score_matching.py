r"""Score matching: the slopes of the log density are learned, and log Z drops out."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.learning.losses import Criterion, Loss, Terms, normal_like
from ebm_causal.learning.negatives import potential_of
from ebm_causal.learning.problems import Batch, Problem, Rows

INSTEAD = "Use CollapsedLikelihood or a contrastive loss."


def score_of(problem: Problem, held: Rows, points: Tensor) -> Tensor:
    r"""The slope of the log density at points ``[rows, dim]``, with a graph: :math:`-\beta\nabla_y F`."""
    return score_and_energy(problem, held, points)[0]


def score_and_energy(problem: Problem, held: Rows, points: Tensor) -> tuple[Tensor, Tensor]:
    """The same, with the mean energy there, which has no graph."""
    value = potential_of(problem, held)(points)
    level = value.detach().mean()
    if not value.requires_grad:
        return torch.zeros_like(points), level
    (slope,) = torch.autograd.grad(value.sum(), points, create_graph=True)
    return -slope, level


def sliced_score(problem: Problem, rows: Rows, slices: int, generator: torch.Generator) -> Tensor:
    r"""The sliced loss of each row, :math:`\tfrac12|s|^2 + \langle v^\top \nabla s\, v\rangle` over random signs v."""
    with torch.enable_grad():
        points = problem.join(rows).detach().requires_grad_()
        score = score_of(problem, problem.held(rows), points)
        total = 0.5 * (score**2).sum(-1)
        for _ in range(slices):
            drawn = torch.randint(0, 2, points.shape, generator=generator)
            signs = (2 * drawn - 1).to(points)
            total = total + _along(score, points, signs) / slices
    return total


def exact_score(problem: Problem, rows: Rows) -> Tensor:
    r"""The loss of each row with the whole trace, :math:`\tfrac12|s|^2 + \mathrm{tr}\,\nabla s`."""
    with torch.enable_grad():
        points = problem.join(rows).detach().requires_grad_()
        score = score_of(problem, problem.held(rows), points)
        trace = torch.stack([_along(score, points, unit) for unit in _units(points)]).sum(0)
    return 0.5 * (score**2).sum(-1) + trace


class ScoreCriterion(Criterion):
    """A loss of scores at the data.

    Args:
        problem: What it is about.
        slices: Random directions for each row; None for the exact trace.
    """

    def __init__(self, problem: Problem, slices: int | None) -> None:
        super().__init__(problem)
        self.slices = slices
        self._bends(problem.rows)

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The mean over rows."""
        if self.slices is None:
            loss = exact_score(self.problem, batch.rows).mean()
        else:
            loss = sliced_score(self.problem, batch.rows, self.slices, generator).mean()
        return Terms(loss, _energy(self.problem, batch), None)

    def _bends(self, rows: Rows) -> None:
        """Refuse an energy made of flat pieces: its second derivatives are zero, and the loss has no lower bound."""
        few = {name: value[:8] for name, value in rows.items()}
        points = self.problem.join(few).detach().requires_grad_()
        score = score_of(self.problem, self.problem.held(few), points)
        bent = [bool((_along(score, points, unit) != 0).any()) for unit in _units(points)]
        if bool((score != 0).any()) and not any(bent):
            raise EnergyError(
                f"score matching needs second derivatives in {list(self.problem.over)}, and they are zero at the "
                "data (a network of ReLUs has none): take a smooth activation, or DenoisingScoreMatching."
            )


class DenoisingCriterion(Criterion):
    """The loss of scores at noisy data.

    Args:
        problem: What it is about.
        sigma: The noise's standard deviation, in the variables' units.
    """

    def __init__(self, problem: Problem, sigma: float) -> None:
        super().__init__(problem)
        self.sigma = sigma

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        r"""The mean over rows of :math:`\tfrac12|\sigma s(y + \sigma\epsilon) + \epsilon|^2`."""
        with torch.enable_grad():
            clean = self.problem.join(batch.rows).detach()
            noise = normal_like(clean, generator)
            points = (clean + self.sigma * noise).requires_grad_()
            score, level = score_and_energy(self.problem, self.problem.held(batch.rows), points)
        loss = 0.5 * ((self.sigma * score + noise) ** 2).sum(-1).mean()
        return Terms(loss, level, None)


@dataclass(frozen=True)
class DenoisingScoreMatching(Loss):
    r"""Denoising score matching: the slope that leads noisy data back.

    .. math:: \tfrac12\,\big|\sigma\, s(y + \sigma\epsilon) + \epsilon\big|^2, \qquad s = -\beta\nabla_y F

    It learns the density of the *noisy* data: for a Gaussian of variance s the precision :math:`1/(s + \sigma^2)`.

    Attributes:
        sigma: The noise's standard deviation, in the variables' units.

    References:
        Vincent (2011), A connection between score matching and denoising autoencoders, equation 11.
    """

    sigma: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise ArgumentError(f"sigma must be positive and finite; got {self.sigma}.")

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem."""
        problem.refuse_what_is_not_real("score matching", INSTEAD)
        return DenoisingCriterion(problem, self.sigma)


@dataclass(frozen=True)
class SlicedScoreMatching(Loss):
    r"""Sliced score matching: the trace of the score's Jacobian along random signs.

    One more backward pass for each slice, whatever the dimension. Twice differentiable energies on the whole real
    space only.

    Attributes:
        slices: Random directions for each row.

    References:
        Song, Garg, Shi and Ermon (2019), Sliced score matching, equation 8 (with reduced variance).
    """

    slices: int = 1

    def __post_init__(self) -> None:
        if self.slices < 1:
            raise ArgumentError(f"slices must be at least 1; got {self.slices}.")

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem."""
        problem.refuse_what_is_not_real("score matching", INSTEAD)
        return ScoreCriterion(problem, self.slices)


@dataclass(frozen=True)
class ScoreMatching(Loss):
    r"""Score matching with the exact trace, :math:`\tfrac12|s|^2 + \mathrm{tr}\,\nabla_y s`.

    One more backward pass for each dimension of y. Holds where the density vanishes at infinity and the energy is
    twice differentiable; a bounded support has a boundary term that is not there.

    References:
        Hyvarinen (2005), Estimation of non-normalized statistical models by score matching, theorem 1.
    """

    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem."""
        problem.refuse_what_is_not_real("score matching", INSTEAD)
        return ScoreCriterion(problem, None)


def _along(score: Tensor, points: Tensor, direction: Tensor) -> Tensor:
    """The quadratic form of the score's Jacobian, per row; zeros where the score does not depend on the points."""
    if not score.requires_grad:
        return torch.zeros_like(points[:, 0])
    (turn,) = torch.autograd.grad((score * direction).sum(), points, create_graph=True, allow_unused=True)
    return torch.zeros_like(points[:, 0]) if turn is None else (turn * direction).sum(-1)


def _units(points: Tensor) -> Tensor:
    return torch.eye(points.shape[-1], dtype=points.dtype, device=points.device)


def _energy(problem: Problem, batch: Batch) -> Tensor:
    with torch.no_grad():
        return problem.reduced(batch.rows).mean()
