"""One model on much data: several processes under ``torchrun``. The only door to ``torch.distributed``.

Without torchrun's environment, or with one process, every function here does nothing.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed


@contextmanager
def processes() -> Iterator[tuple[int, int]]:
    """Join the group that torchrun started: which of how many processes this is.

    A group that is there already is used and left alone. Else gloo on a CPU, nccl where there are GPUs.
    """
    if distributed.is_available() and distributed.is_initialized():
        yield distributed.get_rank(), distributed.get_world_size()
        return
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or "MASTER_ADDR" not in os.environ:
        yield 0, 1
        return
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        distributed.destroy_process_group()


def add_up(values: Iterable[Tensor], of: int) -> None:
    """Replace each tensor by its sum over all processes, in place."""
    if of < 2:
        return
    several = list(values)
    flat = torch.cat([value.reshape(-1) for value in several])
    distributed.all_reduce(flat)
    for value, part in zip(several, flat.split([value.numel() for value in several]), strict=True):
        value.copy_(part.reshape(value.shape))


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
