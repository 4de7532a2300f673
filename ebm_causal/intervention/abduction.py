"""What rows tell of their hidden causes: which these are, and draws of them."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import networkx as nx
from torch import Tensor

from ebm_causal.energies import Energy, Factor, mechanisms_of, normalized, prior_groups
from ebm_causal.errors import EnergyError
from ebm_causal.intervention.worlds import Setting, posterior_draws

World: TypeAlias = dict[str, Tensor]


def hidden_causes(energy: Energy, seen: Iterable[str], done: Iterable[str]) -> tuple[str, ...]:
    """What was not seen and moved what was: of it the rows tell. Variables that share a prior with it come along.

    Raises:
        EnergyError: If one of them has neither a mechanism nor a prior.
    """
    graph, seen = energy.graph, set(seen)
    hidden = set().union(*(nx.ancestors(graph, name) for name in seen)) - seen
    groups = [set(group.variables) for group in prior_groups(energy)]
    for group in groups:
        hidden |= group - seen if group & hidden else set()
    lost = set(energy.variables) - seen - set(mechanisms_of(energy)) - set().union(*groups) - set(done)
    lost |= hidden - set(mechanisms_of(energy)) - set().union(*groups)
    if lost:
        name = min(lost, key=list(energy.variables).index)
        raise EnergyError(
            f"{name!r} has neither a mechanism nor a prior: give its value in observed={{...}}."
        )
    return tuple(name for name in energy.variables if name in hidden)


def abducted(
    setting: Setting, seen: Mapping[str, Tensor], hidden: tuple[str, ...]
) -> tuple[World, Tensor | None]:
    """What was seen and draws of its hidden causes given it, ``[draws or 1, rows, dim]``, and what these are worth."""
    energy = setting.energy
    world = {name: value[None] for name, value in {**energy.clamped, **seen}.items()}
    if not hidden:
        return world, None
    ends = {*seen, *hidden}
    parts: list[Factor] = [
        m for m in mechanisms_of(energy).values() if m.child in ends and {m.child, *m.parents} & set(hidden)
    ]
    groups = [group for group in prior_groups(energy) if set(group.variables) & set(hidden)]
    part = normalized(Energy([*parts, *(factor for group in groups for factor in group.factors.values())]))
    part.learn_dims_of(energy)
    given = {name: value[0] for name, value in world.items() if name in part.variables}
    drawn, worth = posterior_draws(setting, part, (hidden, given), setting.draws)
    return world | drawn, worth
