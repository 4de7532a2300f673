"""One thread for small tensors: two on a busy machine can be twenty times slower."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch and the linear algebra under numpy to one thread, and give the old numbers back after.

    Serves as a decorator too. The arrays of this package are small, or cut into blocks that stay in cache,
    so that more threads wait for each other longer than they work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)
