"""A variance divided among the inputs that it comes from."""

import itertools
import math

import torch
from torch import Tensor

from ebm_causal.calculus import Taylor
from ebm_causal.errors import ArgumentError

MOST_INPUTS = 12


def covariance_shares(slopes: Taylor, weights: Tensor, sigma: Tensor, variances: Tensor) -> Tensor:
    """Each input's own terms with all their cross terms, over the variance: they sum to one, and may be negative.

    Args:
        slopes: The function's derivatives.
        weights: Slopes times covariance, ``[*batch, m, n]``.
        sigma: The covariance.
        variances: Of the outputs.
    """
    parts = slopes.jacobian * weights
    if slopes.hessian is not None:
        half = slopes.hessian @ sigma[..., None, :, :]
        parts = parts + 0.5 * (half @ half).diagonal(dim1=-2, dim2=-1)
    if slopes.bend is not None:
        parts = parts + 0.5 * (slopes.jacobian * (slopes.bend @ sigma) + slopes.bend * weights)
    inverse = variances.reciprocal()  # many numbers: half the time of a division
    if not math.isfinite(float(inverse.sum())):
        return parts.div_(variances[..., None])
    return parts.mul_(inverse[..., None])


def shapley_shares(slopes: Taylor, sigma: Tensor, variances: Tensor) -> Tensor:
    """The average gain in explained variance over all orders in which inputs become known: never negative.

    Raises:
        ArgumentError: If there are more than twelve inputs.
    """
    size = slopes.jacobian.shape[-1]
    if size > MOST_INPUTS:
        raise ArgumentError(
            f"Shapley shares of {size} inputs need 2^{size} regressions; at most {MOST_INPUTS} are served."
        )
    subsets = [s for k in range(size + 1) for s in itertools.combinations(range(size), k)]
    explained = {s: variance_of(slopes, _known(s, sigma)) for s in subsets}
    weights = [math.factorial(k) * math.factorial(size - k - 1) / math.factorial(size) for k in range(size)]
    shares = []
    for i in range(size):
        gains = [
            weights[len(s)] * (explained[tuple(sorted((*s, i)))] - explained[s])
            for s in subsets
            if i not in s
        ]
        shares.append(torch.stack(gains).sum(0))
    return torch.stack(shares, -1) / variances[..., None]


def variance_of(slopes: Taylor, sigma: Tensor) -> Tensor:
    """The variance of each output where the inputs have this covariance, ``[*batch, m]``."""
    total = ((slopes.jacobian @ sigma) * slopes.jacobian).sum(-1)
    if slopes.hessian is not None:
        half = slopes.hessian @ sigma[..., None, :, :]
        total = total + 0.5 * (half * half.mT).sum((-2, -1))
    if slopes.bend is not None:
        total = total + ((slopes.jacobian @ sigma) * slopes.bend).sum(-1)
    return total


def _known(subset: tuple[int, ...], sigma: Tensor) -> Tensor:
    """The covariance of the inputs' best predictions from some of them: what of their spread these explain."""
    if not subset:
        return torch.zeros_like(sigma)
    index = list(subset)
    some = sigma[..., :, index]
    scale = sigma.diagonal(dim1=-2, dim2=-1)[..., index]
    scale = torch.where(scale > 0, scale, torch.ones_like(scale)).rsqrt()
    block = scale[..., :, None] * some[..., index, :] * scale[..., None, :]
    some = some * scale[..., None, :]
    return some @ torch.linalg.pinv(block, hermitian=True) @ some.mT
