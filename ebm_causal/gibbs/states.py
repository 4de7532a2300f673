"""The states of finite variables: how many there are, each of them held, and the ends of a row over all of them."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ebm_causal.errors import EnergyError
from ebm_causal.gibbs.certificates import columns_of
from ebm_causal.gibbs.descending import Ends
from ebm_causal.gibbs.restriction import MOST_STATES, Restriction, values_of


def count_states(restriction: Restriction) -> int:
    """How many states the finite variables have together; one where there are none."""
    return math.prod(
        len(values_of(variable) or (0,)) ** math.prod(variable.shape or (1,))
        for variable in restriction.variables
    )


def states_of(restriction: Restriction, count: int) -> Mapping[str, Tensor]:
    """All states of the finite variables, ``[states, *shape]`` by name."""
    finite = {n: restriction.energy.variables[n] for n in restriction.over}
    finite = {n: v for n, v in finite.items() if values_of(v) is not None}
    if count > MOST_STATES:
        raise EnergyError(
            f"{list(finite)} have {count} states: too many to enumerate (at most {MOST_STATES}). Take "
            "method='annealing'."
        )
    axes = [values_of(v) or () for v in finite.values() for _ in range(math.prod(v.shape or (1,)))]
    if not axes:
        return {}
    table = restriction.like.new_tensor(list(itertools.product(*axes)))
    parts = table.split([math.prod(v.shape or (1,)) for v in finite.values()], -1)
    return {
        n: part.reshape(count, *(v.shape or (1,))) for (n, v), part in zip(finite.items(), parts, strict=True)
    }


def count_of(states: Mapping[str, Tensor]) -> int:
    """How many states there are; one where nothing is finite."""
    return len(next(iter(states.values()), ())) or 1


def hold(block: Restriction, over: tuple[str, ...], states: Mapping[str, Tensor]) -> Restriction:
    """The block once for each state, state after state, with the states given."""
    count = count_of(states)
    given = {
        name: value if len(value) == 1 or count == 1 else value.repeat(count, *([1] * (value.ndim - 1)))
        for name, value in block.given.items()
    }
    given |= {name: value.repeat_interleave(block.rows, 0) for name, value in states.items()}
    return replace(block, over=over, given=given, rows=count * block.rows)


def joined(block: Restriction, ends: Ends, states: Mapping[str, Tensor]) -> Ends:
    """The ends of a row in all states as ends of that row, ``[ends, rows, dim]``, the states in their columns."""
    if not states:
        return ends
    columns, rows = columns_of(block), block.rows
    table = torch.cat([states[name].flatten(1) for name in block.over if name in states], -1)
    count, each = len(table), len(ends.energies)
    points = table.new_zeros(count, each, rows, block.dim)
    points[..., columns.real] = ends.points.reshape(each, count, rows, -1).transpose(0, 1)
    points[..., columns.finite] = table[:, None, None]

    def by_row(entry: Tensor) -> Tensor:
        return entry.reshape(each, count, rows).transpose(0, 1).reshape(-1, rows)

    return Ends(points.flatten(0, 1), by_row(ends.energies), by_row(ends.polled))
