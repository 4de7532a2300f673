"""Many independent tasks, on the back end of the caller's choice: the only door to joblib."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from ebm_causal.errors import ArgumentError

Task = TypeVar("Task")
Answer = TypeVar("Answer")


def run_tasks(
    function: Callable[[Task], Answer],
    tasks: Sequence[Task],
    *,
    backend: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """Call a function on each of many tasks and hand back the answers in the order of the tasks.

    Each call runs on one thread of linear algebra, so that a task gives the same number on every back end.
    Without ``backend`` and ``workers`` the caller's own ``joblib.parallel_config(...)`` decides, and without
    one the tasks run here, one after the other.

    Args:
        function: What to call; other processes must be able to import it.
        tasks: What to call it with. A task that draws holds its own seed.
        backend: Any back end that is registered with joblib: ``"loky"``, ``"threading"``, ``"sequential"``,
            ``"dask"`` (once a ``distributed.Client`` is there), or one's own.
        workers: How many work at once; -1, and the default where a back end is named: one on each processor.
        progress: Called with the number of tasks done and the number in all.

    Returns:
        The answers.

    Raises:
        ArgumentError: If the back end is not registered, or ``workers`` is zero.

    Examples:
        >>> from ebm_causal.parallel import run_tasks
        >>> run_tasks(abs, [-2, 3], backend="sequential")
        [2, 3]
    """
    if workers == 0:
        raise ArgumentError("workers must be a number of workers, or -1 for all processors; got 0.")
    with _configured(backend, workers):
        return _answers(function, tasks, progress)


def _answers(
    function: Callable[[Task], Answer], tasks: Sequence[Task], progress: Callable[[int, int], None] | None
) -> list[Answer]:
    from joblib import Parallel, delayed

    answers = []
    for answer in Parallel(return_as="generator")(delayed(_on_one_thread)(function, task) for task in tasks):
        answers.append(answer)
        if progress is not None:
            progress(len(answers), len(tasks))
    return answers


def _configured(backend: str | None, workers: int | None) -> AbstractContextManager[object]:
    """Joblib's configuration for what was asked; where nothing was, the caller's own stays."""
    from joblib import parallel_config

    if backend is None:
        return nullcontext() if workers is None else parallel_config(n_jobs=workers)
    try:
        return parallel_config(backend=backend, n_jobs=-1 if workers is None else workers)
    except (ValueError, ImportError) as error:
        raise ArgumentError(f"{backend!r} is not a back end that joblib knows: {error}") from error


def _on_one_thread(function: Callable[[Any], Any], task: Any) -> Any:
    with threadpool_limits(limits=1):
        return function(task)
