"""The three ways to an information matrix: on a lattice of outcomes, at the data, and by simulated data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyro
import torch
from torch import Tensor

from ebm_causal.calculus import hessian
from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs import GibbsDensity, Restriction, pyro_model, restrict
from ebm_causal.inference import MarginalLikelihood, ParameterVector
from ebm_causal.sampling import Lattice, adapt_lattice
from ebm_causal.shapes import common_rows
from ebm_causal.uncertainty.scores import parameter_jacobian, unused_parameters

FINE, WHOLE = 0.6, 32.0  # step and drop of lattices that are differentiated twice
TOGETHER = 20_000  # rows that are simulated at once
Parts = tuple[Tensor, Tensor | None, Tensor | None]  # information, complete information, standard error


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
        global_normalizer: Whether the density is normalized as a whole.
    """

    energy: Energy
    over: tuple[str, ...]
    latents: tuple[str, ...]
    given: Mapping[str, object]
    beta: float
    parameters: ParameterVector
    warm: bool
    global_normalizer: bool

    @property
    def labels(self) -> tuple[str, ...]:
        """One name per coordinate."""
        return (*self.parameters.labels, *(("beta",) if self.warm else ()))


def expected_information(question: Question) -> Parts:
    """Exact: complete scores on a lattice of outcomes and, for each, a lattice of latents.

    The scores are centered over the outcomes of each row, so that no normalizer needs a derivative.
    """
    outer = restrict(question.energy, (*question.over, *question.latents), question.given, question.beta)
    outcomes = _outcomes(question, outer)
    rows, points = outer.rows, len(outcomes.points)
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
    information = torch.einsum("jri,jrk,jr->ik", centered, centered, mass[..., 0])
    if inner is None:
        return information, information, None
    spread = scores - (weights[..., None] * scores).sum(0)
    joint = weights * mass[..., 0].reshape(-1)
    return information, information + torch.einsum("kni,knj,kn->ij", spread, spread, joint), None


def observed_information(question: Question, data: Mapping[str, object]) -> Parts:
    """At the data: minus the Hessian of the log density, and of the complete one averaged over the latents."""
    values = {**question.given, **data}
    if question.warm:
        raise ArgumentError("the observed information takes parameters; beta is served by kind='expected'.")
    if not question.global_normalizer:
        likelihood = MarginalLikelihood(question.energy, values, question.latents, question.beta)
        tensors, names = question.parameters.tensors, question.parameters.names
        total = likelihood.log_likelihood().sum()
        unused_parameters(total, names, tensors)
        complete = (
            torch.stack([_complete_term(b, lattice) for b, lattice in likelihood.lattices()]).sum()
            if question.latents
            else None
        )
        information = -hessian(total, tensors)
        return information, information if complete is None else -hessian(complete, tensors), None
    return _observed_globally(question, values)


def simulated_information(question: Question, draws: int, seed: int) -> Parts:
    """By data drawn from the model itself: the mean over data sets of the sum over rows of score times score."""
    if question.global_normalizer or question.warm:
        raise ArgumentError("draws serve energies of mechanisms and their parameters; leave draws out.")
    if draws < 1:
        raise ArgumentError(f"draws must be positive; got {draws}.")
    names = (*question.over, *question.latents)
    rows = restrict(question.energy, names, question.given, question.beta)
    size = len(question.parameters)
    total, squares, each = torch.zeros(size, size), torch.zeros(size, size), max(1, TOGETHER // rows.rows)
    for start in range(0, draws, each):
        values = _simulated(question, rows, min(each, draws - start), seed + start)
        likelihood = MarginalLikelihood(question.energy, values, question.latents, question.beta)
        scores = parameter_jacobian(likelihood.log_likelihood(), question.parameters.tensors)
        total, squares = total + scores.mT @ scores, squares + (scores**2).mT @ scores**2
    count = rows.rows * draws
    variance = (squares / count - (total / count) ** 2) * count / max(count - 1, 1)
    return total / draws, None, (variance * rows.rows / draws).sqrt()


def _simulated(question: Question, rows: Restriction, copies: int, seed: int) -> dict[str, Tensor]:
    """Several data sets, one after the other."""
    given = {
        name: value.expand(rows.rows, *value.shape[1:]).repeat(copies, *[1] * (value.ndim - 1))
        for name, value in rows.given.items()
    }
    model = pyro_model(question.energy, beta=question.beta, rows=rows.rows * copies)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), pyro.get_param_store().scope():
        torch.manual_seed(seed)
        drawn = model(**given)
    return {**given, **{name: drawn[name] for name in question.over}}


def _outcomes(question: Question, outer: Restriction) -> Lattice:
    """A lattice over the outcomes of each row, latents integrated out at each of its points."""
    if not question.latents:
        return outer.quadrature()
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
        lattice = inner.quadrature()
        given, weights = {**inner.given, **inner.split(lattice.points)}, lattice.weights()
    tensors: list[Tensor] = list(question.parameters.tensors)
    names = list(question.parameters.names)
    if question.warm:
        beta = torch.tensor(question.beta, dtype=torch.float64, requires_grad=True)
        tensors, names = [*tensors, beta], [*names, "beta"]
        reduced = beta * question.energy.reduced(given)
    else:
        reduced = question.energy.reduced(given, question.beta)
    rows = common_rows(values)
    reduced = reduced.expand(*weights.shape) if inner is not None else reduced.expand(1, rows)
    unused_parameters(reduced, names, tensors)
    return -parameter_jacobian(reduced, tensors), weights.expand(reduced.shape)


def _complete_term(block: Restriction, lattice: Lattice) -> Tensor:
    return -(lattice.weights() * block(lattice.points)).sum()


def _observed_globally(question: Question, values: Mapping[str, object]) -> Parts:
    density = GibbsDensity(question.energy, question.over, question.given, question.beta)
    checked = restrict(question.energy, question.latents, values, question.beta) if question.latents else None
    rows = (
        checked.given if checked is not None else restrict(question.energy, (), values, question.beta).given
    )
    point = torch.cat([rows[name] for name in question.over], -1)
    total = density.normalized_log_prob(point).sum()
    unused_parameters(total, question.parameters.names, question.parameters.tensors)
    return -hessian(total, question.parameters.tensors), None, None
