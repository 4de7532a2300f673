r"""Three ways from a sample to the means of the two arms: weights, an outcome model, and both.

With :math:`r` the target (1 for all rows, t for the treated, 1 - t for the untreated), the weight of a row
is :math:`r`'s mean given its covariates over the chance of its own arm: :math:`1/e` and :math:`1/(1-e)`, or
1 and :math:`e/(1-e)`, or :math:`(1-e)/e` and 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from ebm_causal.errors import ConvergenceError
from ebm_causal.intervention.answers import Answer
from ebm_causal.intervention.fits import fitted_model
from ebm_causal.intervention.learners import learned_means, learned_propensity
from ebm_causal.intervention.options import Options
from ebm_causal.intervention.overlap import (
    heavy_rows,
    refuse_separated_columns,
    weights_of_arms,
)
from ebm_causal.intervention.parts import Part, parts_of
from ebm_causal.intervention.positivity import positivity_warnings, unmet_warnings
from ebm_causal.intervention.propensities import fit_logit
from ebm_causal.intervention.samples import Sample

Method = Callable[[Sample, Options, bool], Answer]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """The chance of treatment of each row, and what follows from it."""

    chance: Float[np.ndarray, " rows"]
    complement: Float[np.ndarray, " rows"]
    values: Float[np.ndarray, " rows"]
    kept: Float[np.ndarray, " rows"]


def by_weighting(sample: Sample, options: Options, influence: bool) -> Answer:
    """Hajek's weighted means under a logit."""
    if not sample.resampled:
        refuse_separated_columns(sample.table)
    logit = _logit(sample, slice(None))
    index = sample.model.covariates @ logit
    weights = weights_of(sample, options, expit(index), expit(-index))
    whole = weights.values * weights.kept * sample.counts
    means, columns = [], []
    for arm in (0.0, 1.0):
        own = np.where(sample.treatment == arm, whole, 0.0)
        own = own / _total(own)
        means.append(own @ sample.outcome)
        columns.append(sample.size * own * (sample.outcome - means[-1]))
    return Answer(
        estimates=np.array(means),
        influence=np.column_stack(columns) if influence else None,
        kind="HC0, weights taken as known",
        warnings=_warnings(sample, options, weights) if influence else (),
        diagnostics=_effective_sizes(sample, weights) if influence else {},
    )


def by_standardization(sample: Sample, options: Options, influence: bool) -> Answer:
    """The mean of an outcome model at each treatment, or its mean slope where the treatment is continuous."""
    model = sample.model
    columns = model.columns()
    coefficients, triangle = fitted_model(sample)
    members = sample.counts * sample.members * target_rows(sample, options)
    members = members / _total(members)
    rows = [model.modifiers] if sample.table.treatment_kind == "continuous" else None
    levers = _contrasts(sample, rows)
    predicted = np.column_stack([lever @ coefficients for lever in levers])
    estimates = members @ predicted
    moved = None
    if influence:
        # Each row moves a mean by its own prediction, and by what it does to the coefficients.
        noise = sample.outcome - columns @ coefficients
        gradients = np.column_stack([members @ lever for lever in levers])
        by_row = columns @ np.linalg.solve(triangle, np.linalg.solve(triangle.T, gradients))
        moved = sample.size * (members[:, None] * (predicted - estimates) + by_row * noise[:, None])
    notes = unmet_warnings(sample.table, sample.members > 0, options.target) if influence else ()
    return Answer(estimates=estimates, influence=moved, kind="M-estimation", warnings=notes)


def _contrasts(sample: Sample, slopes: list[np.ndarray] | None) -> list[np.ndarray]:
    """The columns of the outcome model whose coefficients are a mean without and with treatment, or a slope."""
    model = sample.model
    nothing = np.zeros_like(model.covariates)
    if slopes is not None:
        return [np.hstack([nothing, slopes[0]])]
    untreated = np.hstack([model.covariates, np.zeros_like(model.modifiers)])
    return [untreated, np.hstack([model.covariates, model.modifiers])]


