"""Seeing and doing: what a query is under do(x), where x is seen, and the gap between the two."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import Energy, Factor, as_energy, latents_of, mechanisms_of, normalized, prior_groups
from ebm_causal.errors import ConvergenceError, EnergyError
from ebm_causal.intervention.abduction import abducted, hidden_causes
from ebm_causal.intervention.asking import Query, check_query, name_of
from ebm_causal.intervention.averages import drawn
from ebm_causal.intervention.draws import Draws, asked_at
from ebm_causal.intervention.linking import idle_notes, is_confounded, refuse_roots_without_law
from ebm_causal.intervention.policies import obeyed_by, obeying, split
from ebm_causal.intervention.pyro_worlds import Model, model_draws, model_gap
from ebm_causal.intervention.strata import blocks_of
from ebm_causal.intervention.surgery import held_rows, refuse_undirected_surgery
from ebm_causal.intervention.worlds import Imagined, Setting, causes, imagine
from ebm_causal.shapes import Betas, by_name

Data = Mapping[str, object]
Rows: TypeAlias = Mapping[str, object] | pd.DataFrame
DEFAULT_DRAWS = 10_000
FEWEST_EFFECTIVE = 20.0
ENOUGH = 400.0  # effective draws; with fewer, the causes are drawn given what is seen
NONE_BY_CONSTRUCTION = (
    "no confounding by construction: no path but the arrows out of {held} links it to {query}, "
    "so seeing and doing agree"
)


@torch.no_grad()
def interventional(
    energy: Energy | Model,
    do: Data,
    query: Query = "y",
    data: Rows | None = None,
    *,
    draws: int = DEFAULT_DRAWS,
    beta: Betas = 1.0,
    seed: int = 0,
) -> Draws:
    r"""A query under an intervention, :math:`P(\text{query} \mid \mathrm{do}(x))`, by ancestral draws.

    .. math:: P(E \mid \mathrm{do}(x)) = \int P(E \mid x, z)\,P(z)\,dz

    P(z) is :math:`e^{-\beta R}/Z`, or, with ``data``, the marginal of z over them; never the posterior of one row.
    Mechanisms are locally normalized. Every row of ``do`` meets the same causes, so that differences between
    rows are far less noisy than the rows.

    Args:
        energy: A sum of mechanisms and regularizers; or a Pyro model without arguments, data and factors, that can be
            drawn within a plate: its sites are the variables.
        do: What is set, by name; numbers make one row, ``[rows, dim]`` as many; a callable is a policy, a mechanism
            a new law (see :func:`do`).
        query: A variable; or ``energy``, the sum of all factors but the mechanisms of what is set; or a function
            of variables, ``lambda y: y > 0``. What follows a policy has the value that this sets.
        data: Rows of all that is not latent, by name or as a DataFrame; needed where a variable has neither
            mechanism nor prior.
        draws: How many worlds.
        beta: The inverse temperature; a schedule of them asks at each, with the same seed.
        seed: The same seed gives the same draws.

    Returns:
        Draws with Monte Carlo errors; for a schedule each tensor has ``betas`` in front. A warning says where
        nothing that is set is a cause of the query.

    Raises:
        ArgumentError: If beta is neither positive nor a schedule.
        EnergyError: If a name, a shape or a value does not fit.
        IdentificationError: If the energy has a factor without direction.

    Example:
        >>> import ebm_causal as ec
        >>> x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
        >>> y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
        >>> confounded = x + y + ec.GaussianRegularizer(1)
        >>> ec.interventional(confounded, do={"x": 1.0}).mean.round(decimals=1)
        tensor([[1.]], dtype=torch.float64)

    References:
        Pearl (2009), Causality, section 3.2.
    """
    if not isinstance(energy, Energy | Factor):
        return model_draws(energy, (do, {}), query, (draws, seed), told=(data, beta))
    energy = as_energy(energy)
    do = by_name(do, energy.variables)
    refuse_undirected_surgery(energy, do)
    changed, numbers = obeying(energy, do)
    soft = split(do)[1]
    check_query(changed, query, numbers, led=soft)
    held = held_rows(changed, numbers)

    def ask(beta: float) -> Draws:
        setting = Setting.of(changed, draws, beta, seed)
        origin = setting if data is None else replace(setting, energy=normalized(energy))
        start = causes(origin, data, held)
        roots = {name: value for name, value in start.items() if name not in mechanisms_of(changed)}
        world = replace(imagine(setting, roots, held, {}), blocks=_blocks(setting, data))
        if callable(query) or query in soft:
            world = replace(world, values=obeyed_by(energy, soft, world.values))
        answer = drawn(setting, query, (world, tuple(do)), "ancestral draws")
        return replace(answer, held=held, warnings=(*idle_notes(energy, do, query), *answer.warnings))

    return asked_at(beta, ask)


@torch.no_grad()
def observational(
    energy: Energy | Model,
    given: Data,
    query: Query = "y",
    data: Rows | None = None,
    *,
    draws: int = DEFAULT_DRAWS,
    beta: Betas = 1.0,
    seed: int = 0,
) -> Draws:
    r"""A query where some variables are seen, :math:`P(\text{query} \mid x)`.

    .. math:: P(\text{query} \mid x) = \int P(\text{query} \mid x, z)\,P(z \mid x)\,dz

    What is seen tells of its causes. Latents of one or two dimensions, where these are all that is unknown of the
    causes, are drawn given it, as by :func:`sample`; otherwise draws of the causes are weighted by how likely they
    make it, and where few of them agree with it and no data are given, all hidden causes are drawn given it.

    Args:
        energy: As for ``interventional``.
        given: What is seen, by name.
        query: As for ``interventional``.
        data: As for ``interventional``.
        draws: How many worlds.
        beta: The inverse temperature; a schedule of them asks at each, with the same seed.
        seed: The same seed gives the same draws.

    Returns:
        Draws with Monte Carlo errors; for a schedule each tensor has ``betas`` in front.

    Raises:
        ArgumentError: If beta is neither positive nor a schedule.
        EnergyError: If a name, a shape or a value does not fit.
        IdentificationError: If the energy has a factor without direction.
        ConvergenceError: If what is seen is so unlikely that hardly any draw agrees with it.

    Example:
        >>> import ebm_causal as ec
        >>> x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
        >>> y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
        >>> ec.observational(x + y + ec.GaussianRegularizer(1), given={"x": 1.0}).mean.round(decimals=1)
        tensor([[2.]], dtype=torch.float64)
    """
    if not isinstance(energy, Energy | Factor):
        return model_draws(energy, ({}, given), query, (draws, seed), told=(data, beta))
    energy = as_energy(energy)
    given = by_name(given, energy.variables)
    refuse_undirected_surgery(energy, given)
    check_query(energy, query, given)
    held = held_rows(energy, given)

    def ask(beta: float) -> Draws:
        setting = Setting.of(energy, draws, beta, seed)
        world, method = _seen(setting, query, data, held)
        return replace(drawn(setting, query, (world, tuple(held)), method), held=held)

    return asked_at(beta, ask)


@torch.no_grad()
def confounding_gap(
    energy: Energy | Model,
    *,
    query: Query = "y",
    data: Rows | None = None,
    draws: int = DEFAULT_DRAWS,
    beta: Betas = 1.0,
    seed: int = 0,
    **treatment: object,
) -> Draws:
    r"""Seen minus done, :math:`\mathbb E[\text{query} \mid x] - \mathbb E[\text{query} \mid \mathrm{do}(x)]`.

    Args:
        energy: As for ``interventional``.
        query: As for ``interventional``.
        data: As for ``interventional``.
        draws: How many worlds.
        beta: The inverse temperature; a schedule of them asks at each, with the same seed.
        seed: The same seed gives the same draws.
        **treatment: What is set or seen, ``x=[0.0, 1.0]`` for two rows.

    Returns:
        Draws of the gap. Where the graph has no path but the arrows out of the treatment, it is zero
        exactly and a warning says "no confounding by construction". For a schedule each tensor has ``betas``
        in front, and ``plot()`` shows the gap against beta.

    Raises:
        ArgumentError: If beta is neither positive nor a schedule.
        EnergyError: If a name, a shape or a value does not fit.
        IdentificationError: If the energy has a factor without direction.
        ConvergenceError: If what is seen is so unlikely that hardly any draw agrees with it.

    Example:
        >>> import ebm_causal as ec
        >>> y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.SquaredError())
        >>> ec.confounding_gap(y + ec.GaussianRegularizer(1), x=[0.0, 1.0]).mean.flatten().tolist()
        [0.0, 0.0]
    """
    if not treatment:
        raise EnergyError(
            "confounding_gap() needs a variable that is seen or set, as in confounding_gap(energy, x=[0, 1])."
        )
    if not isinstance(energy, Energy | Factor):
        return model_gap(energy, treatment, query, (draws, seed), told=(data, beta))
    energy = as_energy(energy)
    refuse_undirected_surgery(energy, treatment)
    check_query(energy, query, treatment)
    held = held_rows(energy, treatment)
    if is_confounded(energy, tuple(held), query):
        return asked_at(beta, lambda each: _gap(Setting.of(energy, draws, each, seed), query, data, held))
    alone = interventional(energy, treatment, query, data, draws=draws, beta=beta, seed=seed)
    note = NONE_BY_CONSTRUCTION.format(held=", ".join(held), query=name_of(query))
    zero, nothing = torch.zeros_like(alone.mean), torch.zeros_like(alone.values)
    return replace(alone, mean=zero, standard_error=zero, values=nothing, deviations=nothing,
                   method="by construction", warnings=(note,))  # fmt: skip


def _gap(setting: Setting, query: Query, data: Rows | None, held: Mapping[str, Tensor]) -> Draws:
    seen, method = _seen(setting, query, data, held)
    done = replace(imagine(setting, causes(setting, data, held), held, {}), blocks=_blocks(setting, data))
    a, b = (drawn(setting, query, (world, tuple(held)), method) for world in (seen, done))
    deviations = torch.cat([a.deviations, -b.deviations])
    error = (deviations**2).sum(0).sqrt()
    return Draws(
        query=name_of(query),
        held=held,
        mean=a.mean - b.mean,
        standard_error=error,
        values=a.values - b.values,
        deviations=deviations,
        method=f"{method} less ancestral draws",
        warnings=tuple(dict.fromkeys((*a.warnings, *b.warnings))),
    )


def _seen(
    setting: Setting, query: Query, data: Rows | None, held: Mapping[str, Tensor]
) -> tuple[Imagined, str]:
    refuse_roots_without_law(setting.energy, query, held)
    few = data is None and _few_unknown(setting.energy, held)
    if few:
        return _from_posterior(setting, held)
    world = imagine(setting, causes(setting, data, held), {}, held)
    worst = float(world.effective_draws().min())
    if data is None and worst < min(ENOUGH, setting.draws / 2):
        return _from_posterior(setting, held)
    if worst < FEWEST_EFFECTIVE:
        raise ConvergenceError(
            f"what is seen of {list(held)} is so unlikely that {setting.draws} draws are worth {worst:.1f}: "
            "use more draws, or values within the range of the data."
        )
    return replace(world, blocks=_blocks(setting, data)), "weighted ancestral draws"


def _blocks(setting: Setting, data: Rows | None) -> int:
    """The blocks in which causes were drawn evenly; with data none, for their rows are dealt evenly over all."""
    return blocks_of(setting.draws) if data is None else 0


def _few_unknown(energy: Energy, held: Mapping[str, Tensor]) -> bool:
    """Whether all that is unknown of the causes of what is seen are latents of up to two dimensions together."""
    mechanisms = mechanisms_of(energy)
    parents = {parent for name in held if name in mechanisms for parent in mechanisms[name].parents}
    priors = [group for group in prior_groups(energy) if parents & set(group.variables) - set(held)]
    unknown = {name for group in priors for name in group.variables if name not in held}
    dim = sum(math.prod(energy.variables[name].shape or (1,)) for name in unknown)
    known = {*held, *energy.clamped, *unknown}
    return 0 < dim <= 2 and parents <= known and unknown <= set(latents_of(energy))


def _from_posterior(setting: Setting, held: Mapping[str, Tensor]) -> tuple[Imagined, str]:
    """Worlds whose hidden causes of what is seen are drawn given it; all else comes after."""
    hidden = hidden_causes(setting.energy, held, setting.energy.variables)
    told, worth = abducted(setting, held, hidden)
    start = causes(setting, None, held, hidden) | {name: told[name] for name in hidden}
    world = replace(imagine(setting, start, held, {}), worth=worth, told=tuple(held))
    return world, "draws from the posterior"
