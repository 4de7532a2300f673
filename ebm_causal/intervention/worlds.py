"""Ancestral draws through an energy's mechanisms, causes first, with some variables set or seen."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import networkx as nx
import pandas as pd
import torch
from torch import Tensor
from torch.distributions import Distribution

from ebm_causal.energies import (
    Energy,
    Mechanism,
    causal_order,
    latents_of,
    like_of,
    mechanisms_of,
    normalized,
)
from ebm_causal.errors import EnergyError
from ebm_causal.gibbs import restrict, site_law
from ebm_causal.inference import sample
from ebm_causal.intervention.asking import ENERGY, Query, answered
from ebm_causal.intervention.strata import spread_evenly
from ebm_causal.shapes import check_beta, check_seed, common_rows, is_whole

CHAINS, MANY = 4, 400  # chains agree or not; few draws are those of one


@dataclass(frozen=True, slots=True, kw_only=True)
class Imagined:
    """Worlds drawn with some variables held.

    Attributes:
        values: Of every variable, broadcastable to ``[draws, rows, dim]``.
        log_weights: ``[draws, rows]``, by how likely each world makes what was seen; zero where nothing was.
        told: The variables whose being seen weighs the draws, or gave those of their causes.
        blocks: How many blocks of draws are independent of each other, where the draws are not; else 0.
        worth: How many independent draws those of a sampler are worth, ``[rows]``; None where all are independent.
    """

    values: Mapping[str, Tensor]
    log_weights: Tensor
    told: tuple[str, ...] = ()
    blocks: int = 0
    worth: Tensor | None = None

    def weights(self) -> Tensor:
        """Probabilities of the draws, ``[draws, rows]``."""
        return torch.softmax(self.log_weights, 0)

    def effective_draws(self) -> Tensor:
        """How many equally weighted draws these are worth, per row."""
        return 1 / (self.weights() ** 2).sum(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How worlds are drawn.

    Attributes:
        energy: The energy, mechanisms locally normalized.
        draws: How many.
        beta: The inverse temperature.
        generator: Drives all randomness.
        notes: What samplers have warned of on the way.
    """

    energy: Energy
    draws: int
    beta: float
    generator: torch.Generator
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, energy: Energy, draws: int, beta: float, seed: int) -> "Setting":
        """A setting for a raw energy.

        Raises:
            EnergyError: If there are fewer than two draws.
            ArgumentError: If beta is not positive, or the seed is no whole number.
        """
        if not is_whole(draws) or draws < 2:
            raise EnergyError(
                f"draws must be a whole number, at least two for a Monte Carlo error; got {draws}."
            )
        generator = torch.Generator().manual_seed(check_seed(seed))
        return cls(energy=normalized(energy), draws=draws, beta=check_beta(beta), generator=generator)


def causes(
    setting: Setting,
    data: Mapping[str, object] | pd.DataFrame | None,
    held: Mapping[str, Tensor],
    idle: Iterable[str] = (),
) -> dict[str, Tensor]:
    r"""Draws ``[draws, 1, dim]`` of everything that no mechanism explains.

    Latents come from their priors :math:`e^{-\beta R}/Z`, spread evenly in blocks; with data, a row is picked, its
    own values are taken for what has no mechanism, and the latents come from the posterior given that row, so that
    over rows they have the marginal law :math:`\int p(z \mid v)\,p(v)\,dv`.

    Raises:
        EnergyError: If a variable has neither a mechanism nor a prior and no data are given.
    """
    energy, latents = setting.energy, latents_of(setting.energy)
    mechanisms = mechanisms_of(energy)
    known = {*mechanisms, *held, *idle}
    roots = [name for name in energy.variables if name not in known]
    if data is not None:
        return {name: value for name, value in _from_rows(setting, data).items() if name in roots}
    found: dict[str, Tensor] = {}
    for name in roots:
        if name not in latents:
            raise EnergyError(
                f"{name!r} has neither a mechanism nor a prior: give data={{...}} with its values."
            )
        law = site_law(energy, name, {}, (setting.beta, next(iter(held.values()), like_of(energy))))
        if law is not None:
            even = spread_evenly(law, setting.draws, setting.generator)
            found[name] = _plainly(setting, law) if even is None else even
    return found


def _plainly(setting: Setting, law: Distribution) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(drawn_seed(setting.generator))
        return law.sample(torch.Size((setting.draws, 1)))


