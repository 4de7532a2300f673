r"""The effect of a treatment, adjusted for covariates in several ways that err differently."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ebm_causal.data import CausalTable, Design
from ebm_causal.errors import ArgumentError
from ebm_causal.intervention.answers import contrasted, spread
from ebm_causal.intervention.bootstrap import ResampledContrast, replicates
from ebm_causal.intervention.columns import cluster_codes
from ebm_causal.intervention.effects import Effect, bootstrapped_effect, effect_of
from ebm_causal.intervention.estimators import Method, by_both, by_standardization, by_weighting, with_start
from ebm_causal.intervention.front_door import by_front_door
from ebm_causal.intervention.instruments import by_instrument
from ebm_causal.intervention.options import ROBUST, Bootstrap, Options, check_options
from ebm_causal.intervention.positivity import unmet_warnings
from ebm_causal.intervention.regression_errors import clustered_error, resampled_slope, robust_error
from ebm_causal.intervention.regressions import regress
from ebm_causal.intervention.samples import sample_of

MEANS: dict[str, Method] = {
    "weighting": by_weighting,
    "standardization": by_standardization,
    "doubly_robust": by_both,
    "front_door": by_front_door,
    "instrument": by_instrument,
}


def adjust(
    table: CausalTable,
    method: str = "regression",
    interactions: Sequence[str] | None = None,
    *,
    folds: int | None = None,
    target: str = "ate",
    contrast: str = "difference",
    errors: str | Bootstrap | None = None,
    cluster: str | None = None,
    stabilized: bool = False,
    trim: float = 0.0,
    outcome_model: Any = None,
    propensity_model: Any = None,
    mediators: Sequence[str] = (),
    instruments: Sequence[str] = (),
    seed: int = 0,
) -> Effect:
    r"""Estimate the effect of a table's treatment on its outcome.

    The first five methods are right only if the covariates leave no confounding (``naive``: if there is none).
    Beyond that:

    - ``naive``: the difference of means, or the slope on a continuous treatment; classical standard error.
      Right if chance decided the treatment.
    - ``regression``: least squares, classical standard error, t interval. Right if outcome means are linear
      and the effect is the same for all.
    - ``weighting``: each row weighs one over the chance of its own arm, :math:`1/e` or :math:`1/(1-e)`, from
      an unpenalized logit; the difference of weighted means (Hajek), HC0 error with the weights taken as
      known. Right if the logit is; unsteady where a chance is near 0.
    - ``standardization``: a linear outcome model with interactions, averaged over all rows at both
      treatments (the average slope, for a continuous one); error by M-estimation. Right if the model is.
    - ``doubly_robust``: both models, :math:`m_1 - m_0 + t(y - m_1)/e - (1-t)(y - m_0)/(1-e)` averaged; error
      by the influence function. Right if one of the two models is.
    - ``front_door``: through ``mediators`` that carry the whole effect and are unconfounded given the
      covariates; hidden confounding of treatment and outcome may stay.
    - ``instrument``: two-stage least squares with ``instruments`` that move the outcome through the treatment
      alone; the first-stage F is in ``diagnostics``, and a weak one in ``warnings``.

    Args:
        table: The table.
        method: One of the seven.
        interactions: For standardization and doubly_robust, the covariates whose linear or indicator columns
            interact with the treatment; None for all columns of the design.
        folds: For ``doubly_robust``, fit both models outside of each of so many parts; None fits them on all,
            or, with an estimator of one's own, outside of each of five.
        target: Whose mean effect: ``"ate"`` of all rows, ``"att"`` of the treated, ``"atc"`` of the untreated.
        contrast: ``"difference"`` of the two means, or their ``"ratio"`` (the risk ratio of a binary outcome,
            with an interval that is symmetric on the logarithm).
        errors: For naive and regression ``"classical"`` or ``"HC0"`` to ``"HC3"``; for every method a
            ``Bootstrap(draws=1000, seed=0, backend=None)`` of ``ebm_causal.intervention``.
        cluster: A column of the frame within whose levels rows go together; errors allow for it, and a
            bootstrap draws whole levels.
        stabilized: For ``weighting``, multiply the weights by the share of the arm, so that they are one on
            average. The weighted means are the same.
        trim: Leave out rows whose propensity is below it, or above one less it (Crump et al. 2009: .1). The
            effect is then that of the other rows.
        outcome_model: For ``doubly_robust``, any estimator with ``fit`` and ``predict``; a copy is fitted on
            the design's standardized columns of each arm.
        propensity_model: For ``doubly_robust``, any classifier with ``fit`` and ``predict_proba``.
        mediators: For ``front_door``, numeric columns of the frame.
        instruments: For ``instrument``, numeric columns of the frame.
        seed: Of the draw of the folds.

    Returns:
        The effect.

    Raises:
        ArgumentError: If the method is unknown, does not take an option, or needs a binary treatment.
        TableError: If the data do not carry the method; the message says which column is in the way.
        ConvergenceError: If a fit, or too many resamples, did not arrive.

    Examples:
        >>> import ebm_causal as ec
        >>> table = ec.load_dataset("nhefs")
        >>> [round(ec.adjust(table, method).estimate, 2) for method in ("naive", "regression", "weighting")]
        [2.54, 3.46, 3.44]

    References:
        M. Hernan and J. Robins 2020, chapters 12, 13, 15 and 16; J. Robins, A. Rotnitzky and L. Zhao 1994;
        V. Chernozhukov et al. 2018 (cross-fitting); J. Pearl 2009, section 3.3.2.
    """
    options = Options.among(locals())
    check_options(table, options)
    clusters = cluster_codes(table, cluster)
    if method in MEANS:
        return effect_on_members(table, options, errors, clusters)
    return _by_regression(table, method, errors, clusters)


def effect_on_members(
    table: CausalTable,
    options: Options,
    errors: str | Bootstrap | None,
    clusters: np.ndarray | None,
    members: np.ndarray | None = None,
) -> Effect:
    """The effect by influence functions or resamples, on all rows or on those of a group."""
    if errors is not None and not isinstance(errors, Bootstrap):
        raise ArgumentError(
            f"errors={errors!r} cannot serve {options.method}, which has its own: leave it out, "
            "or ask for a Bootstrap()."
        )
    sample, method = sample_of(table, options, members), MEANS[options.method]
    answer = method(sample, options, True)
    value = contrasted(answer, options.contrast)
    if isinstance(errors, Bootstrap):
        point = ResampledContrast(sample=with_start(sample, options), options=options, method=method)
        values, lost = replicates(point, table.rows, errors, clusters)
        warnings = (*answer.warnings, *lost)
        return bootstrapped_effect(
            table,
            value,
            values,
            options=options,
            bootstrap=errors,
            warnings=warnings,
            diagnostics=answer.diagnostics,
        )
    clustered = "" if clusters is None else f", {clusters.max() + 1} clusters"
    return effect_of(
        table,
        options.method,
        value,
        spread(answer, options.contrast, clusters),
        kind=answer.kind + clustered,
        warnings=answer.warnings,
        options=options,
        diagnostics=answer.diagnostics,
    )


def _by_regression(
    table: CausalTable, method: str, errors: str | Bootstrap | None, clusters: np.ndarray | None
) -> Effect:
    design = Design(rows=table.rows, blocks=()) if method == "naive" else table.design
    fit = regress(table, design)
    notes = unmet_warnings(table, np.ones(table.rows, bool), "ate") if method == "regression" else ()
    options = Options(method=method)
    if isinstance(errors, Bootstrap):
        point = resampled_slope(table.treatment_values, table.outcome_values, design)
        values, lost = replicates(point, table.rows, errors, clusters)
        return bootstrapped_effect(
            table, fit.estimate, values, options=options, bootstrap=errors, warnings=(*notes, *lost)
        )
    if errors not in (None, "classical", *ROBUST):
        raise ArgumentError(f"errors must be 'classical', 'HC0' to 'HC3', or a Bootstrap(); got {errors!r}.")
    if clusters is not None:
        if errors is not None:
            raise ArgumentError(f"cluster gives errors of its own: leave out errors={errors!r}.")
        groups = int(clusters.max()) + 1
        error, kind, dof = clustered_error(fit, clusters), f"CR1, {groups} clusters", groups - 1
    elif errors in ROBUST:
        error, kind, dof = robust_error(fit, design, str(errors)), str(errors), fit.dof
    else:
        error, kind, dof = fit.standard_error, "classical", fit.dof
    return effect_of(table, method, fit.estimate, error, kind=kind, dof=dof, warnings=notes)
