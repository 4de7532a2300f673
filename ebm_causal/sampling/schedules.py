r"""Schedules of the inverse temperature :math:`\beta`, given beforehand."""

import math

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_tensor, check_beta, check_count


def constant_schedule(beta: float, count: int) -> Tensor:
    """The same inverse temperature at each step.

    Args:
        beta: The inverse temperature.
        count: How many steps, at least two.

    Returns:
        ``[count]``, in double precision, as from all schedules.

    Raises:
        ArgumentError: If ``beta`` is not positive and finite, or ``count`` is under two.

    Example:
        >>> from ebm_causal.sampling import constant_schedule
        >>> constant_schedule(2.0, 3).tolist()
        [2.0, 2.0, 2.0]
    """
    return torch.full((_count(count),), check_beta(beta), dtype=torch.float64)


def linear_schedule(start: float, end: float, count: int) -> Tensor:
    r"""Equal steps of :math:`\beta`: :math:`\beta_k = \beta_0 + (\beta_{K-1} - \beta_0)\,k/(K - 1)`.

    Args:
        start: The first inverse temperature; it may be above the last, which heats.
        end: The last.
        count: How many, at least two.

    Returns:
        ``[count]``, the end points exact.

    Raises:
        ArgumentError: If an end is not positive and finite, or ``count`` is under two.

    Example:
        >>> from ebm_causal.sampling import linear_schedule
        >>> linear_schedule(1.0, 2.0, 5).tolist()
        [1.0, 1.25, 1.5, 1.75, 2.0]
    """
    return _between(start, end, _share(count))


def geometric_schedule(start: float, end: float, count: int) -> Tensor:
    r"""Equal ratios of :math:`\beta`: :math:`\beta_k = \beta_0\,(\beta_{K-1}/\beta_0)^{k/(K - 1)}`.

    For a Gaussian each step then changes the spread by the same factor, so that all are equally hard.

    Args:
        start: The first inverse temperature.
        end: The last.
        count: How many, at least two.

    Returns:
        ``[count]``, the end points exact.

    Raises:
        ArgumentError: If an end is not positive and finite, or ``count`` is under two.

    Example:
        >>> from ebm_causal.sampling import geometric_schedule
        >>> [round(beta, 12) for beta in geometric_schedule(0.01, 100.0, 5).tolist()]
        [0.01, 0.1, 1.0, 10.0, 100.0]
    """
    first, last = math.log(check_beta(start)), math.log(check_beta(end))
    return _pinned((first + (last - first) * _share(count)).exp(), start, end)


def cosine_schedule(start: float, end: float, count: int) -> Tensor:
    r"""Half a cosine, slow at both ends.

    .. math:: \beta_k = \beta_0 + \tfrac12(\beta_{K-1} - \beta_0)\left(1 - \cos\frac{\pi k}{K - 1}\right)

    Args:
        start: The first inverse temperature.
        end: The last.
        count: How many, at least two.

    Returns:
        ``[count]``, the end points exact.

    Raises:
        ArgumentError: If an end is not positive and finite, or ``count`` is under two.

    Example:
        >>> from ebm_causal.sampling import cosine_schedule
        >>> cosine_schedule(1.0, 3.0, 3).tolist()
        [1.0, 2.0, 3.0]

    References:
        Loshchilov and Hutter (2017), SGDR, equation 5 (there for learning rates).
    """
    return _between(start, end, 0.5 * (1 - (math.pi * _share(count)).cos()))


