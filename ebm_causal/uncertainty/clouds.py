r"""Propagation by values alone: a function of inputs at cubature points, or at normal draws."""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from ebm_causal.calculus import RowFunction, values_of_rows
from ebm_causal.errors import ArgumentError
from ebm_causal.uncertainty.settings import Progress
from ebm_causal.uncertainty.uncertain import Uncertain

PRODUCT_UP_TO = 6  # inputs for which all products of three Hermite points are taken
BLOCK = 1_000_000  # numbers that are evaluated at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """What a function does to a cloud of inputs.

    Attributes:
        mean: ``[*batch, m]``.
        covariance: ``[*batch, m, m]``.
        with_inputs: The covariance of outputs with standardized inputs, ``[*batch, m, n]``.
        mean_error: The standard error of the mean; None for cubature.
        covariance_error: That of the covariance.
    """

    mean: Tensor
    covariance: Tensor
    with_inputs: Tensor
    mean_error: Tensor | None = None
    covariance_error: Tensor | None = None


def by_cubature(function: RowFunction, inputs: Uncertain) -> Cloud:
    """At cubature points, their weights positive.

    Up to six uncertain inputs all products of three Hermite points, exact for polynomials of degree five in each
    (so for the variance of quadratic functions); above, two points per input, exact up to degree three.
    """
    varies = inputs.varies.reshape(-1, inputs.mean.shape[-1]).any(0).nonzero().flatten()
    points, weights = _points(len(varies), inputs.mean)
    spread = points.new_zeros(len(points), inputs.mean.shape[-1])
    spread[:, varies] = points
    values = _values(function, inputs, _over_batch(spread, inputs))
    weights = weights.reshape(-1, *[1] * (values.ndim - 1))
    mean = (weights * values).sum(0)
    apart = values - mean
    covariance = torch.einsum("p...i,p...j->...ij", weights * apart, apart)
    with_inputs = torch.einsum("p...i,pj->...ij", weights * apart, spread)
    return Cloud(mean=mean, covariance=covariance, with_inputs=with_inputs)


def by_draws(
    function: RowFunction, inputs: Uncertain, drawn: tuple[int, int], progress: Progress | None = None
) -> Cloud:
    """At so many normal draws of the inputs from a seed, with standard errors; some draws at a time."""
    draws, seed = drawn
    generator = torch.Generator(device=inputs.mean.device).manual_seed(seed)
    size = max(1, BLOCK // inputs.mean.numel())
    center, sums = _values(function, inputs, torch.zeros_like(inputs.mean)[None])[0], None
    for start in range(0, draws, size):
        shape = (min(size, draws - start), *inputs.mean.shape)
        normal = torch.randn(shape, generator=generator, dtype=inputs.mean.dtype, device=inputs.mean.device)
        parts = _sums(_values(function, inputs, normal) - center, normal)
        sums = parts if sums is None else tuple(a + b for a, b in zip(sums, parts, strict=True))
        if progress is not None:
            progress(min(start + size, draws) / draws, f"propagating {draws} draws")
    if sums is None:
        raise ArgumentError(f"draws must be at least 2; got {draws}.")
    shift, second, third, fourth, cross, spread = (part / draws for part in sums)
    outer = shift[..., :, None] * shift[..., None, :]
    covariance = second - outer
    error = _covariance_error(shift, second, third, fourth)
    return Cloud(
        mean=center + shift, covariance=covariance * (draws / (draws - 1)),
        with_inputs=cross - shift[..., None] * spread[..., None, :],
        mean_error=(covariance.diagonal(dim1=-2, dim2=-1) / (draws - 1)).sqrt(),
        covariance_error=error / (draws - 1) ** 0.5,
    )  # fmt: skip


def _covariance_error(shift: Tensor, second: Tensor, third: Tensor, fourth: Tensor) -> Tensor:
    """The sd of (d_i - m_i)(d_j - m_j), from the moments of d about zero; third[i, j] is the mean of d_i^2 d_j."""
    m_i, m_j = shift[..., :, None], shift[..., None, :]
    s_ii = second.diagonal(dim1=-2, dim2=-1)[..., :, None]
    s_jj = second.diagonal(dim1=-2, dim2=-1)[..., None, :]
    square = fourth - 2 * m_j * third - 2 * m_i * third.mT
    square = square + m_j**2 * s_ii + m_i**2 * s_jj + 4 * m_i * m_j * second - 3 * m_i**2 * m_j**2
    return (square - (second - m_i * m_j) ** 2).clamp_min(0.0).sqrt()


def _sums(apart: Tensor, normal: Tensor) -> tuple[Tensor, ...]:
    squares = apart**2
    return (
        apart.sum(0),
        torch.einsum("s...i,s...j->...ij", apart, apart),
        torch.einsum("s...i,s...j->...ij", squares, apart),
        torch.einsum("s...i,s...j->...ij", squares, squares),
        torch.einsum("s...i,s...j->...ij", apart, normal),
        normal.sum(0),
    )


def _points(size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Standardized cubature points ``[points, size]`` and their weights."""
    if size > PRODUCT_UP_TO:
        axes = size**0.5 * torch.eye(size, dtype=like.dtype, device=like.device)
        return torch.cat([axes, -axes]), like.new_full((2 * size,), 1 / (2 * size))
    nodes, chances = (-(3**0.5), 0.0, 3**0.5), (1 / 6, 2 / 3, 1 / 6)
    points = like.new_tensor(list(itertools.product(nodes, repeat=size))).reshape(-1, size)
    return points, like.new_tensor(list(itertools.product(chances, repeat=size))).reshape(-1, size).prod(-1)


def _over_batch(standard: Tensor, inputs: Uncertain) -> Tensor:
    batch = inputs.mean.shape[:-1]
    shaped = standard.reshape(len(standard), *[1] * len(batch), standard.shape[-1])
    return shaped.expand(-1, *batch, -1)


def _values(function: RowFunction, inputs: Uncertain, standard: Tensor) -> Tensor:
    """The function at standardized inputs ``[points, *batch, n]``."""
    points = inputs.mean + (inputs.root @ standard[..., None]).squeeze(-1)
    with torch.no_grad():
        values = values_of_rows(function, points)
    bad = ~values.isfinite().all(-1)
    if bool(bad.any()):
        where = points[bad][0].tolist()
        raise ArgumentError(
            f"the function is not finite at {int(bad.sum())} of the inputs that are likely, as at {where}: "
            "propagate where it is defined, or with a smaller covariance."
        )
    return values
