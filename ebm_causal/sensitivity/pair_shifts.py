"""How far covariates in which matched pairs still differ move the odds of treatment: a yardstick for Gamma."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from ebm_causal.errors import ArgumentError, ConvergenceError, TableError
from ebm_causal.intervention import fit_logit
from ebm_causal.sensitivity.odds_shifts import OddsShift, shift_of
from ebm_causal.sensitivity.ranges import check_numbers


def pair_shifts(benchmarks: object, pairs: int) -> dict[str, OddsShift]:
    r"""The factor, either way, by which each covariate moves the odds within pairs, all of them fitted together.

    .. math::
        P(\text{the first is the treated}) = \frac1{1 + e^{-\beta'(x_1 - x_2)}}, \qquad
        e^{|\beta_j (x_{1j} - x_{2j})|}.

    Args:
        benchmarks: For each covariate its values, of the treated and of the untreated, in the order of the pairs.
        pairs: How many there are.

    Raises:
        ArgumentError: If the values do not fit the pairs, or the covariates tell the treated from the untreated.

    References:
        P. Rosenbaum 2002, Observational Studies, section 3.4 (conditional logits of matched pairs).
    """
    apart = _differences(benchmarks, pairs)
    differing = {name: values / np.abs(values).max() for name, values in apart.items() if values.any()}
    found = {name: shift_of(np.zeros(pairs)) for name in apart}
    if not differing:
        return found
    columns = np.column_stack(list(differing.values()))
    try:
        slopes, _ = fit_logit(np.concatenate([columns, -columns]), np.repeat([1.0, 0.0], pairs))
    except (TableError, ConvergenceError) as error:
        raise ArgumentError(
            f"the benchmarks {list(differing)} tell the treated from the untreated in these pairs: how far they move "
            "the odds has no bound. Leave one out."
        ) from error
    moved = {name: slope * values for slope, (name, values) in zip(slopes, differing.items(), strict=True)}
    return found | {name: shift_of(values) for name, values in moved.items()}


def _differences(benchmarks: object, pairs: int) -> dict[str, Float[np.ndarray, " pairs"]]:
    if not isinstance(benchmarks, Mapping):
        raise ArgumentError(
            "benchmarks must give each covariate's values of the treated and of the untreated, as "
            f"{{'age': (treated, control)}}; got {benchmarks!r}."
        )
    found = {}
    for name, sides in benchmarks.items():
        values = check_numbers(f"benchmark {name!r}", sides)
        if values.shape != (2, pairs):
            raise ArgumentError(
                f"Benchmark {name!r} needs values of {pairs} treated and as many untreated; got shape "
                f"{list(values.shape)}."
            )
        if not np.isfinite(values).all():
            raise ArgumentError(f"Benchmark {name!r} must be finite; got {values[~np.isfinite(values)][0]}.")
        found[name] = values[0] - values[1]
    return found
