"""Interventions that do not set a number: a policy, a shift of what would have been, another law."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import networkx as nx
from torch import Tensor, nn

from ebm_causal.energies import Energy, Factor, LocalNormalizer, Mechanism, Variable
from ebm_causal.errors import EnergyError
from ebm_causal.intervention.asking import arguments_named
from ebm_causal.shapes import broadcast_shapes

Policy = Callable[..., Tensor]


def split(values: Mapping[str, object]) -> tuple[dict[str, object], dict[str, Any]]:
    """What is set to numbers, and what follows a policy (a callable) or another law (a mechanism)."""
    soft = {name: value for name, value in values.items() if callable(value)}
    return {name: value for name, value in values.items() if name not in soft}, soft


def obeying(energy: Energy, values: Mapping[str, object]) -> tuple[Energy, dict[str, object]]:
    """The energy under the policies and new laws among these values, and what is left to be set to numbers."""
    numbers, soft = split(values)
    return follow(energy, soft), numbers


def arguments_of(energy: Energy, name: str, policy: Policy) -> tuple[str, ...]:
    """The variables that a policy looks at, read off its signature.

    Raises:
        EnergyError: If one is unknown, or is an effect of what the policy sets.
    """
    if name not in energy.variables:
        raise EnergyError(f"unknown variable {name!r}; the energy's variables are {list(energy.variables)}.")
    looked = arguments_named(policy, f"policy of {name!r}")
    strangers = [other for other in looked if other not in energy.all_variables]
    if strangers:
        raise EnergyError(
            f"the policy of {name!r} takes {strangers[0]!r}, which is no variable; name its arguments after some of "
            f"{list(energy.all_variables)}."
        )
    _refuse_effects(energy, name, looked, "policy")
    return looked


def follow(energy: Energy, soft: Mapping[str, Any]) -> Energy:
    """The energy where some variables follow policies or other laws; what they cause sees them through these.

    Effects come first: a policy that looks at what another one sets then meets what that sets.

    Raises:
        EnergyError: If a policy or a law does not fit, naming the variable.
    """
    for name in reversed(ordered(energy, soft)):
        value = soft[name]
        energy = _relawed(energy, name, value) if isinstance(value, Mechanism) else _led(energy, name, value)
    return energy


def ordered(energy: Energy, soft: Mapping[str, Any]) -> tuple[str, ...]:
    """What follows policies or other laws, causes first, and what they look at before what they set.

    Raises:
        EnergyError: If one does not fit, or they look at each other in a circle.
    """
    return tuple(name for name in nx.topological_sort(looking(energy, soft)) if name in soft)


def looking(energy: Energy, soft: Mapping[str, Any]) -> nx.DiGraph:
    """The energy's graph with arrows to what follows policies or other laws from all that these look at.

    Raises:
        EnergyError: If one does not fit, or they look at each other in a circle.
    """
    graph = energy.graph
    for name, value in soft.items():
        looked = _causes_in(energy, name, value)
        graph.add_edges_from((other, name) for other in looked if other != name and other in graph)
    if not nx.is_directed_acyclic_graph(graph):
        circle = " -> ".join(cause for cause, _ in nx.find_cycle(graph))
        raise EnergyError(f"policies and mechanisms form the circle {circle}: each waits for another.")
    return graph


def looks_at_itself(name: str, value: Any) -> bool:
    """Whether what a variable follows is a policy that looks at the value that would have been."""
    return not isinstance(value, Mechanism) and name in inspect.signature(value).parameters


def _causes_in(energy: Energy, name: str, value: Any) -> tuple[str, ...]:
    """What a policy or another law looks at, checked."""
    if not isinstance(value, Mechanism):
        return arguments_of(energy, name, value)
    if name not in energy.variables:
        raise EnergyError(f"unknown variable {name!r}; the energy's variables are {list(energy.variables)}.")
    if value.child != name:
        raise EnergyError(
            f"the new mechanism of {name!r} is one of {value.child!r}; its child must be {name!r}."
        )
    strangers = [parent for parent in value.parents if parent not in energy.all_variables]
    if strangers:
        raise EnergyError(
            f"the new mechanism of {name!r} has the parent {strangers[0]!r}, which is no variable; there are "
            f"{list(energy.all_variables)}."
        )
    _refuse_effects(energy, name, value.parents, "mechanism")
    return value.parents


def obeyed_by(energy: Energy, soft: Mapping[str, Any], values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values in worlds, those of what follows policies as these set them and not as they would have been."""
    found = dict(values)
    for name in ordered(energy, soft):
        if not isinstance(soft[name], Mechanism):
            looked = {other: found[other] for other in arguments_of(energy, name, soft[name])}
            variable = energy.all_variables[name]
            led = obeyed(name, soft[name], looked, variable)
            found[name] = led.expand(broadcast_shapes(led.shape, (1, 1, *(variable.shape or (1,)))))
    return found


