"""What would have been: abduction (what a row tells of its hidden causes), action, prediction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import networkx as nx
import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import (
    Energy,
    Factor,
    Mechanism,
    abduct,
    as_energy,
    coupling_of,
    mechanisms_of,
)
from ebm_causal.errors import EnergyError
from ebm_causal.intervention.abduction import World, abducted, hidden_causes
from ebm_causal.intervention.asking import ENERGY, Query, check_query
from ebm_causal.intervention.averages import drawn
from ebm_causal.intervention.draws import Draws, asked_at
from ebm_causal.intervention.linking import idle_notes
from ebm_causal.intervention.policies import arguments_of, looking, looks_at_itself, obeyed, obeying, split
from ebm_causal.intervention.surgery import held_rows, refuse_undirected_surgery
from ebm_causal.intervention.worlds import Imagined, Setting, causes
from ebm_causal.shapes import Betas, by_name, common_rows

Data = Mapping[str, object]
DEFAULT_DRAWS = 2_000
CONVENTIONS = {
    "monotone": "{child!r} takes separate values: how its noise makes them is not in the energy. Here it keeps its "
    "quantile (the monotone coupling); no data from one world can tell.",
    "Gumbel": "{child!r} is a class: how its noise picks one is not in the energy. Here it is the largest of logit "
    "plus Gumbel noise; no data from one world can tell.",
}


@torch.no_grad()
def counterfactual(
    energy: Energy | Factor,
    observed: Data | pd.DataFrame,
    do: Data,
    query: Query = "y",
    *,
    draws: int = DEFAULT_DRAWS,
    beta: Betas = 1.0,
    seed: int = 0,
) -> Draws:
    r"""A query in the world that would have been, for rows that were seen, :math:`P(y_{x'} \mid x, y)`.

    Abduction: draws of what is hidden from its posterior given the row, and of the noise of each mechanism.
    Action: x is set. Prediction: what comes after x changes, its noise kept; all else stays as it was.

    .. math:: y_{x'} = \hat y(x', z) + \big(y - \hat y(x, z)\big), \qquad z \sim p(z \mid x, y)

    where the noise is additive. For two values, counts and classes the energy gives a law but not a noise; a
    convention is needed, and the answer's ``warnings`` name it. An effect that was not seen is drawn afresh.

    Args:
        energy: A sum of mechanisms and regularizers.
        observed: Rows of what was seen, by name or as a frame; what is missing is inferred.
        do: What would have been set, by name: numbers (one row, or one for each row seen); a policy, whose arguments
            have the values they had, ``x=lambda x: x + 1``; or a mechanism, a new law.
        query: As for :func:`interventional`.
        draws: How many worlds for each row.
        beta: The inverse temperature; a schedule of them asks at each, with the same seed.
        seed: The same seed gives the same draws; two settings of x then share their noise.

    Returns:
        Draws; ``interval()`` is that of each row's own effect, ``standard_error`` the Monte Carlo error of its mean.

    Raises:
        ArgumentError: If beta is neither positive nor a schedule.
        EnergyError: If a name, a shape or a value does not fit, or a cause has neither value, mechanism nor prior.
        IdentificationError: If the energy has a factor without direction, or a cost does not say what its noise is.

    Example:
        >>> import ebm_causal as ec
        >>> x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
        >>> y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
        >>> confounded = x + y + ec.GaussianRegularizer(1)
        >>> ec.counterfactual(confounded, {"x": 1.0, "y": 4.0}, do={"x": 3.0}).mean
        tensor([[6.]], dtype=torch.float64)

    References:
        Pearl (2009), Causality, theorem 7.1.7.
    """
    energy = as_energy(energy)
    do = by_name(do, energy.variables)
    if not do:
        raise EnergyError("counterfactual() needs what to set, as in do={'x': 1.0}.")
    refuse_undirected_surgery(energy, do)
    seen = held_rows(energy, by_name(observed, energy.variables))
    if not seen:
        raise EnergyError("counterfactual() needs what was observed, as in observed={'x': 1.0, 'y': 2.0}.")
    action, hidden = Action.of(energy, do), hidden_causes(energy, seen, do)
    check_query(energy, query, action.numbers)
    rows = common_rows({**_labelled("observed", seen), **_labelled("do", action.numbers)})
    notes = (*idle_notes(energy, do, query), *conventions(energy, action, {*seen, *hidden}))

    def ask(beta: float) -> Draws:
        setting = Setting.of(energy, draws, beta, seed)
        world, worth = abducted(setting, seen, hidden)
        other = predicted(setting, world, (action, rows))
        weights = torch.zeros(draws, rows, dtype=torch.float64)
        imagined = Imagined(values=other, log_weights=weights, worth=worth)
        kept = tuple(do) if query == ENERGY else (*do, *world)
        answer = drawn(setting, query, (imagined, kept), "abduction, action, prediction")
        return replace(answer, warnings=(*notes, *answer.warnings), held=action.numbers)

    return asked_at(beta, ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What would have been done.

    Attributes:
        numbers: What is set, ``[rows, dim]``.
        soft: What follows a policy or another law, by name.
        after: What comes after any of it.
        order: All variables, causes first, what policies look at before what they set.
    """

    numbers: Mapping[str, Tensor]
    soft: Mapping[str, Any]
    after: frozenset[str]
    order: tuple[str, ...]

    @classmethod
    def of(cls, energy: Energy, do: Data) -> "Action":
        """An action, checked.

        Raises:
            EnergyError: If a name or a value does not fit.
        """
        _, numbers = obeying(energy, do)
        held = held_rows(energy, numbers)
        soft = split(do)[1]
        graph = looking(energy, soft)
        after = frozenset().union(*(nx.descendants(energy.graph, name) for name in do))
        return cls(numbers=held, soft=soft, after=after, order=tuple(nx.topological_sort(graph)))


