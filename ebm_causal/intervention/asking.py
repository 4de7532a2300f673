"""What is asked of an imagined world: a variable, the energy, or a function of variables."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.errors import EnergyError

ENERGY = "energy"
Query: TypeAlias = str | Callable[..., Tensor]


def name_of(query: Query) -> str:
    """What a query is called in tables and pictures."""
    return query if isinstance(query, str) else getattr(query, "__name__", type(query).__name__)


def arguments_named(function: Callable[..., object], called: str) -> tuple[str, ...]:
    """The names of a function's arguments.

    Raises:
        EnergyError: If it does not tell them, as some that are built in do not.
    """
    try:
        return tuple(inspect.signature(function).parameters)
    except ValueError as error:
        raise EnergyError(
            f"the {called} does not tell the names of its arguments: write it as a lambda whose arguments are named "
            "after variables."
        ) from error


def asked_of(query: Query, energy: Energy) -> tuple[str, ...]:
    """The variables that a query looks at; all of them where it is the energy."""
    if not isinstance(query, str):
        return arguments_named(query, f"query {name_of(query)}")
    return tuple(energy.variables) if query == ENERGY else (query,)


def check_query(energy: Energy, query: Query, held: Iterable[str], led: Iterable[str] = ()) -> None:
    """Refuse a query that is not a variable, that is held, or that is a function of what is no variable.

    Args:
        energy: The energy that is asked.
        query: What is asked.
        held: What is held at numbers.
        led: What follows a policy and may be gone from the energy.

    Raises:
        EnergyError: Naming it.
    """
    if not (isinstance(query, str) or callable(query)):
        raise EnergyError(
            f"a query is a variable's name, 'energy' or a function of variables; got {query!r}."
        )
    led = set(led)
    unknown = [name for name in asked_of(query, energy) if name not in {*energy.all_variables, *led}]
    if unknown and not isinstance(query, str):
        raise EnergyError(
            f"the query {name_of(query)} takes {unknown[0]!r}, which is no variable; name its arguments after some of "
            f"{list(energy.all_variables)}."
        )
    if isinstance(query, str) and query != ENERGY and query not in {*energy.variables, *led}:
        raise EnergyError(f"unknown query {query!r}; ask for 'energy' or one of {list(energy.variables)}.")
    if query in set(held):
        raise EnergyError(f"the query {query!r} is itself held; ask for another variable.")


def answered(query: Callable[..., Tensor], values: Mapping[str, Tensor], shape: tuple[int, ...]) -> Tensor:
    """A function of variables in each world, ``[draws, rows, dim]``.

    Raises:
        EnergyError: If it does not give one number, or one vector, for each.
    """
    names = tuple(inspect.signature(query).parameters)
    told = {name: values[name].expand(*shape, *values[name].shape[2:]) for name in names}
    found = query(**told)
    if isinstance(found, Tensor) and tuple(found.shape) == tuple(shape):
        found = found[..., None]
    if not isinstance(found, Tensor) or found.ndim < 3 or tuple(found.shape[:2]) != tuple(shape):
        what = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise EnergyError(
            f"the query {name_of(query)} must give [draws, rows] or [draws, rows, dim], here {list(shape)} and more; "
            f"got {what}."
        )
    if not bool(found.isfinite().all()):
        raise EnergyError(f"the query {name_of(query)} gives values that are not finite.")
    return found if found.is_floating_point() else found.to(next(iter(told.values())))
