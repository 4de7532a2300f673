r"""Variance propagated through a function, :math:`\mathrm{Var}(\hat y) = J\Sigma J'`, cross terms included."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.calculus import batched_jacobian
from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_tensor

MOST_INPUTS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Propagation:
    """A propagated mean and covariance.

    Attributes:
        mean: The function at the mean, ``[*batch, m]``.
        covariance: Of the output, ``[*batch, m, m]``.
        shares: Of each output's variance by input, ``[*batch, m, n]``; each row sums to one.
        share_kind: ``covariance`` (may be negative) or ``shapley`` (never negative).
        method: ``first_order``.
    """

    mean: Tensor
    covariance: Tensor
    shares: Tensor
    share_kind: str
    method: str

    @property
    def standard_deviation(self) -> Tensor:
        """Of each output, ``[*batch, m]``."""
        return self.covariance.diagonal(dim1=-2, dim2=-1).sqrt()

    def summary(self) -> pd.DataFrame:
        """A row per output: mean, standard deviation, and the share of each input."""
        rows = self.mean.reshape(-1).numpy()
        frame = pd.DataFrame(
            {"mean": rows, "standard_deviation": self.standard_deviation.reshape(-1).numpy()}
        )
        shares = self.shares.reshape(len(rows), -1).numpy()
        return frame.join(pd.DataFrame(shares, columns=[f"share[{i}]" for i in range(shares.shape[1])]))

    def plot(self, ax: Any = None) -> Any:
        """The first output's shares as bars."""
        from ebm_causal.figures import shares_picture

        first = self.shares.reshape(-1, self.shares.shape[-1])[0]
        return shares_picture([f"input {i}" for i in range(len(first))], first.tolist(), ax=ax)

    def __repr__(self) -> str:
        mean, sd = self.mean.reshape(-1)[:3].tolist(), self.standard_deviation.reshape(-1)[:3].tolist()
        shown = ", ".join(f"{m:.6g} +- {s:.3g}" for m, s in zip(mean, sd, strict=True))
        return f"Propagation({shown}, method={self.method!r}, shares by {self.share_kind})"


def propagate_variance(
    function: Callable[[Tensor], Tensor],
    mean: object,
    covariance: object,
    method: Literal["first_order"] = "first_order",
    shares: Literal["covariance", "shapley"] = "covariance",
) -> Propagation:
    r"""Propagate the mean and covariance of inputs through a function, to first order.

    .. math:: \mathrm{Cov}(\hat y) = J\,\Sigma\,J', \qquad J = \partial \hat y/\partial u

    with the full covariance of the inputs, as in the note, where :math:`u = (x, z)`. Exact for linear
    functions; misleads where the function bends within a standard deviation of the inputs.

    Args:
        function: Maps ``[..., n]`` to ``[..., m]`` row by row.
        mean: Of the inputs, ``[*batch, n]``.
        covariance: Of the inputs, ``[n, n]`` or ``[*batch, n, n]``, in the inputs' squared units.
        method: ``first_order``.
        shares: ``covariance``: input i's share is :math:`J_i(\Sigma J')_i` over the variance, which may be
            negative. ``shapley``: the average gain in explained variance over all orders, never negative.

    Returns:
        Mean, covariance and shares of the output.

    Raises:
        ArgumentError: If the covariance is not symmetric, not positive semi-definite or of the wrong size,
            an output has no variance to share, or the method or kind is unknown.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.propagate_variance(lambda u: u.sum(-1, keepdim=True), [1.0, 2.0], [[1.0, 0.5], [0.5, 1.0]])
        Propagation(3 +- 1.73, method='first_order', shares by covariance)

    References:
        JCGM 100:2008 (GUM), equations 13 and 16; Song, Nelson and Staum (2016), Shapley effects for global
        sensitivity analysis.
    """
    if method != "first_order":
        raise ArgumentError(f"method must be 'first_order'; got {method!r}.")
    if shares not in ("covariance", "shapley"):
        raise ArgumentError(f"shares must be 'covariance' or 'shapley'; got {shares!r}.")
    point = as_tensor("mean", mean)
    sigma = _checked_covariance(as_tensor("covariance", covariance, point), point)
    value, jacobian = batched_jacobian(function, point)
    if not bool(value.isfinite().all() & jacobian.isfinite().all()):
        raise ArgumentError("the function or its derivative is not finite at the mean: propagate elsewhere.")
    spread = jacobian @ sigma @ jacobian.mT
    divide = _covariance_shares if shares == "covariance" else _shapley_shares
    return Propagation(
        mean=value,
        covariance=spread,
        shares=divide(jacobian, sigma, _variances(spread)),
        share_kind=shares,
        method=method,
    )


def _variances(spread: Tensor) -> Tensor:
    variances = spread.diagonal(dim1=-2, dim2=-1)
    if bool((variances <= 0).any()):
        output = int((variances <= 0).nonzero()[0][-1])
        raise ArgumentError(
            f"output {output} has no variance: no input that moves it is uncertain, so there are no shares."
        )
    return variances


def _checked_covariance(sigma: Tensor, point: Tensor) -> Tensor:
    size = point.shape[-1]
    if sigma.shape[-2:] != (size, size):
        raise ArgumentError(
            f"the covariance of {size} inputs must be [{size}, {size}]; got {list(sigma.shape)}."
        )
    if not bool(sigma.isfinite().all()):
        raise ArgumentError("the covariance holds NaN or infinity.")
    scale = float(sigma.abs().max())
    if float((sigma - sigma.mT).abs().max()) > 1e-8 * scale:
        raise ArgumentError(
            f"the covariance is not symmetric: entries differ by {float((sigma - sigma.mT).abs().max()):.3g}."
        )
    smallest = float(torch.linalg.eigvalsh(sigma).min())
    if smallest < -1e-10 * max(scale, 1e-300):
        raise ArgumentError(
            f"the covariance is not positive semi-definite: its smallest eigenvalue is {smallest:.6g}."
        )
    return sigma.to(point)


def _covariance_shares(jacobian: Tensor, sigma: Tensor, variances: Tensor) -> Tensor:
    return jacobian * (jacobian @ sigma) / variances[..., None]


def _shapley_shares(jacobian: Tensor, sigma: Tensor, variances: Tensor) -> Tensor:
    size = jacobian.shape[-1]
    if size > MOST_INPUTS:
        raise ArgumentError(
            f"Shapley shares of {size} inputs need 2^{size} regressions; at most {MOST_INPUTS} are served."
        )
    with_output = jacobian @ sigma  # covariance of each output with each input
    explained = {
        s: _explained(s, with_output, sigma)
        for k in range(size + 1)
        for s in itertools.combinations(range(size), k)
    }
    shares = []
    for i in range(size):
        gains = [
            (explained[tuple(sorted((*s, i)))] - v)
            * (math.factorial(len(s)) * math.factorial(size - len(s) - 1))
            for s, v in explained.items()
            if i not in s
        ]
        shares.append(torch.stack(gains).sum(0) / math.factorial(size))
    return torch.stack(shares, -1) / variances[..., None]


def _explained(subset: tuple[int, ...], with_output: Tensor, sigma: Tensor) -> Tensor:
    """The variance of the output that the best linear predictor from some inputs explains."""
    if not subset:
        return torch.zeros_like(with_output[..., 0])
    index = list(subset)
    some = with_output[..., index]
    block = sigma[..., index, :][..., :, index]
    return (some @ torch.linalg.pinv(block, hermitian=True) * some).sum(-1)
