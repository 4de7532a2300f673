"""Step sizes that hold an acceptance, and metrics from draws: what a warm-up learns of each row."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.sampling.kernels import Potential
from ebm_causal.sampling.lattice import RowEnergy

DENSE_UP_TO = 10  # dimensions; above, a metric is diagonal
LARGEST = 4.0  # step size in standard deviations
SMALLEST = 1e-10
SHRUNK = 0.3  # draws per dimension that a guess of no correlation counts for
POWERS = (1.0, 0.5, 0.25, 0.1, 0.03, 0.01)  # of weights, of which the first that leaves enough draws is taken


class Averaging:
    """Dual averaging of log step sizes, a number or one for each row.

    References:
        Hoffman and Gelman (2014), The No-U-Turn sampler, section 3.2.
    """

    def __init__(self, start: Tensor, target: float | Tensor) -> None:
        self.target, self.log_size = target, start.log()
        self.center, self.log_mean = self.log_size + math.log(2), self.log_size
        self.error, self.count = torch.zeros_like(start), 0

    @property
    def current(self) -> Tensor:
        """The step sizes to try next."""
        return self.log_size.exp()

    @property
    def settled(self) -> Tensor:
        """The step sizes to keep."""
        return self.log_mean.exp()

    def update(self, acceptance: Tensor) -> None:
        """Learn from an acceptance."""
        self.count += 1
        rate = 1 / (self.count + 10)
        self.error = (1 - rate) * self.error + rate * (self.target - acceptance)
        free = self.center - math.sqrt(self.count) / 0.05 * self.error
        self.log_size = free.clamp(math.log(SMALLEST), math.log(LARGEST))
        weight = self.count**-0.75
        self.log_mean = weight * self.log_size + (1 - weight) * self.log_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Coordinates in which each row is about standard normal.

    Attributes:
        center: ``[rows, dim]``.
        factor: Lower triangular, ``[rows, dim, dim]``, or its diagonal, ``[rows, dim]``.
    """

    center: Tensor
    factor: Tensor

    def outward(self, white: Tensor) -> Tensor:
        """White coordinates ``[..., rows, dim]`` as points."""
        return self.center + times(self.factor, white)

    def inward(self, points: Tensor) -> Tensor:
        """Points ``[..., rows, dim]`` in white coordinates."""
        apart = points - self.center
        if self.factor.ndim == 2:
            return apart / self.factor
        return torch.linalg.solve_triangular(self.factor, apart[..., None], upper=False)[..., 0]

    def rows(self, index: Tensor) -> "Metric":
        """The metric of some rows."""
        return Metric(center=self.center[index], factor=self.factor[index])

    def potential(self, energy: RowEnergy) -> Potential:
        """The energy and its gradient in white coordinates."""

        def value_and_gradient(white: Tensor) -> tuple[Tensor, Tensor]:
            value, gradient = slope(energy, self.outward(white))
            return value, times(self.factor if self.factor.ndim == 2 else self.factor.mT, gradient)

        return value_and_gradient


def slope(energy: RowEnergy, points: Tensor) -> tuple[Tensor, Tensor]:
    """The energy and its gradient, in one pass: rows are independent."""
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        value = energy(points)
        (gradient,) = torch.autograd.grad(value.sum(), points)
    return value.detach(), gradient


def times(factor: Tensor, vectors: Tensor) -> Tensor:
    """Each row's matrix, or diagonal, times vectors ``[..., rows, dim]``."""
    if factor.ndim == 2:
        return factor * vectors
    return torch.einsum("rij,...rj->...ri", factor, vectors)


def metric_of(points: Tensor, fallback: Metric) -> Metric:
    """The metric of draws ``[draws, rows, dim]``; a row whose draws do not vary keeps its own."""
    center = points.mean(0)
    return _metric(center, points - center, points.shape[0], fallback)


def weighted_metric(points: Tensor, log_weights: Tensor, fallback: Metric) -> Metric:
    """The metric of weighted draws, the weights flattened until five draws per dimension count."""
    needed = min(5 * points.shape[-1], len(points) // 2)
    weights = torch.softmax(POWERS[-1] * log_weights, 0)
    for power in reversed(POWERS[:-1]):
        sharper = torch.softmax(power * log_weights, 0)
        weights = torch.where(1 / (sharper**2).sum(0) >= needed, sharper, weights)
    center = (weights[..., None] * points).sum(0)
    scaled = (points - center) * (len(points) * weights)[..., None].sqrt()
    return _metric(center, scaled, needed, fallback)


def _metric(center: Tensor, apart: Tensor, count: int, fallback: Metric) -> Metric:
    """From deviations; correlations are shrunk by as much as so many draws leave them unknown."""
    dim = center.shape[-1]
    spread = (apart**2).mean(0)
    if dim > DENSE_UP_TO or fallback.factor.ndim == 2:
        factor = spread.sqrt()
        fine = factor.isfinite().all(-1) & (factor > 0).all(-1)
        old = fallback.factor
        if old.ndim == 3:
            old = old.diagonal(dim1=-2, dim2=-1)
    else:
        covariance = torch.einsum("nri,nrj->rij", apart, apart) / len(apart)
        kept = count / (count + SHRUNK * dim)
        covariance = kept * covariance + (1 - kept) * torch.diag_embed(spread)
        factor, failed = torch.linalg.cholesky_ex(covariance)
        fine, old = (failed == 0) & factor.isfinite().flatten(1).all(-1), fallback.factor
    row = fine.reshape(-1, *[1] * (factor.ndim - 1))
    return Metric(
        center=torch.where(fine[:, None], center, fallback.center), factor=torch.where(row, factor, old)
    )
