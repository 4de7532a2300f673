"""Linear layers watched while they are called: their inputs and outputs tell per-row gradients without forming them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class LayerCall(NamedTuple):
    """One call of a linear layer."""

    layer: nn.Linear
    input: Tensor
    output: Tensor


def seen_calls(module: nn.Module, function: Callable[[], Tensor]) -> tuple[Tensor, list[LayerCall]]:
    """What a function gives, and the calls of linear layers within a module that it made."""
    calls: list[LayerCall] = []

    def note(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        if isinstance(layer, nn.Linear):
            calls.append(LayerCall(layer, inputs[0].detach(), output))

    hooks = [part.register_forward_hook(note) for part in module.modules() if isinstance(part, nn.Linear)]
    try:
        return function(), calls
    finally:
        for hook in hooks:
            hook.remove()


def exact_diagonal(
    value: Tensor, calls: Sequence[LayerCall], parameters: Sequence[Tensor], roots: Sequence[Tensor]
) -> Tensor | None:
    r"""The diagonal of :math:`J'RR'J`: sums over rows of squared slopes, each row's slope being g a' in a linear layer.

    None where the layers do not hold all parameters, one is called with several inputs, or rows share an activation.

    Args:
        value: Numbers with a graph, ``[*rows]`` or ``[*rows, m]``.
        calls: What was seen of the layers.
        parameters: The parameters, in their order.
        roots: Columns R, each in the shape of ``value``; one row's entries never stand in two rows.
    """
    rows = roots[0].shape[:-1].numel() if roots[0].ndim > 1 and len(roots) > 1 else roots[0].numel()
    total: dict[int, Tensor] = {}
    for root in roots:
        found = torch.autograd.grad(
            value, [call.output for call in calls], root, retain_graph=True, allow_unused=True
        )
        used = [(call, slope) for call, slope in zip(calls, found, strict=True) if slope is not None]
        merged = _merged(used)
        if merged is None or any(slope[..., 0].numel() != rows for _, slope in merged):
            return None
        for call, slope in merged:
            squares = slope.flatten(0, -2) ** 2
            inputs = call.input.expand(*slope.shape[:-1], -1).flatten(0, -2)
            parts = {"weight": squares.mT @ inputs**2, "bias": squares.sum(0)}
            for name, parameter in call.layer.named_parameters(recurse=False):
                total[id(parameter)] = total.get(id(parameter), torch.zeros(())) + parts[name]
    if any(id(parameter) not in total for parameter in parameters):
        return None
    return torch.cat([total[id(parameter)].reshape(-1) for parameter in parameters])


def _merged(used: Sequence[tuple[LayerCall, Tensor]]) -> list[tuple[LayerCall, Tensor]] | None:
    """One call for each layer: slopes of calls with the same inputs add up; None where inputs differ or are shared."""
    by_owner: dict[int, tuple[LayerCall, Tensor]] = {}
    for call, slope in used:
        key = id(call.layer.weight)
        if key not in by_owner:
            by_owner[key] = (call, slope)
            continue
        first, before = by_owner[key]
        if first.layer is not call.layer or not torch.equal(first.input, call.input):
            return None
        by_owner[key] = (first, before + slope)
    return list(by_owner.values())
