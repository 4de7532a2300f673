"""The three ways to an information matrix: on a lattice of outcomes, at the data, and by simulated data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pyro
import torch
from torch import Tensor

from ebm_causal.calculus import hessian, parameter_jacobian
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
        rows: How many rows there are where what is given holds one or none; None for what it holds.
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
    times = (
        _repeated(outer, 1 if question.rows is None else question.rows).rows / rows
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
    information = times * torch.einsum("jri,jrk,jr->ik", centered, centered, mass[..., 0])
    if inner is None:
        return information, information, None
    spread = scores - (weights[..., None] * scores).sum(0)
    joint = weights * mass[..., 0].reshape(-1)
    return information, information + times * torch.einsum("kni,knj,kn->ij", spread, spread, joint), None


def observed_information(question: Question, data: Mapping[str, object]) -> Parts:
    """At the data: minus the Hessian of the log density, and of the complete one averaged over the latents."""
    values = {**question.given, **data}
    if question.rows is not None:
        raise ArgumentError("the observed information has the rows of its data; leave rows out.")
    if question.warm:
        raise ArgumentError("the observed information takes parameters; beta is served by kind='expected'.")
    if not question.global_normalizer:
        likelihood = MarginalLikelihood(question.energy, values, question.latents, question.beta)
        tensors, names = question.parameters.tensors, question.parameters.names
        joint = likelihood.log_likelihood()
        unused_parameters(joint, names, tensors)
        known = log_likelihood_of_given(question.energy, question.given, question.beta).expand(joint.shape)
        information = -hessian((joint - known).sum(), tensors)
        if not question.latents:
            return information, information, None
        return information, -hessian(_complete_log_density(likelihood) - known.sum(), tensors), None
    return _observed_globally(question, values)


def simulated_information(question: Question, draws: int, seed: int) -> Parts:
    """By data drawn from the model itself: the mean over data sets of the sum over rows of score times score."""
    if question.global_normalizer or question.warm:
        raise ArgumentError("draws serve energies of mechanisms and their parameters; leave draws out.")
    if draws < 1:
        raise ArgumentError(f"draws must be positive; got {draws}.")
    names = (*question.over, *question.latents)
    rows = _repeated(
        restrict(question.energy, names, question.given, question.beta),
        1 if question.rows is None else question.rows,
    )
    size = len(question.parameters)
    total, squares, each = torch.zeros(size, size), torch.zeros(size, size), max(1, TOGETHER // rows.rows)
    for start in range(0, draws, each):
        values = _simulated(question, rows, min(each, draws - start), seed + start)
        joint = MarginalLikelihood(question.energy, values, question.latents, question.beta).log_likelihood()
        given = {name: values[name] for name in question.given}
        known = log_likelihood_of_given(question.energy, given, question.beta).expand(joint.shape)
        scores = parameter_jacobian(joint - known, question.parameters.tensors)
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


def _repeated(restriction: Restriction, rows: int) -> Restriction:
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


def _complete_log_density(likelihood: MarginalLikelihood) -> Tensor:
    """Summed over rows, averaged over the latents at the parameters of the moment."""
    terms = [-(lattice.weights() * block(lattice.points)).sum() for block, lattice in likelihood.lattices()]
    return torch.stack(terms).sum() - likelihood.rows * likelihood.log_prior_normalizer()


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
