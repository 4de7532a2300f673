"""Expected information: exact on a lattice of outcomes, or by data that are simulated from the model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import pyro
import torch
from torch import Tensor

from ebm_causal.calculus import parameter_jacobian
from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.gibbs import GibbsDensity, Restriction, pyro_model, restrict
from ebm_causal.inference import (
    MarginalLikelihood,
    ParameterVector,
    draw_rows,
    likelihood_of_given,
    log_likelihood_of_given,
)
from ebm_causal.sampling import Lattice, adapt_lattice
from ebm_causal.shapes import common_rows
from ebm_causal.uncertainty.scores import unused_parameters

FINE, WHOLE = 0.6, 32.0  # step and drop of lattices that are differentiated twice
TOGETHER = 20_000  # rows that are simulated at once


class Parts(NamedTuple):
    """An information and what comes with it.

    Attributes:
        rows: The information of each row, ``[rows, p, p]``, or that of all as one row.
        complete: The same had the latents been seen.
        standard_error: Of the sum.
        scores: At the data, ``[rows, p]``.
    """

    rows: Tensor
    complete: Tensor | None = None
    standard_error: Tensor | None = None
    scores: Tensor | None = None


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


def simulated_information(question: Question, draws: int, seed: int) -> Parts:
    """By data drawn from the model itself: the mean over data sets of the sum over rows of score times score."""
    if question.global_normalizer or question.warm or question.variables:
        raise ArgumentError("draws serve energies of mechanisms and their parameters; leave draws out.")
    names = (*question.over, *question.latents)
    rows = repeated(
        restrict(question.energy, names, question.given, question.beta),
        1 if question.rows is None else question.rows,
    )
    if rows.rows * draws < 2:
        raise ArgumentError("one draw of one row has no standard error: take more draws.")
    size = len(question.parameters)
    total, squares, each = torch.zeros(size, size), torch.zeros(size, size), max(1, TOGETHER // rows.rows)
    for start in range(0, draws, each):
        values = simulated(question, rows, min(each, draws - start), seed + start)
        joint = MarginalLikelihood(question.energy, values, question.latents, question.beta).log_likelihood()
        given = {name: values[name] for name in question.given}
        known = log_likelihood_of_given(question.energy, given, question.beta).expand(joint.shape)
        scores = parameter_jacobian(joint - known, question.parameters.tensors)
        total, squares = total + scores.mT @ scores, squares + (scores**2).mT @ scores**2
    count = rows.rows * draws
    variance = (squares / count - (total / count) ** 2) * count / max(count - 1, 1)
    error = (variance * rows.rows / draws).sqrt()
    return Parts(total[None] / draws, standard_error=error)


def simulated(question: Question, rows: Restriction, copies: int, seed: int) -> dict[str, Tensor]:
    """Several data sets, one after the other."""
    given = {
        name: value.expand(rows.rows, *value.shape[1:]).repeat(copies, *[1] * (value.ndim - 1))
        for name, value in rows.given.items()
    }
    model = pyro_model(question.energy, beta=question.beta, rows=rows.rows * copies)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), pyro.get_param_store().scope():
        torch.manual_seed(seed)
        drawn = model(**given, **_causes_of_given(question, rows, copies))
    return {**given, **{name: drawn[name] for name in question.over}}


def _causes_of_given(question: Question, rows: Restriction, copies: int) -> dict[str, Tensor]:
    """Draws of what the given variables tell about, from its density given them."""
    part = likelihood_of_given(
        question.energy, {name: rows.given[name] for name in question.given}, question.beta
    )
    if part is None or not part.latents:
        return {}
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    points, failed = draw_rows(part.whole, copies * rows.rows // part.rows, generator)
    if failed:
        raise ConvergenceError(
            f"the causes of {list(question.given)} cannot be drawn in rows {list(failed[:5])}: their density there "
            "did not pass the lattice's self-check."
        )
    return {name: value.flatten(0, 1) for name, value in part.whole.split(points).items()}


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
