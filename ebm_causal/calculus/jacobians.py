"""First derivatives of batched functions."""

from collections.abc import Callable

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError


def batched_jacobian(function: Callable[[Tensor], Tensor], points: Tensor) -> tuple[Tensor, Tensor]:
    """Value and Jacobian of a function of rows, by one backward pass per output.

    Holds where rows do not mix: output ``[..., m]`` of a row depends on that row of ``points [..., n]`` alone.

    Args:
        function: Maps ``[*batch, n]`` to ``[*batch, m]``.
        points: Where.

    Returns:
        The value ``[*batch, m]`` and the Jacobian ``[*batch, m, n]``, both detached.

    Raises:
        ArgumentError: If the output has another batch than the input, or does not depend on it.

    Example:
        >>> import torch
        >>> batched_jacobian(lambda x: x**2, torch.tensor([[1.0, 2.0]]))[1]
        tensor([[[2., 0.],
                 [0., 4.]]])
    """
    with torch.enable_grad():
        inputs = points.detach().requires_grad_()
        value = function(inputs)
        if value.shape[:-1] != points.shape[:-1]:
            raise ArgumentError(
                f"the function must map [*batch, n] to [*batch, m]; it maps {list(points.shape)} to "
                f"{list(value.shape)}."
            )
        if not value.requires_grad:
            raise ArgumentError("the function's output does not depend on its input by differentiable steps.")
        outputs = range(value.shape[-1])
        rows = [torch.autograd.grad(value[..., i].sum(), inputs, retain_graph=True)[0] for i in outputs]
    return value.detach(), torch.stack(rows, -2)
