r"""Variance propagated through a function, :math:`\mathrm{Var}(\hat y) = J\Sigma J'`, cross terms included."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from ebm_causal.calculus import RowFunction, Taylor, rows_without_slope, taylor
from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_names, check_callable, check_count, check_seed
from ebm_causal.uncertainty.clouds import Cloud, by_cubature, by_draws
from ebm_causal.uncertainty.propagated import Propagation
from ebm_causal.uncertainty.shares import covariance_shares, shapley_shares
from ebm_causal.uncertainty.uncertain import Uncertain, uncertain

Method = Literal["first_order", "second_order", "third_order", "sigma_points", "monte_carlo"]
Shares = Literal["covariance", "shapley"]
ORDERS = {"first_order": 1, "second_order": 2, "third_order": 3}
PARTED_SD, PARTED_MEAN = 0.05, 0.1  # of the standard deviation, beyond four standard errors
MOSTLY_LINEAR, NOTHING = 0.5, 1e-12  # of the variance


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to propagate.

    Attributes:
        method: The method.
        shares: The kind of shares.
        draws: For Monte Carlo.
        seed: Of the draws.
        cross_check: Whether to do it by Monte Carlo too.
        units: By name.
        outputs: Names of the outputs.
    """

    method: str = "first_order"
    shares: str = "covariance"
    draws: int = 10_000
    seed: int = 0
    cross_check: bool = False
    units: Mapping[str, str] | None = None
    outputs: Sequence[str] | None = None


def propagate_variance(
    function: Callable[[Tensor], Tensor],
    mean: object,
    covariance: object,
    method: Method = "first_order",
    shares: Shares = "covariance",
    *,
    outputs: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    draws: int = 10_000,
    seed: int = 0,
    cross_check: bool = False,
) -> Propagation:
    r"""Propagate the mean and covariance of inputs through a function.

    .. math::
        \mathrm{Cov}(\hat y)_{kl} = J_k\Sigma J_l'
        + \tfrac12\mathrm{tr}(H_k\Sigma H_l\Sigma)
        + \tfrac12(J_k\Sigma b_l + J_l\Sigma b_k),
        \qquad b_a = \sum_{bc} T_{abc}\Sigma_{bc}

    with the full covariance of the inputs, as in the note, where :math:`u = (x, z)`. ``first_order`` has the
    first term, exact for linear functions; it misleads where the function bends within a standard deviation.
    ``second_order`` adds the second, and :math:`\tfrac12\mathrm{tr}(H\Sigma)` to the mean: exact for quadratic
    functions of normal inputs. ``third_order`` adds the third derivatives' term: the variance to second order in
    :math:`\Sigma`. ``sigma_points`` (cubature, weights never negative) and ``monte_carlo`` use values alone. All but
    the first order take the inputs as normal.

    Args:
        function: Maps ``[..., n]`` to ``[..., m]`` row by row.
        mean: Of the inputs, ``[*batch, n]``; a mapping or a series names them.
        covariance: Of the inputs, ``[n, n]`` or ``[*batch, n, n]``, in the inputs' squared units; a frame is put
            into the order of the named inputs.
        method: As above.
        shares: ``covariance``: input i's share is :math:`J_i(\Sigma J')_i` over the variance (with the like of the
            other terms), which may be negative. ``shapley``: the average gain in explained variance over all orders,
            never negative at first and second order. Where the method uses values alone, of the part of the variance
            that is linear in the inputs (``linear_share``).
        outputs: Names of the outputs.
        units: Of named inputs and outputs.
        draws: For ``monte_carlo`` and the cross-check.
        seed: Of the draws.
        cross_check: Also propagate by Monte Carlo (``check`` of the result), with a warning where the two part: where
            standard deviations differ by a twentieth, or means by a tenth of one, beyond four standard errors.

    Returns:
        Mean, covariance and shares of the output.

    Raises:
        ArgumentError: If the covariance is not symmetric, not positive semi-definite or of the wrong size, an output
            has no variance to share, the function has no finite slope at the mean, has a kink there, or autograd's
            slope is not its own, or an option is unknown.

    Example:
        >>> import ebm_causal as ec, torch
        >>> ec.propagate_variance(lambda u: u.sum(-1, keepdim=True), [1.0, 2.0], [[1.0, 0.5], [0.5, 1.0]])
        Propagation(3 +- 1.73, method='first_order', shares by covariance)

    References:
        JCGM 100:2008 (GUM), equations 13 and 16 and the note to 5.1.2; Arasaratnam and Haykin (2009), Cubature Kalman
        filters; Song, Nelson and Staum (2016), Shapley effects for global sensitivity analysis.
    """
    settings = Settings(
        method=method, shares=shares, draws=draws, seed=seed, cross_check=cross_check, units=units,
        outputs=outputs,
    )  # fmt: skip
    check_callable("function", function)
    return propagate(function, uncertain(mean, covariance), settings)


def propagate(function: RowFunction, inputs: Uncertain, settings: Settings) -> Propagation:
    """Propagate checked inputs.

    Raises:
        ArgumentError: As ``propagate_variance``.
    """
    _check(settings)
    if settings.method in ORDERS:
        slopes = _slopes(function, inputs, ORDERS[settings.method])
        found = from_slopes(slopes, inputs, settings)
    else:
        found = _from_cloud(function, inputs, settings)
    if not settings.cross_check:
        return found
    return compared(found, _from_cloud(function, inputs, replace(settings, method="monte_carlo")))


