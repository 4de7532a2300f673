"""The shapes of named values: a tensor's last dimensions are the variable's, those before are a batch."""

import math
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError, EnergyError

Betas = float | Sequence[float] | np.ndarray | Tensor  # an inverse temperature, or a schedule of them


def broadcast_shapes(*shapes: Sequence[int]) -> torch.Size:
    """The shape that shapes broadcast to: torch's own function loads sympy for it, half a second of each process.

    Raises:
        RuntimeError: If they do not broadcast.
    """
    if torch.jit.is_tracing():  # sizes are tensors there
        return torch.broadcast_shapes(*shapes)
    try:
        return torch.Size(np.broadcast_shapes(*shapes))
    except ValueError as error:
        raise RuntimeError(f"shapes {[tuple(shape) for shape in shapes]} do not broadcast.") from error


def as_tensor(name: str, value: object, like: Tensor | None = None) -> Tensor:
    """Make a value a floating tensor, or say which variable cannot be one.

    Args:
        name: The variable, for the error.
        value: A number, a list, a numpy array, a column or a tensor.
        like: Gives dtype and device to what has none of its own.

    Returns:
        A tensor of a floating dtype; integers and booleans become ``like``'s dtype, or float64.

    Raises:
        EnergyError: If the value is not numeric, is complex, or is half precision.
    """
    dtype = like.dtype if like is not None else torch.float64
    device = like.device if like is not None else None
    try:
        tensor = value if isinstance(value, Tensor) else torch.as_tensor(np.array(value, order="C"))
    except (TypeError, ValueError) as error:
        raise EnergyError(f"{name!r} must be numeric; got {type(value).__name__}.") from error
    if tensor.is_complex():
        raise EnergyError(f"{name!r} is complex; energies take real numbers.")
    if tensor.dtype in (torch.float16, torch.bfloat16):
        raise EnergyError(
            f"{name!r} is {tensor.dtype}; use float32 or float64, half precision loses the energy."
        )
    if not tensor.is_floating_point():
        return tensor.to(dtype=dtype, device=device)
    if isinstance(value, Tensor):
        return tensor
    return tensor.to(dtype=dtype, device=device)


def as_rows(name: str, value: object, shape: tuple[int, ...] | None, like: Tensor | None = None) -> Tensor:
    """Make a value ``[rows, *shape]``: a number is one row, a vector for a variable of dimension one is rows.

    Args:
        name: The variable, for the errors.
        value: A number, ``[rows]`` (for dimension one), ``[*shape]`` (one row) or ``[rows, *shape]``.
        shape: The variable's own shape, or None where it is not known yet (then the last dimension is taken).
        like: Gives dtype and device to what has none of its own.

    Returns:
        The rows.

    Raises:
        EnergyError: If the value does not fit the shape, or holds NaN or infinity (the rows are named).
    """
    tensor = as_tensor(name, value, like)
    expected = shape if shape is not None else tuple(tensor.shape[1:]) or (1,)
    if tensor.ndim == 0 and math.prod(expected) == 1:
        tensor = tensor.reshape(1, *expected)
    elif tensor.ndim == 1 and expected == (1,):
        tensor = tensor[:, None]
    elif tuple(tensor.shape) == expected:
        tensor = tensor[None]
    if tuple(tensor.shape[1:]) != expected:
        wanted = ", ".join(map(str, ("rows", *expected)))
        raise EnergyError(f"{name!r} must be [{wanted}]; got {list(tensor.shape)}.")
    refuse_non_finite(name, tensor)
    return tensor


def refuse_non_finite(name: str, rows: Tensor) -> None:
    """Raise where rows hold NaN or infinity, naming the first of them.

    Raises:
        EnergyError: With the variable and the rows.
    """
    bad = ~rows.detach().isfinite().flatten(1).all(-1)
    if bool(bad.any()):
        first = bad.nonzero().flatten()[:5].tolist()
        raise EnergyError(
            f"{name!r} is not finite in {int(bad.sum())} rows, the first of them {first}: drop or mend them."
        )


def as_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """One name or several, as a tuple.

    Raises:
        EnergyError: If one of them stands there twice, or is no text.
    """
    if not isinstance(names, Iterable):
        raise EnergyError(f"variables are given by name, one or several, as ('y', 'z'); got {names!r}.")
    several = (names,) if isinstance(names, str) else tuple(names)
    for name in several:
        if not isinstance(name, str):
            raise EnergyError(f"variables are given by name, one or several, as ('y', 'z'); got {name!r}.")
    twice = [name for name in several if several.count(name) > 1]
    if twice:
        raise EnergyError(f"{twice[0]!r} stands twice in {list(several)}.")
    return several


