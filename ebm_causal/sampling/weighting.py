"""The log mean of importance weights, with its error and whether their tail allows it."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.pareto import pareto_k


class LogMean(NamedTuple):
    """The log of a mean weight, per row.

    Attributes:
        value: ``[rows]``; minus infinity where no draw has weight.
        standard_error: Of the log, to first order.
        pareto_k: The shape of the weights' tail; above .7 the two numbers before are not to be trusted.
    """

    value: Tensor
    standard_error: Tensor
    pareto_k: Tensor


def log_mean_weight(log_weights: Tensor, control: Tensor | None = None) -> LogMean:
    r"""The log of the mean of importance weights :math:`w = p/q`, a control variate taken off.

    .. math:: \hat Z = \bar w - b\,\bar c, \qquad b = \operatorname{Cov}(w, c)/\operatorname{Var}(c)

    For a mixture :math:`q = \tfrac12(g + t)` the ratio :math:`c = g/q - 1` has mean zero; where the target is the
    normal half g itself, the estimate is exact.

    Args:
        log_weights: ``[draws, rows]``.
        control: Of mean zero under the proposal, in the same shape.

    References:
        Owen and Zhou (2000), Safe and effective importance sampling, section 4.
    """
    draws = len(log_weights)
    top = log_weights.amax(0)
    top = torch.where(top.isfinite(), top, torch.zeros_like(top))
    weights = (log_weights - top).exp()
    mean, residual = weights.mean(0), weights - weights.mean(0)
    if control is not None:
        centered = control - control.mean(0)
        variance = (centered**2).sum(0)
        slope = torch.where(variance > 0, (residual * centered).sum(0) / variance, 0.0)
        corrected = mean - slope * control.mean(0)
        sound = corrected > 0.5 * mean  # else the regression follows a single weight
        mean = torch.where(sound, corrected, mean)
        residual = torch.where(sound, residual - slope * centered, residual)
    error = residual.std(0) / math.sqrt(draws)
    k = pareto_k(torch.where(log_weights.isnan(), -math.inf, log_weights))
    return LogMean(mean.log() + top, torch.where(mean > 0, error / mean, math.inf), k)
