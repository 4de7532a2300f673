"""Products of shared data with each chain's own weights as one matrix product, which ``vmap`` makes many of."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

MATMULS = (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__)


class SharedProducts(TorchFunctionMode):
    """Within, linear layers and products with a matrix serve all chains of a ``vmap`` at once.

    With data ``[rows, in]`` and weights ``[chains, in, out]``, ``vmap`` repeats the data for each chain: fifteen times
    slower for a thousand rows and one output than one product with ``[in, chains * out]``.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """Hand products on, and all else as it is."""
        if func is torch.nn.functional.linear:
            return _linear(*args, **(kwargs or {}))
        if func in MATMULS and not kwargs and args[0].ndim > 1 and args[1].ndim == 2:
            return _Product.apply(*args)
        return func(*args, **(kwargs or {}))


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002 -- torch's name
    if input.ndim < 2:
        return torch.nn.functional.linear(input, weight, bias)
    product = _Product.apply(input, weight.mT)
    return product if bias is None else product + bias


class _Product(torch.autograd.Function):
    """A matrix product whose rule for ``vmap`` does not repeat what chains share."""

    @staticmethod
    def forward(data: Tensor, weight: Tensor) -> Tensor:
        return data @ weight

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, Tensor]:
        data, weight = ctx.saved_tensors
        return upstream @ weight.mT, data.flatten(0, -2).mT @ upstream.flatten(0, -2)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, int | None], data: Tensor, weight: Tensor
    ) -> tuple[Tensor, int]:
        own_data, own_weight = in_dims
        if own_weight is None:
            return data.movedim(own_data or 0, 0) @ weight, 0
        if own_data is None:
            wide = weight.movedim(own_weight, 1)  # [in, chains, out]
            product = data @ wide.flatten(1)
            return product.unflatten(-1, wide.shape[1:]), data.ndim - 1
        first, second = data.movedim(own_data, 0), weight.movedim(own_weight, 0)
        return first @ second.reshape(len(second), *([1] * (first.ndim - 3)), *second.shape[1:]), 0
