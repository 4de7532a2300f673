"""The random choices of a Pyro model, and values at which they are held."""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import torch
from pyro import poutine
from pyro.distributions import Unit
from torch import Tensor, nn
from torch.distributions import constraints

from ebm_causal.errors import ArgumentError, EnergyError, IdentificationError
from ebm_causal.intervention.asking import ENERGY, Query, arguments_named, name_of
from ebm_causal.shapes import as_tensor, refuse_non_finite

Model = Callable[..., object]


class Site(NamedTuple):
    """A named random choice of the model.

    Attributes:
        shape: Of its value.
        depth: How many of these dimensions are the batch's.
        support: Where its values are; None where that depends on other sites, or is not known.
    """

    shape: tuple[int, ...]
    depth: int
    support: Any

    def refuse_outside(self, name: str, values: Tensor) -> None:
        """Refuse values ``[..., *shape]`` that are not finite or outside the support.

        Raises:
            EnergyError: Naming the site.
        """
        refuse_non_finite(
            name, values.reshape(1, -1) if values.ndim == 0 else values.reshape(len(values), -1)
        )
        if self.support is not None and not bool(self.support.check(values).all()):
            raise EnergyError(f"{name!r} must be in its support, {self.support}; some values are not.")


def sites_of(model: Model) -> dict[str, Site]:
    """The random choices of a model.

    Raises:
        ArgumentError: If it asks for arguments.
        EnergyError: If it has no random site.
        IdentificationError: If it has a factor or observed data.
    """
    _refuse_arguments(model)
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
        depth = node["value"].ndim - len(node["fn"].event_shape)
        found[name] = Site(tuple(node["value"].shape), depth, _support_of(node["fn"]))
    if not found:
        raise EnergyError("the model has no random site, so there is nothing to ask of it.")
    return found


def _refuse_arguments(model: Model) -> None:
    asked = model.forward if isinstance(model, nn.Module) else model
    try:
        inspect.signature(asked).bind()
    except TypeError as error:
        raise ArgumentError(
            f"the model must run without arguments ({error}): give it those it needs, as functools.partial does."
        ) from error
    except ValueError:  # it does not tell: running it will
        return


def _support_of(law: Any) -> Any:
    """Where a law's values are, unless the numbers that say so are themselves drawn."""
    try:
        support = law.support
    except (NotImplementedError, AttributeError):
        return None
    base = getattr(support, "base_constraint", support)
    drawn = any(isinstance(value, Tensor) for value in vars(base).values())
    return None if drawn or constraints.is_dependent(base) else support


def rows_of(name: str, value: object, site: Site) -> Tensor:
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
    if not len(rows):
        raise EnergyError(f"{name!r} has no rows: give at least one.")
    site.refuse_outside(name, rows)
    return rows


def refuse_strangers(sites: Mapping[str, Site], held: Mapping[str, object], query: Query) -> None:
    """Refuse names that are no sites, and a query that is none or is held.

    Raises:
        EnergyError: Naming it.
    """
    if not (isinstance(query, str) or callable(query)):
        raise EnergyError(f"a query is a site's name, 'energy' or a function of sites; got {query!r}.")
    asked = (query,) if isinstance(query, str) else arguments_named(query, f"query {name_of(query)}")
    for name in (*held, *(name for name in asked if name != ENERGY)):
        if name not in sites:
            raise EnergyError(f"the model has no site {name!r}; its sites are {list(sites)}.")
    fixed = [name for name, value in held.items() if not callable(value)]
    if isinstance(query, str) and query in fixed:
        raise EnergyError(f"the query {query!r} is itself held; ask for another site.")
