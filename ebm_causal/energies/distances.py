"""Squared distances between predictions and values, by a matrix product where points are shared by rows."""

import torch
from torch import Tensor

MANY = 64  # points, from which on a product pays
DIGITS = 1e-11  # what a product may lose, in the units of the energy


def squared_distance(prediction: Tensor, value: Tensor, unit: Tensor) -> Tensor | None:
    r"""The squared distance of every prediction ``[points, 1, dim]`` to every value ``[rows, dim]`` in units squared.

    By :math:`|y - \hat y|^2 = |y|^2 + |\hat y|^2 - 2 y \cdot \hat y`, five times faster than by differences.
    None where that is no product of two matrices, or would lose digits: values are then far apart in these units.
    """
    if prediction.ndim != 3 or value.ndim != 2 or prediction.shape[1] != 1 or unit.ndim > 0:
        return None
    if len(prediction) < MANY or prediction.shape[-1] != value.shape[-1] or len(value) == 1:
        return None
    middle = value.detach().mean(0)
    near, each = prediction[:, 0] - middle, value - middle
    size = (each * each).sum(-1)
    if not bool(size.detach().amax() * torch.finfo(value.dtype).eps <= DIGITS * unit.detach()):
        return None
    whole = torch.addmm((near * near).sum(-1, keepdim=True), near, each.T, alpha=-2)
    return (whole + size) / unit
