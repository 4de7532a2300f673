r"""Directions of descent on a batch of points: damped Newton, L-BFGS, and the gradient with a length that fits.

A method looks at a point: it gives the energy, the gradient and where to go next. It never goes uphill,
and never farther than a few lengths of the point, so that a flat or bent stretch cannot throw it out.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.errors import EnergyError

PointEnergy = Callable[[Tensor], Tensor]
LONGEST = 4.0  # times one plus the point's length: how far one step may go
MEMORY = 10  # pairs that L-BFGS remembers


class State(NamedTuple):
    """What the next step needs, one entry per point.

    Attributes:
        point: ``[points, dim]``.
        energy: There, ``[points]``.
        gradient: ``[points, dim]``.
        direction: Where to go next, ``[points, dim]``.
        memory: What the method remembers, ``[points, pairs, 2, dim]``; empty for Newton.
        size: How far along the direction the next trial is.
        idle: For how many steps the energy has not fallen.
    """

    point: Tensor
    energy: Tensor
    gradient: Tensor
    direction: Tensor
    memory: Tensor
    size: Tensor
    idle: Tensor


Look = Callable[[PointEnergy, Tensor, State | None], State]


def newton_look(energy: PointEnergy, point: Tensor, _: State | None) -> State:
    """Energy, gradient and Newton direction at a point; where the Hessian is indefinite, of its absolute value."""
    value, gradient, hessian = curvatures(energy, point)
    factor, failed = torch.linalg.cholesky_ex(hessian)
    direction = -torch.cholesky_solve(gradient[..., None], factor)[..., 0]
    bad = (failed > 0) | ~direction.isfinite().all(-1)
    if bool(bad.any()):
        direction[bad] = _downhill(hessian[bad], gradient[bad], point[bad])
    return _state(point, value, gradient, direction, point.new_zeros(len(point), 0, 2, 0))


def lbfgs_look(energy: PointEnergy, point: Tensor, old: State | None, pairs: int = MEMORY) -> State:
    """Energy, gradient and L-BFGS direction at a point; with one pair, and only its length, gradient descent."""
    value, gradient = slopes(energy, point)
    if old is None:
        memory = point.new_zeros(len(point), pairs, 2, point.shape[-1])
        first = -gradient / gradient.norm(dim=-1, keepdim=True).clamp_min(1.0)
        return _state(point, value, gradient, first, memory)
    pair = torch.stack([point - old.point, gradient - old.gradient], 1)
    bends = (pair[:, 0] * pair[:, 1]).sum(-1) > rounding(point) * (pair[:, 1] ** 2).sum(-1)
    pair = torch.where(bends[:, None, None], pair, torch.zeros_like(pair))
    memory = torch.cat([pair[:, None], old.memory[:, :-1]], 1)
    return _state(point, value, gradient, _two_loops(gradient, memory, loops=pairs > 1), memory)


def gradient_look(energy: PointEnergy, point: Tensor, old: State | None) -> State:
    """Energy, gradient and the descent direction of Barzilai and Borwein's length."""
    return lbfgs_look(energy, point, old, pairs=1)


METHODS: dict[str, Look] = {"newton": newton_look, "lbfgs": lbfgs_look, "gradient": gradient_look}


def _two_loops(gradient: Tensor, memory: Tensor, *, loops: bool) -> Tensor:
    """Minus the inverse Hessian of remembered pairs times the gradient; a pair of zeros does nothing."""
    steps, bends = memory[:, :, 0], memory[:, :, 1]
    products = (steps * bends).sum(-1)
    inverse = torch.where(products > 0, 1 / products, torch.zeros_like(products))
    result, kept = gradient, []
    for k in range(memory.shape[1] if loops else 0):
        kept.append(inverse[:, k] * (steps[:, k] * result).sum(-1))
        result = result - kept[k][:, None] * bends[:, k]
    result = result * _length(products, bends, gradient)[:, None]
    for k in reversed(range(len(kept))):
        shift = kept[k] - inverse[:, k] * (bends[:, k] * result).sum(-1)
        result = result + shift[:, None] * steps[:, k]
    return -result


