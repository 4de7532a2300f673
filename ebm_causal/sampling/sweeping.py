"""Gibbs sampling of finite variables: one coordinate after another is drawn from its law given all others."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.sampling.kernels import Info
from ebm_causal.sampling.lattice import RowEnergy
from ebm_causal.sampling.telling import Tell, round_of, silent
from ebm_causal.sampling.verdicts import Goal, RowChains, Select, judge_chains

WARMUP = 100  # sweeps before the first draw
ROUNDS = 5  # each with twice the draws of the last


class Sweep(NamedTuple):
    """Where chains are.

    Attributes:
        points: ``[chains, rows, dim]``.
        energies: ``[chains, rows]``.
    """

    points: Tensor
    energies: Tensor


def sweep(
    state: Sweep, energy: RowEnergy, choices: Sequence[Tensor], generator: torch.Generator
) -> tuple[Sweep, Info]:
    """Draw each coordinate once given the others, in a random order; exact, so that nothing is rejected.

    References:
        Geman and Geman (1984), Stochastic relaxation, Gibbs distributions, and the Bayesian restoration of images.
    """
    points, energies = state
    bad = torch.zeros_like(energies, dtype=torch.bool)
    for place in torch.randperm(len(choices), generator=generator).tolist():
        values = choices[place]
        trials = points.expand(len(values), *points.shape).clone()
        trials[..., place] = values[:, None, None]
        with torch.no_grad():
            found = energy(trials.flatten(0, 1)).reshape(len(values), *energies.shape)
        bad = bad | found.isnan().any(0)
        found = torch.where(found.isnan(), torch.inf, found)
        uniform = torch.rand(found.shape, generator=generator, dtype=found.dtype).to(found.device)
        gumbel = -(-uniform.clamp_min(torch.finfo(found.dtype).tiny).log()).log()
        chosen = (gumbel - found).argmax(0, keepdim=True)
        points = trials.gather(0, chosen[..., None].expand(1, *points.shape))[0]
        energies = found.gather(0, chosen)[0]
    moved = (points != state.points).any(-1)
    return Sweep(points, energies), Info(torch.ones_like(energies), moved, torch.zeros_like(bad), bad)


def run_sweeps(
    select: Select,
    start: Tensor,
    choices: Sequence[Tensor],
    goal: Goal,
    generator: torch.Generator,
    *,
    tell: Tell = silent,
) -> RowChains:
    """Sweep every row until it has enough effective draws and its chains agree, or the rounds are over.

    Args:
        select: The energy of some rows, by their numbers.
        start: Where chains begin, ``[chains, rows, dim]``.
        choices: The values of each coordinate.
        goal: When a row is done.
        generator: Drives all randomness.
        tell: Told the share done.
    """
    left = torch.arange(start.shape[1], device=start.device)
    rows, whole = len(left), None
    for turn in range(ROUNDS):
        energy, told = select(left), round_of(tell, (len(left), rows), (turn, ROUNDS))
        state = Sweep(start, start.new_zeros(start.shape[:2]))
        for _ in range(WARMUP if turn == 0 else 0):
            state, _ = sweep(state, energy, choices, generator)
        positions, energies, infos = [], [], []
        wanted = max(16, goal.draws * 2**turn)
        for done in range(wanted):
            state, info = sweep(state, energy, choices, generator)
            positions.append(state.points)
            energies.append(state.energies)
            infos.append(info)
            told((done + 1) / wanted)
        points = torch.stack(positions, 1)
        found = judge_chains(energies, infos, points, goal, start.new_ones(len(left)))
        whole = found if whole is None else whole.put(left, found)
        stay = found.unfinished
        if len(stay) == 0:
            break
        left, start = left[stay], state.points[:, stay]
    assert whole is not None  # noqa: S101 -- there is a first round
    return whole
