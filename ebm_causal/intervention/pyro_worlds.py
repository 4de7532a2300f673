"""Seeing and doing in a Pyro model of one's own: worlds are its traces, all drawn at once."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast

import pyro
import torch
from pyro import poutine
from pyro.distributions import Unit
from torch import Tensor

from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError, IdentificationError
from ebm_causal.intervention.asking import ENERGY, Query, answered, name_of
from ebm_causal.intervention.draws import Draws
from ebm_causal.shapes import as_tensor, refuse_non_finite

Model = Callable[..., object]
FEWEST_EFFECTIVE = 20.0


class Site(NamedTuple):
    """A named random choice of the model.

    Attributes:
        shape: Of its value.
        depth: How many of these dimensions are the batch's.
    """

    shape: tuple[int, ...]
    depth: int


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
        held: What is set, and what is seen, by site; numbers make one row, ``[rows, *shape]`` as many.
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
    _refuse_other_options(model, told, counts[0])
    sites, (done, seen), (draws, seed) = sites_of(model), held, counts
    _refuse_strangers(sites, {**done, **seen}, query)
    rows = {name: _rows_of(name, value, sites[name]) for name, value in {**done, **seen}.items()}
    several = {name: len(value) for name, value in rows.items() if len(value) > 1}
    if len(set(several.values())) > 1:
        raise EnergyError(f"variables must have the same number of rows; got {several}.")
    answers = []
    for row in range(max(several.values(), default=1)):
        at = {name: value[min(row, len(value) - 1)] for name, value in rows.items()}
        parts = ({name: at[name] for name in done}, {name: at[name] for name in seen})
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


def sites_of(model: Model) -> dict[str, Site]:
    """The random choices of a model.

    Raises:
        IdentificationError: If it has a factor or observed data.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        trace = poutine.trace(model).get_trace()
    found: dict[str, Site] = {}
    for name, found_node in trace.nodes.items():
        node = cast(Any, found_node)
        if node["type"] != "sample" or type(node["fn"]).__name__ == "_Subsample":
            continue
        if isinstance(node["fn"], Unit):
            raise IdentificationError(
                f"the model has the factor {name!r}: draws from the model, under do() too, would ignore it. Write it "
                "as a mechanism of an energy, or as the law of a site."
            )
        if node["is_observed"]:
            raise IdentificationError(
                f"the site {name!r} is observed within the model: give the model without data, and what is seen as "
                "given={...}."
            )
        found[name] = Site(tuple(node["value"].shape), node["value"].ndim - len(node["fn"].event_shape))
    if not found:
        raise EnergyError("the model has no random site, so there is nothing to ask of it.")
    return found


def imagined(
    model: Model,
    sites: Mapping[str, Site],
    held: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    counts: tuple[int, int],
) -> Worlds:
    """Traces of the model, all within one plate, outside of its own plates."""
    (done, seen), (draws, seed) = held, counts
    deepest = max(site.depth for site in sites.values())
    changed = poutine.condition(poutine.do(model, data=dict(done)), data=dict(seen))
    with torch.random.fork_rng(devices=[]), torch.no_grad(), pyro.plate("_worlds", draws, dim=-1 - deepest):
        torch.manual_seed(seed)
        trace = poutine.trace(changed).get_trace()
    trace.compute_log_prob()
    values, means, weights = {}, {}, {}
    for name, site in sites.items():
        node = cast(Any, trace.nodes[name])
        wide = (draws, *[1] * (deepest - site.depth), *site.shape)
        value: Tensor = done.get(name, node["value"])
        values[name] = value.expand(wide).reshape(draws, *site.shape)
        weights[name] = node["log_prob"].expand(draws, *[-1] * deepest).reshape(draws, -1).sum(1).double()
        mean = None if name in done else _mean_of(node["fn"])
        if mean is not None:
            means[name] = mean.expand(wide).reshape(draws, *site.shape)
    nothing = torch.zeros(draws, dtype=torch.float64)
    free = (weight for name, weight in weights.items() if name not in done and name not in seen)
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


def _rows_of(name: str, value: object, site: Site) -> Tensor:
    """Values of a site, ``[rows, *shape]``.

    Raises:
        EnergyError: If they do not fit the site.
    """
    tensor = as_tensor(name, value)
    size = max(1, math.prod(site.shape))
    if tensor.ndim == 0 or tuple(tensor.shape) == site.shape:
        rows = tensor.expand(site.shape)[None]
    elif tensor.numel() == tensor.shape[0] * size:
        rows = tensor.reshape(tensor.shape[0], *site.shape)
    else:
        raise EnergyError(
            f"{name!r} must be a number, {list(site.shape)} or a row of these; got {list(tensor.shape)}."
        )
    refuse_non_finite(name, rows.reshape(len(rows), -1))
    return rows


def _refuse_other_options(model: object, told: tuple[object, object], draws: int) -> None:
    data, beta = told
    if not callable(model):
        raise EnergyError(f"an energy or a Pyro model is needed; got {type(model).__name__}.")
    if data is not None or beta != 1.0:
        raise ArgumentError(
            "a Pyro model has its own laws, at temperature one: data= and beta= are for energies. Condition the model, "
            "or write it as an energy."
        )
    if draws < 2:
        raise EnergyError(f"draws must be a whole number, at least two for a Monte Carlo error; got {draws}.")


def _refuse_strangers(sites: Mapping[str, Site], held: Mapping[str, object], query: Query) -> None:
    asked = (query,) if isinstance(query, str) else tuple(inspect.signature(query).parameters)
    for name in (*held, *(name for name in asked if name != ENERGY)):
        if name not in sites:
            raise EnergyError(f"the model has no site {name!r}; its sites are {list(sites)}.")
    if isinstance(query, str) and query in held:
        raise EnergyError(f"the query {query!r} is itself held; ask for another site.")
