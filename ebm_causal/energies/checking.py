"""What an energy takes and gives: finite numbers within their supports, and one real number per row."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ebm_causal.energies.factors import Factor, Values, batch_of
from ebm_causal.energies.variables import Variable, is_true_somewhere
from ebm_causal.errors import EnergyError
from ebm_causal.shapes import broadcast_shapes


def refuse_bad_values(name: str, variable: Variable, value: Tensor) -> None:
    """Refuse wrong shapes, NaN and what is outside a variable's support; tensors without numbers (meta, vmap) pass.

    Raises:
        EnergyError: Naming the variable and the first rows.
    """
    shape = variable.shape or value.shape[-1:]
    if tuple(value.shape[max(value.ndim - len(shape), 0) :]) != tuple(shape):
        raise EnergyError(f"{name!r} must be [..., {', '.join(map(str, shape))}]; got {list(value.shape)}.")
    rows = value.detach().reshape(-1, *shape)
    bad = _rows_where(rows.isnan())
    if bad:
        raise EnergyError(
            f"{name!r} is NaN in {len(bad)} rows, the first of them {bad[:5]}: drop or mend these rows, or leave "
            f"{name!r} out of what is given, so that it is inferred."
        )
    if not variable.is_real and is_true_somewhere(~variable.support.check(rows)):
        variable.check(name, rows)


def checked_term(factor: Factor, values: Values, variables: Mapping[str, Variable]) -> Tensor:
    """A factor's term, or a refusal.

    Raises:
        EnergyError: If it is not one real number per row.
    """
    term = factor.term(values)
    own = {name: variable for name, variable in variables.items() if name in factor.variables}
    batch = broadcast_shapes(*(batch_of(values[name], variable) for name, variable in own.items()))
    if not isinstance(term, Tensor) or term.is_complex() or not factor.fits(term, batch, values):
        found = list(term.shape) if isinstance(term, Tensor) else type(term).__name__
        complex_note = " complex" if isinstance(term, Tensor) and term.is_complex() else ""
        raise EnergyError(
            f"factor {factor.name!r} must give one real number per row, shape {list(batch)}; got{complex_note} "
            f"{found}. Sum over the last dimension of each variable."
        )
    return term


def refuse_no_number(factor: Factor, term: Tensor) -> Tensor:
    """A term as it is, or a refusal.

    Raises:
        EnergyError: If it is NaN or minus infinity, naming the factor, its variables and the first rows.
    """
    bad = _rows_where(term.detach().isnan().reshape(-1, 1))
    if bad:
        raise EnergyError(
            f"factor {factor.name!r} of {list(factor.variables)} is NaN in {len(bad)} rows, the first of them "
            f"{bad[:5]}: look for a logarithm, a root or a quotient outside its domain, or state the support "
            "of the variable."
        )
    endless = _rows_where((term.detach() == -torch.inf).reshape(-1, 1))
    if endless:
        raise EnergyError(
            f"factor {factor.name!r} of {list(factor.variables)} is minus infinity in {len(endless)} rows, the first "
            f"of them {endless[:5]}: nothing else would have any weight. Bound it from below."
        )
    return term


def _rows_where(wrong: Tensor) -> list[int]:
    return wrong.flatten(1).any(-1).nonzero().flatten().tolist() if is_true_somewhere(wrong) else []
