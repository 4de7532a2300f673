"""One model on much data: several processes under ``torchrun``. The only door to ``torch.distributed``.

Without torchrun's environment, or with one process, every function here does nothing.
"""

import atexit
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed


@contextmanager
def processes() -> Iterator[tuple[int, int]]:
    """Join the group that torchrun started: which of how many processes this is.

    A group that is there already is used. Else gloo serves what is on a CPU, and nccl what is on a GPU: each process
    has its own, which ``cuda`` means within. The group stays until the process ends: a second one would find the
    addresses of the first in torchrun's store, and wait for them without end.
    """
    joined = distributed.is_available() and distributed.is_initialized()
    if not joined and started_together() < 2:
        yield 0, 1
        return
    gpus = torch.cuda.device_count()
    if not joined:
        distributed.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo")
        atexit.register(_leave)
    local = os.environ.get("LOCAL_RANK")
    with torch.cuda.device(int(local) % gpus if gpus and local else -1):  # -1 changes nothing
        yield distributed.get_rank(), distributed.get_world_size()


def started_together() -> int:
    """How many processes torchrun started; one without it."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "MASTER_ADDR" in os.environ else 1


def add_up(values: Iterable[Tensor], of: int) -> None:
    """Replace each tensor by its sum over all processes, in place."""
    if of < 2:
        return
    several = list(values)
    flat = torch.cat([value.reshape(-1) for value in several])
    distributed.all_reduce(flat)
    for value, part in zip(several, flat.split([value.numel() for value in several]), strict=True):
        value.copy_(part.reshape(value.shape))


def mean_over_rows(gradients: Sequence[Tensor], told: Tensor, rows: int, of: int) -> Tensor:
    """Means over the rows of one process as means over those of all, gradients in place.

    Shares of a batch differ by a row where their number does not divide it, so each counts by its rows.

    Args:
        gradients: Of a mean over this process's rows.
        told: Other such means.
        rows: How many rows these are.
        of: How many processes there are.
    """
    count = told.new_tensor([float(rows)])
    weighed = told * rows
    torch._foreach_mul_(list(gradients), float(rows))
    add_up([*gradients, weighed, count], of)
    torch._foreach_div_(list(gradients), float(count))
    return weighed / count


def collect(own: Any, of: int) -> list[Any]:
    """What each process has, in order; in every process."""
    found = [own] * of
    if of > 1:
        distributed.all_gather_object(found, own)
    return found


def agree(values: Iterable[Tensor], of: int) -> None:
    """Give every process the tensors of the first, in place."""
    if of < 2:
        return
    for value in values:
        distributed.broadcast(value, 0)


def wait_for_all(of: int) -> None:
    """Go on when every process has come here."""
    if of > 1:
        distributed.barrier()


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
