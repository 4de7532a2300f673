"""What a loss is about: an energy, what of it is contrasted, what is held, and how a row's energy is computed."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ebm_causal.energies import Energy, Variable, normalized
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs import free_energy, minimize
from ebm_causal.shapes import as_names, broadcast_shapes

Rows = Mapping[str, Tensor]
STARTS = 4  # of the inner minimization over latents; the parameters move, and so do the minima


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of the data.

    Attributes:
        rows: By variable, ``[batch, *shape]``.
        index: Which rows of the data they are, ``[batch]``.
        share: Which of the whole batch these are: the first of them and the step; other processes have the others.
        whole: How many rows the whole batch has; those that are here where None.
    """

    rows: Rows
    index: Tensor
    share: tuple[int, int] = (0, 1)
    whole: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What a loss is about.

    Attributes:
        energy: The energy that is trained, changed in place.
        whole: The same factors with a local normalizer beside each mechanism.
        over: What is contrasted, or what the density is over.
        given: The observed variables that are held.
        latents: What no row holds.
        beta: The inverse temperature of densities.
        rows: Some rows of the training data, for scales and first draws.
        count: How many rows of training data there are.
        shapes: Each variable's own shape.
        seed: Of what a loss draws before its first step; another in each process.
        known: The moments of the rows, which steps ask for again and again.
    """

    energy: Energy
    whole: Energy
    over: tuple[str, ...]
    given: tuple[str, ...]
    latents: tuple[str, ...]
    beta: float
    rows: Rows
    count: int
    shapes: Mapping[str, tuple[int, ...]]
    seed: int = 0
    known: tuple[Tensor, Tensor] | None = None

    def raw(self, values: Rows) -> Tensor:
        r"""The energy of each row, latents minimized over: :math:`F_\infty`, differentiable by the envelope theorem."""
        if not self.latents:
            return self.energy.reduced(values, 1.0).expand(self.batch_of(values))
        flat, batch = self._flat(values)
        held = {name: value.detach() for name, value in flat.items()}
        found = minimize(self.energy, self.latents, held, STARTS)
        best = {name: value.detach() for name, value in found.values.items()}
        return self.energy.reduced({**flat, **best}, 1.0).expand(math.prod(batch)).reshape(batch)

    def reduced(self, values: Rows) -> Tensor:
        r"""Minus the log weight, :math:`\beta F_\beta`: mechanisms locally normalized, latents integrated out."""
        if not self.latents:
            return self.whole.reduced(values, self.beta).expand(self.batch_of(values))
        flat, batch = self._flat(values)
        found = free_energy(self.whole, self.latents, flat, self.beta)
        return (self.beta * found.value).reshape(batch)

    def batch_of(self, values: Rows) -> torch.Size:
        """The shape before the variables' own dimensions, broadcast."""
        leads = {self._lead(name, value) for name, value in values.items()}
        return next(iter(leads)) if len(leads) == 1 else broadcast_shapes(*leads)

    def variable(self, name: str) -> Variable:
        """One of the energy's variables."""
        return self.energy.variables[name]

    def join(self, values: Rows) -> Tensor:
        """The contrasted variables end to end, ``[*batch, dim]``."""
        flat = [values[name].reshape(*self._lead(name, values[name]), -1) for name in self.over]
        return flat[0] if len(flat) == 1 else torch.cat(flat, -1)

    def split(self, points: Tensor) -> dict[str, Tensor]:
        """Points ``[*batch, dim]`` as values of the contrasted variables."""
        shapes = [self.shapes[name] for name in self.over]
        parts = points.split([math.prod(shape) for shape in shapes], -1)
        return {
            name: part.reshape(*part.shape[:-1], *shape)
            for name, part, shape in zip(self.over, parts, shapes, strict=True)
        }

    def held(self, values: Rows) -> dict[str, Tensor]:
        """What is given, of some rows."""
        return {name: values[name] for name in self.given}

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the contrasted variables, ``[dim]`` each."""
        if self.known is not None:
            return self.known
        points = self.join(self.rows)
        spread = points.std(0, unbiased=False) if len(points) > 1 else torch.ones_like(points[0])
        return points.mean(0), torch.where(spread > 0, spread, torch.ones_like(spread))

    def refuse_what_is_not_real(self, what: str, instead: str) -> None:
        """Refuse contrasted variables on which slopes mean nothing, or that have bounds.

        Raises:
            EnergyError: Naming the variable.
        """
        for name in self.over:
            if not self.variable(name).is_real:
                raise EnergyError(
                    f"{what} goes by slopes and needs real variables; {name!r} has support "
                    f"{self.variable(name).support}. {instead}"
                )

    def _lead(self, name: str, value: Tensor) -> torch.Size:
        return value.shape[: value.ndim - len(self.shapes[name])]

    def _flat(self, values: Rows) -> tuple[dict[str, Tensor], torch.Size]:
        batch = self.batch_of(values)
        shaped = {name: value.shape[len(self._lead(name, value)) :] for name, value in values.items()}
        return {
            name: value.expand(*batch, *shaped[name]).reshape(-1, *shaped[name])
            for name, value in values.items()
        }, batch


def problem_of(
    energy: Energy,
    rows: Rows,
    latents: tuple[str, ...],
    over: str | Iterable[str] | None,
    *,
    beta: float,
    count: int,
    seed: int = 0,
) -> Problem:
    """A loss's problem: y is contrasted where there is one, else all that is observed.

    Raises:
        ArgumentError: If what is to be contrasted is not among the data.
    """
    observed = tuple(rows)
    names = as_names(over) if over is not None else (("y",) if "y" in observed else observed)
    for name in names:
        if name not in observed:
            raise ArgumentError(f"over={name!r} is not among the observed variables {list(observed)}.")
    problem = Problem(
        energy=energy, whole=normalized(energy), over=names,
        given=tuple(name for name in observed if name not in names), latents=latents, beta=beta,
        rows=rows, count=count, seed=seed, shapes={name: v.shape or (1,) for name, v in energy.variables.items()},
    )  # fmt: skip
    return replace(problem, known=problem.moments())
