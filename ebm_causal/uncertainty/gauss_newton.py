"""The generalized Gauss-Newton matrix of the parameters of decoders."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.calculus import parameter_jacobian
from ebm_causal.energies import Mechanism, mechanisms_of
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs import restrict
from ebm_causal.shapes import common_rows
from ebm_causal.uncertainty.at_data import Values, rows_at
from ebm_causal.uncertainty.informations import Parts, Question


def gauss_newton_information(question: Question, data: Mapping[str, object] | None) -> Parts:
    r"""The Gauss-Newton matrix, :math:`\beta\sum J'(\nabla^2_{\hat y}C)J`, averaged over the latents' posterior.

    Without data the value of a child is its mean, which serves costs whose curvature does not depend on it.

    Raises:
        ArgumentError: If there are no mechanisms, or data are needed.
        EnergyError: If no prediction depends on a parameter.
    """
    if question.global_normalizer or question.warm or question.variables:
        raise ArgumentError("the Gauss-Newton matrix is that of parameters of mechanisms.")
    if question.latents and not data:
        raise ArgumentError("the Gauss-Newton matrix of an energy with latents needs data={...}.")
    values: dict[str, Tensor] = {}
    if data:
        values = rows_at(question, data)
    else:
        held = restrict(question.energy, (*question.over, *question.latents), question.given, question.beta)
        rows = held.rows if question.rows is None else question.rows
        values = {name: value.expand(rows, *value.shape[1:]) for name, value in held.given.items()}
    weights = torch.ones(1, common_rows(values))
    if question.latents:
        inner = restrict(question.energy, question.latents, values, question.beta)
        lattice = inner.quadrature(step=1 / 3, drop=32.0)
        values, weights = {**inner.given, **inner.split(lattice.points)}, lattice.weights()
    total, reached = torch.zeros(()), torch.zeros(len(question.parameters), dtype=torch.bool)
    for mechanism in _mechanisms_of(question, values):
        part, touched = _curved(question, mechanism, values, weights)
        total, reached = total + part, reached | touched
    _refuse_unreached(question, reached)
    return Parts(total)


class Predicted(NamedTuple):
    """What mechanisms without latents predict.

    Attributes:
        mechanisms: In the order of their predictions.
        values: Around them.
        curvature: Beta times that of their costs in the joined predictions, ``[rows, m, m]``.
    """

    mechanisms: tuple[Mechanism, ...]
    values: Values
    curvature: Tensor

    def predictions(self) -> Tensor:
        """All side by side, ``[rows, m]``."""
        return torch.cat([mechanism.predict(self.values) for mechanism in self.mechanisms], -1)


def predicted(question: Question, data: Mapping[str, object] | None) -> Predicted:
    """The mechanisms in question, the values around them, and their costs' curvatures.

    Raises:
        ArgumentError: If there are none, or latents, or data are needed.
        EnergyError: If no prediction uses a parameter.
    """
    if question.latents or question.global_normalizer:
        raise ArgumentError(
            "a Gauss-Newton operator serves mechanisms without latents; take 'expected' with draws."
        )
    open_ones = tuple(name for name in question.over if not data)
    held = restrict(question.energy, open_ones, {**question.given, **(data or {})}, question.beta)
    values = {name: value.expand(held.rows, *value.shape[1:]) for name, value in held.given.items()}
    mechanisms = _mechanisms_of(question, values)
    with torch.enable_grad():
        predictions = [mechanism.predict(values) for mechanism in mechanisms]
        _refuse_unreached(question, _reached(question, torch.cat(predictions, -1)))
    bends = [
        _curvature(mechanism, prediction, values, question.beta)
        for mechanism, prediction in zip(mechanisms, predictions, strict=True)
    ]
    return Predicted(tuple(mechanisms), values, question.beta * _block_diagonal(bends))


def _mechanisms_of(question: Question, values: Values) -> list[Mechanism]:
    """The mechanisms of what is asked about, all their parents known."""
    mechanisms = [m for name, m in mechanisms_of(question.energy).items() if name in question.over]
    if not mechanisms:
        raise ArgumentError(
            f"{list(question.over)} have no mechanism: the Gauss-Newton matrix is that of decoders."
        )
    for mechanism in mechanisms:
        unknown = [name for name in mechanism.parents if name not in values]
        if unknown:
            raise ArgumentError(
                f"the prediction of {mechanism.child!r} needs values of {unknown[0]!r}: give data={{...}}."
            )
    return mechanisms


def _block_diagonal(blocks: Sequence[Tensor]) -> Tensor:
    """Blocks ``[rows, m, m]`` along one diagonal."""
    sizes = [block.shape[-1] for block in blocks]
    whole = blocks[0].new_zeros(*blocks[0].shape[:-2], sum(sizes), sum(sizes))
    start = 0
    for block, size in zip(blocks, sizes, strict=True):
        whole[..., start : start + size, start : start + size] = block
        start += size
    return whole


def _reached(question: Question, prediction: Tensor) -> Tensor:
    """Which coordinates a prediction has in its graph."""
    tensors = question.parameters.tensors
    found: Sequence[Tensor | None] = [None] * len(tensors)
    if prediction.requires_grad:
        found = torch.autograd.grad(prediction.sum(), tensors, retain_graph=True, allow_unused=True)
    parts = [torch.full((t.numel(),), g is not None) for t, g in zip(tensors, found, strict=True)]
    return torch.cat(parts)


def _refuse_unreached(question: Question, reached: Tensor) -> None:
    if not bool(reached.all()):
        names = [label for label, one in zip(question.labels, reached.tolist(), strict=True) if not one]
        raise EnergyError(
            f"no prediction of {list(question.over)} depends on {names[0]!r}: the Gauss-Newton matrix is that of what "
            "decoders use. Leave it out of wrt, or take another kind."
        )


def _curvature(mechanism: Mechanism, prediction: Tensor, values: Values, beta: float) -> Tensor:
    bends = [own_hessian(mechanism, prediction, at) for at in outcomes_of(mechanism, values, beta)]
    if len(bends) > 1 and not torch.allclose(bends[0], bends[1]):
        raise ArgumentError(
            f"the curvature of the cost of {mechanism.child!r} depends on its value: give data={{...}}."
        )
    return bends[0]


def _curved(
    question: Question, mechanism: Mechanism, values: Values, weights: Tensor
) -> tuple[Tensor, Tensor]:
    prediction = mechanism.predict(values)
    shape = (*weights.shape, prediction.shape[-1])
    prediction = prediction.expand(shape)
    bend = _curvature(mechanism, prediction, values, question.beta)
    jacobian = parameter_jacobian(prediction, question.parameters.tensors)
    half = torch.einsum("knab,knbp->knap", bend, jacobian)
    part = question.beta * torch.einsum("knap,knaq,kn->npq", jacobian, half, weights.to(jacobian))
    return part, (jacobian != 0).flatten(0, -2).any(0)


def outcomes_of(mechanism: Mechanism, values: Values, beta: float) -> list[Tensor]:
    """The child's value; or two that it may have, to see whether it matters: its mean and half of it, or two states."""
    if mechanism.child in values:
        return [values[mechanism.child]]
    mean = mechanism.mean(values, beta).detach()
    support = mechanism.variables[mechanism.child].support
    if support.is_discrete:
        return [torch.full_like(mean, state) for state in getattr(support, "values", (0.0, 1.0))[:2]]
    return [mean, mean * 0.5]


def own_hessian(mechanism: Mechanism, prediction: Tensor, value: Tensor) -> Tensor:
    """The second derivatives of a mechanism's cost in its prediction."""
    with torch.enable_grad():
        leaf = prediction.detach().clone().requires_grad_()
        cost = mechanism.cost(leaf, value.expand(*leaf.shape[:-1], *value.shape[-1:]))
        (slope,) = torch.autograd.grad(cost.sum(), leaf, create_graph=True)
        rows = []
        for entry in slope.unbind(-1):
            found = None
            if entry.requires_grad:
                (found,) = torch.autograd.grad(entry.sum(), leaf, retain_graph=True, allow_unused=True)
            rows.append(torch.zeros_like(leaf) if found is None else found)
    return torch.stack(rows, -2).detach()