def diffusion_schedule(variances: object, end: float | None = None) -> Tensor:
    r"""The inverse temperatures that the noise of a diffusion model stands for, from hot to cold.

    A variance schedule :math:`b_1, \ldots, b_T` mixes the data with noise,
    :math:`x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon` with
    :math:`\bar\alpha_t = \prod_{s \le t}(1 - b_s)`. In the data's own units that is a Gaussian of variance
    :math:`(1 - \bar\alpha_t)/\bar\alpha_t` around them, whose inverse is the temperature's:

    .. math:: \beta_t = \bar\alpha_t/(1 - \bar\alpha_t), \qquad t = T, \ldots, 1

    This is the signal-to-noise ratio. It holds for noise around data of unit scale; for an energy of
    another scale give ``end``, by which the whole schedule is scaled.

    Args:
        variances: :math:`b_t` in the order in which noise is added, each between 0 and 1. Ho et al. take
            ``linear_schedule(1e-4, 0.02, 1000)``.
        end: The last, coldest inverse temperature; by default :math:`(1 - b_1)/b_1`.

    Returns:
        Rising inverse temperatures, as many as there are variances.

    Raises:
        ArgumentError: If there are fewer than two variances, one is not between 0 and 1, they are so large
            that :math:`\beta_T` is zero in double precision, or ``end`` is not positive.

    Example:
        >>> from ebm_causal.sampling import diffusion_schedule
        >>> [round(beta, 6) for beta in diffusion_schedule([0.5, 0.5, 0.5]).tolist()]
        [0.142857, 0.333333, 1.0]

    References:
        Ho, Jain and Abbeel (2020), Denoising diffusion probabilistic models, equation 4.
    """
    b = as_tensor("variances", variances).detach().double()
    if b.ndim != 1 or len(b) < 2:
        raise ArgumentError(f"variances must be a list of at least two numbers; got shape {list(b.shape)}.")
    outside = ~((b > 0) & (b < 1))
    if bool(outside.any()):
        t = int(outside.nonzero()[0])
        raise ArgumentError(f"each variance must lie between 0 and 1; number {t} is {float(b[t])}.")
    betas = 1 / torch.expm1(-torch.log1p(-b).cumsum(0)).flip(0)
    if end is not None:
        scaled = betas * (check_beta(end) / betas[-1])
        betas = _pinned(scaled, float(scaled[0]), end)
    return check_schedule(betas)


def check_schedule(betas: object) -> Tensor:
    """Make a ladder of one's own a schedule, or say why it is none.

    Args:
        betas: At least two positive inverse temperatures that rise throughout or fall throughout; equal
            neighbors are allowed.

    Returns:
        ``[count]``, in double precision.

    Raises:
        ArgumentError: If they are too few, not positive and finite, or neither rise nor fall.

    Example:
        >>> from ebm_causal.sampling import check_schedule
        >>> check_schedule([0.1, 0.5, 1]).tolist()
        [0.1, 0.5, 1.0]
    """
    ladder = as_tensor("betas", betas).detach().double()
    if ladder.ndim != 1 or len(ladder) < 2:
        raise ArgumentError(
            f"a schedule has at least two inverse temperatures in a list; got shape {list(ladder.shape)}."
        )
    bad = ~((ladder > 0) & ladder.isfinite())
    if bool(bad.any()):
        k = int(bad.nonzero()[0])
        raise ArgumentError(
            f"each beta of a schedule must be positive and finite; number {k} is {float(ladder[k])}."
        )
    steps = ladder.diff()
    if bool((steps > 0).any() & (steps < 0).any()):
        k = int((steps * steps[steps != 0][0] < 0).nonzero()[0])
        raise ArgumentError(
            f"a schedule must rise throughout or fall throughout; it turns after number {k}, at {float(ladder[k])}."
        )
    return ladder


def _count(count: int) -> int:
    return check_count("count, the number of inverse temperatures,", count, least=2)


def _share(count: int) -> Tensor:
    return torch.linspace(0, 1, _count(count), dtype=torch.float64)


def _between(start: float, end: float, share: Tensor) -> Tensor:
    first, last = check_beta(start), check_beta(end)
    return _pinned(first + (last - first) * share, first, last)


def _pinned(betas: Tensor, start: float, end: float) -> Tensor:
    """The end points as they were given, without rounding."""
    betas[0], betas[-1] = start, end
    return betas
