"""Derivatives of batched functions, and whether they are the slopes of what is computed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError, EbmCausalError

RowFunction = Callable[[Tensor], Tensor]


class Taylor(NamedTuple):
    """A function of rows near a point: value, slopes, and curvatures where asked for.

    Attributes:
        value: ``[*batch, m]``.
        jacobian: ``[*batch, m, n]``.
        hessian: ``[*batch, m, n, n]``, or None.
        bend: The slope of the trace of hessian times covariance, ``[*batch, m, n]``, or None.
    """

    value: Tensor
    jacobian: Tensor
    hessian: Tensor | None = None
    bend: Tensor | None = None


def batched_jacobian(function: RowFunction, points: Tensor) -> tuple[Tensor, Tensor]:
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
    found = taylor(function, points)
    return found.value, found.jacobian


def taylor(function: RowFunction, points: Tensor, order: int = 1, covariance: Tensor | None = None) -> Taylor:
    r"""Value and derivatives of a function of rows, also under an outer ``no_grad``.

    One backward pass per output for the slopes, and one per output and input for the second derivatives. Of the
    third ones only the contraction :math:`\sum_{bc}T_{abc}\Sigma_{bc}` with a covariance is found, which is the
    slope of :math:`\mathrm{tr}(H\Sigma)`: one pass per output.

    Args:
        function: Maps ``[*batch, n]`` to ``[*batch, m]``, row by row.
        points: Where.
        order: 1, 2 or 3.
        covariance: For order 3, ``[n, n]`` or ``[*batch, n, n]``.

    Returns:
        The derivatives, detached.

    Raises:
        ArgumentError: If the output has another batch than the input, or does not depend on it.
    """
    with torch.enable_grad():
        inputs = points.detach().requires_grad_()
        value = values_of_rows(function, inputs)
        if not value.requires_grad:
            raise ArgumentError("the function's output does not depend on its input by differentiable steps.")
        slopes = [_slope(value[..., i], inputs, order > 1) for i in range(value.shape[-1])]
        hessian = bend = None
        if order > 1:
            rows = [[_slope(entry, inputs, order > 2) for entry in slope.unbind(-1)] for slope in slopes]
            hessian = torch.stack([torch.stack(row, -2) for row in rows], -3)
        if order > 2 and hessian is not None and covariance is not None:
            traces = (hessian * covariance[..., None, :, :]).sum((-2, -1))
            bend = torch.stack([_slope(trace, inputs, False) for trace in traces.unbind(-1)], -2)
    detached = [None if part is None else part.detach() for part in (hessian, bend)]
    return Taylor(value.detach(), torch.stack(slopes, -2).detach(), *detached)


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
    if not value.requires_grad:
        return value.new_zeros(*value.shape, sum(parameter.numel() for parameter in parameters))
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


def rows_without_slope(
    function: RowFunction, points: Tensor, found: tuple[Tensor, Tensor], root: Tensor
) -> list[int]:
    """Rows in which a function has a kink, or autograd's derivative is not its slope.

    Two evaluations a small step to both sides, in one random direction: the difference must be the derivative's
    (a step that was detached, rounded or drawn is found so), and must not turn at the point (a kink). What
    disagrees there is looked at once more with a sixteenth of the step, where a smooth function agrees better.

    Args:
        function: Maps ``[*batch, n]`` to ``[*batch, m]``.
        points: Where.
        found: Value and Jacobian there.
        root: A root of the covariance: the direction is a draw of the inputs.

    Returns:
        The numbers of such rows, the batch flattened.
    """
    generator = torch.Generator().manual_seed(0)
    weights = 0.5 + torch.rand(points.shape[-1], generator=generator, dtype=torch.float64)
    direction = root @ weights.to(points)  # one for all rows where the root is
    step = torch.finfo(points.dtype).eps ** (1 / 3)
    slope = _along(found[1], direction)
    gap = _gap(function, (points, direction, step), (found[0], slope))
    doubtful = ~(gap <= 1e-3 * slope.abs())  # a bound from below of what is tolerated, and a NaN
    if not bool(doubtful.any()):
        return []
    rounding, scale = _tolerated(found, points, direction)
    suspicious = ~(gap <= 1e-3 * scale + rounding / step)
    if not bool(suspicious.any()):
        return []
    again = _gap(function, (points, direction, step / 16), (found[0], slope))
    bad = suspicious & ~(again <= 0.5 * gap) & ~(again <= 16 * rounding / step)
    return bad.reshape(-1, bad.shape[-1]).any(-1).nonzero().flatten().tolist()


def _gap(function: RowFunction, way: tuple[Tensor, Tensor, float], found: tuple[Tensor, Tensor]) -> Tensor:
    """How far the slopes to both sides are from the derivative along the way."""
    (points, direction, step), (value, slope) = way, found
    with torch.no_grad():
        after = (function(points + step * direction) - value) / step
        before = (value - function(points - step * direction)) / step
    return torch.maximum((after - slope).abs(), (before - slope).abs())


def _along(jacobian: Tensor, direction: Tensor) -> Tensor:
    return jacobian @ direction if direction.ndim == 1 else (jacobian @ direction[..., None]).squeeze(-1)


def _tolerated(found: tuple[Tensor, Tensor], points: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """What rounding puts into a difference of values, and the slopes' size."""
    value, jacobian = found
    size = value.abs() + jacobian.abs().amax(-1) * points.abs().sum(-1, keepdim=True)
    return 64 * torch.finfo(points.dtype).eps * size, _along(jacobian.abs(), direction.abs())


def _slope(entries: Tensor, inputs: Tensor, keep: bool) -> Tensor:
    if not entries.requires_grad:
        return torch.zeros_like(inputs)
    (slope,) = torch.autograd.grad(
        entries.sum(), inputs, retain_graph=True, create_graph=keep, allow_unused=True
    )
    return torch.zeros_like(inputs) if slope is None else slope


def values_of_rows(function: RowFunction, points: Tensor) -> Tensor:
    """What a function of rows gives, real numbers.

    Raises:
        ArgumentError: If it fails, or gives no real tensor with the batch of the points and an output at least.
    """
    try:
        value: object = function(points)
    except EbmCausalError:
        raise
    except (RuntimeError, TypeError, LookupError, AttributeError, ArithmeticError, ValueError) as error:
        raise ArgumentError(
            f"the function does not take a tensor {list(points.shape)} of {points.dtype}: {error}"
        ) from error
    if not isinstance(value, Tensor) or not value.ndim or value.shape[:-1] != points.shape[:-1]:
        found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ArgumentError(
            f"the function must map [*batch, n] to [*batch, m]; it maps {list(points.shape)} to {found}."
        )
    if value.is_complex() or not value.shape[-1]:
        raise ArgumentError(
            f"the function must give real outputs, one at least; got {list(value.shape)} in {value.dtype}."
        )
    return value if value.is_floating_point() else value.to(points.dtype)