def predicted(setting: Setting, world: World, done: tuple[Action, int]) -> World:
    """The world under the action: causes first, what comes after it with its noise kept, all else as it was."""
    (action, rows), mechanisms = done, mechanisms_of(setting.energy)
    other = {name: value[None] for name, value in setting.energy.clamped.items()}
    other |= {name: value[None] for name, value in action.numbers.items()}
    other |= {
        name: value
        for name, value in world.items()
        if name not in action.after and name not in action.numbers
    }
    known = {name: value[0] for name, value in {**world, **other}.items()}
    idle = [name for name, value in action.soft.items() if not looks_at_itself(name, value)]
    fresh = causes(setting, None, known, idle)
    other |= {name: value for name, value in fresh.items() if name not in other}
    for name in action.order:
        if name in action.soft:
            other[name] = _obeying(setting, name, (world, done), other)
        elif name not in other:
            other[name] = _moved(setting, mechanisms[name], (world, rows), other)
    return other


def _obeying(setting: Setting, name: str, told: tuple[World, tuple[Action, int]], other: World) -> Tensor:
    """What a policy or a new law sets; a policy that looks at what it sets meets the value that would have been."""
    world, (action, rows) = told
    value, own = action.soft[name], mechanisms_of(setting.energy).get(name)
    if isinstance(value, Mechanism):
        return _drawn_anew(setting, value, rows, other)
    looked = arguments_of(setting.energy, name, value)
    if name in looked and name not in other and own is not None:
        other = other | {name: _moved(setting, own, (world, rows), other)}
    return obeyed(name, value, {key: other[key] for key in looked}, setting.energy.all_variables[name])


def _moved(setting: Setting, mechanism: Mechanism, told: tuple[World, int], other: World) -> Tensor:
    """A variable under other causes, its noise kept where the row told of it, and drawn anew where not."""
    world, rows = told
    if mechanism.child not in world:
        return _drawn_anew(setting, mechanism, rows, other)
    known = {name: value.expand(setting.draws, *value.shape[1:]) for name, value in world.items()}
    return abduct(mechanism, known, setting.beta, setting.generator).under(other)


def _drawn_anew(setting: Setting, mechanism: Mechanism, rows: int, other: World) -> Tensor:
    parents = {
        name: other[name].expand(setting.draws, rows, *other[name].shape[2:]) for name in mechanism.parents
    }
    drawn = mechanism.sample(parents, setting.beta, setting.generator)
    return drawn.expand(setting.draws, rows, *drawn.shape[2:])


def conventions(energy: Energy, action: Action, known: set[str]) -> tuple[str, ...]:
    """What is assumed of the noise of what comes after the action.

    Raises:
        IdentificationError: If a cost does not say what its noise is.
    """
    replaced = {
        *action.numbers,
        *(name for name, value in action.soft.items() if not looks_at_itself(name, value)),
    }
    moved = [m for name, m in mechanisms_of(energy).items() if name in action.after & known - replaced]
    kinds = {m.child: coupling_of(m) for m in moved}
    return tuple(
        CONVENTIONS[kind].format(child=child) for child, kind in kinds.items() if kind in CONVENTIONS
    )


def _labelled(what: str, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{what} {name}": value for name, value in rows.items()}
