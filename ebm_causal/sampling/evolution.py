"""CMA-ES, a population that learns the shape of the energy: the only door to the library ``cmaes``."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebm_causal.sampling.coordinate_search import evaluate
from ebm_causal.sampling.minimizers import Minima, SelectRows

SPREAD = 1.0  # of the first population, around each start
WORST = 1e300  # stands for an infinite energy: only ranks count


def search_evolving(
    select: SelectRows,
    starts: Tensor,
    generator: torch.Generator,
    *,
    generations: int = 1000,
    report: Callable[[int, int], None] | None = None,
) -> Minima:
    r"""Minimize the energies of rows by CMA-ES, one population for each start of each row.

    For up to some dozens of real coordinates and energies that are rugged, crooked, or have no gradient. All
    populations are evaluated as one batch. It uses ranks only, so that any growing function of the energy
    has the same course. Costs some thousand energies per start, and does not prove its minimum.

    Args:
        select: As for ``minimize_rows``; no gradient is taken.
        starts: ``[starts, rows, dim]``, the first means.
        generator: Seeds the populations; numpy's global state is not touched.
        generations: The most that are taken.
        report: Told how many generations are done, and how many there may be.

    Returns:
        The lowest points seen; none has ``arrived``: a descent from there may show that.

    References:
        Hansen (2016), The CMA evolution strategy: a tutorial.
        Nomura and Shibata (2024), cmaes: a simple yet practical Python library for CMA-ES.
    """
    count, rows, dim = starts.shape
    seeds = torch.randint(2**31 - 1, (count * rows,), generator=generator).tolist()
    populations = _populations(starts.reshape(-1, dim), seeds)
    owner = torch.arange(rows, device=starts.device).expand(count, -1).reshape(-1)
    best, lowest = starts.reshape(-1, dim).clone(), evaluate(select(owner), starts.reshape(-1, dim))
    active, taken = list(range(count * rows)), 0
    while active and taken < generations:
        asked = _ask([populations[i] for i in active])
        points = torch.as_tensor(asked).to(starts)
        energy = select(owner[active].repeat_interleave(points.shape[1]))
        values = evaluate(energy, points.flatten(0, 1)).reshape(points.shape[:2])
        _keep(best, lowest, active, points, values)
        _tell([populations[i] for i in active], asked, values.double().clamp_max(WORST).cpu().numpy())
        active, taken = [i for i in active if not populations[i].should_stop()], taken + 1
        if report is not None:
            report(taken, generations)
    shape = (count, rows)
    arrived = torch.zeros(shape, dtype=torch.bool, device=starts.device)
    return Minima(best.reshape(starts.shape), lowest.reshape(shape), arrived, taken)


def _populations(means: Tensor, seeds: list[int]) -> list[Any]:
    from cmaes import CMA

    centers = means.detach().double().cpu().numpy()
    return [CMA(mean=mean, sigma=SPREAD, seed=seed) for mean, seed in zip(centers, seeds, strict=True)]


def _ask(populations: list[Any]) -> np.ndarray:
    """New points, ``[populations, size, dim]``."""
    return np.stack([[p.ask() for _ in range(p.population_size)] for p in populations])


def _tell(populations: list[Any], points: np.ndarray, values: np.ndarray) -> None:
    for population, asked, energies in zip(populations, points, values, strict=True):
        population.tell(list(zip(asked, energies.tolist(), strict=True)))


def _keep(best: Tensor, lowest: Tensor, active: list[int], points: Tensor, values: Tensor) -> None:
    """Remember the lowest point of each population."""
    value, place = values.min(1)
    index = torch.tensor(active, device=best.device)
    lower = value < lowest[index]
    found = points[torch.arange(len(place), device=best.device), place]
    best[index[lower]], lowest[index[lower]] = found[lower], value[lower]
