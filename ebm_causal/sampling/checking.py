r"""The self-check of a lattice: how fast the Fourier transform of its masses falls off.

The equal-weight sum over a lattice of step h errs by the density's Fourier transform at the frequencies
:math:`2\pi/h`. At halves and thirds of these the points themselves tell it: it is the imbalance of the masses
of every second and every third point. What falls off at least geometrically is, at the whole frequency,
below the square of the one and the cube of the other; for a normal density below the fourth and ninth power.

Where it does not, there are kinks or walls: it falls off by a power only, and the error is of the size of what
is measured.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CAUTION = 10.0  # times the imbalances' estimate: transforms of several modes oscillate
ROUGH = {1: 2e-5, 2: 1.9e-3, 3: 1.9e-3}  # an error by a kink, above which a finer lattice is laid
QUIET = 1e-9  # an imbalance that is rounding


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


def checked(
    imbalances: tuple[Tensor, Tensor, Tensor], allowed: tuple[float, float], *, kinks: bool = True
) -> Check:
    r"""Judge rows by their imbalances at halves, thirds and sixths, ``[rows, dim]`` each.

    What falls off at least geometrically errs by their square and cube: as these may be small by accident, at
    least half of what is allowed counts. A kink's transform falls off with the square of the frequency, so that it
    errs by about a third of the halves along each axis, and never by more than half of the larger of both. The
    transform of a logistic density falls geometrically, and may look slow: it costs such a row finer lattices.
    """
    halves, thirds, sixths = imbalances
    dim = halves.shape[-1]
    slow = ((halves > thirds**1.5) | (thirds > sixths**2)) & (halves + thirds > QUIET) & kinks
    doubt = 0.5 * dim * torch.where(slow, torch.maximum(halves, thirds), halves) * kinks
    smooth = halves.clamp_min(0.5 * allowed[0]) ** 2 + thirds.clamp_min(0.5 * allowed[1]) ** 3
    coarse = (halves > allowed[0]) | (thirds > allowed[1]) | (doubt > ROUGH[dim])
    return Check(
        coarse=coarse,
        blunt=(slow & coarse).any(-1),
        error=torch.maximum(CAUTION * dim * smooth, doubt).amax(-1),
    )


def imbalances(codes: Tensor, masses: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """The masses' Fourier transform at halves, thirds and sixths of the lattice's frequencies, ``[rows, dim]`` each.

    The largest modulus of those that have a part along the axis.

    Args:
        codes: The remainders of the points' coordinates by six, as numbers in base six, ``[rows, points]``.
        masses: Probabilities, ``[rows, points]``.
        dim: The dimension.
    """
    many, size = len(masses), 6**dim
    bins = (codes + size * torch.arange(many, device=codes.device)[:, None]).reshape(-1)
    shares = torch.bincount(bins, weights=masses.reshape(-1), minlength=many * size).reshape(many, *[6] * dim)
    return waves_of(shares)


def waves_of(shares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same of masses that were summed over places alike modulo six, ``[rows, 6, ...]``."""
    waves = torch.fft.fftn(shares, dim=tuple(range(1, shares.ndim))).abs().to(shares.dtype)
    halves, thirds, sixths = (
        waves[(slice(None), *[slice(None, None, every)] * (shares.ndim - 1))] for every in (3, 2, 1)
    )
    return _largest(halves), _largest(thirds), _largest(sixths)


def _largest(waves: Tensor) -> Tensor:
    axes = range(1, waves.ndim)
    parts = [waves.narrow(axis, 1, waves.shape[axis] - 1).reshape(len(waves), -1).amax(-1) for axis in axes]
    return torch.stack(parts, -1)
