"""Propagation by values alone, with the shares of what is linear in the inputs."""

import torch
from torch import Tensor

from ebm_causal.calculus import RowFunction, Taylor
from ebm_causal.uncertainty.clouds import Cloud, by_cubature, by_draws
from ebm_causal.uncertainty.propagated import Propagation
from ebm_causal.uncertainty.settings import Settings
from ebm_causal.uncertainty.shares import covariance_shares, shapley_shares
from ebm_causal.uncertainty.uncertain import Uncertain

MOSTLY_LINEAR, NOTHING = 0.5, 1e-12  # of the variance


def from_values(function: RowFunction, inputs: Uncertain, settings: Settings) -> Propagation:
    """By cubature or by draws.

    Raises:
        ArgumentError: If the function is not finite, or an output has no variance.
    """
    cubature = settings.method == "sigma_points"
    cloud = (
        by_cubature(function, inputs)
        if cubature
        else by_draws(function, inputs, (settings.draws, settings.seed), settings.progress)
    )
    linear = Taylor(cloud.mean, _by_inputs(cloud.with_inputs, inputs))
    variances = settings.variances(cloud.covariance)
    explained = (cloud.with_inputs**2).sum(-1)
    shares = _linear_shares(linear, inputs, settings, (explained, variances))
    return Propagation(
        mean=cloud.mean, covariance=cloud.covariance, shares=shares, share_kind=settings.shares,
        method=settings.method, standard_error=cloud.mean_error, covariance_standard_error=cloud.covariance_error,
        linear_share=(explained / variances).clamp_max(1.0), warnings=_bent(cloud, explained / variances),
        **settings.named(inputs, cloud.mean.shape[-1]),
    )  # fmt: skip


def _by_inputs(with_standard: Tensor, inputs: Uncertain) -> Tensor:
    """Slopes in the inputs, from those in the standardized ones; on the scale of correlations, whatever the units."""
    scale = inputs.covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    root = inputs.root / scale[..., :, None]
    return with_standard @ torch.linalg.pinv(root, rtol=1e-7) / scale[..., None, :]


def _linear_shares(
    linear: Taylor, inputs: Uncertain, settings: Settings, parts: tuple[Tensor, Tensor]
) -> Tensor:
    """Shares of the part that is linear; in equal parts where there is none."""
    explained, variances = parts
    sigma = inputs.covariance
    part = explained.clamp_min(torch.finfo(explained.dtype).tiny)
    if settings.shares == "shapley":
        shares = shapley_shares(linear, sigma, part)
    else:
        shares = covariance_shares(linear, linear.jacobian @ sigma, sigma, part)
    nothing = (explained <= NOTHING * variances)[..., None]
    even = inputs.varies.to(shares) / inputs.varies.sum(-1, keepdim=True)
    even = even.expand(*shares.shape[:-2], shares.shape[-1])[..., None, :]
    return torch.where(nothing, even, shares / torch.where(nothing, 1.0, shares.sum(-1, keepdim=True)))


def _bent(cloud: Cloud, linear: Tensor) -> tuple[str, ...]:
    bad = (linear < MOSTLY_LINEAR).reshape(-1, linear.shape[-1]).any(0).nonzero().flatten().tolist()
    if not bad:
        return ()
    least = float(linear.min())
    note = (
        f"a linear function of the inputs explains {least:.2g} of the variance of outputs {bad[:5]}: the shares divide "
        "that part alone (in equal parts where it is nothing). Use 'second_order' for shares of what bends."
    )
    return (note,)
