"""Which information is asked for, and the expected one, exact on a lattice of outcomes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.calculus import parameter_jacobian
from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs import GibbsDensity, Restriction, restrict, values_of
from ebm_causal.inference import ParameterVector
from ebm_causal.sampling import Lattice, adapt_lattice
from ebm_causal.shapes import common_rows
from ebm_causal.uncertainty.scores import unused_parameters
from ebm_causal.uncertainty.settings import Progress

FINE, WHOLE = 0.6, 32.0  # step and drop of lattices that are differentiated twice


class Parts(NamedTuple):
    """An information and what comes with it.

    Attributes:
        rows: The information of each row, ``[rows, p, p]``, or that of all as one row.
        complete: The same had the latents been seen.
        standard_error: Of the sum.
        scores: At the data, ``[rows, p]``.
        noisy: Whether the standard error is in every direction, also in one that nothing tells about.
    """

    rows: Tensor
    complete: Tensor | None = None
    standard_error: Tensor | None = None
    scores: Tensor | None = None
    noisy: bool = False


class Drawing(NamedTuple):
    """How much is drawn, and who is told.

    Attributes:
        draws: How many; None where all is exact.
        seed: Of them.
        progress: Told the share done and what is being done.
    """

    draws: int | None
    seed: int
    progress: Progress | None = None

    def at(self, number: int, count: int) -> "Drawing":
        """The same as one of several stages, each of which tells its part of the whole."""
        whole = self.progress
        if whole is None or count == 1:
            return self
        return self._replace(progress=lambda share, what: whole((number + share) / count, what))

    def tell(self, share: float, what: str) -> None:
        """Tell whoever wants to know."""
        if self.progress is not None:
            self.progress(share, what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which information is asked for.

    Attributes:
        energy: The energy, with local normalizers where it is a sum of mechanisms.
        over: The variables of the density.
        latents: What is integrated out.
        given: What the density is conditional on.
        beta: The inverse temperature.
        parameters: The parameters.
        warm: Whether beta is one of them, in the last place.
        variables: Variables that are asked about in place of parameters.
        global_normalizer: Whether the density is normalized as a whole.
        rows: How many rows there are where what is given holds one or none; None for what it holds.
        by_row: Whether each row's information is wanted where that takes longer than all together.
    """

    energy: Energy
    over: tuple[str, ...]
    latents: tuple[str, ...]
    given: Mapping[str, object]
    beta: float
    parameters: ParameterVector
    warm: bool
    global_normalizer: bool
    rows: int | None = None
    variables: tuple[str, ...] = ()
    by_row: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """One name per coordinate."""
        if self.variables:
            return tuple(label for name in self.variables for label in self._coordinates(name))
        return (*self.parameters.labels, *(("beta",) if self.warm else ()))

    def refuse_wide(self, instead: str) -> None:
        """Refuse latents that no lattice integrates out.

        Raises:
            EnergyError: With what to do instead.
        """
        if self.wide:
            raise EnergyError(
                f"the latents {list(self.latents)} have {self.latent_dim} real dimensions, and a lattice serves one or "
                f"two: {instead}."
            )

    @property
    def wide(self) -> bool:
        """Whether the latents have more real dimensions than a lattice serves."""
        finite = all(values_of(self.energy.variables[name]) is not None for name in self.latents)
        return not finite and self.latent_dim > 2

    @property
    def latent_dim(self) -> int:
        """The dimensions of the latents together."""
        return sum(math.prod(self.energy.variables[name].shape or (1,)) for name in self.latents)

    def _coordinates(self, name: str) -> list[str]:
        size = math.prod(self.energy.variables[name].shape or (1,))
        return [name] if size == 1 else [f"{name}[{i}]" for i in range(size)]


