"""Seeing and doing in a Pyro model of one's own: worlds are its traces, all drawn at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast

import pyro
import torch
from pyro import poutine
from torch import Tensor

from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.intervention.asking import ENERGY, Query, answered, name_of
from ebm_causal.intervention.draws import Draws
from ebm_causal.intervention.policies import split
from ebm_causal.intervention.pyro_policies import Led, refuse_other_rules
from ebm_causal.intervention.pyro_sites import Model, Site, refuse_strangers, rows_of, sites_of
from ebm_causal.shapes import as_number, by_name, check_seed, is_whole

FEWEST_EFFECTIVE = 20.0


class Worlds(NamedTuple):
    """Traces of a model, some sites held.

    Attributes:
        values: ``[draws, *shape]`` by site.
        means: Of the sites' laws given what came before, where these have one.
        log_density: Of all sites that are not held, ``[draws]``.
        log_weights: Of what was seen, ``[draws]``.
    """

    values: Mapping[str, Tensor]
    means: Mapping[str, Tensor]
    log_density: Tensor
    log_weights: Tensor


class Held(NamedTuple):
    """What is held in one row.

    Attributes:
        done: What is set, by site.
        soft: What follows a policy.
        seen: What is seen.
    """

    done: Mapping[str, Tensor]
    soft: Mapping[str, Any]
    seen: Mapping[str, Tensor]


def model_draws(
    model: Model,
    held: tuple[Mapping[str, object], Mapping[str, object]],
    query: Query,
    counts: tuple[int, int],
    *,
    told: tuple[object, object] = (None, 1.0),
) -> Draws:
    """A query in a Pyro model in which some sites are set and some are seen.

    Args:
        model: Takes no arguments and can be drawn within a plate (as ``Predictive(parallel=True)`` asks for).
        held: What is set, and what is seen, by site; numbers make one row, ``[rows, *shape]`` as many; what is set
            may follow a policy, a function of sites that come before and of the value that would have been.
        query: A site, ``energy`` (minus the log density of the sites that are not held), or a function of sites.
        counts: Draws, and the seed; every row meets the same random numbers.
        told: Data and beta, which energies take: a model has its own laws and temperature one.

    Returns:
        Draws of the query.

    Raises:
        EnergyError: If a site is unknown or a value does not fit it.
        ArgumentError: If data are given, or a beta.
        ConvergenceError: If what is seen is so unlikely that hardly any draw agrees with it.
        IdentificationError: If the model has a factor or observed data, which no draw from it would heed.
    """
    (done, soft), seen, (draws, seed) = split(by_name(held[0], ())), by_name(held[1], ()), counts
    _refuse_other_options(model, told, counts)
    sites = sites_of(model)
    refuse_strangers(sites, {**done, **soft, **seen}, query)
    refuse_other_rules(sites, soft)
    rows = {name: rows_of(name, value, sites[name]) for name, value in {**done, **seen}.items()}
    several = {name: len(value) for name, value in rows.items() if len(value) > 1}
    if len(set(several.values())) > 1:
        raise EnergyError(f"variables must have the same number of rows; got {several}.")
    answers = []
    for row in range(max(several.values(), default=1)):
        at = {name: value[min(row, len(value) - 1)] for name, value in rows.items()}
        parts = Held({name: at[name] for name in done}, soft, {name: at[name] for name in seen})
        answers.append(_answer(imagined(model, sites, parts, (draws, seed)), query, bool(seen), seed))
    mean, values, deviations = (
        torch.stack(part, dim) for part, dim in zip(zip(*answers, strict=True), (0, 1, 1), strict=True)
    )
    flat = {name: value.reshape(len(value), -1) for name, value in rows.items()}
    return Draws(query=name_of(query), mean=mean, values=values, deviations=deviations, held=flat,
                 standard_error=(deviations**2).sum(0).sqrt(),
                 method="weighted traces of the model" if seen else "traces of the model")  # fmt: skip


def model_gap(
    model: Model,
    treatment: Mapping[str, object],
    query: Query,
    counts: tuple[int, int],
    *,
    told: tuple[object, object] = (None, 1.0),
) -> Draws:
    """Seen minus done in a Pyro model, as for an energy; both sides meet different random numbers."""
    draws, seed = counts
    seen = model_draws(model, ({}, treatment), query, counts, told=told)
    done = model_draws(model, (treatment, {}), query, (draws, seed + 2), told=told)
    deviations = torch.cat([seen.deviations, -done.deviations])
    return replace(seen, mean=seen.mean - done.mean, values=seen.values - done.values, deviations=deviations,
                   standard_error=(deviations**2).sum(0).sqrt(), method=f"{seen.method} less traces")  # fmt: skip


def imagined(
    model: Model,
    sites: Mapping[str, Site],
    held: Held,
    counts: tuple[int, int],
) -> Worlds:
    """Traces of the model, all within one plate, outside of its own plates."""
    (done, soft, seen), (draws, seed) = held, counts
    led = Led(soft, sites, done)
    deepest = max(site.depth for site in sites.values())
    changed = poutine.condition(poutine.do(model, data=dict(done)), data=dict(seen))
    with torch.random.fork_rng(devices=[]), torch.no_grad(), pyro.plate("_worlds", draws, dim=-1 - deepest):
        torch.manual_seed(seed)
        with led:
            trace = poutine.trace(changed).get_trace()
    trace.compute_log_prob()
    values, means, weights = {}, {}, {}
    for name, site in sites.items():
        node = cast(Any, trace.nodes[name])
        wide = (draws, *[1] * (deepest - site.depth), *site.shape)
        value: Tensor = done.get(name, led.set.get(name, node["value"]))
        values[name] = value.expand(wide).reshape(draws, *site.shape)
        weights[name] = node["log_prob"].expand(draws, *[-1] * deepest).reshape(draws, -1).sum(1).double()
        mean = None if name in done or name in soft else _mean_of(node["fn"])
        if mean is not None:
            means[name] = mean.expand(wide).reshape(draws, *site.shape)
    nothing = torch.zeros(draws, dtype=torch.float64)
    free = (weight for name, weight in weights.items() if name not in {*done, *soft, *seen})
    return Worlds(values, means, sum(free, nothing), sum((weights[name] for name in seen), nothing))


def _answer(worlds: Worlds, query: Query, weighed: bool, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, draws and what each adds to the error, in one row; draws that were weighed are drawn again by weight."""
    value, conditional = _evaluated(worlds, query, weighed)
    weights = worlds.log_weights.softmax(0)[:, None].to(conditional)
    effective = float(1 / (weights**2).sum())
    if effective < FEWEST_EFFECTIVE:
        raise ConvergenceError(
            f"what is seen is so unlikely that {len(value)} draws are worth {effective:.1f}: use more draws, or values "
            "within the range of the model."
        )
    mean = (weights * conditional).sum(0)
    deviations = weights * (conditional - mean)
    if weighed:
        generator = torch.Generator().manual_seed(seed + 1)
        value = value[torch.multinomial(weights[:, 0], len(value), replacement=True, generator=generator)]
    return mean, value, deviations


