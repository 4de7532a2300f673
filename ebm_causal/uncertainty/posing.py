"""A minimum in question: an energy, what is minimized over, what is given and how surely."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.gibbs import Restriction, minimize, restrict


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A minimum in question.

    Attributes:
        restriction: The energy over what is minimized, the means given.
        wanted: Names and shapes of the uncertain inputs.
        means: The inputs joined, ``[rows, n]``.
        single: Whether one row was given without a dimension of rows.
        starts: Of the search.
        seed: Of the search.
    """

    restriction: Restriction
    wanted: Mapping[str, tuple[int, ...]]
    means: Tensor
    single: bool
    starts: int
    seed: int

    def energy(self, minimizer: Tensor, inputs: Tensor) -> Tensor:
        """The energy of joined points and joined inputs."""
        values = {**self.restriction.given, **self.split(inputs), **self.restriction.split(minimizer)}
        return self.restriction.energy.reduced(values, 1.0)

    def split(self, inputs: Tensor) -> dict[str, Tensor]:
        """Joined inputs by name."""
        sizes = [math.prod(shape) for shape in self.wanted.values()]
        parts = inputs.split(sizes, -1)
        return {
            name: part.reshape(*part.shape[:-1], *shape)
            for (name, shape), part in zip(self.wanted.items(), parts, strict=True)
        }

    def search(self, inputs: Tensor | None = None) -> Tensor:
        """The minimizers of all rows, or of so many inputs ``[*batch, n]``.

        Raises:
            ConvergenceError: If a row has none.
        """
        given = dict(self.restriction.given)
        batch: tuple[int, ...] = ()
        if inputs is not None:
            batch = tuple(inputs.shape[:-1])
            given = {k: v.expand(*batch, *v.shape[1:]).flatten(0, len(batch) - 1) for k, v in given.items()}
            given |= self.split(inputs.flatten(0, -2))
        found = minimize(
            self.restriction.energy, self.restriction.over, given, starts=self.starts, seed=self.seed
        )
        bad = (~found.converged).nonzero().flatten().tolist()
        if bad:
            raise ConvergenceError(
                f"no minimum over {list(self.restriction.over)} was reached in rows {bad[:5]}: the implicit function "
                "theorem holds at a minimum only. Take more starts."
            )
        points = torch.cat([found.values[name].flatten(1) for name in self.restriction.over], -1)
        return points.reshape(*batch, -1).detach() if batch else points.detach()

    def known(self, at: Mapping[str, object]) -> Tensor:
        """A minimum that the caller knows."""
        missing = [name for name in self.restriction.over if name not in at]
        if missing:
            raise ArgumentError(f"at must hold {list(self.restriction.over)}; {missing[0]!r} is missing.")
        energy, given = self.restriction.energy, self.restriction.given
        values = restrict(energy, (), {**given, **{n: at[n] for n in self.restriction.over}}, 1.0).given
        points = torch.cat([values[name].flatten(1) for name in self.restriction.over], -1)
        return points.expand(self.restriction.rows, -1).detach()

    def labels(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """One per coordinate."""
        found: list[str] = []
        for name in names:
            size = math.prod(self.restriction.energy.variables[name].shape or (1,))
            found += [name] if size == 1 else [f"{name}[{i}]" for i in range(size)]
        return tuple(found)


def posed(
    energy: Energy,
    over: str | Iterable[str],
    held: tuple[Mapping[str, object], Mapping[str, object]],
    search: tuple[int, int],
) -> Problem:
    """Pose a problem: check names, shapes and that there is something to differentiate.

    Raises:
        ArgumentError: If no input is uncertain.
        EnergyError: If a variable is finite, or names and shapes do not fit.
    """
    means, certain = held
    if not means:
        raise ArgumentError("given_means is empty: without uncertain inputs there is nothing to propagate.")
    restriction = restrict(energy, over, {**certain, **means}, 1.0)
    finite = [name for name in restriction.over if replace(restriction, over=(name,)).finite]
    if finite:
        raise EnergyError(f"{finite[0]!r} takes finitely many values: its minimum has no derivative.")
    shapes = {name: tuple(restriction.energy.variables[name].shape or (1,)) for name in means}
    rows = restriction.rows
    joined = torch.cat([restriction.given[name].expand(rows, *shapes[name]).flatten(1) for name in means], -1)
    lone = all(
        torch.as_tensor(value).ndim <= len(restriction.energy.variables[name].shape or (1,))
        for name, value in {**means, **certain}.items()
    )
    return Problem(
        restriction=restriction, wanted=shapes, means=joined, single=rows == 1 and lone, starts=search[0],
        seed=search[1],
    )  # fmt: skip
