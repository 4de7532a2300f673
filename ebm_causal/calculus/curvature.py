"""Second derivatives of a scalar in a few parameters, and what their eigenvalues say."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ebm_causal.calculus.jacobians import parameter_jacobian


def hessian(value: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The Hessian of a scalar in all parameters, flattened in their order.

    One backward pass per coordinate: for a few hundred parameters. Detach the result rather than
    computing under ``no_grad``, under which some activations lose their second derivative.

    Args:
        value: A scalar with a graph.
        parameters: What it depends on; a parameter that it does not use gets zeros.

    Returns:
        A symmetric matrix.

    Example:
        >>> import torch
        >>> w = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> hessian((w**3).sum(), [w])
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    first = torch.autograd.grad(value, list(parameters), create_graph=True, allow_unused=True)
    flat = torch.cat([_or_zeros(g, p) for g, p in zip(first, parameters, strict=True)])
    rows = []
    for entry in flat:
        if not entry.requires_grad:
            rows.append(torch.zeros_like(flat))
            continue
        second = torch.autograd.grad(entry, list(parameters), retain_graph=True, allow_unused=True)
        rows.append(torch.cat([_or_zeros(g, p) for g, p in zip(second, parameters, strict=True)]))
    matrix = torch.stack(rows).detach()
    return 0.5 * (matrix + matrix.mT)


def row_hessians(values: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The Hessian of each of many values in few parameters, ``[*values, p, p]``: a pass per pair of coordinates."""
    probe = torch.zeros_like(values, requires_grad=True)
    products = torch.autograd.grad(
        values, list(parameters), probe, create_graph=True, allow_unused=True, materialize_grads=True
    )
    columns = []
    for entry in torch.cat([product.reshape(-1) for product in products]):
        if not entry.requires_grad:
            columns.append(values.new_zeros(*values.shape, sum(p.numel() for p in parameters)))
            continue
        (slope,) = torch.autograd.grad(entry, probe, create_graph=True)
        columns.append(parameter_jacobian(slope, parameters))
    matrices = torch.stack(columns, -1)
    return 0.5 * (matrices + matrices.mT)


def spectrum(matrix: Tensor, relative: float = 1e-9) -> tuple[Tensor, Tensor, int]:
    """Eigenvalues in rising order, eigenvectors, and the rank: how many exceed ``relative`` times the largest.

    What rounding in the matrix's precision explains counts as zero, too.
    """
    values, vectors = torch.linalg.eigh(matrix)
    largest = float(values.abs().max()) if values.numel() else 0.0
    least = max(relative, 8 * len(matrix) * torch.finfo(matrix.dtype).eps)
    return values, vectors, int((values > least * largest).sum()) if largest > 0 else 0


def inverse_or_none(matrix: Tensor, relative: float = 1e-9) -> Tensor | None:
    """The inverse of a positive definite matrix; None where it is singular or indefinite, never clipped."""
    values, vectors, rank = spectrum(matrix, relative)
    if rank < len(matrix):
        return None
    return (vectors / values) @ vectors.mT


def _or_zeros(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return (torch.zeros_like(parameter) if gradient is None else gradient).reshape(-1)
