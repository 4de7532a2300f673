"""Variance, invariance, covariance: what keeps the embeddings of a batch from collapsing to a point."""

import math
from dataclasses import dataclass

import pandas as pd
from torch import Tensor, nn

from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_number

FLOOR = 1e-4  # added to variances before their root, whose slope at zero would be infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class VICRegTerms:
    """The parts of a batch's loss, unweighted.

    Attributes:
        variance: How far standard deviations are below the target, on average over coordinates.
        invariance: The mean squared distance of pairs; None where no second batch was given.
        covariance: The sum of squared covariances of different coordinates, over their number.
        total: The weighted sum.
    """

    variance: Tensor
    invariance: Tensor | None
    covariance: Tensor
    total: Tensor

    def summary(self) -> pd.DataFrame:
        """A row per part."""
        parts = {name: getattr(self, name) for name in ("variance", "invariance", "covariance", "total")}
        values = {name: float(part.detach()) for name, part in parts.items() if part is not None}
        return pd.DataFrame({"value": values.values()}, index=list(values))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {value:.6g}" for name, value in self.summary()["value"].items())
        return f"VICRegTerms({shown})"


class VICRegRegularizer(nn.Module):
    r"""The variance-invariance-covariance loss of a batch of embeddings.

    .. math:: \lambda\,\frac1n\sum_i |a_i - b_i|^2
        + \mu \sum_{Z \in \{A, B\}} \frac1d\sum_j \Big[\gamma - \sqrt{\mathrm{Var}(Z_j) + \epsilon}\Big]^+
        + \nu \sum_{Z \in \{A, B\}} \frac1d\sum_{j \ne k} \mathrm{Cov}(Z)_{jk}^2

    Variance and covariance are those of a *batch*: no row has an energy of its own, nothing can be sampled or
    integrated. So this is a loss and no factor: an energy refuses it as a term. Without it, the distance of a
    joint embedding is least where both encoders are constant.

    Args:
        invariance: The weight :math:`\lambda`.
        variance: The weight :math:`\mu`.
        covariance: The weight :math:`\nu`.
        target: The standard deviation :math:`\gamma` that each coordinate should have at least.

    Raises:
        ArgumentError: If a weight is negative or the target is not positive; when called, if the embeddings
            are not two or more rows of vectors, or the two batches differ.

    Example:
        >>> import ebm_causal as ec, torch
        >>> collapsed = torch.ones(8, 2)
        >>> ec.VICRegRegularizer()(collapsed, collapsed)
        tensor(49.5000)

    References:
        Bardes, Ponce and LeCun (2022), VICReg, equations 1 to 6.
    """

    why_no_factor = (
        "VICReg weighs a whole batch of embeddings (their variance and covariance), so it is no energy of a row: add "
        "its value to the loss that is minimized, as in energy(x=x, y=y).mean() + vicreg(a, b)."
    )

    def __init__(
        self,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        *,
        target: float = 1.0,
    ) -> None:
        super().__init__()
        for name, weight in (("invariance", invariance), ("variance", variance), ("covariance", covariance)):
            if not 0 <= _number(weight) < math.inf:
                raise ArgumentError(f"the weight of the {name} must not be negative; got {weight!r}.")
        if not 0 < _number(target) < math.inf:
            raise ArgumentError(f"the target is a standard deviation and must be positive; got {target!r}.")
        self.weights, self.target = (invariance, variance, covariance), target

    def forward(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        """The loss of a batch ``[rows, dim]``, or of two batches whose rows are pairs."""
        return self.terms(first, second).total

    def terms(self, first: Tensor, second: Tensor | None = None) -> VICRegTerms:
        """The parts of the loss."""
        batches = [first] if second is None else [first, second]
        for batch in batches:
            if not isinstance(batch, Tensor) or not batch.is_floating_point():
                raise ArgumentError(
                    f"embeddings must be floating tensors; got {getattr(batch, 'dtype', type(batch).__name__)}."
                )
            if not bool(batch.isfinite().all()):
                raise ArgumentError("embeddings must be finite; some are NaN or infinite.")
            if batch.ndim != 2 or len(batch) < 2 or batch.shape != first.shape:
                raise ArgumentError(
                    "embeddings must be [rows, dim], at least two rows, the same of both; got "
                    f"{[list(b.shape) for b in batches]}."
                )
        spread = sum((self._lack_of_variance(batch) for batch in batches), first.new_zeros(()))
        linked = sum((_covariance(batch) for batch in batches), first.new_zeros(()))
        apart = None if second is None else ((first - second) ** 2).sum(-1).mean()
        invariance, variance, covariance = self.weights
        total = variance * spread + covariance * linked + (0.0 if apart is None else invariance * apart)
        return VICRegTerms(variance=spread, invariance=apart, covariance=linked, total=total)

    def _lack_of_variance(self, batch: Tensor) -> Tensor:
        return (self.target - (batch.var(0) + FLOOR).sqrt()).relu().mean()


def _number(weight: object) -> float:
    number = as_number(weight)
    return math.nan if number is None else number


def _covariance(batch: Tensor) -> Tensor:
    matrix = batch.T.cov().reshape(batch.shape[1], batch.shape[1])
    return ((matrix**2).sum() - (matrix.diagonal() ** 2).sum()) / batch.shape[1]