def _relawed(energy: Energy, name: str, law: Mechanism) -> Energy:
    """Another mechanism in the place of a variable's own."""
    kept = [factor for factor in energy.factors.values() if not _is_law_of(factor, name)]
    return _rebuilt(energy, [*kept, law])


def _led(energy: Energy, name: str, policy: Policy) -> Energy:
    """A variable that others see through a policy; its own mechanism stays where the policy looks at its value."""
    natural = looks_at_itself(name, policy)
    parts: list[Factor] = []
    for factor in energy.factors.values():
        if _is_law_of(factor, name):
            parts += [factor] if natural else []
        elif isinstance(factor, Mechanism) and name in factor.parents:
            parts.append(_through(factor, name, policy, energy.all_variables[name]))
        elif isinstance(factor, LocalNormalizer) and name in factor.variables:
            parts.append(
                LocalNormalizer(_through(factor.mechanism, name, policy, energy.all_variables[name]))
            )
        else:
            parts.append(factor)
    return _rebuilt(energy, parts)


def _through(mechanism: Mechanism, name: str, policy: Policy, variable: Variable) -> Mechanism:
    """A mechanism whose parent is what a policy makes of other variables."""
    led = _Led(mechanism, name, policy, variable)
    parents = [parent for parent in mechanism.parents if parent != name]
    child = mechanism.known[mechanism.child]
    part = Mechanism(
        mechanism.child, tuple(dict.fromkeys([*parents, *led.looked])), led, mechanism.cost, child
    )
    part.name = mechanism.name
    return part


class _Led(nn.Module):
    """A decoder that is told, in the place of one parent, what a policy makes of others; parameters stay."""

    def __init__(self, mechanism: Mechanism, name: str, policy: Policy, variable: Variable) -> None:
        super().__init__()
        self.mechanism, self.led, self.policy, self.variable = mechanism, name, policy, variable
        self.looked = tuple(inspect.signature(policy).parameters)

    def forward(self, **values: Tensor) -> Tensor:
        led = obeyed(self.led, self.policy, {other: values[other] for other in self.looked}, self.variable)
        return self.mechanism.predict({**values, self.led: led})


def obeyed(name: str, policy: Policy, looked: Mapping[str, Tensor], variable: Variable) -> Tensor:
    """What a policy sets, checked.

    Raises:
        EnergyError: If it is not of the variable's shape, is not finite or is outside its support.
    """
    led = policy(**looked)
    own = variable.shape or (1,)
    if not isinstance(led, Tensor) or tuple(led.shape[led.ndim - len(own) :]) != own:
        found = list(led.shape) if isinstance(led, Tensor) else type(led).__name__
        wanted = ", ".join(map(str, own))
        raise EnergyError(f"the policy of {name!r} must give tensors [..., {wanted}]; got {found}.")
    rows = led.reshape(-1, *own)
    if not bool(rows.isfinite().all()):
        raise EnergyError(f"the policy of {name!r} gives values that are not finite.")
    variable.check(name, rows)
    return led


def _refuse_effects(energy: Energy, name: str, causes: tuple[str, ...], what: str) -> None:
    effects = nx.descendants(energy.graph, name)
    late = [other for other in causes if other in effects]
    if late:
        raise EnergyError(
            f"the {what} of {name!r} looks at {late[0]!r}, which is an effect of {name!r}: it can look at what comes "
            "before, and a policy at the value that would have been."
        )


def _is_law_of(factor: Factor, name: str) -> bool:
    if isinstance(factor, Mechanism | LocalNormalizer):
        mechanism = factor if isinstance(factor, Mechanism) else factor.mechanism
        return mechanism.child == name
    return tuple(factor.variables) == (name,)


def _rebuilt(energy: Energy, parts: list[Factor]) -> Energy:
    left = {name for part in parts for name in part.variables}
    if not left - set(energy.clamped):
        raise EnergyError("nothing is left of the energy under this policy.")
    held = {name: value for name, value in energy.clamped.items() if name in left}
    changed = Energy(parts, clamped=held)
    changed.learn_dims_of(energy)
    return changed
