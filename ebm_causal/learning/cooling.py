r"""Deterministic annealing: a fit along a schedule of :math:`\beta`, each stage starting where the last ended."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from ebm_causal.inference import Optimum, maximize, whiten
from ebm_causal.learning.tasks import Progress, Task

NUDGE = 0.1  # posterior standard deviations
FLOOR = 1e-4  # of the largest curvature


def stages(task: Task, betas: Sequence[float]) -> list[Task]:
    """The same task at each inverse temperature, on one energy; each tells its share of the progress."""
    return [
        replace(task, beta=beta, progress=_share_of(task.progress, beta, (place, len(betas))))
        for place, beta in enumerate(betas)
    ]


def cool(earlier: Sequence[Task], steps: int) -> int:
    """Maximize the marginal likelihood at each stage in turn, and leave the energy near the last one's optimum.

    At a high temperature parts of a model that do the same thing coincide, and at a lower one they stay so: the
    slope that would part them is zero there. So what a stage hands on is moved by a tenth of a posterior standard
    deviation, as Rose moves code vectors that coincide.

    Args:
        earlier: All stages but the last.
        steps: The most iterations of each.

    Returns:
        How many values and gradients it took.

    References:
        Rose (1998), Deterministic annealing for clustering, compression, classification, regression, and related
        optimization problems, section II.
    """
    evaluations = 0
    for place, task in enumerate(earlier):
        optimum = maximize(task.objective(), steps=steps, report=task.reporter(steps))
        evaluations += optimum.evaluations
        _nudge(task, optimum, torch.Generator().manual_seed(task.seed + place))
    return evaluations


def _nudge(task: Task, optimum: Optimum, generator: torch.Generator) -> None:
    noise = torch.randn(optimum.flat.shape, generator=generator, dtype=optimum.flat.dtype)
    if optimum.curvature is not None:
        step = whiten(optimum.curvature, FLOOR) @ noise
    else:  # many parameters: as far as a parameter of their size is known from so many rows
        size = optimum.flat.square().mean().sqrt()
        step = noise * size / max(len(rows) for rows in task.rows.values()) ** 0.5
    task.parameters.set(task.parameters.with_positive_scales(optimum.flat + NUDGE * step))


def _share_of(progress: Progress | None, beta: float, place: tuple[int, int]) -> Progress | None:
    stage, count = place
    if progress is None or count == 1:
        return progress
    return lambda share, text: progress((stage + share) / count, f"beta {beta:.4g}: {text}")
