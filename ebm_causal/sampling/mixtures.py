r"""Mixtures of normal and Student-t laws around modes: proposals that cover quadratic fits and their tails."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

TAIL = 4  # degrees of freedom; even, so that chi squares are products of uniforms


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    r"""Half normal, half Student-t with four degrees of freedom, around the same centers in each row.

    .. math:: q(z) = \tfrac12\sum_m w_m N(z; c_m, L_m L_m') + \tfrac12\sum_m w_m t_4(z; c_m, L_m L_m')

    The normal half makes the weights of a normal density constant up to two; the other half bounds those
    of any density whose tails are lighter than a Student-t's.

    Attributes:
        centers: ``[modes, rows, dim]``.
        factors: Lower triangular, ``[modes, rows, dim, dim]``.
        log_weights: Normalized, ``[modes, rows]``; minus infinity where a row has fewer modes.
    """

    centers: Tensor
    factors: Tensor
    log_weights: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws ``[count, rows, dim]``, stratified over the modes; every other one has the heavy tails."""
        _, rows, dim = self.centers.shape
        like = self.centers
        mode = self._stratified_modes(count, generator)
        normal = torch.randn((count, rows, dim), generator=generator, dtype=like.dtype).to(like.device)
        uniform = torch.rand((count // 2, rows, TAIL // 2), generator=generator, dtype=like.dtype)
        chi_square = -2 * uniform.to(like.device).clamp_min(torch.finfo(like.dtype).tiny).log().sum(-1)
        normal[1::2] *= (TAIL / chi_square).sqrt()[..., None]
        row = torch.arange(rows, device=like.device)
        points = torch.empty_like(normal)
        for start in range(0, count, 256):  # factors of a few draws at a time
            part = slice(start, start + 256)
            index = (mode[part], row)
            points[part] = self.centers[index] + (self.factors[index] @ normal[part][..., None])[..., 0]
        return points

    def log_densities(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """The log densities of the normal and of the Student-t half, ``[points, rows]`` each."""
        dim = points.shape[-1]
        from_normal, from_student = [], []
        constant = (
            math.lgamma((TAIL + dim) / 2) - math.lgamma(TAIL / 2) - 0.5 * dim * math.log(TAIL * math.pi)
        )
        for center, factor, log_weight in zip(self.centers, self.factors, self.log_weights, strict=True):
            white = torch.linalg.solve_triangular(factor, (points - center)[..., None], upper=False)[..., 0]
            square = (white * white).sum(-1)
            scale = log_weight - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
            from_normal.append(scale - 0.5 * (square + dim * math.log(2 * math.pi)))
            from_student.append(scale + constant - 0.5 * (TAIL + dim) * torch.log1p(square / TAIL))
        return torch.stack(from_normal).logsumexp(0), torch.stack(from_student).logsumexp(0)

    def log_density(self, from_normal: Tensor, from_student: Tensor) -> Tensor:
        """The log density of the whole, from those of its halves."""
        return torch.logaddexp(from_normal, from_student) - math.log(2)

    def _stratified_modes(self, count: int, generator: torch.Generator) -> Tensor:
        """Which mode each draw is around, ``[count, rows]``: both halves have each mode in its proportion."""
        half = (count + 1) // 2
        cumulative = self.log_weights.exp().cumsum(0).T.contiguous()
        offset = torch.rand((len(cumulative), 2), generator=generator, dtype=cumulative.dtype)
        places = (torch.arange(half)[:, None, None] + offset) / half  # [half, rows, 2]
        flat = places.permute(1, 0, 2).reshape(len(cumulative), -1)[:, :count].to(cumulative.device)
        mode = torch.searchsorted(cumulative, (flat * cumulative[:, -1:]).contiguous(), right=True)
        return mode.clamp_max(len(self.centers) - 1).T


def mixture_around(points: Tensor, precision: Tensor, energies: Tensor) -> tuple[Mixture, Tensor]:
    r"""The mixture of the quadratic fits at modes, and the log mass of each fit.

    .. math:: \log m = -u(z_m) + \tfrac d2\log 2\pi - \tfrac12\log|H_m|

    Args:
        points: The modes, ``[modes, rows, dim]``.
        precision: The Hessians there, positive definite.
        energies: The energies there, ``[modes, rows]``; infinite where a row has fewer modes.

    Returns:
        The mixture, its weights proportional to the masses, and ``[modes, rows]``.
    """
    dim = points.shape[-1]
    flipped = torch.linalg.cholesky(precision.flip(-1, -2)).flip(-1, -2)  # upper triangular: U U' = H
    identity = torch.eye(dim, dtype=points.dtype, device=points.device).expand_as(flipped)
    factor = torch.linalg.solve_triangular(
        flipped.mT, identity, upper=False
    )  # its inverse transposed, L L' = H^-1
    log_volume = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    log_mass = -energies + log_volume + 0.5 * dim * math.log(2 * math.pi)
    return Mixture(centers=points, factors=factor, log_weights=torch.log_softmax(log_mass, 0)), log_mass
