"""What all losses are: a choice of principle, bound to a problem, gives a number for each batch."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ebm_causal.inference import NormalGuide
from ebm_causal.learning.problems import Batch, Problem


class Terms(NamedTuple):
    """What a batch says.

    Attributes:
        loss: What is minimized, one number with a graph.
        energy: The mean energy of the data, without a graph.
        gap: By how much the mean energy of what they are contrasted with is higher; None without contrast.
    """

    loss: Tensor
    energy: Tensor
    gap: Tensor | None


class Criterion(nn.Module, ABC):
    """A loss bound to a problem; its parameters are learned beside the energy's, its buffers are its memory.

    Args:
        problem: What it is about.

    Attributes:
        alike: Whether several processes are to draw the same numbers, as each takes those of its own rows: then they
            give what one gives. Else each draws others.
    """

    alike = False

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem

    @abstractmethod
    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The loss of a batch."""

    def score(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """What early stopping watches on rows held out; the loss itself, unless it is no measure of fit."""
        return self(batch, generator).loss.detach()

    def learned(self) -> dict[str, float]:
        """What it learned itself, by name."""
        return {}

    def notes(self, generator: torch.Generator) -> tuple[str, ...]:
        """What is to be said of it after training: ages of chains, short runs."""
        return ()

    def network(self) -> NormalGuide | None:
        """The guide that it learned on the latents, where it did."""
        return None


@dataclass(frozen=True)
class Loss(ABC):
    """A principle of training, for ``ec.fit(energy, data, loss=...)``. Losses add up: ``hinge + penalty``.

    Attributes:
        over: What is contrasted, or what the density is over; y by default, or all where there is no y.
    """

    over: str | Iterable[str] | None = field(default=None, kw_only=True)

    @abstractmethod
    def bind(self, problem: Problem) -> Criterion:
        """The loss of a problem.

        Raises:
            EnergyError: If it does not fit the energy.
        """

    @property
    def integrates_latents(self) -> bool:
        """Whether it knows what to do where no row holds the latents."""
        return True

    def __add__(self, other: "Loss") -> "LossSum":
        return LossSum((self, other), over=self.over)


@dataclass(frozen=True)
class LossSum(Loss):
    """Several losses, added: the first is the principle, the others are penalties.

    Attributes:
        parts: The losses.
    """

    parts: tuple[Loss, ...] = ()

    def bind(self, problem: Problem) -> Criterion:
        """The sum for a problem."""
        return SumCriterion(problem, [part.bind(problem) for part in self.parts])


class SumCriterion(Criterion):
    """The sum of several criteria.

    Args:
        problem: What it is about.
        parts: The criteria.
    """

    def __init__(self, problem: Problem, parts: list[Criterion]) -> None:
        super().__init__(problem)
        self.parts = nn.ModuleList(parts)
        self.alike = all(part.alike for part in parts)

    def forward(self, batch: Batch, generator: torch.Generator) -> Terms:
        """The sum, with the first one's energies."""
        terms = [part(batch, generator) for part in self.parts]
        return terms[0]._replace(loss=torch.stack([term.loss for term in terms]).sum())

    def score(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The sum of the scores."""
        return torch.stack([part.score(batch, generator) for part in self._criteria]).sum()

    def learned(self) -> dict[str, float]:
        """What all of them learned."""
        return {name: value for part in self._criteria for name, value in part.learned().items()}

    def notes(self, generator: torch.Generator) -> tuple[str, ...]:
        """The notes of all of them."""
        return tuple(note for part in self._criteria for note in part.notes(generator))

    def network(self) -> NormalGuide | None:
        """The guide of the first that has one."""
        return next((guide for part in self._criteria if (guide := part.network()) is not None), None)

    @property
    def _criteria(self) -> list[Criterion]:
        return [part for part in self.parts if isinstance(part, Criterion)]


def normal_like(value: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal draws of a tensor's shape, dtype and device, from one generator for all devices."""
    drawn = torch.randn(value.shape, generator=generator, dtype=value.dtype)
    return drawn.to(value.device)