def check_beta(beta: object) -> float:
    """Return an inverse temperature, or refuse it.

    Raises:
        ArgumentError: If ``beta`` is not a positive, finite number.
    """
    number = as_number(beta)
    if number is None or not 0 < number < math.inf:
        raise ArgumentError(f"beta is an inverse temperature and must be positive and finite; got {beta!r}.")
    return number


def as_number(value: object) -> float | None:
    """A real number as a float, of a tensor or an array of one number too; None for what is none."""
    if isinstance(value, Tensor | np.ndarray | np.generic):
        numeric = not value.is_complex() if isinstance(value, Tensor) else value.dtype.kind in "iuf"
        return float(value.reshape(-1)[0]) if numeric and math.prod(value.shape) == 1 else None
    if isinstance(value, bool) or not isinstance(value, numbers.Real | int | float):
        return None
    return float(value)


def is_whole(value: object) -> bool:
    """Whether it is a whole number, and no truth value."""
    return isinstance(value, numbers.Integral | int) and not isinstance(value, bool)


def check_count(name: str, value: Any, *, least: int = 1) -> int:
    """Return a whole number, or refuse it by the argument's name.

    Raises:
        ArgumentError: If it is not whole, or too small.
    """
    if not is_whole(value):
        raise ArgumentError(f"{name} must be a whole number, at least {least}; got {value!r}.")
    if value < least:
        raise ArgumentError(f"{name} must be at least {least}; got {value}.")
    return int(value)


def check_seed(seed: Any) -> int:
    """Return a seed, or refuse it.

    Raises:
        ArgumentError: If it is not a whole number that a generator takes.
    """
    if not is_whole(seed) or not -(2**63) <= seed < 2**64:
        raise ArgumentError(f"seed must be a whole number of up to 64 bits; got {seed!r}.")
    return int(seed)


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse what is not one of a few words.

    Raises:
        ArgumentError: With the words.
    """
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(f"{name} must be one of {list(choices)}; got {value!r}.")


def as_weights(name: str, value: object) -> Tensor:
    """A tensor of weights as it is, parameters too; numbers and lists in double precision.

    Raises:
        ArgumentError: If it is not of real numbers.
    """
    try:
        return value if isinstance(value, Tensor) and value.is_floating_point() else as_tensor(name, value)
    except EnergyError as error:
        raise ArgumentError(str(error)) from error


def check_callable(name: str, value: object) -> None:
    """Refuse what cannot be called.

    Raises:
        ArgumentError: By the argument's name.
    """
    if not callable(value):
        raise ArgumentError(f"{name} must be callable; got {value!r}.")


def common_rows(values: Mapping[str, Tensor]) -> int:
    """How many rows several ``[rows, ...]`` tensors share; one row goes with any number.

    Raises:
        EnergyError: If two of them differ, or one has none.
    """
    empty = [name for name, value in values.items() if value.shape[0] == 0]
    if empty:
        raise EnergyError(f"{empty[0]!r} has no rows: give at least one.")
    counts = {name: value.shape[0] for name, value in values.items() if value.shape[0] != 1}
    if len(set(counts.values())) > 1:
        raise EnergyError(f"variables must have the same number of rows; got {counts}.")
    return next(iter(counts.values()), 1)


def by_name(data: Mapping[str, object] | pd.DataFrame, wanted: Iterable[str]) -> dict[str, object]:
    """Values by variable, of a mapping as it is, or of a frame.

    Args:
        data: By name; or a frame with a column per variable, or columns ``name[0]``, ``name[1]``, ... for a
            variable of several dimensions. Columns of a frame that are not wanted are left alone.
        wanted: The variables to look for in a frame.

    Returns:
        What was found; a variable without columns is not in it.

    Raises:
        EnergyError: If it is neither, or the numbered columns of a variable do not run from zero without a gap.
    """
    if not isinstance(data, Mapping | pd.DataFrame):
        raise EnergyError(
            f"values are given by name, as {{'y': tensor}} or a DataFrame; got {type(data).__name__}."
        )
    if not isinstance(data, pd.DataFrame):
        return dict(data)
    found: dict[str, object] = {}
    for name in wanted:
        numbered = [
            column for column in data.columns if re.fullmatch(rf"{re.escape(name)}\[\d+\]", str(column))
        ]
        ordered = [f"{name}[{i}]" for i in range(len(numbered))]
        if name in data.columns:
            found[name] = data[name].to_numpy()
        elif numbered and set(ordered) == set(numbered):
            found[name] = data[ordered].to_numpy()
        elif numbered:
            raise EnergyError(f"the columns of {name!r} must be {ordered}; got {sorted(map(str, numbered))}.")
    return found
