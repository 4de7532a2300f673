"""How the loop of training runs: batches, optimizer, what is held out, when it stops."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError
from ebm_causal.learning.problems import Rows

Parameters = list[nn.Parameter]
MakeOptimizer = Callable[..., torch.optim.Optimizer]
FUSED = (torch.optim.Adam, torch.optim.AdamW)  # which torch can run in one pass over all parameters
EVALUATIONS = 20  # how often rows held out are looked at, and a state is kept


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Settings of the loop, for ``ec.fit(..., loss=..., loop=Loop(...))``.

    Attributes:
        batch: Rows for each step; all of them where there are no more.
        optimizer: Called with the parameters and ``lr=``, as the classes of ``torch.optim`` are.
        decay: What share of the learning rate is left at the last step; it falls geometrically.
        held_out: The share of the rows that is kept from training, for scores, ranking and health.
        patience: Stop after so many evaluations (there are twenty) without a better score on rows held out, and
            return the best; never by default.
        score: What is watched there, called with the energy and rows, the lower the better; by default the loss, or
            for contrastive divergence the sliced score matching loss.
        clip: The largest norm of the gradient; longer ones are shortened. Nothing is clipped by default.
        spectral_bound: The largest singular value that a linear or convolutional layer may have after a step.
        device: Where the energy and the batches go; where the energy is by default.

    Raises:
        ArgumentError: If one of them is out of range.
    """

    batch: int = 128
    optimizer: MakeOptimizer = torch.optim.Adam
    decay: float = 0.1
    held_out: float = 0.1
    patience: int | None = None
    score: Callable[[Energy, Rows], float | Tensor] | None = None
    clip: float | None = None
    spectral_bound: float | None = None
    device: str | torch.device | None = None

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ArgumentError(f"batch must be at least 1; got {self.batch}.")
        if not 0 < self.decay <= 1:
            raise ArgumentError(f"decay is the share of the learning rate left, in (0, 1]; got {self.decay}.")
        if not 0 <= self.held_out < 1:
            raise ArgumentError(f"held_out is a share of the rows, in [0, 1); got {self.held_out}.")
        if self.patience is not None and (self.patience < 1 or self.held_out == 0):
            raise ArgumentError(
                f"early stopping needs patience of at least 1 and rows held out; got patience={self.patience} and "
                f"held_out={self.held_out}."
            )
        for name in ("clip", "spectral_bound"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ArgumentError(f"{name} must be positive and finite; got {value}.")

    def optimizer_of(self, parameters: Parameters, rate: float) -> torch.optim.Optimizer:
        """The optimizer of some parameters.

        Raises:
            ArgumentError: If it cannot be made, or wants a closure.
        """
        if not 0 < rate < math.inf:
            raise ArgumentError(f"learning_rate must be positive and finite; got {rate}.")
        one_pass = self.optimizer in FUSED and all(p.device.type in ("cpu", "cuda") for p in parameters)
        made = self.optimizer(parameters, lr=rate, **({"fused": True} if one_pass else {}))
        if not isinstance(made, torch.optim.Optimizer) or isinstance(made, torch.optim.LBFGS):
            raise ArgumentError(
                f"optimizer must give a torch optimizer that steps by gradients; got {type(made).__name__}."
            )
        return made

    def words(self) -> str:
        """The settings that must be the same for a run to go on."""
        name = getattr(self.optimizer, "__name__", type(self.optimizer).__name__)
        rest = (self.batch, self.decay, self.held_out, self.patience, self.clip, self.spectral_bound)
        return f"{name} {rest}"
