r"""The derivative of a minimizer, :math:`\hat v(u) = \arg\min_v E(v, u)`, by the implicit function theorem."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

RowEnergy = Callable[[Tensor, Tensor], Tensor]  # minimizer [*batch, k] and inputs [*batch, n] to [*batch]


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumSlopes:
    """An energy's derivatives at a point.

    Attributes:
        gradient: In what is minimized over, ``[*batch, k]``.
        hessian: In the same, ``[*batch, k, k]``.
        cross: Of the gradient in the inputs, ``[*batch, k, n]``.
    """

    gradient: Tensor
    hessian: Tensor
    cross: Tensor

    def jacobian(self) -> Tensor:
        r"""The minimizer's derivative, :math:`-E_{vv}^{-1}E_{vu}`, where the Hessian is positive definite.

        For :math:`v = (y, z)` the rows of y are those of the Schur complement,
        :math:`-(E_{yy} - E_{yz}E_{zz}^{-1}E_{zy})^{-1}(E_{yu} - E_{yz}E_{zz}^{-1}E_{zu})`: one solution with the
        joint Hessian does the same.
        """
        torch.linalg.cholesky(self.hessian)  # refuses what is not positive definite
        return -torch.linalg.solve(
            self.hessian, self.cross
        )  # many small systems: half the time of cholesky_solve

    def step(self) -> Tensor:
        """Newton's step from the point to the minimum, ``[*batch, k]``."""
        factor = torch.linalg.cholesky(self.hessian)
        return -torch.cholesky_solve(self.gradient[..., None], factor).squeeze(-1)

    def smallest_eigenvalues(self) -> tuple[Tensor, Tensor]:
        """The smallest eigenvalue of each Hessian, and that of the Hessian with its diagonal scaled to one."""
        scale = self.hessian.diagonal(dim1=-2, dim2=-1)
        scale = torch.where(scale > 0, scale, torch.ones_like(scale)).rsqrt()
        scaled = scale[..., :, None] * self.hessian * scale[..., None, :]
        return torch.linalg.eigvalsh(self.hessian)[..., 0], torch.linalg.eigvalsh(scaled)[..., 0]


def minimum_slopes(energy: RowEnergy, minimizer: Tensor, inputs: Tensor) -> MinimumSlopes:
    """Gradient, Hessian and cross derivatives: one backward pass, and one for each coordinate of the minimizer.

    Args:
        energy: Maps the minimizer and the inputs to one number per row; rows do not mix.
        minimizer: ``[*batch, k]``.
        inputs: ``[*batch, n]``.

    Example:
        >>> import torch
        >>> y, u = torch.tensor([[2.0]]), torch.tensor([[2.0, 5.0]])
        >>> quartic = lambda v, u: (v**4 / 4 + v**2 / 2 - v * u.prod(-1, keepdim=True)).sum(-1)
        >>> minimum_slopes(quartic, y, u).jacobian()  # 5 / 13 and 2 / 13
        tensor([[[0.3846, 0.1538]]])
    """
    with torch.enable_grad():
        v, u = minimizer.detach().requires_grad_(), inputs.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(v, u).sum(), v, create_graph=True)
        basis = torch.eye(v.shape[-1], dtype=gradient.dtype, device=gradient.device)
        rows = [_both(gradient, along, (v, u)) for along in basis]
    hessian, cross = (torch.stack(part, -2) for part in zip(*rows, strict=True))
    return MinimumSlopes(
        gradient=gradient.detach(), hessian=0.5 * (hessian + hessian.mT), cross=cross
    )  # the passes give both halves of a symmetric matrix


def gradient_of(energy: RowEnergy, size: int) -> Callable[[Tensor], Tensor]:
    """The gradient in the minimizer as a function of the joined point ``[*batch, k + n]``, detached."""

    def gradient(point: Tensor) -> Tensor:
        with torch.enable_grad():
            v = point[..., :size].detach().requires_grad_()
            (found,) = torch.autograd.grad(energy(v, point[..., size:].detach()).sum(), v)
        return found

    return gradient


def near_minimizer(energy: RowEnergy, minimizer: Tensor, steps: int) -> Callable[[Tensor], Tensor]:
    r"""A function of the inputs whose derivatives at the minimum, up to order ``2**steps - 1``, are the minimizer's.

    So many steps of Newton's method from a minimizer that is exact at one point, with a graph.
    """

    def follow(inputs: Tensor) -> Tensor:
        with torch.enable_grad():
            v = minimizer.detach().expand(*inputs.shape[:-1], -1).clone().requires_grad_()
            for _ in range(steps):
                (gradient,) = torch.autograd.grad(energy(v, inputs).sum(), v, create_graph=True)
                rows = [
                    torch.autograd.grad(entry.sum(), v, create_graph=True)[0] for entry in gradient.unbind(-1)
                ]
                v = v - torch.linalg.solve(torch.stack(rows, -2), gradient[..., None]).squeeze(-1)
        return v

    return follow


def _both(gradient: Tensor, along: Tensor, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The slopes of one coordinate of the gradient, of all rows at once."""
    if not gradient.requires_grad:
        return torch.zeros_like(inputs[0]), torch.zeros_like(inputs[1])
    found = torch.autograd.grad(
        gradient, inputs, along.expand_as(gradient),
        retain_graph=True, allow_unused=True, materialize_grads=True,
    )  # fmt: skip
    return found[0], found[1]
