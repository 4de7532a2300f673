r"""The front door on a table: from the treatment to mediators, and from these to the outcome."""

import numpy as np
from jaxtyping import Float

from ebm_causal.intervention.answers import Answer
from ebm_causal.intervention.columns import numeric_columns
from ebm_causal.intervention.fits import counted_fit, influence_of_fit
from ebm_causal.intervention.options import Options
from ebm_causal.intervention.samples import Sample


def by_front_door(sample: Sample, options: Options, influence: bool) -> Answer:
    r"""The slope of the mediators on the treatment times the slope of the outcome on them.

    With linear means :math:`E[m \mid t, w] = \alpha + \delta t + \gamma' w` and
    :math:`E[y \mid t, m, w] = a + b t + (c + d t)' m + e' w` the front-door formula is
    :math:`(c + d\,E[t])'\delta`. One binary mediator without covariates is saturated: nothing is assumed
    of its form. The error is by the influence functions of all coefficients.
    """
    mediators = numeric_columns(sample.table, options.mediators, "mediator")[sample.rows]
    first, moved_first = _first_stage(sample, options, mediators, influence)
    columns, names = _second_columns(sample, options, mediators)
    coefficients, triangle = counted_fit(sample, columns, sample.outcome, names)
    size = mediators.shape[1]
    linear, crossed = coefficients[-2 * size : -size], coefficients[-size:]
    share = sample.counts @ sample.treatment / sample.size
    slope = linear + crossed * share
    moved = None
    if influence:
        by_row = influence_of_fit(columns, triangle, sample.outcome - columns @ coefficients)
        moved = (
            by_row[:, -2 * size : -size] @ first
            + share * (by_row[:, -size:] @ first)
            + (sample.treatment - share) * (crossed @ first)
            + moved_first @ slope
        )[:, None]
    return Answer(
        estimates=np.array([slope @ first]),
        influence=moved,
        kind="M-estimation",
        diagnostics=_ways(options, first, slope),
    )


def _first_stage(
    sample: Sample, options: Options, mediators: Float[np.ndarray, "rows mediators"], influence: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What a unit of treatment does to each mediator, and what each row does to that."""
    columns = np.column_stack([sample.model.covariates, sample.treatment])
    names = [*sample.model.names[: sample.model.covariates.shape[1]], sample.table.treatment]
    slopes, moved = [], []
    for mediator in mediators.T:
        coefficients, triangle = counted_fit(sample, columns, mediator, names)
        slopes.append(coefficients[-1])
        if influence:
            noise = mediator - columns @ coefficients
            moved.append(influence_of_fit(columns, triangle, noise)[:, -1])
    return np.array(slopes), np.column_stack(moved) if moved else np.zeros((len(sample.rows), 0))


def _second_columns(
    sample: Sample, options: Options, mediators: Float[np.ndarray, "rows mediators"]
) -> tuple[np.ndarray, list[str]]:
    names = [*sample.model.names[: sample.model.covariates.shape[1]], sample.table.treatment]
    names += [*options.mediators, *(f"{sample.table.treatment} x {name}" for name in options.mediators)]
    crossed = sample.treatment[:, None] * mediators
    return np.column_stack([sample.model.covariates, sample.treatment, mediators, crossed]), names


def _ways(options: Options, first: np.ndarray, slope: np.ndarray) -> dict[str, float]:
    return {
        f"through {name}": float(a * b) for name, a, b in zip(options.mediators, first, slope, strict=True)
    }