def imagine(
    setting: Setting, start: Mapping[str, Tensor], done: Mapping[str, Tensor], seen: Mapping[str, Tensor]
) -> Imagined:
    """Walk from causes to effects: what is done is set, what is seen weighs the draw, all else is drawn."""
    held = {**setting.energy.clamped, **done, **seen}
    rows = common_rows(held)
    values: dict[str, Tensor] = {name: value[None] for name, value in held.items()} | dict(start)
    log_weights, told = torch.zeros(setting.draws, rows, dtype=torch.float64), []
    mechanisms = mechanisms_of(setting.energy)
    for name in causal_order(setting.energy):
        mechanism = mechanisms.get(name)
        if mechanism is None or name in done:
            continue
        if name in seen:
            if _depends_on_draws(mechanism, start, values):
                log_weights = log_weights + log_density(mechanism, values, setting.beta)
                told.append(name)
        elif name not in start:
            parents = {
                p: values[p].expand(setting.draws, rows, *values[p].shape[2:]) for p in mechanism.parents
            }
            values[name] = mechanism.sample(parents, setting.beta, setting.generator)
            own = setting.energy.all_variables[name].shape or (1,)
            values[name] = values[name].expand(setting.draws, rows, *own)
    return Imagined(values=values, log_weights=log_weights, told=tuple(told))


def log_density(mechanism: Mechanism, values: Mapping[str, Tensor], beta: float) -> Tensor:
    """The locally normalized log density of a mechanism's child."""
    return -beta * mechanism.term(values) - mechanism.log_normalizer(values, beta)


def evaluate(setting: Setting, query: Query, world: Imagined, held: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """The query in each world, ``[draws, rows, dim]``, and its conditional mean given its parents.

    The energy as a query is the sum of all factors but the mechanisms of the held variables. Where something
    seen is an effect of the query, the query's own draw weighs the world, and its mean given its parents
    alone would ignore that: the draw itself is averaged.
    """
    shape = world.log_weights.shape
    if not isinstance(query, str):
        value = answered(query, world.values, tuple(shape))
        return value, value
    if query == ENERGY:
        terms = [
            factor.term(world.values)
            for factor in setting.energy.factors.values()
            if not hasattr(factor, "mechanism") and getattr(factor, "child", None) not in held
        ]
        value = torch.stack([term.expand(shape) for term in terms]).sum(0)[..., None]
        return value, value
    value = world.values[query].expand(*shape, *world.values[query].shape[2:])
    mechanism = mechanisms_of(setting.energy).get(query)
    if mechanism is None or query in held:
        return value, value
    if nx.descendants(setting.energy.graph, query) & set(world.told):
        return value, value
    return value, mechanism.mean(world.values, setting.beta).expand(value.shape)


def _depends_on_draws(
    mechanism: Mechanism, start: Mapping[str, Tensor], values: Mapping[str, Tensor]
) -> bool:
    return any(parent in start or values[parent].shape[0] > 1 for parent in mechanism.parents)


def _from_rows(setting: Setting, data: Mapping[str, object] | pd.DataFrame) -> dict[str, Tensor]:
    latents = latents_of(setting.energy)
    whole = restrict(setting.energy, latents, data, setting.beta)
    rows, draws = whole.rows, setting.draws
    each = -(-draws // rows)
    order = torch.cat([torch.randperm(rows, generator=setting.generator) for _ in range(each)])[:draws]
    found = {
        name: value[order, None] if len(value) > 1 else value[None] for name, value in whole.given.items()
    }
    if latents:
        used = order[:rows] if draws < rows else torch.arange(rows)
        given = {name: value[used] if len(value) > 1 else value for name, value in whole.given.items()}
        points, _ = posterior_draws(setting, setting.energy, (tuple(latents), given), each)
        turn = torch.arange(draws) // rows
        place = torch.arange(draws) if draws < rows else order
        found |= {name: value[turn, place][:, None] for name, value in points.items()}
    return found


def posterior_draws(
    setting: Setting, part: Energy, asked: tuple[tuple[str, ...], Mapping[str, Tensor]], draws: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Draws ``[draws, rows, dim]`` of some variables given rows of others, and what these are worth, ``[rows]``.

    Their seed is drawn: with that of the setting they would share random numbers with the noise drawn later.
    """
    over, given = asked
    seed = drawn_seed(setting.generator)
    chains = CHAINS if draws >= MANY else 1
    posterior = sample(part, over, given, setting.beta, draws=-(-draws // chains), chains=chains, seed=seed)
    setting.notes.extend(posterior.diagnostics.warnings)
    worth = posterior.diagnostics.numbers["ess_bulk"].nan_to_num(nan=float(draws)).clamp(1.0, float(draws))
    return {name: value.flatten(0, 1)[:draws] for name, value in posterior.values.items()}, worth


def drawn_seed(generator: torch.Generator) -> int:
    """A seed for what is seeded apart, so that its numbers are not those of the generator."""
    return int(torch.randint(2**62, (1,), generator=generator))
