"""How wide a mode is: by its curvature, and where that says nothing, by how far the energy takes to rise."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

FLAT = 1e-8  # of the largest curvature, below which there is none
RISE = 0.5  # of a normal law's energy one standard deviation away
AMISS = (
    30.0  # a rise at the distance that curvature calls one standard deviation, above which it is not believed
)
NARROWEST, WIDEST = 1e-12, 1e6  # times that distance, between which a rise is looked for
HALVINGS = 24


def precision_at(surface: Callable[[Tensor], Tensor], points: Tensor, hessian: Tensor) -> Tensor:
    r"""Precisions of normal laws that fit modes.

    That of the curvature, the signs of negative eigenvalues turned; along eigenvectors without any (a quartic's), or
    where the energy one such standard deviation away is far above a half, :math:`\ell^{-2}` with

    .. math:: \tfrac12\bigl(u(z + \ell v) + u(z - \ell v)\bigr) - u(z) = \tfrac12

    Args:
        surface: The reduced energy u of points ``[points, rows, dim]``.
        points: The modes, ``[modes, rows, dim]``.
        hessian: Of u there, ``[modes, rows, dim, dim]``.
    """
    eigenvalues, vectors = torch.linalg.eigh(hessian)
    size = eigenvalues.abs()
    largest = size.amax(-1, keepdim=True)
    flat = size <= FLAT * largest
    size = torch.where(largest > 0, size.maximum(FLAT * largest), torch.ones_like(size))
    with torch.no_grad():
        widths = _widths(surface, points, vectors, size.rsqrt(), flat)
    return (vectors / widths[..., None, :] ** 2) @ vectors.mT


def _widths(
    surface: Callable[[Tensor], Tensor], points: Tensor, vectors: Tensor, widths: Tensor, flat: Tensor
) -> Tensor:
    """The widths along each vector, found anew where they are flat or the energy rises far more than they say."""
    lowest = surface(points)[..., None]

    def rise(lengths: Tensor) -> Tensor:
        steps = (vectors * lengths[..., None, :]).movedim(-1, 0)
        sides = torch.stack([points + steps, points - steps])
        energies = surface(sides.flatten(0, 2)).reshape(sides.shape[:-1])
        return torch.where(energies.isnan(), math.inf, energies).mean(0).movedim(0, -1) - lowest

    amiss = flat | (rise(widths) > AMISS)
    if not bool(amiss.any()):
        return widths
    low, high = widths.log() + math.log(NARROWEST), widths.log() + math.log(WIDEST)
    amiss = amiss & (rise(high.exp()) >= RISE)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        above = rise(middle.exp()) > RISE
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return torch.where(amiss, high.exp(), widths)
