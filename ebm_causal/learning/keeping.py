"""Fits by likelihood that can be killed: what they computed is kept in a folder."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ebm_causal.distributed import started_together
from ebm_causal.errors import ArgumentError
from ebm_causal.inference import Keeper
from ebm_causal.learning.checkpoints import Checkpoint
from ebm_causal.learning.storage import digest_of
from ebm_causal.learning.tasks import Task

TWENTIETH = 20


def kept(task: Task, folder: str | Path, choices: Mapping[str, object], steps: int) -> Task:
    """The task with a keeper on a folder, which goes on from what it finds there.

    Args:
        task: The task.
        folder: The folder.
        choices: What must be the same for a fit to go on, beside energy, data, priors and seed.
        steps: Iterations of the whole, of which a twentieth is lost at most.

    Raises:
        ArgumentError: If the folder holds something else, Pyro runs the optimization, whose state is not ours, or
            several processes would write to the folder.
    """
    if started_together() > 1:
        raise ArgumentError(
            f"method={choices['method']!r} runs whole in each of the {started_together()} processes of torchrun, and "
            "all would write to one checkpoint=: start one process, or give a loss=, as EvidenceLowerBound(), of "
            "which the processes share the rows."
        )
    if choices["kernel"] == "pyro-svi":
        raise ArgumentError("checkpoint= does not serve kernel='pyro-svi', the reference: use 'auto'.")
    settings = {
        **choices, "seed": task.seed, "latents": task.latents, "parameters": task.parameters.names,
        "priors": {name: str(law) for name, law in task.priors.items()}, "data": digest_of(task.rows),
    }  # fmt: skip
    place = Checkpoint(folder, task.energy, settings)
    found: dict[str, Any] | None = place.read()
    known = None if found is None else found["tape"]
    keeper = Keeper(known, lambda tape: place.write({"tape": tape}), steps // TWENTIETH)
    return replace(task, keeper=keeper)
