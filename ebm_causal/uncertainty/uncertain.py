"""Uncertain inputs: their means, their covariance, its root, their names and units."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_tensor

TOLERATED = 1e-8  # of a correlation matrix: asymmetry, and how far below zero rounding may take an eigenvalue


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertain:
    """Inputs with their uncertainty.

    Attributes:
        mean: ``[*batch, n]``.
        covariance: ``[n, n]`` or ``[*batch, n, n]``.
        root: A matrix L with L L' the covariance, of the same shape: the symmetric root of the correlations,
            scaled, so that it goes along with inputs that are reordered or measured in other units.
        names: Of the inputs, or none.
    """

    mean: Tensor
    covariance: Tensor
    root: Tensor
    names: tuple[str, ...] = ()

    @property
    def varies(self) -> Tensor:
        """Which inputs have a variance, ``[n]`` or ``[*batch, n]``."""
        return self.covariance.diagonal(dim1=-2, dim2=-1) > 0


def uncertain(mean: object, covariance: object) -> Uncertain:
    """Check a mean and a covariance; of a mapping, a series or a frame the names are kept.

    Raises:
        ArgumentError: If the covariance is not symmetric, not positive semi-definite, not finite, of the wrong
            size, or names other inputs than the mean.
        EnergyError: If one of them is not numeric.
    """
    names = _names(mean)
    covariance = in_order(covariance, names)
    if isinstance(mean, (pd.Series, pd.DataFrame)):
        mean = mean.to_numpy()
    if isinstance(mean, Mapping) and mean:
        mean = _joined(mean)
    point = as_tensor("mean", mean)
    if point.ndim == 0 or not point.numel():
        raise ArgumentError(
            f"the mean must be [*batch, inputs] with at least one input and one row; got {list(point.shape)}."
        )
    if not bool(point.isfinite().all()):
        raise ArgumentError("the mean holds NaN or infinity.")
    point = point.detach()
    sigma = as_tensor("covariance", covariance, point).detach().to(point)
    _check_shape(sigma, point)
    return Uncertain(mean=point, covariance=sigma, root=_root(sigma), names=names)


def _names(mean: object) -> tuple[str, ...]:
    found: tuple[str, ...] = ()
    if isinstance(mean, Mapping):
        found = tuple(map(str, mean))
    if isinstance(mean, (pd.Series, pd.DataFrame)):
        labels = mean.index if isinstance(mean, pd.Series) else mean.columns
        found = () if isinstance(labels, pd.RangeIndex) else tuple(map(str, labels))
    if len(set(found)) < len(found):
        raise ArgumentError(f"the inputs' names must differ; got {list(found)}.")
    return found


def _joined(mean: Mapping[str, object]) -> Tensor:
    parts = {str(name): as_tensor(str(name), value) for name, value in mean.items()}
    try:
        return torch.stack(torch.broadcast_tensors(*parts.values()), -1)
    except RuntimeError as error:
        shapes = {name: list(part.shape) for name, part in parts.items()}
        raise ArgumentError(f"the means must have one number of rows; got {shapes}.") from error


def in_order(covariance: object, names: tuple[str, ...]) -> object:
    """A covariance whose rows and columns follow the inputs' names, where it is a frame that names them.

    Raises:
        ArgumentError: If it names other inputs.
    """
    if not isinstance(covariance, pd.DataFrame):
        return covariance
    if isinstance(covariance.columns, pd.RangeIndex) and isinstance(covariance.index, pd.RangeIndex):
        return covariance.to_numpy()
    return _reordered(covariance, names)


def _reordered(frame: pd.DataFrame, names: tuple[str, ...]) -> np.ndarray:
    rows, columns = list(map(str, frame.index)), list(map(str, frame.columns))
    if not names:
        if set(rows) == set(columns) and rows != columns:
            raise ArgumentError(
                f"the covariance names its rows {rows} and its columns {columns}: put them into one order, or name the "
                "mean too."
            )
        return frame.to_numpy()
    if sorted(columns) != sorted(names) or sorted(rows) != sorted(names):
        raise ArgumentError(
            f"the covariance must name the inputs {list(names)} in rows and columns; it has {list(frame.columns)}."
        )
    named = frame.set_axis(rows, axis=0).set_axis(columns, axis=1)
    return named.loc[list(names), list(names)].to_numpy()


def _check_shape(sigma: Tensor, point: Tensor) -> None:
    size = point.shape[-1]
    batch = tuple(sigma.shape[:-2])
    if sigma.ndim < 2 or sigma.shape[-2:] != (size, size):
        raise ArgumentError(
            f"the covariance of {size} inputs must be [{size}, {size}]; got {list(sigma.shape)}."
        )
    if batch and batch != tuple(point.shape[:-1]):
        raise ArgumentError(
            f"a covariance for each row must be {[*point.shape[:-1], size, size]}, as the mean is "
            f"{list(point.shape)}; got {list(sigma.shape)}."
        )
    if not bool(sigma.isfinite().all()):
        raise ArgumentError("the covariance holds NaN or infinity.")


def _root(sigma: Tensor) -> Tensor:
    """The root of a covariance, or why it is none; compared on the scale of correlations, whatever the units."""
    variances = sigma.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(variances > 0, variances, torch.ones_like(variances)).sqrt()
    correlation = sigma / scale[..., :, None] / scale[..., None, :]
    tolerated = max(TOLERATED, 16 * torch.finfo(sigma.dtype).eps)
    apart = (correlation - correlation.mT).abs().flatten(-2).amax(-1)
    if bool((apart > tolerated).any()):
        largest = float((sigma - sigma.mT).abs().max())
        raise ArgumentError(
            f"the covariance{_row(apart > tolerated)} is not symmetric: entries differ by {largest:.3g}."
        )
    values, vectors = torch.linalg.eigh(correlation)
    bad = values[..., 0] < -tolerated
    if bool(bad.any()):
        smallest = float(torch.linalg.eigvalsh(sigma)[bad].min())
        raise ArgumentError(
            f"the covariance{_row(bad)} is not positive semi-definite: its smallest eigenvalue is {smallest:.6g}. "
            "It is not repaired: look where it comes from."
        )
    root = (vectors * values.clamp_min(0.0).sqrt()[..., None, :]) @ vectors.mT
    return scale[..., :, None] * root


def _row(bad: Tensor) -> str:
    return f" of row {bad.reshape(-1).nonzero()[0].item()}" if bad.ndim else ""