def expected_information(question: Question) -> Parts:
    """Exact: complete scores on a lattice of outcomes and, for each, a lattice of latents.

    The scores are centered over the outcomes of each row, so that no normalizer needs a derivative.
    """
    outer = restrict(question.energy, (*question.over, *question.latents), question.given, question.beta)
    outcomes = _outcomes(question, outer)
    rows, points = outer.rows, len(outcomes.points)
    times = (
        repeated(outer, 1 if question.rows is None else question.rows).rows / rows
    )  # rows alike tell as much each
    given = {
        k: v.expand(rows, *v.shape[1:]).repeat(points, *[1] * (v.ndim - 1)) for k, v in outer.given.items()
    }
    flat = outcomes.points.reshape(points * rows, -1)
    values = {**given, **_split(question.energy, question.over, flat)}
    inner = restrict(question.energy, question.latents, values, question.beta) if question.latents else None
    scores, weights = _complete_scores(question, values, inner)  # [k, points * rows, p], [k, points * rows]
    marginal = (weights[..., None] * scores).sum(0).reshape(points, rows, -1)
    mass = outcomes.weights()[..., None]
    centered = marginal - (mass * marginal).sum(0)
    information = times * torch.einsum("jri,jrk,jr->rik", centered, centered, mass[..., 0])
    if inner is None:
        return Parts(information, information)
    spread = scores - (weights[..., None] * scores).sum(0)
    joint = weights * mass[..., 0].reshape(-1)
    lost = torch.einsum("kni,knj,kn->nij", spread, spread, joint).reshape(
        points, rows, *information.shape[1:]
    )
    return Parts(information, information + times * lost.sum(0))


def repeated(restriction: Restriction, rows: int) -> Restriction:
    """The same density for so many rows.

    Raises:
        ArgumentError: If it has rows of its own.
    """
    if rows < 1 or (rows > 1 and restriction.rows > 1):
        raise ArgumentError(
            f"rows={rows} must be positive, and serves where given holds one row or none; it holds {restriction.rows}."
        )
    return replace(restriction, rows=max(rows, restriction.rows))


def _outcomes(question: Question, outer: Restriction) -> Lattice:
    """A lattice over the outcomes of each row, latents integrated out at each of its points."""
    if not question.latents:
        return outer.quadrature(step=1 / 3, drop=32.0)
    density = GibbsDensity(question.energy, question.over, outer.given, question.beta)
    outcome = replace(outer, over=question.over)

    def reduced(points: Tensor) -> Tensor:
        return -density.log_prob(points if density.batch_shape else points[:, 0]).reshape(points.shape[:-1])

    if outcome.finite:
        return outcome.states(reduced)
    if outcome.dim > 2 or not all(variable.is_real for variable in outcome.variables):
        raise EnergyError(
            f"the exact information over {list(question.over)} needs one or two real dimensions or finite "
            "variables: give draws=... to simulate it."
        )
    return adapt_lattice(reduced, outer.rows, outcome.dim, like=outer.like)


def _split(energy: Energy, names: tuple[str, ...], flat: Tensor) -> dict[str, Tensor]:
    values, start = {}, 0
    for name in names:
        size = math.prod(energy.variables[name].shape or (1,))
        values[name] = flat[:, start : start + size]
        start += size
    return values


def _complete_scores(
    question: Question, values: dict[str, Tensor], inner: Restriction | None
) -> tuple[Tensor, Tensor]:
    """Scores of the complete data at the latents' lattice points, with the points' posterior weights."""
    given, weights = values, torch.ones(())
    if inner is not None:
        lattice = inner.quadrature(step=1 / 3, drop=32.0)
        given, weights = {**inner.given, **inner.split(lattice.points)}, lattice.weights()
    rows = common_rows(values)
    if question.variables:
        return _variable_scores(question, given, weights, rows)
    tensors: list[Tensor] = list(question.parameters.tensors)
    names = list(question.parameters.names)
    if question.warm:
        beta = torch.tensor(question.beta, dtype=torch.float64, requires_grad=True)
        tensors, names = [*tensors, beta], [*names, "beta"]
        reduced = question.energy.reduced(given, beta)
    else:
        reduced = question.energy.reduced(given, question.beta)
    reduced = reduced.expand(*weights.shape) if inner is not None else reduced.expand(1, rows)
    unused_parameters(reduced, names, tensors)
    return -parameter_jacobian(reduced, tensors), weights.expand(reduced.shape)


def _variable_scores(
    question: Question, given: Mapping[str, Tensor], weights: Tensor, rows: int
) -> tuple[Tensor, Tensor]:
    """Scores in variables: each point has a leaf of its own."""
    layers = weights.shape[0] if weights.ndim else 1
    leaves = {}
    for name in question.variables:
        shape = given[name].shape[-len(question.energy.variables[name].shape or (1,)) :]
        leaves[name] = given[name].detach().expand(layers, rows, *shape).clone().requires_grad_()
    with torch.enable_grad():
        reduced = question.energy.reduced({**given, **leaves}, question.beta).expand(layers, rows)
        unused_parameters(reduced, question.variables, list(leaves.values()))
        slopes = torch.autograd.grad(reduced.sum(), list(leaves.values()))
    return -torch.cat([slope.flatten(2) for slope in slopes], -1), weights.expand(layers, rows)
