r"""The self-check of a lattice: how fast the Fourier transform of its masses falls off.

The equal-weight sum over a lattice of step h errs by the density's Fourier transform at the frequencies
:math:`2\pi/h`. At halves and thirds of these the points themselves tell it: it is the imbalance of the masses
of every second and every third point. What falls off at least geometrically is, at the whole frequency,
below the square of the one and the cube of the other; for a normal density below the fourth and ninth power.

Where there are kinks or walls it falls off by a power only, and the error is of the size of what is measured.
From a quarter and a third of the frequencies to five twelfths and a half, the square of the frequency falls to
about a third; what falls geometrically, and comes to much less, falls at the whole frequency to the power of 3.5
of that once more.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CAUTION = 10.0  # times the imbalances' estimate: transforms of several modes oscillate
ROUGH = {1: 2e-5, 2: 1.9e-3, 3: 1.9e-3}  # an error by a kink, above which a finer lattice is laid
QUIET = 1e-9  # an imbalance that is rounding
PERIOD = 12  # masses are summed over places alike modulo this: the frequencies are those of its fractions
SLOW = 0.1  # a fall from low to high frequencies that no kink falls below


@dataclass(frozen=True, slots=True, kw_only=True)
class Imbalances:
    """How uneven masses are along each axis: the largest modulus of their transform with a part along it.

    Attributes:
        halves: At the lattice's frequencies by two, ``[rows, dim]``.
        thirds: By three.
        sixths: By six.
        high: At five twelfths or half of them, with whatever part along other axes.
        low: At a quarter or a third.
    """

    halves: Tensor
    thirds: Tensor
    sixths: Tensor
    high: Tensor
    low: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What the imbalances of each row say.

    Attributes:
        coarse: Along which axes the step is too large, ``[rows, dim]``.
        blunt: Whether it is so where they fall off slowly, as at a kink.
        error: A bound of the log integral's error.
    """

    coarse: Tensor
    blunt: Tensor
    error: Tensor


def checked(found: Imbalances, allowed: tuple[float, float], *, kinks: bool = True) -> Check:
    r"""Judge rows by their imbalances.

    What falls off at least geometrically has halves below thirds to the power of 1.5, or little at high frequencies
    beside low ones. It errs by the square of halves and the cube of thirds: as these may be small by accident, at
    least half of what is allowed counts. A kink's transform falls off with the square of the frequency, so that it
    errs by about a third of the halves along each axis, and never by more than half of the larger of both.
    """
    halves, thirds = found.halves, found.thirds
    dim = halves.shape[-1]
    slow = ((halves > thirds**1.5) | (thirds > found.sixths**2)) & (found.high > SLOW * found.low)
    slow = slow & (halves + thirds > QUIET) & kinks
    doubt = 0.5 * dim * torch.where(slow, torch.maximum(halves, thirds), halves) * kinks
    smooth = halves.clamp_min(0.5 * allowed[0]) ** 2 + thirds.clamp_min(0.5 * allowed[1]) ** 3
    coarse = (halves > allowed[0]) | (thirds > allowed[1]) | (doubt > ROUGH[dim])
    return Check(
        coarse=coarse,
        blunt=(slow & coarse).any(-1),
        error=torch.maximum(CAUTION * dim * smooth, doubt).amax(-1),
    )


def imbalances(codes: Tensor, masses: Tensor, dim: int) -> Imbalances:
    """How uneven masses are.

    Args:
        codes: The remainders of the points' coordinates by twelve, as numbers in base twelve, ``[rows, points]``.
        masses: Probabilities, ``[rows, points]``.
        dim: The dimension.
    """
    many, size = len(masses), PERIOD**dim
    bins = (codes + size * torch.arange(many, device=codes.device)[:, None]).reshape(-1)
    shares = torch.bincount(bins, weights=masses.reshape(-1), minlength=many * size)
    return imbalances_of(shares.reshape(many, *[PERIOD] * dim))


def imbalances_of(shares: Tensor) -> Imbalances:
    """The same of masses that were summed over places alike modulo twelve, ``[rows, 12, ...]``."""
    waves = torch.fft.fftn(shares, dim=tuple(range(1, shares.ndim))).abs().to(shares.dtype)
    halves, thirds, sixths = (
        waves[(slice(None), *[slice(None, None, every)] * (shares.ndim - 1))] for every in (6, 4, 2)
    )
    return Imbalances(
        halves=_largest(halves, 1, 1), thirds=_largest(thirds, 1, 2), sixths=_largest(sixths, 1, 5),
        high=_largest(waves, 5, 7), low=_largest(waves, 3, 4),
    )  # fmt: skip


def _largest(waves: Tensor, first: int, last: int) -> Tensor:
    """The largest along each axis between two frequencies, whatever they are along the others."""
    axes = range(1, waves.ndim)
    parts = [waves.narrow(axis, first, last - first + 1).reshape(len(waves), -1).amax(-1) for axis in axes]
    return torch.stack(parts, -1)
