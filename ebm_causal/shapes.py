"""The shapes of named values: a tensor's last dimensions are the variable's, those before are a batch."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError, EnergyError

Betas = float | Sequence[float] | np.ndarray | Tensor  # an inverse temperature, or a schedule of them


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
        tensor = value if isinstance(value, Tensor) else torch.as_tensor(np.array(value))
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
        EnergyError: If one of them stands there twice.
    """
    several = (names,) if isinstance(names, str) else tuple(names)
    twice = [name for name in several if several.count(name) > 1]
    if twice:
        raise EnergyError(f"{twice[0]!r} stands twice in {list(several)}.")
    return several


def check_beta(beta: float) -> float:
    """Return an inverse temperature, or refuse it.

    Raises:
        ArgumentError: If ``beta`` is not a positive, finite number.
    """
    if not 0 < float(beta) < math.inf:
        raise ArgumentError(f"beta is an inverse temperature and must be positive and finite; got {beta}.")
    return float(beta)


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
        EnergyError: If the numbered columns of a variable do not run from zero without a gap.
    """
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
