"""Chains of a batch as they go, and where they were."""

from typing import Literal

import torch
from torch import Tensor

from ebm_causal.sampling.hmc import hmc_step
from ebm_causal.sampling.kernels import Info, Potential, State, begin, uniform_like
from ebm_causal.sampling.langevin import langevin_step
from ebm_causal.sampling.lattice import RowEnergy
from ebm_causal.sampling.mala import mala_step
from ebm_causal.sampling.tuning import Averaging, Metric

Kernel = Literal["hmc", "mala", "langevin"]

LENGTH, MOST_LEAPS = 2.2, 24  # of trajectories, in standard deviations and in steps
JITTER = 0.2  # of step sizes


class Trace:
    """Chains as they go, and where they were."""

    def __init__(self, energy: RowEnergy, points: Tensor, metric: Metric) -> None:
        self.potential: Potential = metric.potential(energy)
        self.state: State = begin(self.potential, metric.inward(points))
        self.forget()

    def forget(self) -> None:
        """Begin to remember anew."""
        self.positions: list[Tensor] = []
        self.energies: list[Tensor] = []
        self.infos: list[Info] = []

    def step(self, kernel: Kernel, size: Tensor, generator: torch.Generator) -> Info:
        """One step of every chain."""
        jittered = size * (1 + JITTER * (2 * uniform_like(self.state.potential, generator) - 1))
        if kernel == "hmc":
            longest = max(1, min(MOST_LEAPS, round(LENGTH / float(size.median()))))
            leaps = int(torch.randint(1 + longest // 2, longest + 1, (1,), generator=generator))
            self.state, info = hmc_step(self.state, self.potential, jittered, leaps, generator)
        elif kernel == "mala":
            self.state, info = mala_step(self.state, self.potential, jittered, generator)
        else:
            self.state, info = langevin_step(self.state, self.potential, size.expand_as(jittered), generator)
        self.positions.append(self.state.position)
        self.energies.append(self.state.potential)
        self.infos.append(info)
        return info

    def adapt(
        self, kernel: Kernel, target: Tensor, plan: tuple[Tensor, int], generator: torch.Generator
    ) -> Tensor:
        """Step sizes that hold the target, after so many iterations."""
        averaging = Averaging(plan[0], target)
        for _ in range(plan[1]):
            info = self.step(kernel, averaging.current, generator)
            averaging.update(info.acceptance.mean(0))
        return averaging.settled
