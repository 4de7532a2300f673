"""Whether a value depends on what it is to be differentiated in."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ebm_causal.errors import EnergyError


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
