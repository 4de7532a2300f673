import pytest

from ebm_causal.errors import ArgumentError
from ebm_causal.parallel import run_tasks


def test_answers_come_in_the_order_of_the_tasks_and_progress_counts_them():
    seen = []
    found = run_tasks(
        abs, [-3, 2, -1], backend="threading", workers=2, progress=lambda *done: seen.append(done)
    )
    assert found == [3, 2, 1]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert run_tasks(abs, []) == []


def test_errors_of_a_task_come_through():
    with pytest.raises(ZeroDivisionError):
        run_tasks(lambda x: 1 / x, [1, 0])


def test_back_ends_that_are_none_are_refused():
    with pytest.raises(ArgumentError, match="'fog' is not a back end that joblib knows"):
        run_tasks(abs, [1], backend="fog")
    with pytest.raises(ArgumentError, match="workers must be a number of workers, or -1 .* got 0"):
        run_tasks(abs, [1], workers=0)
