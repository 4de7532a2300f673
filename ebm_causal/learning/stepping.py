"""One run of the loop: its state, its steps, its evaluations, and its refusal to go on with numbers that are none."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ebm_causal.distributed import agree, collect, mean_over_rows
from ebm_causal.energies import Energy
from ebm_causal.errors import EnergyError, TrainingDiverged
from ebm_causal.learning.checkpoints import Checkpoint
from ebm_causal.learning.loops import Loop
from ebm_causal.learning.losses import Criterion, Terms
from ebm_causal.learning.problems import Batch
from ebm_causal.learning.records import Trace
from ebm_causal.learning.smoothness import bound_layers
from ebm_causal.learning.sources import Part, Source

RUNAWAY = 1e6  # times the energies of the first step, or one where these are smaller
APART = 104_729  # between the seeds of processes
SCORING = 7919  # the seed of scores, so that each evaluation meets the same noise


class Stepper:
    """A run of the loop.

    Args:
        energy: Trained in place.
        criterion: The loss, bound to the energy.
        named: The energy's learnable parameters.
        source: Gives batches.
        loop: The settings.
        plan: Steps, learning rate, seed, and which of how many processes this is.
        checkpoint: Where states are kept.
    """

    def __init__(
        self,
        energy: Energy,
        criterion: Criterion,
        named: Mapping[str, nn.Parameter],
        source: Source,
        *,
        loop: Loop,
        plan: tuple[int, float, int, Part],
        checkpoint: Checkpoint,
    ) -> None:
        self.energy, self.criterion, self.source, self.loop = energy, criterion, source, loop
        self.steps, self.rate, seed, self.part = plan
        self.named = {**named, **dict(criterion.named_parameters())}
        self.parameters = list(self.named.values())
        self.optimizer = loop.optimizer_of(self.parameters, self.rate)
        self.generator = torch.Generator().manual_seed(seed + APART * self.part[0] * (not criterion.alike))
        self.checkpoint, self.trace = checkpoint, Trace(self.steps)
        self.done, self.scale = 0, math.nan
        self.scores: list[tuple[int, float]] = []
        self.best: dict[str, Tensor] | None = None
        agree([parameter.data for parameter in self.parameters], self.part[1])

    def step(self) -> tuple[float, float, float]:
        """One step: the loss, the gap and the learning rate."""
        step = self.done
        rate = self.rate * self.loop.decay ** (step / self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for parameter in self.parameters:
            parameter.grad = None
        batch = self.source.batch(step)
        terms = self.criterion(batch, self.generator)
        self._slope(terms.loss)
        loss, length, level, gap = self._seen(terms, len(batch.index))
        self._refuse(loss, length, (level, gap))
        if self.loop.clip is not None and length > self.loop.clip:
            torch._foreach_mul_(self._gradients, self.loop.clip / length)
        self.optimizer.step()
        if self.loop.spectral_bound is not None:
            bound_layers(self.energy, self.loop.spectral_bound)
        self.trace.add(step, loss, gap)
        self.done += 1
        return loss, gap, rate

    def _slope(self, loss: Tensor) -> None:
        """Gradients of the loss, refused where no parameter has one."""
        if loss.requires_grad:
            loss.backward()
        if not self._gradients:
            raise EnergyError(
                f"the loss depends on none of the parameters {list(self.named)} that are learned, so that no step "
                "could lower it: let the energy's slopes, or its values where the loss looks at these, depend on one."
            )

    def evaluate(self) -> None:
        """Score the rows held out, and remember the best."""
        rows = self.source.held_out
        if rows is None:
            return
        value = collect(self._score(rows), self.part[1])[0]
        if not math.isfinite(value):
            raise self._diverged("the score on rows held out", value, self._first_bad())
        self.scores.append((self.done, value))
        if value <= min(score for _, score in self.scores):
            self.best = {name: p.detach().clone() for name, p in self.named.items()}

    @property
    def patience_is_over(self) -> bool:
        """Whether as many evaluations as patience allows have brought no better score."""
        patience, best = self.loop.patience, self.best_step
        return patience is not None and sum(step > best for step, _ in self.scores) >= patience

    @property
    def best_step(self) -> int:
        """After which step the score was best; now, where there is none."""
        return min(self.scores, key=lambda pair: pair[1])[0] if self.scores else self.done

    def take_best(self) -> None:
        """Go back to the parameters with the best score."""
        with torch.no_grad():
            for name, value in (self.best or {}).items():
                self.named[name].copy_(value)

    def state(self) -> dict[str, object]:
        """All that the next step depends on, here and in the other processes; all of them must ask for it."""
        return {
            "step": self.done, "scale": self.scale, "scores": self.scores, "trace": self.trace.sums,
            "energy": self.energy.state_dict(), "criterion": dict(self.criterion.named_parameters()),
            "optimizer": self.optimizer.state_dict(), "best": self.best,
            "processes": collect(
                {"generator": self.generator.get_state(), "memory": self._memory()}, self.part[1]
            ),
        }  # fmt: skip

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from a state."""
        kept: dict = dict(state)
        self.done, self.scale = kept["step"], kept["scale"]
        self.scores = [(step, value) for step, value in kept["scores"]]
        self.trace.restore(kept["trace"])
        self.energy.load_state_dict(kept["energy"])
        self.criterion.load_state_dict(kept["criterion"], strict=False)
        self.optimizer.load_state_dict(kept["optimizer"])
        mine = kept["processes"][self.part[0]]
        self.generator.set_state(mine["generator"])
        for name, value in self._memory().items():
            value.copy_(mine["memory"][name])
        self.best = kept["best"]

    def _memory(self) -> dict[str, Tensor]:
        """What each process remembers for itself: chains, and running moments of the energy's own layers."""
        several = {"energy": self.energy, "criterion": self.criterion}
        return {
            f"{k} {name}": value for k, module in several.items() for name, value in module.named_buffers()
        }

    @property
    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self.parameters if p.grad is not None]

    def _seen(self, terms: Terms, rows: int) -> tuple[float, float, float, float]:
        """Loss, norm of the gradient, energy and gap, over the rows of all processes; fetched as one tensor."""
        gradients = self._gradients
        told = [terms.loss.detach(), terms.energy, *([] if terms.gap is None else [terms.gap])]
        if self.part[1] > 1:
            told = list(mean_over_rows(gradients, torch.stack(told), rows, self.part[1]))
        numbers = torch.stack([*told, *torch._foreach_norm(gradients)]).tolist()
        known, norms = numbers[: len(told)], numbers[len(told) :]
        return known[0], math.hypot(*norms), known[1], known[2] if len(known) > 2 else math.nan

    def _score(self, rows: Mapping[str, Tensor]) -> float:
        if self.loop.score is not None:
            return float(self.loop.score(self.energy, rows))
        count = max(len(value) for value in rows.values())
        generator = torch.Generator().manual_seed(SCORING)
        return float(self.criterion.score(Batch(rows, torch.arange(count)), generator))

    def _refuse(self, loss: float, length: float, energies: tuple[float, float]) -> None:
        if not math.isfinite(loss):
            raise self._diverged("the loss", loss, self._first_bad())
        if not math.isfinite(length):
            raise self._diverged("the gradient", length, self._first_bad())
        size = max(abs(value) for value in energies if not math.isnan(value))
        if math.isnan(self.scale):
            self.scale = max(size, 1.0)
        if not size < RUNAWAY * self.scale:
            text = f"the energy scale ran away: {RUNAWAY:g} times the first, it"
            raise self._diverged(text, size, self._largest())

    def _diverged(self, what: str, value: float, parameter: str) -> TrainingDiverged:
        place = self.checkpoint.place
        good = f"the last good state is in {place!r}" if place else "no state was kept: give checkpoint="
        return TrainingDiverged(
            f"training diverged at step {self.done}: {what} is {value:.3g}, first in parameter {parameter!r}; {good}. "
            "Lower the learning rate, set Loop(clip=...), or add a GradientPenalty.",
            step=self.done, parameter=parameter, checkpoint=place,
        )  # fmt: skip

    def _first_bad(self) -> str:
        for name, parameter in self.named.items():
            if not bool(parameter.detach().isfinite().all()):
                return name
        for name, parameter in self.named.items():
            if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
                return name
        return self._largest()

    def _largest(self) -> str:
        return max(self.named, key=lambda name: float(self.named[name].detach().abs().max()))
