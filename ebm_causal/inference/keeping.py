"""What a long computation leaves behind for a run that is killed, so that the next one goes on from there.

Optimizers and samplers of other libraries do not hand out their state. But they are deterministic: given the same
values and gradients in the same order they do the same. So these are kept on a tape, and a run that is started again
plays it, which costs next to nothing, until it comes to where the last one was killed.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


class Keeper:
    """The values and gradients that a computation asked for, in order; written now and then.

    Args:
        known: What an earlier run left; None for a fresh start.
        write: Takes the whole tape.
        every: After how many new entries it is written.
    """

    def __init__(
        self, known: Mapping[str, Any] | None, write: Callable[[Mapping[str, Any]], None], every: int
    ) -> None:
        self.tape = [] if known is None else _entries(known)
        self.write, self.every = write, max(1, every)
        self.resumed_from: int | None = None if known is None else len(self.tape)
        self._place, self._written, self._busy = 0, len(self.tape), False

    def record(self, compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """What the tape holds at this place, or else the result of a computation, which is put there.

        A computation within a recorded one is not recorded itself.
        """
        if self._busy:
            return compute()
        if self._place == len(self.tape):
            self._busy = True
            try:
                self.tape.append(tuple(_alone(value.detach()) for value in compute()))
            finally:
                self._busy = False
        self._place += 1
        if len(self.tape) - self._written >= self.every:
            self.finish()
        return self.tape[self._place - 1]

    def finish(self) -> None:
        """Write what is not written yet."""
        if len(self.tape) == self._written:
            return
        flat = [value.reshape(-1).to(torch.float64) for entry in self.tape for value in entry]
        shapes = [[list(value.shape) for value in entry] for entry in self.tape]
        self.write({"flat": torch.cat(flat), "shapes": shapes})
        self._written = len(self.tape)


def _entries(tape: Mapping[str, Any]) -> list[tuple[Tensor, ...]]:
    sizes = [math.prod(shape) for entry in tape["shapes"] for shape in entry]
    parts = iter(tape["flat"].split(sizes))
    return [tuple(_alone(next(parts).reshape(shape)) for shape in entry) for entry in tape["shapes"]]


def _alone(value: Tensor) -> Tensor:
    """In memory of its own, one number after the other: products of other layouts differ in their last bits."""
    return value.clone(memory_format=torch.contiguous_format)
