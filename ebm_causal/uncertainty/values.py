"""What is given: values by name, in the precision in which an energy computes."""

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor

from ebm_causal.energies import Energy, as_energy
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.learning import Fit


def values_by_name(what: str, values: object) -> dict[str, object]:
    """Values by name, none where there are none.

    Args:
        what: The argument, for the error.
        values: A mapping or None.

    Raises:
        ArgumentError: If they are not given by name.
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise ArgumentError(
            f"{what} must hold values by name, as {{'x': rows}}; got {type(values).__name__}."
        )
    return dict(values)


def in_one_precision(energy: Energy, *several: Mapping[str, object]) -> list[dict[str, object]]:
    """The same values in the precision of the energy's arrays; in the widest of their own where it has none.

    What has no precision of its own (numbers, lists, numpy's arrays) is left to take that of its neighbors.
    """
    arrays = [
        tensor
        for tensor in itertools.chain(as_energy(energy).parameters(), energy.buffers())
        if tensor.is_floating_point() and tensor.ndim
    ]
    given = [value for values in several for value in values.values() if isinstance(value, Tensor)]
    found = {tensor.dtype for tensor in (arrays or given) if tensor.dtype in (torch.float32, torch.float64)}
    if not found or (arrays and len(found) > 1):
        return [dict(values) for values in several]
    dtype = torch.float64 if torch.float64 in found else torch.float32

    def turned(value: object) -> object:
        if isinstance(value, Tensor) and value.dtype in (torch.float32, torch.float64):
            return value.to(dtype)
        return value

    return [{name: turned(value) for name, value in values.items()} for values in several]


def check_fit(fit: object) -> Fit:
    """Return a fit that arrived, or refuse it.

    Raises:
        ArgumentError: If it is no fit.
        ConvergenceError: If it has not converged.
    """
    if not isinstance(fit, Fit):
        raise ArgumentError(f"a fit is what ec.fit gives; got {type(fit).__name__}.")
    if not fit.diagnostics.converged:
        raise ConvergenceError(
            f"the fit has not converged ({fit.diagnostics.text}): fit again with more steps."
        )
    return fit
