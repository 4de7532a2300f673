r"""The next inverse temperature, found from the draws at the present one: adaptive schedules."""

import math

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.shapes import as_number, as_tensor

HALVINGS = 100


def effective_share(energies: Tensor, change: Tensor | float, log_weights: Tensor | None = None) -> Tensor:
    r"""The effective sample size left, as a share, where draws at one :math:`\beta` are weighted to another.

    .. math:: \frac{\left(\sum_i W_i u_i\right)^2}{\sum_i W_i u_i^2}, \qquad u_i = e^{-\Delta\beta\,E_i}

    with normalized weights W from before, equal by default: then it is the effective sample size
    :math:`(\sum u)^2/\sum u^2` over the number of draws. It falls steadily with :math:`|\Delta\beta|`. It
    does not see what no draw has reached.

    Args:
        energies: Of the draws, ``[draws, *rows]``.
        change: :math:`\Delta\beta`, a number or ``[*rows]``.
        log_weights: Of the draws from before, up to a constant, in the shape of ``energies``.

    Returns:
        Between 0 and 1, ``[*rows]``.

    Example:
        >>> import torch
        >>> from ebm_causal.sampling import effective_share
        >>> effective_share(torch.tensor([0.0, 1e9]), 1.0).item()
        0.5

    References:
        Zhou, Johansen and Aston (2016), Toward automatic model comparison: an adaptive sequential Monte
        Carlo approach, the conditional effective sample size.
    """
    before = torch.zeros_like(energies) if log_weights is None else log_weights
    before = before - before.logsumexp(0)
    tilt = -(energies - energies.amin(0)) * change
    return (2 * (before + tilt).logsumexp(0) - (before + 2 * tilt).logsumexp(0)).exp()


def next_beta(
    energies: object,
    beta: object,
    *,
    end: float = 1.0,
    share: float = 0.5,
    log_weights: object = None,
) -> Tensor:
    r"""The inverse temperature to go to next: as near to the end as the effective sample size allows.

    The step at which :func:`effective_share` falls to ``share``, by bisection, or the end if that is
    nearer. Toward a larger ``end`` it cools, toward a smaller one it heats. Rows are stepped apart, each
    with its own :math:`\beta`; take the smallest for one common ladder. Holds as far as the draws have
    mixed: a mode without a draw has no weight.

    Args:
        energies: Of draws at the present :math:`\beta`, ``[draws, *rows]``.
        beta: The present inverse temperature, not negative (zero is the base of a ladder), a number or ``[*rows]``.
        end: Where the ladder ends.
        share: The share of the effective sample size to hold, between 0 and 1.
        log_weights: Of the draws, up to a constant, where they are weighted already.

    Returns:
        The next inverse temperatures, ``[*rows]``, equal to ``end`` where it is reached.

    Raises:
        ArgumentError: If ``share`` is not between 0 and 1, ``end`` or ``beta`` is negative or not finite,
            there are fewer than two draws, shapes do not fit, or energies or weights are not finite.
        ConvergenceError: If energies are so large that no step is both small enough and larger than rounding.

    Example:
        >>> import torch
        >>> from ebm_causal.sampling import next_beta
        >>> next_beta(torch.arange(100.0), 0.0, share=0.9).item()
        0.0116...

    References:
        Jasra, Stephens, Doucet and Tsagaris (2011), Inference for Lévy-driven stochastic volatility models
        via adaptive sequential Monte Carlo.
    """
    kept, last = as_number(share), as_number(end)
    if kept is None or not 0 < kept < 1:
        raise ArgumentError(f"share of the effective sample size must lie between 0 and 1; got {share!r}.")
    if last is None or not 0 <= last < math.inf:
        raise ArgumentError(f"end is an inverse temperature and must not be negative; got {end!r}.")
    energy = _draws("energies", energies)
    weights = None if log_weights is None else _draws("log_weights", log_weights)
    if weights is not None and weights.shape != energy.shape:
        raise ArgumentError(
            f"log_weights must have the shape of energies, {list(energy.shape)}; got {list(weights.shape)}."
        )
    now = _present(beta, energy)
    low, high = torch.zeros_like(now), end - now
    whole = effective_share(energy, high, weights) >= share
    for _ in range(HALVINGS):
        if torch.equal(now + low, now + high):
            break
        middle = 0.5 * (low + high)
        fits = effective_share(energy, middle, weights) >= share
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    found = torch.where(whole, torch.full_like(now, end), now + low)
    stuck = (found == now) & (now != end)
    if bool(stuck.any()):
        raise ConvergenceError(
            f"no step from beta {float(now[stuck].flatten()[0]):.6g} holds a share of {share}: energies span "
            f"{float(energy.max() - energy.min()):.3g}. Start hotter, or lower the share."
        )
    return found


def _draws(name: str, value: object) -> Tensor:
    tensor = as_tensor(name, value).detach()
    if tensor.ndim == 0 or len(tensor) < 2:
        raise ArgumentError(f"{name} must be of at least two draws, [draws, ...]; got {list(tensor.shape)}.")
    bad = ~tensor.isfinite()
    if bool(bad.any()):
        raise ArgumentError(
            f"{name} hold {int(bad.sum())} values that are not finite: leave those draws out."
        )
    return tensor


def _present(beta: object, energy: Tensor) -> Tensor:
    now = as_tensor("beta", beta, energy).detach().to(energy)
    if now.ndim and now.shape != energy.shape[1:]:
        raise ArgumentError(
            f"beta must be a number or one per row, {list(energy.shape[1:])}; got {list(now.shape)}."
        )
    if not bool(((now >= 0) & now.isfinite()).all()):
        raise ArgumentError(
            f"beta must not be negative and must be finite; got {now.flatten()[:5].tolist()}."
        )
    return now.expand(energy.shape[1:]).clone()
