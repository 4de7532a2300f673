r"""Gradients of log integrals found piece by piece, when they are asked for.

The gradient of :math:`\log\int e^{-u}` is minus the mean gradient of u under the density. It is computed anew
from the points, some rows at a time, so that no graph of all points is ever held.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

    Parameters that no module owns, as those that a callable closes over, are found by the graph of two points.
    """
    if not torch.is_grad_enabled():
        return ()
    given = [value for value in restriction.given.values() if value.requires_grad]
    first = torch.zeros(1, dtype=torch.long, device=restriction.like.device)
    probe = restriction.select(first).probe()
    leaves = _leaves(probe) if probe.requires_grad else []
    known = {id(value) for value in given}
    return (*given, *(leaf for leaf in leaves if id(leaf) not in known))


def _leaves(value: Tensor) -> list[Tensor]:
    """The leaves of a graph."""
    found: dict[int, Tensor] = {}
    seen, stack = set(), [value.grad_fn]
    while stack:
        node: Any = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found[id(node.variable)] = node.variable
        stack += [following for following, _ in node.next_functions]
    return list(found.values())


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
