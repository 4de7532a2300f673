"""Bounds that assume a direction, and nothing else."""

import itertools

import numpy as np
import pandas as pd
import pytest

import ebm_causal as ec
from ebm_causal.errors import ArgumentError


def death():
    return ec.CausalTable(ec.load_dataset("nhefs").frame, "qsmk", "death")


def test_a_monotone_response_ends_at_zero_and_a_monotone_selection_at_the_difference_of_means():
    free = ec.no_assumption_bounds(death())
    up = ec.no_assumption_bounds(death(), response="up")
    down = ec.no_assumption_bounds(death(), response="down")
    assert (up.lower, up.upper) == (0.0, free.upper)
    assert (down.lower, down.upper) == (free.lower, 0.0)
    chosen = ec.no_assumption_bounds(death(), selection="up")
    assert (chosen.lower, chosen.upper) == (free.lower, free.estimate)
    both = ec.no_assumption_bounds(death(), response="up", selection="up")
    assert (both.lower, both.upper) == (0.0, pytest.approx(0.05383741, abs=5e-9))
    assert "lowers nobody's outcome and treated who would have had outcomes at least as high" in both.text


def worlds(treated, outcome):
    """All pairs of outcomes, 0 or 1 under either treatment, that fit what was seen."""
    for hidden in itertools.product([0.0, 1.0], repeat=len(treated)):
        with_treatment = np.where(treated == 1, outcome, hidden)
        yield with_treatment, np.where(treated == 1, hidden, outcome)


@pytest.mark.parametrize("response", ["up", "down", None])
@pytest.mark.parametrize("selection", ["up", "down", None])
def test_the_bounds_hold_in_every_world_that_keeps_the_assumptions(response, selection):
    treated, outcome = np.array([1, 1, 1, 1, 0, 0, 0, 0.0]), np.array([1, 1, 0, 1, 0, 1, 0, 0.0])
    table = ec.CausalTable(pd.DataFrame({"t": treated, "y": outcome}), "t", "y")
    effects = []
    for one, zero in worlds(treated, outcome):
        gaps = [side[treated == 1].mean() - side[treated == 0].mean() for side in (one, zero)]
        moved = one - zero
        if response and (moved < 0 if response == "up" else moved > 0).any():
            continue
        if selection and (min(gaps) < 0 if selection == "up" else max(gaps) > 0):
            continue
        effects.append(moved.mean())
    if not effects:
        with pytest.raises(ArgumentError, match="cannot both hold"):
            ec.no_assumption_bounds(table, 0, 1, response=response, selection=selection)
        return
    found = ec.no_assumption_bounds(table, 0, 1, response=response, selection=selection)
    assert found.lower == pytest.approx(min(effects), abs=1e-12)
    assert found.upper == pytest.approx(max(effects), abs=1e-12)


def test_directions_that_the_data_contradict_are_refused():
    with pytest.raises(ArgumentError, match="cannot both hold: the difference of means is 0.05384"):
        ec.no_assumption_bounds(death(), response="down", selection="down")


def test_an_unknown_direction_is_refused(unchecked):
    with pytest.raises(ArgumentError, match="response must be 'up', 'down' or None; got 'left'"):
        ec.no_assumption_bounds(death(), response="left")