def _length(products: Tensor, bends: Tensor, gradient: Tensor) -> Tensor:
    """The inverse curvature along the last pair that bends upward; a step of length one where there is none."""
    valid = products > 0
    latest = valid.to(torch.uint8).argmax(-1, keepdim=True)
    squares = (bends**2).sum(-1).gather(-1, latest)[:, 0]
    length = products.gather(-1, latest)[:, 0] / squares
    unit = 1 / gradient.norm(dim=-1).clamp_min(1.0)
    return torch.where(valid.any(-1), length, unit)


def _downhill(hessian: Tensor, gradient: Tensor, point: Tensor) -> Tensor:
    """Newton's direction with the signs of negative eigenvalues turned; a long step where there is no curvature."""
    if hessian.shape[-1] == 1:
        eigenvalues, vectors = hessian[..., 0], torch.ones_like(hessian)
    else:
        eigenvalues, vectors = torch.linalg.eigh(hessian)
    size = eigenvalues.abs()
    flat = gradient.norm(dim=-1, keepdim=True) / (LONGEST * (1 + point.norm(dim=-1, keepdim=True)))
    largest = size.amax(-1, keepdim=True)
    floor = torch.where(largest > 0, 1e-8 * largest, flat).clamp_min(torch.finfo(point.dtype).tiny)
    along = (vectors.mT @ gradient.nan_to_num()[..., None])[..., 0]
    return -(vectors @ (along / size.maximum(floor))[..., None])[..., 0]


def _state(point: Tensor, value: Tensor, gradient: Tensor, direction: Tensor, memory: Tensor) -> State:
    """A state whose direction goes down and not too far."""
    downhill = (gradient * direction).sum(-1, keepdim=True) <= 0
    direction = torch.where(downhill, direction, -gradient)
    longest = LONGEST * (1 + point.norm(dim=-1, keepdim=True))
    direction = direction * (longest / direction.norm(dim=-1, keepdim=True).clamp_min(1e-300)).clamp_max(1.0)
    return State(point, value, gradient, direction, memory, torch.ones_like(value), torch.zeros_like(value))


def curvatures(energy: PointEnergy, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Energy, gradient and Hessian of each point, by one backward pass per dimension."""
    with torch.enable_grad():
        inputs = points.detach().requires_grad_()
        value, gradient = _differentiated(energy(inputs), inputs, create_graph=True)
        columns = [_second(gradient[:, i], inputs) for i in range(points.shape[-1])]
    hessian = torch.stack(columns, -1)
    hessian = 0.5 * (hessian + hessian.mT).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    return value.detach(), gradient.detach(), hessian


def _second(entry: Tensor, inputs: Tensor) -> Tensor:
    if not entry.requires_grad:
        return torch.zeros_like(inputs)
    (column,) = torch.autograd.grad(entry.sum(), inputs, retain_graph=True, allow_unused=True)
    return torch.zeros_like(inputs) if column is None else column


def slopes(energy: PointEnergy, points: Tensor) -> tuple[Tensor, Tensor]:
    """Energy and gradient of each point."""
    with torch.enable_grad():
        inputs = points.detach().requires_grad_()
        value, gradient = _differentiated(energy(inputs), inputs)
    return value.detach(), gradient


def _differentiated(value: Tensor, inputs: Tensor, *, create_graph: bool = False) -> tuple[Tensor, Tensor]:
    """The value with its gradient, in one pass."""
    gradient = None
    if value.requires_grad:
        (gradient,) = torch.autograd.grad(value.sum(), inputs, create_graph=create_graph, allow_unused=True)
    if gradient is None:
        raise EnergyError(
            "the energy does not depend on what it is minimized over by differentiable steps: "
            "compute it in torch, give the variables a finite support, or minimize by method='coordinate'."
        )
    return value, gradient


def rounding(like: Tensor) -> float:
    """The relative rounding error of a tensor's numbers."""
    return torch.finfo(like.dtype).eps
