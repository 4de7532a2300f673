"""Whether chains have mixed: rank-normalized R-hat, bulk and tail effective sample sizes, of many quantities."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

COLUMNS = 2_000_000  # numbers that are ranked at once, so that memory stays flat
CLUSTERED = 3  # rounds of finding two clusters


class Mixing(NamedTuple):
    """How well chains of a quantity have mixed, ``[*quantities]`` each; NaN where it never changes.

    Attributes:
        r_hat: Rank-normalized, the larger of that of the values and of their distances to the median.
        ess_bulk: The effective sample size of the ranks.
        ess_tail: That of the 5 % and the 95 % quantile, the smaller.
    """

    r_hat: Tensor
    ess_bulk: Tensor
    ess_tail: Tensor


def mixing(draws: Tensor) -> Mixing:
    """Rank-normalized R-hat, bulk and tail effective sample size.

    Chains are split in halves, so that one chain serves too. It takes at least eight draws of each.

    Args:
        draws: ``[chains, draws, *quantities]``.

    Returns:
        One number per quantity; NaN for a quantity that does not change, or with fewer than eight draws.

    References:
        Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Rank-normalization, folding, and localization.

    Example:
        >>> import torch
        >>> from ebm_causal.sampling import mixing
        >>> apart = torch.randn(2, 500, generator=torch.Generator().manual_seed(0)) + torch.tensor(
        ...     [[0.0], [3.0]]
        ... )
        >>> bool(mixing(apart).r_hat > 1.5)
        True
    """
    chains, count, shape = draws.shape[0], draws.shape[1], draws.shape[2:]
    flat = draws.detach().reshape(chains, count, -1).permute(2, 0, 1)
    if count < 8 or not len(flat):
        return Mixing(*[draws.new_full(shape, math.nan)] * 3)
    half = count // 2
    halves = torch.cat([flat[..., :half], flat[..., count - half :]], 1)
    parts = halves.split(max(1, COLUMNS // (chains * count)))
    found = [torch.cat(each).reshape(shape) for each in zip(*map(_of_halves, parts), strict=True)]
    return Mixing(*found)


def _of_halves(halves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three of ``[quantities, chains, draws]``."""
    flat = halves.flatten(1)
    order, ranks = _ranked(flat)
    size = flat.shape[1]
    median = 0.5 * (order[:, (size - 1) // 2] + order[:, size // 2])
    _, folded = _ranked((flat - median[:, None]).abs())
    bulk = ranks.reshape(halves.shape)
    r_hat = torch.fmax(_r_hat(bulk), _r_hat(folded.reshape(halves.shape)))
    tails = [
        _ess((halves <= _quantile(order, share)[:, None, None]).to(halves.dtype)) for share in (0.05, 0.95)
    ]
    still = order[:, 0] == order[:, -1]
    values = (r_hat, _ess(bulk), torch.fmin(*tails))
    return tuple(torch.where(still, math.nan, value) for value in values)  # type: ignore[return-value]


def _ranked(flat: Tensor) -> tuple[Tensor, Tensor]:
    """The values in order, and the normal scores of the ranks, equal values having the mean of theirs."""
    order, index = flat.sort(-1)
    size = flat.shape[1]
    place = torch.arange(size, device=flat.device, dtype=flat.dtype).expand_as(flat)
    new = torch.ones_like(order, dtype=torch.bool)
    new[:, 1:] = order[:, 1:] != order[:, :-1]
    last = torch.ones_like(new)
    last[:, :-1] = new[:, 1:]
    first = torch.where(new, place, 0.0).cummax(-1).values
    final = torch.where(last, place, float(size)).flip(-1).cummin(-1).values.flip(-1)
    ranks = torch.empty_like(order).scatter_(-1, index, 0.5 * (first + final) + 1)
    return order, torch.special.ndtri((ranks - 0.375) / (size + 0.25))


def _quantile(order: Tensor, share: float) -> Tensor:
    """A quantile of sorted values, between its neighbors."""
    place = share * (order.shape[1] - 1)
    low = int(place)
    return torch.lerp(order[:, low], order[:, min(low + 1, order.shape[1] - 1)], place - low)


def _r_hat(chains: Tensor) -> Tensor:
    count = chains.shape[-1]
    ratio = count * chains.mean(-1).var(-1) / chains.var(-1).mean(-1)
    return ((ratio + count - 1) / count).sqrt()


def _ess(chains: Tensor) -> Tensor:
    """Geyer's initial monotone sequence, of ``[quantities, chains, draws]``."""
    count, number = chains.shape[-1], chains.shape[-2]
    mean = chains.mean(-1, keepdim=True)
    spectrum = torch.fft.rfft(chains - mean, n=1 << (2 * count - 1).bit_length())
    power = (spectrum.real**2 + spectrum.imag**2).mean(-2)  # of all chains, since the transform is linear
    covariance = torch.fft.irfft(power)[..., :count] / count
    within = covariance[:, :1] * count / (count - 1)
    total = within * (count - 1) / count
    if number > 1:
        total = total + mean[..., 0].var(-1, keepdim=True)
    rho = 1 - (within - covariance) / total
    rho[:, 0] = 1.0
    pairs = rho[:, : count // 2 * 2].unflatten(-1, (-1, 2)).sum(-1)[:, : max(1, (count - 3) // 2)]
    positive = (pairs > 0).to(pairs.dtype).cumprod(-1)
    positive[:, 0] = 1.0
    steady = torch.where(positive > 0, pairs, math.inf).cummin(-1).values
    after = positive.sum(-1).long()  # the first pair that is not positive
    even = rho.gather(-1, (2 * after).clamp_max(count - 1)[:, None])[:, 0].clamp_min(0.0)
    tau = -1 + 2 * torch.where(positive > 0, steady, 0.0).sum(-1) + even
    draws = number * count
    return draws / tau.clamp_min(1 / math.log10(draws))


def indicate_modes(draws: Tensor) -> Tensor:
    """In which of two clusters each draw is, zero or one; halves where a row has one mode.

    Two means, begun on either side of the longest axis.

    Args:
        draws: ``[chains, draws, rows, dim]``.

    Returns:
        ``[chains, draws, rows]``.
    """
    flat = draws.detach().flatten(0, 1)
    center = flat.mean(0)
    apart = (flat - center) / flat.std(0).clamp_min(torch.finfo(flat.dtype).tiny)
    if draws.shape[-1] == 1:
        side = apart[..., 0]
    else:
        correlation = torch.einsum("nri,nrj->rij", apart, apart).nan_to_num(nan=0.0, posinf=0.0)
        axis = torch.linalg.eigh(correlation).eigenvectors[..., -1]
        side = (apart * axis).sum(-1)
    for _ in range(CLUSTERED):
        share = (side > 0).to(flat.dtype)
        weight = share.sum(0).clamp_min(1.0)[:, None]
        other = (len(flat) - share.sum(0)).clamp_min(1.0)[:, None]
        high = torch.einsum("nr,nri->ri", share, apart)
        low = (apart.sum(0) - high) / other
        high = high / weight
        side = ((apart - 0.5 * (high + low)) * (high - low)).sum(-1)
    return (side > 0).to(flat.dtype).reshape(draws.shape[:-1])
