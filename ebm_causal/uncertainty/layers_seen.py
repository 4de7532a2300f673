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

    None where the layers do not hold all parameters, one is called twice, or rows share an activation.

    Args:
        value: Numbers with a graph, ``[*rows]`` or ``[*rows, m]``.
        calls: What was seen of the layers.
        parameters: The parameters, in their order.
        roots: Columns R, each in the shape of ``value``; one row's entries never stand in two rows.
    """
    owners: dict[int, tuple[LayerCall, str]] = {}
    for call in calls:
        for name, parameter in call.layer.named_parameters(recurse=False):
            if id(parameter) in owners:
                return None
            owners[id(parameter)] = (call, name)
    rows = roots[0].shape[:-1].numel() if roots[0].ndim > 1 and len(roots) > 1 else roots[0].numel()
    wanted = [owners.get(id(parameter)) for parameter in parameters]
    if any(one is None for one in wanted):
        return None
    outputs = [call.output for call in calls]
    if any(call.output[..., 0].numel() != rows for call in calls):
        return None
    total = [torch.zeros_like(parameter) for parameter in parameters]
    for root in roots:
        slopes = torch.autograd.grad(value, outputs, root, retain_graph=True)
        by_call = {id(call): slope.flatten(0, -2) ** 2 for call, slope in zip(calls, slopes, strict=True)}
        for place, one in enumerate(wanted):
            if one is None:
                continue
            squares = by_call[id(one[0])]
            inputs = one[0].input.expand(*one[0].output.shape[:-1], -1).flatten(0, -2)
            total[place] += squares.mT @ inputs**2 if one[1] == "weight" else squares.sum(0)
    return torch.cat([part.reshape(-1) for part in total])
