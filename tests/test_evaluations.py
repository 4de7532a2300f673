"""How much work fixed problems take, in evaluations: a slower algorithm shows here, a busy machine does not."""

import pytest
from benchmarks.counting import PROBLEMS

RECORDED = {"lattice": 343, "sample": 5398, "minimize": 1439, "fit map": 20, "fit mcmc": 441}
SLACK = 1.1  # rounding differs between machines, and with it where a line search stops


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_fixed_problem_takes_no_more_evaluations_than_recorded(name):
    count = PROBLEMS[name]()
    assert 0 < count <= SLACK * RECORDED[name], f"{count} evaluations; {RECORDED[name]} were recorded"
