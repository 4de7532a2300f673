"""The one loop of all losses: batches in, a fit out."""

import copy
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ebm_causal.distributed import collect, processes, wait_for_all
from ebm_causal.energies import Energy, Factor, as_energy, like_of, named_parameters
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs import at_each, single_or_schedule
from ebm_causal.inference import NormalGuide, ParameterVector
from ebm_causal.learning.checkpoints import Checkpoint
from ebm_causal.learning.fits import Fit, FitDiagnostics
from ebm_causal.learning.health import check_health, rank
from ebm_causal.learning.loops import EVALUATIONS, Loop
from ebm_causal.learning.losses import Criterion, Loss
from ebm_causal.learning.problems import problem_of
from ebm_causal.learning.records import TrainingRecord
from ebm_causal.learning.sources import (
    DatasetRows,
    MemoryRows,
    Part,
    ShuffledSource,
    Source,
    checked_rows,
)
from ebm_causal.learning.stepping import APART, Stepper
from ebm_causal.learning.streaming import ParquetRows, ParquetSource
from ebm_causal.shapes import Betas, check_beta

Progress = Callable[[float, str], None]
REPORTS = 100  # how often progress is told


def train(
    energy: Energy | Factor,
    data: Mapping[str, object] | pd.DataFrame | Dataset | ParquetRows,
    loss: Loss,
    *,
    latents: tuple[str, ...] = (),
    fixed: Iterable[str] = (),
    loop: Loop | None = None,
    steps: int = 1000,
    learning_rate: float = 0.01,
    beta: float = 1.0,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Fit:
    """Train an energy by a loss; what ``ec.fit(..., loss=...)`` calls.

    The same seed gives the same numbers on the same machine, also where a run was killed and goes on from its
    checkpoint. Under ``torchrun`` every process takes its share of each batch, gradients are averaged, and the
    first process keeps the checkpoints.

    Args:
        energy: The energy. It is copied; the caller's is not changed.
        data: Rows by variable, a DataFrame, a dataset whose items are mappings by variable, or
            :class:`ParquetRows`.
        loss: The principle, a member of ``ebm_causal.learning``.
        latents: What the data do not hold.
        fixed: Names of parameters that stay as they are.
        loop: Batches, optimizer, early stopping and the like.
        steps: How many steps.
        learning_rate: At the first step.
        beta: The inverse temperature of densities.
        seed: Of the split, the order of rows, and all that is drawn.
        checkpoint: A folder for states; a run that finds one goes on from it.
        progress: Told the share done, and loss, energy gap and learning rate.

    Returns:
        The fit, ``fit.training`` saying how it went. An interrupt from the keyboard ends the training, and the best
        fit so far is returned.

    Raises:
        EnergyError: If data, energy and loss do not fit together, or parameters have several dtypes.
        TrainingDiverged: At the first number that is not finite, or energies a million times the first.
        ArgumentError: If a setting is out of range, or the checkpoint is not of this fit.
    """
    if steps < 1:
        raise ArgumentError(f"steps must be positive; got {steps}.")
    loop = loop or Loop()
    with processes() as part:
        own = copy.deepcopy(as_energy(energy)).to(loop.device)
        source, notes = source_of(own, data, latents, loop, (seed, part))
        vector = _learnable(own, fixed)
        problem = problem_of(
            own, source.sample, latents, loss.over, beta=check_beta(beta), count=source.count,
            seed=seed + APART * part[0],
        )  # fmt: skip
        criterion = loss.bind(problem).to(like_of(own).device)
        settings = {
            "loss": f"{loss!r}", "loop": loop.words(), "steps": steps, "learning rate": learning_rate,
            "seed": seed, "beta": beta, "data": source.digest, "fixed": sorted(fixed), "processes": part[1],
        }  # fmt: skip
        kept = Checkpoint(checkpoint, own, settings)
        stepper = Stepper(
            own, criterion, dict(zip(vector.names, vector.tensors, strict=True)), source, loop=loop,
            plan=(steps, learning_rate, seed, part), checkpoint=kept,
        )  # fmt: skip
        resumed = resume(stepper, kept)
        stopped = run(stepper, progress)
    record = _recorded(stepper, criterion, stopped, notes)
    named = (type(loss).__name__, criterion.network())
    return _fitted(own, named, vector, (record, source, latents), (float(beta), seed, resumed))


def source_of(
    energy: Energy,
    data: Mapping[str, object] | pd.DataFrame | Dataset | ParquetRows,
    latents: tuple[str, ...],
    loop: Loop,
    setting: tuple[int, Part],
) -> tuple[Source, tuple[str, ...]]:
    """Where batches come from, and a word for each variable that was cast."""
    seed, part = setting
    if isinstance(data, ParquetRows):
        return ParquetSource(data, energy, latents, (loop.batch, loop.held_out, seed), part), ()
    if isinstance(data, Dataset):
        return ShuffledSource(DatasetRows(data, energy, latents), loop.batch, loop.held_out, seed, part), ()
    memory, notes = checked_rows(energy, data, latents)
    return ShuffledSource(memory, loop.batch, loop.held_out, seed, part), notes


def resume(stepper: Stepper, checkpoint: Checkpoint) -> int | None:
    """Go on from a checkpoint, where there is one; the step from which."""
    state = checkpoint.read()
    if state is not None:
        stepper.restore(state)
    if len(set(collect(stepper.done, stepper.part[1]))) > 1:
        raise ArgumentError(
            f"process {stepper.part[0]} found another state in {str(checkpoint.folder)!r} than others: checkpoint= "
            "must be a folder that all processes share."
        )
    return None if state is None else stepper.done


def run(stepper: Stepper, progress: Progress | None) -> str:
    """Step until the end, patience or an interrupt; why it ended."""
    every, told = max(1, stepper.steps // EVALUATIONS), max(1, stepper.steps // REPORTS)
    stopped = "steps"
    try:
        while stepper.done < stepper.steps and not stepper.patience_is_over:
            loss, gap, rate = stepper.step()
            if stepper.done % every == 0 or stepper.done == stepper.steps:
                stepper.evaluate()
                keep(stepper)
            if progress is not None and (stepper.done % told == 0 or stepper.done == stepper.steps):
                text = f"loss {loss:.6g}, energy gap {gap:.4g}, learning rate {rate:.3g}"
                progress(stepper.done / stepper.steps, text)
        if stepper.patience_is_over:
            stopped = "patience"
    except KeyboardInterrupt:
        stopped = "interrupted"
    if stopped != "steps" or stepper.loop.patience is not None:
        stepper.take_best()
    return stopped


def keep(stepper: Stepper) -> None:
    """Keep the state, by the first process alone."""
    place, of = stepper.part
    if stepper.checkpoint.folder is None:
        return
    state = stepper.state()
    if place == 0:
        stepper.checkpoint.write(state)
    wait_for_all(of)
    stepper.checkpoint.written = True


def _learnable(energy: Energy, fixed: Iterable[str]) -> ParameterVector:
    vector = ParameterVector(energy, fixed)
    if not len(vector):
        raise ArgumentError(
            "the energy has no parameter to learn: its callables are not nn.Modules, or all is fixed."
        )
    for name, parameter in named_parameters(energy).items():
        parameter.requires_grad_(name in vector.names)
    kinds = {str(tensor.dtype): name for name, tensor in named_parameters(energy).items()}
    if len(kinds) > 1:
        raise EnergyError(
            f"the parameters have several dtypes, as {', '.join(f'{name!r} {kind}' for kind, name in kinds.items())}: "
            "make them one by energy.double() or energy.float()."
        )
    return vector


def _recorded(stepper: Stepper, criterion: Criterion, stopped: str, notes: tuple[str, ...]) -> TrainingRecord:
    source, problem = stepper.source, criterion.problem
    generator = torch.Generator().manual_seed(1)
    rows, what = source.held_out or source.sample, "rows held out" if source.held_out else "training rows"
    losses, gaps = stepper.trace.means()
    best = stopped != "steps" or stepper.loop.patience is not None
    split = () if source.held_out is None else (f"{stepper.loop.held_out:.0%} of the rows were held out",)
    return TrainingRecord(
        loss=tuple(losses.tolist()), gap=tuple(gaps.tolist()), scores=tuple(stepper.scores), steps=stepper.done,
        best_step=stepper.best_step if best else stepper.done, stopped=stopped, learned=criterion.learned(),
        ranking=rank(problem, rows, what, generator), health=check_health(problem, rows, generator),
        settled=stepper.trace.settled(),
        notes=(*notes, *split, *criterion.notes(generator)),
    )  # fmt: skip


def _fitted(
    energy: Energy,
    named: tuple[str, NormalGuide | None],
    vector: ParameterVector,
    ran: tuple[TrainingRecord, Source, tuple[str, ...]],
    setting: tuple[float, int, int | None],
) -> Fit:
    (record, source, latents), (beta, seed, resumed), (method, network) = ran, setting, named
    for parameter in energy.parameters():
        parameter.requires_grad_(True)
        parameter.grad = None
    converged = record.stopped == "patience" or record.settled
    warnings = tuple(check.text for check in record.health if not check.ok)
    warnings += tuple(note for note in record.notes if note.startswith(("short run", "only ")))
    if record.stopped == "interrupted":
        warnings += (f"interrupted at step {record.steps}; these are the best parameters so far",)
    elif not converged:
        warnings += ("the loss was still changing: allow more steps",)
    diagnostics = FitDiagnostics(
        converged=converged, text=f"loss {record.loss[-1]:.6g} after {record.steps} steps", warnings=warnings,
        history=tuple(-value for value in record.loss), evaluations=record.steps,
    )  # fmt: skip
    return Fit(
        energy=energy, method=method, guide="amortized" if network else "none", network=network,
        labels=vector.labels, data=dict(rows_kept(source)),
        latents=latents, beta=beta, seed=seed, priors={}, diagnostics=diagnostics, mean=vector.get(),
        curvature=None, draws=None, chain_statistics={}, log_likelihood=None, resumed_from=resumed, training=record,
    )  # fmt: skip


def rows_kept(source: Source) -> Mapping[str, Tensor]:
    """The rows that a fit carries: all of them where they are in memory, else some."""
    access = getattr(source, "access", None)
    return access.rows if isinstance(access, MemoryRows) else source.sample


def fit_by_loss(
    energy: Energy,
    data: Mapping[str, object] | pd.DataFrame | Dataset | ParquetRows,
    loss: Loss | None,
    *,
    priors: object,
    beta: Betas,
    steps: int | None,
    **settings: Any,
) -> Fit:
    """What ``ec.fit`` does where there is a loss: refuse what belongs to the other methods, and train.

    Raises:
        ArgumentError: If there is no loss after all, or priors or a schedule of beta beside it.
    """
    if loss is None:
        raise ArgumentError(
            "loop= and streamed data are for loss=; methods 'map', 'svi' and 'mcmc' take neither."
        )
    if priors:
        raise ArgumentError("a loss takes no priors: they are for methods 'map' and 'mcmc'.")
    betas = at_each(single_or_schedule(beta))
    if len(betas) > 1:
        raise ArgumentError(f"a loss is trained at one beta; got {len(betas)} of them.")
    return train(energy, data, loss, beta=betas[0], steps=1000 if steps is None else steps, **settings)
