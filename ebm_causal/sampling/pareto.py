"""Pareto k: whether the tail of importance weights is so heavy that their mean cannot be trusted."""

import math

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError

FEWEST = 25  # draws, below which there is no tail to fit
PRIOR_SPREAD, PRIOR_DRAWS, PRIOR_K = 3.0, 10.0, 0.5  # of Zhang and Stephens, and of Vehtari et al.


def pareto_k(log_weights: Tensor) -> Tensor:
    r"""The shape k of a generalized Pareto law fitted to the largest importance weights, per row.

    Weights have about 1/k finite moments: below .5 the variance is finite, below .7 the mean is of practical use,
    above 1 there is no mean. Of n draws the largest :math:`\min(n/5, 3\sqrt n)` are fitted. It sees the
    tail that the draws have reached, and nothing of a mode that none has.

    Args:
        log_weights: Up to a constant, ``[draws, *rows]``; minus infinity for a weight of zero.

    Returns:
        ``[*rows]``; minus infinity where the largest weights are all equal, so that there is no tail.

    Raises:
        ArgumentError: If there are fewer than 25 draws, or a weight is NaN or infinite.

    Example:
        >>> import torch
        >>> from ebm_causal.sampling import pareto_k
        >>> uniform = (torch.arange(4000.0) + 0.5) / 4000
        >>> round(float(pareto_k(-0.5 * uniform.log())), 1)
        0.5

    References:
        Vehtari, Simpson, Gelman, Yao and Gabry (2024), Pareto smoothed importance sampling; Zhang and
        Stephens (2009), A new and efficient estimation method for the generalized Pareto distribution.
    """
    draws = len(log_weights)
    if draws < FEWEST:
        raise ArgumentError(f"Pareto k needs at least {FEWEST} draws; got {draws}.")
    if bool((log_weights.isnan() | (log_weights == math.inf)).any()):
        raise ArgumentError("log weights must be numbers below infinity: leave out the draws that are not.")
    size = math.ceil(min(draws / 5, 3 * math.sqrt(draws)))
    largest = log_weights.detach().topk(size + 1, dim=0).values.flip(0)
    weights = (largest - largest[-1]).exp().nan_to_num(nan=0.0)
    excess = (weights[1:] - weights[0]).clamp_min(torch.finfo(weights.dtype).tiny)
    raw = _zhang_stephens(excess)
    k = (size * raw + PRIOR_DRAWS * PRIOR_K) / (size + PRIOR_DRAWS)
    flat = weights[-1] - weights[0] <= 1e-9 * weights[-1]
    return torch.where(flat, -math.inf, k)


def _zhang_stephens(excess: Tensor) -> Tensor:
    """The posterior mean of the shape, on a grid of the other parameter; ``excess [tail, *rows]`` ascends."""
    size = len(excess)
    count = 30 + math.isqrt(size)
    grid = 1 - (count / (torch.arange(1, count + 1).to(excess) - 0.5)).sqrt()
    quartile = excess[int(size / 4 + 0.5) - 1]
    grid = grid.reshape(-1, *[1] * quartile.ndim) / (PRIOR_SPREAD * quartile) + 1 / excess[-1]
    shapes = torch.log1p(-grid[:, None] * excess).mean(1)
    profile = size * ((-grid / shapes).log() - shapes - 1)
    posterior = torch.softmax(profile.nan_to_num(nan=-math.inf), 0)
    center = (posterior * grid).sum(0)
    return torch.log1p(-center * excess).mean(0)