def from_slopes(slopes: Taylor, inputs: Uncertain, settings: Settings) -> Propagation:
    """The propagation of a function whose derivatives are known.

    Raises:
        ArgumentError: If an output has no variance.
    """
    sigma = inputs.covariance
    mean, weights = slopes.value, slopes.jacobian @ sigma
    spread = weights @ slopes.jacobian.mT
    if slopes.hessian is not None:
        half = slopes.hessian @ sigma[..., None, :, :]
        mean = mean + 0.5 * half.diagonal(dim1=-2, dim2=-1).sum(-1)
        spread = spread + 0.5 * torch.einsum("...kab,...lba->...kl", half, half)
    if slopes.bend is not None:
        cross = weights @ slopes.bend.mT
        spread = spread + 0.5 * (cross + cross.mT)
    variances = _variances(spread)
    if settings.shares == "shapley":
        shares = shapley_shares(slopes, sigma, variances)
    else:
        shares = covariance_shares(slopes, weights, sigma, variances)
    return Propagation(
        mean=mean,
        covariance=spread,
        shares=shares,
        share_kind=settings.shares,
        method=settings.method,
        **_named(inputs, settings, spread.shape[-1]),
    )


def _slopes(function: RowFunction, inputs: Uncertain, order: int) -> Taylor:
    found = taylor(function, inputs.mean, order, inputs.covariance)
    if not all(
        math.isfinite(float(part.sum())) for part in found if part is not None
    ):  # NaN and infinity stay in it
        raise ArgumentError("the function or its derivative is not finite at the mean: propagate elsewhere.")
    bad = rows_without_slope(function, inputs.mean, (found.value, found.jacobian), inputs.root)
    if bad:
        raise ArgumentError(
            f"the function is not differentiable at the mean in rows {bad[:5]}: it has a kink there, or a step that "
            "autograd does not see (detach, rounding, randomness, rows that mix). Use 'sigma_points' or 'monte_carlo'."
        )
    return found


def _from_cloud(function: RowFunction, inputs: Uncertain, settings: Settings) -> Propagation:
    cubature = settings.method == "sigma_points"
    cloud = (
        by_cubature(function, inputs)
        if cubature
        else by_draws(function, inputs, settings.draws, settings.seed)
    )
    linear = Taylor(cloud.mean, _by_inputs(cloud.with_inputs, inputs))
    variances = _variances(cloud.covariance)
    explained = (cloud.with_inputs**2).sum(-1)
    shares = _linear_shares(linear, inputs, settings, (explained, variances))
    return Propagation(
        mean=cloud.mean, covariance=cloud.covariance, shares=shares, share_kind=settings.shares,
        method=settings.method, standard_error=cloud.mean_error, covariance_standard_error=cloud.covariance_error,
        linear_share=(explained / variances).clamp_max(1.0), warnings=_bent(cloud, explained / variances),
        **_named(inputs, settings, cloud.mean.shape[-1]),
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


def compared(found: Propagation, check: Propagation) -> Propagation:
    """A propagation with Monte Carlo's beside it, and a warning where they part."""
    return replace(found, check=check, warnings=(*found.warnings, *_parted(found, check)))


def _parted(found: Propagation, check: Propagation) -> tuple[str, ...]:
    """A warning where two propagations differ by more than their errors, and enough to matter."""
    if check.covariance_standard_error is None or check.standard_error is None:
        return ()
    sd = check.standard_deviation
    sd_error = check.covariance_standard_error.diagonal(dim1=-2, dim2=-1) / (2 * sd)
    apart = (found.standard_deviation - sd).abs()
    shifted = (found.mean - check.mean).abs()
    wide = (apart > PARTED_SD * sd) & (apart > 4 * sd_error)
    off = (shifted > PARTED_MEAN * sd) & (shifted > 4 * check.standard_error)
    bad = (wide | off).reshape(-1, sd.shape[-1]).any(0).nonzero().flatten().tolist()
    if not bad:
        return ()
    note = (
        f"{found.method} and Monte Carlo part in outputs {bad[:5]}: standard deviations differ by up to "
        f"{float((apart / sd).max()):.2g} of one, means by {float((shifted / sd).max()):.2g} standard deviations. The "
        "function bends within the spread of its inputs: take Monte Carlo's."
    )
    return (note,)


def _check(settings: Settings) -> None:
    if settings.method not in get_args(Method):
        raise ArgumentError(f"method must be one of {list(get_args(Method))}; got {settings.method!r}.")
    if settings.shares not in get_args(Shares):
        raise ArgumentError(f"shares must be 'covariance' or 'shapley'; got {settings.shares!r}.")
    check_count("draws", settings.draws, least=2)
    check_seed(settings.seed)


def _named(inputs: Uncertain, settings: Settings, size: int) -> dict:
    outputs, units = as_names(settings.outputs or ()), dict(settings.units or {})
    if outputs and len(outputs) != size:
        raise ArgumentError(f"outputs must name {size} outputs; got {list(outputs)}.")
    unknown = [name for name in units if name not in (*inputs.names, *outputs)]
    if unknown:
        raise ArgumentError(
            f"{unknown[0]!r} has a unit but is no input {list(inputs.names)} and no output {list(outputs)}."
        )
    return {"names": inputs.names, "outputs": outputs, "units": units}


def _variances(spread: Tensor) -> Tensor:
    variances = spread.diagonal(dim1=-2, dim2=-1)
    if bool((variances <= 0).any()):
        output = int((variances <= 0).nonzero()[0][-1])
        value = float(variances[variances <= 0][0])
        if value < 0:
            raise ArgumentError(
                f"the third-order variance of output {output} is {value:.3g}, below zero: the expansion does not serve "
                "a spread so wide. Use 'monte_carlo'."
            )
        raise ArgumentError(
            f"output {output} has no variance: no input that moves it is uncertain (to first order: its slopes are "
            "zero there; take 'second_order' or 'monte_carlo'), so there are no shares."
        )
    return variances
