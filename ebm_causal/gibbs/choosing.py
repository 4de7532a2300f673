"""Which ends of the descents are the minima of a row, the lowest first, and what certifies each."""

from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.gibbs.certificates import Certified, certify_inside, columns_of
from ebm_causal.gibbs.descending import Ends, Plan
from ebm_causal.gibbs.modes import Shape, group_ends, only_rows
from ebm_causal.gibbs.restriction import Restriction
from ebm_causal.gibbs.tails import tails_of

SAME = 1e-15  # how far two states are apart at least


class Found(NamedTuple):
    """Up to ``most`` minima of each row, the lowest first, each with what certifies it.

    Attributes:
        points: Within the supports, ``[most, rows, dim]``.
        energies: There, ``[most, rows]``; infinite where there are fewer minima.
        gradient_norm: ``[most, rows]``.
        smallest_eigenvalue: Of the Hessian, ``[most, rows]``; NaN where there is none.
        stationary: Whether it is a minimum to rounding.
        ends: How many starts ended in it.
        agreement: The share of starts that ended as low as the lowest, ``[1, rows]``.
        toward: Where the energy still falls, a direction in all columns, ``[most, rows, dim]``; zero elsewhere.
    """

    points: Tensor
    energies: Tensor
    gradient_norm: Tensor
    smallest_eigenvalue: Tensor
    stationary: Tensor
    ends: Tensor
    agreement: Tensor
    toward: Tensor


def choose(block: Restriction, ends: Ends, plan: Plan, *, most: int, per_state: bool) -> Found:
    """Up to ``most`` distinct minima of each row among its ends, certified.

    Args:
        block: The rows.
        ends: Where the starts have ended, in all states.
        plan: How they were searched.
        most: How many minima are kept.
        per_state: Whether there were as many starts in each state, rather than in all together.
    """
    kept = 1 if most == 1 else min(len(ends.energies), most * plan.starts)
    lowest = _lowest(ends, kept)
    agreement, as_low = _agreement(block, ends, lowest, per_state=per_state)
    owned = only_rows(block, torch.arange(block.rows, device=agreement.device).repeat(kept))
    flat = certify_inside(owned, lowest.points.flatten(0, 1), differentiable=plan.differentiable)
    shape = (kept, block.rows)
    certified = Certified(*(entry.reshape(*shape, *entry.shape[1:]) for entry in flat))
    sure = (certified.stationary | (lowest.polled & certified.inside)) & certified.energies.isfinite()
    toward = tails_of(owned, flat, sure.flatten(), differentiable=plan.differentiable)
    toward = toward.reshape(*shape, toward.shape[-1])
    sure = sure & (toward == 0).all(-1)
    points, energies, norm, smallest = certified[:4]
    whole = Found(points, energies, norm, smallest, sure, as_low, agreement, toward)
    return whole if most == 1 else _grouped(block, whole, certified, most)


def _lowest(ends: Ends, kept: int) -> Ends:
    place = (
        ends.energies.argmin(0, keepdim=True)
        if kept == 1
        else ends.energies.argsort(stable=True, dim=0)[:kept]
    )
    rows = torch.arange(place.shape[1], device=place.device)
    return Ends(*(entry[place, rows] for entry in ends))


def _agreement(block: Restriction, ends: Ends, lowest: Ends, *, per_state: bool) -> tuple[Tensor, Tensor]:
    """The share of starts that ended as low as the lowest, in its state where each has its starts; and how many."""
    near = torch.finfo(lowest.energies.dtype).eps ** 0.4 * (1 + lowest.energies[0].abs())
    as_low, tried = ends.energies <= lowest.energies[0] + near, torch.ones_like(ends.polled)
    if per_state:
        finite = columns_of(block).finite
        tried = (ends.points[..., finite] == lowest.points[0][:, finite]).all(-1)
    count = (as_low & tried).sum(0, keepdim=True)
    return count.to(near) / tried.sum(0, keepdim=True), count


def _grouped(block: Restriction, whole: Found, certified: Certified, most: int) -> Found:
    """One end for each minimum; where none of a row is sure, its lowest end."""
    finite_energy = whole.energies.isfinite()
    lowest = finite_energy & (whole.energies == whole.energies.amin(0))
    usable = torch.where(whole.stationary.any(0), whole.stationary, lowest)
    shape = Shape(_metric(block, certified), usable)
    groups = group_ends(block.at, whole.points, whole.energies, shape, most=most)
    rows = torch.arange(whole.points.shape[1], device=whole.points.device)
    points, energies, norm, smallest, sure = (entry[groups.first, rows] for entry in whole[:5])
    energies = torch.where(groups.found, energies, torch.inf)
    return Found(
        points, energies, norm, smallest, sure & groups.found, groups.ends, whole.agreement,
        whole.toward[groups.first, rows],
    )  # fmt: skip


def _metric(block: Restriction, certified: Certified) -> Tensor:
    """The curvature in all columns, or its diagonal; a stiff one for states, none where it is not known."""
    columns, energies = columns_of(block), certified.energies
    near = torch.finfo(energies.dtype).eps ** 0.6 * (1 + energies.abs().nan_to_num(posinf=0.0))
    stiff = torch.zeros_like(certified.points)
    stiff[..., columns.finite] = (near / SAME**2)[..., None]
    if not certified.hessian.shape[-1]:
        return stiff
    metric, place = torch.diag_embed(stiff), columns.real
    inner = metric[..., place[:, None], place]
    bent = certified.stationary[..., None, None]
    metric[..., place[:, None], place] = torch.where(bent, certified.hessian, inner)
    return metric
