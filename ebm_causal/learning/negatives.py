"""Where contrasting values come from: other rows, noise, the hardest of many, or the model itself."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs import GibbsDensity
from ebm_causal.learning.losses import normal_like
from ebm_causal.learning.problems import Batch, Problem
from ebm_causal.learning.short_runs import check_sampler, run_short

Drawn = dict[str, Tensor]


class Negatives(ABC):
    """Values ``[count, batch, *shape]`` of the contrasted variables that should cost more than the data."""

    @abstractmethod
    def draw(self, problem: Problem, batch: Batch, generator: torch.Generator) -> Drawn:
        """Draw some for each row of a batch."""


def check_count(count: int) -> None:
    """Refuse to draw nothing.

    Raises:
        ArgumentError: If the count is not positive.
    """
    if count < 1:
        raise ArgumentError(f"count must be at least 1; got {count}.")


@dataclass(frozen=True)
class PermutedPairs(Negatives):
    """The y of other rows, beside a row's own x: what tells pairs apart from what is merely likely.

    Attributes:
        count: How many for each row; the batch must have more rows than that.
    """

    count: int = 1

    def __post_init__(self) -> None:
        check_count(self.count)

    def draw(self, problem: Problem, batch: Batch, generator: torch.Generator) -> Drawn:
        """Shift the batch by distinct numbers of rows: none keeps its own."""
        rows = len(batch.index)
        if rows <= self.count:
            raise ArgumentError(f"{self.count} permuted pairs need batches of more rows; got {rows}.")
        shifts = 1 + torch.randperm(rows - 1, generator=generator)[: self.count]
        places = (torch.arange(rows) + shifts[:, None]) % rows
        return {name: batch.rows[name][places.to(batch.rows[name].device)] for name in problem.over}


@dataclass(frozen=True)
class NoiseNegatives(Negatives):
    """The data's own values with normal noise of a few of their standard deviations: a margin all around them.

    Attributes:
        scale: In standard deviations of each coordinate.
        count: How many for each row.
    """

    scale: float = 1.0
    count: int = 1

    def __post_init__(self) -> None:
        check_count(self.count)
        if not 0 < self.scale < math.inf:
            raise ArgumentError(f"scale must be positive and finite; got {self.scale}.")

    def draw(self, problem: Problem, batch: Batch, generator: torch.Generator) -> Drawn:
        """Add noise to each row."""
        problem.refuse_what_is_not_real("NoiseNegatives", "Use PermutedPairs.")
        points = problem.join(batch.rows).expand(self.count, -1, -1)
        return problem.split(points + self.scale * problem.moments()[1] * normal_like(points, generator))


@dataclass(frozen=True)
class HardNegatives(Negatives):
    """The lowest in energy of many: what the model confuses with data now.

    Attributes:
        pool: Where the many come from.
        keep: How many of them are kept for each row.
    """

    pool: Negatives = PermutedPairs(8)
    keep: int = 1

    def __post_init__(self) -> None:
        check_count(self.keep)

    def draw(self, problem: Problem, batch: Batch, generator: torch.Generator) -> Drawn:
        """Draw the pool, and keep the lowest."""
        pool = self.pool.draw(problem, batch, generator)
        with torch.no_grad():
            energy = problem.raw({**problem.held(batch.rows), **pool})
        if len(energy) < self.keep:
            raise ArgumentError(f"keep={self.keep} is more than the pool's {len(energy)}.")
        best = energy.topk(self.keep, 0, largest=False).indices
        return {name: value[best, torch.arange(best.shape[1])] for name, value in pool.items()}


@dataclass(frozen=True)
class ModelDraws(Negatives):
    r"""Draws from the density of the model, :math:`e^{-\beta F}`, that start at the data or in noise.

    Attributes:
        sampler: ``ula`` or ``mala``, some Langevin steps; ``exact`` draws by enumeration or on a lattice, also of
            finite variables; or a callable of (problem, batch, generator) that gives values by name.
        steps: How many.
        step_size: Their h; a tenth of the smallest variance of the data's coordinates by default.
        start: ``data`` or ``noise`` (normal, of the data's moments).
        count: How many for each row.
    """

    sampler: Literal["ula", "mala", "exact"] | Callable[[Problem, Batch, torch.Generator], Drawn] = "mala"
    steps: int = 20
    step_size: float | None = None
    start: Literal["data", "noise"] = "data"
    count: int = 1

    def __post_init__(self) -> None:
        check_count(self.count)
        if self.start not in ("data", "noise"):
            raise ArgumentError(f"start must be 'data' or 'noise'; got {self.start!r}.")
        if not callable(self.sampler) and self.sampler != "exact":
            check_sampler(self.sampler, self.steps, self.step_size)

    def draw(self, problem: Problem, batch: Batch, generator: torch.Generator) -> Drawn:
        """Run the sampler once for each row and count."""
        if callable(self.sampler):
            return self.sampler(problem, batch, generator)
        held = {name: _repeated(value, self.count) for name, value in problem.held(batch.rows).items()}
        if self.sampler == "exact":
            return _counted(_exact(problem, held, (self.count, len(batch.index)), generator), self.count)
        problem.refuse_what_is_not_real("Langevin sampling", "Use ModelDraws(sampler='exact').")
        start = _repeated(problem.join(batch.rows), self.count)
        if self.start == "noise":
            start = first_noise(problem, start, generator)
        size = self.step_size or default_step_size(problem)
        ran = run_short(
            potential_of(problem, held), start, (self.sampler, self.steps, size), generator
        )  # fmt: skip
        return _counted(problem.split(ran.points), self.count)


def potential_of(problem: Problem, held: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """Minus the log weight of points ``[rows, dim]`` beside what is held."""
    return lambda points: problem.reduced({**held, **problem.split(points)})


def default_step_size(problem: Problem) -> float:
    """A tenth of the smallest variance of the data's coordinates."""
    return 0.1 * float(problem.moments()[1].min()) ** 2


def first_noise(problem: Problem, like: Tensor, generator: torch.Generator) -> Tensor:
    """Normal draws with the data's moments."""
    mean, spread = problem.moments()
    return mean + spread * normal_like(like, generator)


def _exact(
    problem: Problem, held: Mapping[str, Tensor], shape: tuple[int, int], generator: torch.Generator
) -> Drawn:
    if len(problem.over) > 1:
        raise EnergyError(f"exact draws serve one variable; got {list(problem.over)}.")
    density = GibbsDensity(problem.whole, over=problem.over[0], given=dict(held), beta=problem.beta)
    rows = shape[0] * shape[1]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
        drawn = density.sample(() if held else (rows,))
    own = problem.variable(problem.over[0]).shape or (1,)
    return {problem.over[0]: drawn.reshape(rows, *own)}


def _repeated(value: Tensor, count: int) -> Tensor:
    return value.repeat(count, *[1] * (value.ndim - 1)) if count > 1 else value


def _counted(values: Drawn, count: int) -> Drawn:
    return {name: value.detach().reshape(count, -1, *value.shape[1:]) for name, value in values.items()}