def _evaluated(worlds: Worlds, query: Query, weighed: bool) -> tuple[Tensor, Tensor]:
    """The query in each world, ``[draws, dim]``, and its mean given what came before; what is seen may come later."""
    if query == ENERGY:
        return -worlds.log_density[:, None], -worlds.log_density[:, None]
    if not isinstance(query, str):
        told = {name: value[:, None] for name, value in worlds.values.items()}
        value = answered(query, told, (len(worlds.log_weights), 1))[:, 0].flatten(1)
        return value, value
    value = (
        worlds.values[query].flatten(1) if worlds.values[query].ndim > 1 else worlds.values[query][:, None]
    )
    mean = None if weighed else worlds.means.get(query)
    return value, value if mean is None else mean.reshape(value.shape)


def _mean_of(law: Any) -> Tensor | None:
    """The mean of a law, where it knows one that is finite."""
    try:
        mean = law.mean
    except (NotImplementedError, AttributeError):
        return None
    return mean if bool(mean.isfinite().all()) else None


def _refuse_other_options(model: object, told: tuple[object, object], counts: tuple[object, object]) -> None:
    (data, beta), (draws, seed) = told, counts
    if not callable(model):
        raise EnergyError(f"an energy or a Pyro model is needed; got {type(model).__name__}.")
    if data is not None or as_number(beta) != 1.0:
        raise ArgumentError(
            "a Pyro model has its own laws, at temperature one: data= and beta= are for energies. Condition the model, "
            "or write it as an energy."
        )
    if not is_whole(draws) or cast(int, draws) < 2:
        raise EnergyError(f"draws must be a whole number, at least two for a Monte Carlo error; got {draws}.")
    check_seed(seed)
