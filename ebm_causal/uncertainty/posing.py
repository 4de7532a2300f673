"""A minimum in question: an energy, what is minimized over, what is given and how surely."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.gibbs import Restriction, minimize, restrict, values_of
from ebm_causal.uncertainty.settings import Progress
from ebm_causal.uncertainty.uncertain import Uncertain, in_order, uncertain
from ebm_causal.uncertainty.values import in_one_precision, values_by_name


class Search(NamedTuple):
    """How a minimum is searched for.

    Attributes:
        starts: How many per row.
        seed: Of the starts.
        progress: Told the share done.
    """

    starts: int
    seed: int
    progress: Progress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A minimum in question.

    Attributes:
        restriction: The energy over what is minimized, the means given.
        wanted: Names and shapes of the uncertain inputs.
        means: The inputs joined, ``[rows, n]``.
        single: Whether one row was given without a dimension of rows.
        how: To search.
    """

    restriction: Restriction
    wanted: Mapping[str, tuple[int, ...]]
    means: Tensor
    single: bool
    how: Search

    def uncertain(self, covariance: object) -> Uncertain:
        """The inputs with their covariance, a frame's rows and columns put into the inputs' order.

        Raises:
            ArgumentError: If it is no covariance of these inputs.
        """
        names = self.labels(tuple(self.wanted))
        return replace(uncertain(self.means, in_order(covariance, names)), names=names)

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
        found = minimize(self.restriction.energy, self.restriction.over, given, **self.how._asdict())
        bad = (~found.converged).nonzero().flatten().tolist()
        if bad:
            raise ConvergenceError(
                f"no minimum over {list(self.restriction.over)} was reached in rows {bad[:5]}: the implicit function "
                "theorem holds at a minimum only. Take more starts."
            )
        points = torch.cat([found.values[name].flatten(1) for name in self.restriction.over], -1)
        return points.reshape(*batch, -1).detach() if batch else points.detach()

    def known(self, at: object) -> Tensor:
        """A minimum that the caller knows.

        Raises:
            ArgumentError: If it holds other variables than those that are minimized over, or other rows.
            EnergyError: If shapes do not fit, or values are not finite or outside of a support.
        """
        over, rows = self.restriction.over, self.restriction.rows
        (point,) = in_one_precision(self.restriction.energy, values_by_name("at", at))
        missing = [name for name in over if name not in point]
        if missing:
            raise ArgumentError(f"at must hold {list(over)}; {missing[0]!r} is missing.")
        more = [name for name in point if name not in over]
        if more:
            raise ArgumentError(f"at holds {more[0]!r} too, which is not minimized over: put it into given.")
        values = restrict(self.restriction.energy, (), {**self.restriction.given, **point}, 1.0).given
        points = torch.cat([values[name].flatten(1) for name in over], -1)
        if len(points) not in (1, rows):
            raise ArgumentError(
                f"at must hold one row or as many as the means, {rows}; it holds {len(points)}."
            )
        return points.expand(rows, -1).detach().to(self.means)

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
    held: tuple[object, object],
    search: Search,
) -> Problem:
    """Pose a problem: check names, shapes and that there is something to differentiate.

    Raises:
        ArgumentError: If no input is uncertain.
        EnergyError: If a variable is finite, or names and shapes do not fit.
    """
    means, certain = in_one_precision(
        energy, values_by_name("given_means", held[0]), values_by_name("given", held[1])
    )
    if not means:
        raise ArgumentError("given_means is empty: without uncertain inputs there is nothing to propagate.")
    both = [name for name in means if name in certain]
    if both:
        raise ArgumentError(
            f"{both[0]!r} stands in both given_means and given: it is uncertain or it is not."
        )
    restriction = restrict(energy, over, {**certain, **means}, 1.0)
    finite = [name for name in restriction.over if replace(restriction, over=(name,)).finite]
    if finite:
        raise EnergyError(f"{finite[0]!r} takes finitely many values: its minimum has no derivative.")
    finite = [name for name in means if values_of(restriction.energy.variables[name]) is not None]
    if finite:
        raise EnergyError(
            f"{finite[0]!r} takes finitely many values: there is no slope in it to propagate. Put it into given, and "
            "compare its values."
        )
    shapes = {name: tuple(restriction.energy.variables[name].shape or (1,)) for name in means}
    rows = restriction.rows
    joined = torch.cat([restriction.given[name].expand(rows, *shapes[name]).flatten(1) for name in means], -1)
    lone = all(
        torch.as_tensor(value).ndim <= len(restriction.energy.variables[name].shape or (1,))
        for name, value in {**means, **certain}.items()
    )
    return Problem(
        restriction=restriction, wanted=shapes, means=joined, single=rows == 1 and lone, how=search,
    )  # fmt: skip
