r"""Variance propagated through a function, :math:`\mathrm{Var}(\hat y) = J\Sigma J'`, cross terms included."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ebm_causal.calculus import RowFunction, Taylor, rows_without_slope, taylor
from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import check_callable
from ebm_causal.uncertainty.by_values import from_values
from ebm_causal.uncertainty.propagated import Propagation
from ebm_causal.uncertainty.settings import Method, Progress, Settings, Shares
from ebm_causal.uncertainty.shares import covariance_shares, shapley_shares
from ebm_causal.uncertainty.uncertain import Uncertain, uncertain

ORDERS = {"first_order": 1, "second_order": 2, "third_order": 3}
PARTED_SD, PARTED_MEAN = 0.05, 0.1  # of the standard deviation, beyond four standard errors


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
    progress: Progress | None = None,
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
        progress: Told the share of the draws done.

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
        outputs=outputs, progress=progress,
    )  # fmt: skip
    check_callable("function", function)
    return propagate(function, uncertain(mean, covariance), settings)


def propagate(function: RowFunction, inputs: Uncertain, settings: Settings) -> Propagation:
    """Propagate checked inputs.

    Raises:
        ArgumentError: As ``propagate_variance``.
    """
    settings.check()
    if settings.method in ORDERS:
        slopes = _slopes(function, inputs, ORDERS[settings.method])
        found = from_slopes(slopes, inputs, settings)
    else:
        found = from_values(function, inputs, settings)
    if not settings.cross_check:
        return found
    return compared(found, from_values(function, inputs, replace(settings, method="monte_carlo")))


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
    variances = settings.variances(spread)
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
        **settings.named(inputs, spread.shape[-1]),
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
