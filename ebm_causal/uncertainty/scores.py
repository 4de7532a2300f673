"""Per-row derivatives of log densities in an energy's parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ebm_causal.errors import EnergyError


def parameter_jacobian(value: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    r"""The Jacobian ``[*value, parameters]`` of many values in few parameters.

    One pair of backward passes per parameter coordinate: the vector-Jacobian product :math:`v'J` is linear
    in v, so its own derivative in direction u is :math:`Ju`.

    Args:
        value: Values with a graph.
        parameters: What they depend on, flattened in this order.

    Returns:
        The Jacobian, detached; zeros for a parameter that is not used.
    """
    probe = torch.zeros_like(value, requires_grad=True)
    products = torch.autograd.grad(value, list(parameters), probe, create_graph=True, allow_unused=True)
    columns = []
    for product, parameter in zip(products, parameters, strict=True):
        if product is None or not product.requires_grad:
            columns += [torch.zeros_like(value)] * parameter.numel()
            continue
        for entry in product.reshape(-1):
            (column,) = torch.autograd.grad(entry, probe, retain_graph=True)
            columns.append(column)
    return torch.stack(columns, -1).detach()


def unused_parameters(value: Tensor, names: Sequence[str], tensors: Sequence[Tensor]) -> None:
    """Refuse parameters that a value with a graph does not depend on.

    Raises:
        EnergyError: Naming the first.
    """
    total = value.sum()
    found: Sequence[Tensor | None] = (
        torch.autograd.grad(total, list(tensors), retain_graph=True, allow_unused=True)
        if total.requires_grad
        else [None] * len(tensors)
    )
    for name, gradient in zip(names, found, strict=True):
        if gradient is None:
            raise EnergyError(f"the energy does not use {name!r}: there is no information about it.")