def by_both(sample: Sample, options: Options, influence: bool) -> Answer:
    """The outcome model's means, corrected by what the weights say of its errors."""
    if not sample.resampled and options.propensity_model is None:
        refuse_separated_columns(sample.table)
    chance, complement = np.empty(len(sample.rows)), np.empty(len(sample.rows))
    predicted = np.empty((len(sample.rows), 2))
    parts, crossed = parts_of(sample, options)
    for part in parts:
        chance[part.inside], complement[part.inside] = _chances(sample, options, part)
        predicted[part.inside] = _means(sample, options, part)
    weights = weights_of(sample, options, chance, complement)
    target = weights.kept * target_rows(sample, options)
    total = _total(sample.counts * target)
    estimates, columns = [], []
    for arm in (0, 1):
        noise = np.where(sample.treatment == arm, sample.outcome - predicted[:, arm], 0.0)
        each = target * predicted[:, arm] + weights.kept * weights.values * noise
        estimates.append(sample.counts @ each / total)
        columns.append(sample.size * sample.counts * (each - target * estimates[-1]) / total)
    return Answer(
        estimates=np.array(estimates),
        influence=np.column_stack(columns) if influence else None,
        kind=f"influence function{crossed}",
        warnings=_warnings(sample, options, weights) if influence else (),
        diagnostics=_effective_sizes(sample, weights) if influence else {},
    )


def _chances(sample: Sample, options: Options, part: Part) -> tuple[np.ndarray, np.ndarray]:
    if options.propensity_model is not None:
        chance = learned_propensity(sample, options.propensity_model, part)
        return chance, 1 - chance
    index = sample.model.covariates[part.inside] @ _logit(sample, part.fitted)
    return expit(index), expit(-index)


def _means(sample: Sample, options: Options, part: Part) -> np.ndarray:
    if options.outcome_model is not None:
        return learned_means(sample, options.outcome_model, part)
    coefficients, _ = fitted_model(sample, part.fitted, part.called)
    untreated = sample.model.untreated(coefficients)[part.inside]
    return np.column_stack([untreated, untreated + sample.model.slopes(coefficients)[part.inside]])


def with_start(sample: Sample, options: Options) -> Sample:
    """The sample with the logit of all its rows, from which resamples are two steps away."""
    if options.method not in ("weighting", "doubly_robust") or options.propensity_model is not None:
        return sample
    return replace(sample, start=_logit(sample, slice(None)))


def _logit(sample: Sample, rows: np.ndarray | slice) -> np.ndarray:
    counts = sample.counts[rows] if sample.resampled else None
    columns, treated = sample.model.covariates[rows], sample.treatment[rows]
    return fit_logit(columns, treated, counts=counts, start=sample.start)[0]


def target_rows(sample: Sample, options: Options) -> Float[np.ndarray, " rows"]:
    """1 for the rows whose mean effect is asked for, 0 for the others."""
    inside = {"ate": np.ones_like(sample.treatment), "att": sample.treatment, "atc": 1 - sample.treatment}
    return sample.members * inside[options.target]


def weights_of(
    sample: Sample,
    options: Options,
    chance: Float[np.ndarray, " rows"],
    complement: Float[np.ndarray, " rows"],
) -> Weights:
    """Weigh each row for the target; rows beyond ``trim`` are left out."""
    kept = sample.members.copy()
    if options.trim > 0:
        kept = kept * ((chance >= options.trim) & (complement >= options.trim))
    treated = sample.treatment == 1
    if options.target == "ate":
        inside = kept > 0
        values = np.ones_like(chance)
        values[inside] = weights_of_arms(sample, chance, complement, inside)
    elif options.target == "att":
        values = np.where(treated, 1.0, chance / np.maximum(complement, np.finfo(float).tiny))
    else:
        values = np.where(treated, complement / np.maximum(chance, np.finfo(float).tiny), 1.0)
    if options.stabilized:
        share = (sample.counts @ sample.treatment) / sample.size
        values = values * np.where(treated, share, 1 - share)
    return Weights(chance=chance, complement=complement, values=values, kept=kept)


def _warnings(sample: Sample, options: Options, weights: Weights) -> tuple[str, ...]:
    inside = weights.kept > 0
    trimmed = int((sample.members > 0).sum() - inside.sum())
    text = (
        f"{trimmed} of {int((sample.members > 0).sum())} rows have a propensity below {options.trim:g} or above "
        f"{1 - options.trim:g} and are left out: the effect is that of the others."
    )
    return (
        *((text,) if trimmed else ()),
        *heavy_rows(sample.treatment, weights.values * weights.kept),
        *positivity_warnings(sample.table, weights.chance, inside, options.target),
    )


def _effective_sizes(sample: Sample, weights: Weights) -> dict[str, float]:
    found = {}
    for arm, called in ((1, "treated"), (0, "untreated")):
        own = (weights.values * weights.kept)[sample.treatment == arm]
        found[f"effective {called} rows"] = float(own.sum() ** 2 / (own @ own))
    return found


def _total(weights: Float[np.ndarray, " rows"]) -> float:
    total = float(weights.sum())
    if not total > 0:
        raise ConvergenceError("no row is left in an arm: loosen trim, or take a larger group.")
    return total
