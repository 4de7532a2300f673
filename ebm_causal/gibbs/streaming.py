r"""Gradients of log integrals found piece by piece, when they are asked for.

The gradient of :math:`\log\int e^{-u}` is minus the mean gradient of u under the density. It is computed anew
from the points, some rows at a time, so that no graph of all points is ever held.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ebm_causal.gibbs.restriction import Restriction


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The lattice of some rows, without its energies.

    Attributes:
        rows: Their numbers.
        points: ``[points, rows, dim]``, or one column that all rows share.
        weighs: Which points count, ``[points, rows]``.
        log_cell: The log volume of a cell, per row.
    """

    rows: Tensor
    points: Tensor
    weighs: Tensor
    log_cell: Tensor

    def log_integral(self, restriction: Restriction) -> Tensor:
        """The log integral of these rows, with a graph."""
        part = restriction.select(self.rows)
        energies = part.at(self.points) if part.finite else part(self.points)
        return torch.logsumexp(torch.where(self.weighs, -energies, -torch.inf), 0) + self.log_cell


def inputs_of(restriction: Restriction) -> tuple[Tensor, ...]:
    """What a graph of the reduced energy starts from: tensors that are given, and parameters wherever they are held.

    Parameters that no module owns, as those that a callable closes over, are found by the graph of a point, what is
    given cut off: a leaf that something given comes from must not be counted once more on its own.
    """
    if not torch.is_grad_enabled():
        return ()
    given = [value for value in restriction.given.values() if value.requires_grad]
    first = torch.zeros(1, dtype=torch.long, device=restriction.like.device)
    alone = {name: value.detach() for name, value in restriction.given.items()}
    probe = replace(restriction, given=alone).select(first).probe()
    own = _reached(probe)[0] if probe.requires_grad else {}
    if _entangled(given, own):  # then each path is counted once from its leaf on
        return tuple(
            {**own, **{key: leaf for value in given for key, leaf in _reached(value)[0].items()}}.values()
        )
    return (*given, *own.values())


def _entangled(given: Sequence[Tensor], own: dict[int, Tensor]) -> bool:
    """Whether what is given comes from the energy's own parameters, or one of it from another."""
    for value in given:
        leaves, nodes = _reached(value)
        others = [other for other in given if other is not value]
        if set(leaves) & set(own) or any(id(other) in leaves or other.grad_fn in nodes for other in others):
            return True
    return False


def _reached(value: Tensor) -> tuple[dict[int, Tensor], set[Any]]:
    """The leaves of a graph, by their identity, and its nodes."""
    if value.is_leaf:
        return {id(value): value}, set()
    found: dict[int, Tensor] = {}
    seen: set[Any] = set()
    stack: list[Any] = [value.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found[id(node.variable)] = node.variable
        stack += [following for following, _ in node.next_functions]
    return found, seen


def differentiable(
    restriction: Restriction, value: Tensor, pieces: Sequence[Piece], inputs: tuple[Tensor, ...]
) -> Tensor:
    """The same value with a gradient in the inputs, which is computed from the pieces on demand."""

    def gradient(grad: Tensor, twice: bool) -> list[Tensor | None]:
        total: list[Tensor | None] = [None] * len(inputs)
        for piece in pieces:
            parts = torch.autograd.grad(
                piece.log_integral(restriction), inputs, grad[piece.rows],
                create_graph=twice, retain_graph=True, allow_unused=True,
            )  # fmt: skip
            total = [_plus(before, part) for before, part in zip(total, parts, strict=True)]
        return total

    found: Tensor = _OnDemand.apply(value, gradient, *inputs)
    return found


def _plus(before: Tensor | None, part: Tensor | None) -> Tensor | None:
    return part if before is None else before if part is None else before + part


class _OnDemand(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, value: Tensor, gradient: Callable[[Tensor, bool], list[Tensor | None]], *inputs: Tensor
    ) -> Tensor:
        ctx.gradient = gradient
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        twice = torch.is_grad_enabled()
        with torch.enable_grad():
            found = ctx.gradient(grads[0], twice)
        return (None, None, *found)
