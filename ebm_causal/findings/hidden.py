"""The hidden confounder of a table: its prior, its energy, its fits, and what these imply (part 4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor

from ebm_causal.data import CausalTable, StandardizedTable
from ebm_causal.energies import Energy, Strength, Tail, confounded_energy, decoders_of
from ebm_causal.errors import OverlapError
from ebm_causal.findings.plain import spread
from ebm_causal.findings.tails import outcome_tail
from ebm_causal.intervention import propensity, regress
from ebm_causal.learning import (
    HELD,
    ConfoundedFits,
    Fit,
    StrengthPrior,
    average_effect,
    fit,
    fit_over_strengths,
    index_strength,
    residual_variance,
    treatment_covariance,
)
from ebm_causal.sensitivity import LinearSensitivity, OmittedVariableBias

WIDE = 60  # covariate columns beyond which two scores stand for them
WEAKEST, STRONGEST, UNKNOWN = 0.01, 0.5, 0.1  # prior means of a partial R^2
DRAWS = 32  # strengths from the prior; half as many on a lattice of two dimensions
Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A table's latent energy, fitted at many strengths.

    Attributes:
        standardized: The table on the scale of the fits.
        covariates: The covariate columns that the energy sees, ``[rows, columns]``.
        names: Their names.
        sources: The covariate of each.
        fits: The fits.
        tail: ``heavy`` where the outcome has a Student-t cost.
        least_squares: The regression's estimate and standard error, on the scale of the fits.
        notes: What was decided on the way, in words.
    """

    standardized: StandardizedTable
    covariates: Tensor
    names: tuple[str, ...]
    sources: tuple[str, ...]
    fits: ConfoundedFits
    tail: Tail
    least_squares: tuple[float, float]
    notes: tuple[str, ...]

    @property
    def fit(self) -> Fit:
        """The fit at the median strengths."""
        return self.fits.fit


def fit_hidden(
    table: CausalTable,
    omitted: OmittedVariableBias,
    *,
    latent_dim: int,
    method: Literal["svi", "mcmc"],
    seed: int,
    strength: tuple[float, float] | None,
    strengths: int | None,
    progress: Progress,
) -> Hidden:
    """Build the latent energy of a table, fit it at the median strengths, then over their prior."""
    prior = _prior(table, omitted, latent_dim, strength)
    standardized = table.standardized()
    covariates, names, sources, compressed = _columns(table, standardized)
    data = {"t": standardized.treatment, "y": standardized.outcome} | ({"w": covariates} if names else {})
    unit = standardized.effect_in_units(1.0)
    least_squares = omitted.estimate / unit, omitted.standard_error / unit

    def energy(tail: Tail, held: Strength) -> Energy:
        return confounded_energy(
            covariates.shape[1], binary_treatment=table.treatment_kind == "binary", tail=tail, strength=held,
            binary_outcome=table.outcome_kind == "binary", latent_dim=latent_dim,
        )  # fmt: skip

    def student_effect() -> float:
        found = fit(energy("heavy", Strength(treatment=0.0, outcome=0.0)), data, method="map", fixed=HELD)
        return float(average_effect(found.energy, found.data).detach())

    tail, tail_note = outcome_tail(table, least_squares, student_effect)
    base = fit(
        energy(tail, prior.median(omitted.estimate)), data, method=method, fixed=HELD, seed=seed,
        progress=lambda share, what: progress(0.3 * share, f"fitting the latent energy: {what}"),
    )  # fmt: skip
    draws = strengths or (DRAWS if latent_dim == 1 else DRAWS // 2)
    fits = fit_over_strengths(
        base, prior, draws=draws, seed=seed, progress=lambda share, what: progress(0.3 + 0.7 * share, what)
    )
    notes = tuple(note for note in (tail_note, compressed) if note)
    return Hidden(
        standardized=standardized, covariates=covariates, names=names, sources=sources, fits=fits, tail=tail,
        least_squares=least_squares, notes=notes,
    )  # fmt: skip


def implied_section(hidden: Hidden, table: CausalTable, omitted: OmittedVariableBias) -> dict[str, Any]:
    """Strength as partial R^2, signed bias, and the note's linear quantities."""
    fits, units = hidden.fits, hidden.standardized.effect_in_units
    prior = fits.prior
    scale = "of the log-odds index" if table.treatment_kind == "binary" else "of the treatment"
    return {
        "r2_treatment": spread(fits.implied[:, 0]),
        "r2_outcome": spread(fits.implied[:, 1]),
        "bias": spread(units(fits.bias)),
        "prior": {
            "treatment": f"Beta(1, {(1 - prior.treatment) / prior.treatment:.3g}), mean {prior.treatment:.3g}",
            "outcome": f"Beta(1, {(1 - prior.outcome) / prior.outcome:.3g}), mean {prior.outcome:.3g}",
            "text": f"Toward the treatment, the partial R² {scale}; toward the outcome, that given treatment and "
            f"covariates. Means: {prior.source}. The confounder is as likely to raise as to lower the estimate.",
        },
        "level": 0.95,
        "interval": "interval over the prior",
        "quantities": [] if table.outcome_kind == "binary" else _quantities(hidden, table),
        "text": _implied_words(hidden, table, omitted),
    }


def _implied_words(hidden: Hidden, table: CausalTable, omitted: OmittedVariableBias) -> str:
    text = (
        "These are what the stated prior implies through the fitted energy, on the scale of linear partial R²"
    )
    if table.outcome_kind == "binary":
        text += f" for {table.treatment} and of the log-odds index for {table.outcome}"
    text += "; the data leave the strengths where the prior has them."
    strongest = strongest_covariate(omitted)
    if strongest is None or table.outcome_kind == "binary":
        return text
    toward, on = hidden.fits.implied.mean(0)
    return text + (
        f" For comparison, the strongest covariate has {strongest[0]:.2%} with {table.treatment}, where the confounder "
        f"has {toward:.2%} on average, and {strongest[1]:.2%} with {table.outcome}, where it has {on:.2%}."
    )


def _quantities(hidden: Hidden, table: CausalTable) -> list[dict[str, Any]]:
    linear = linear_sensitivity(hidden)
    outcome, treatment = table.outcome, table.treatment
    factor = hidden.standardized.effect_in_units(1.0)
    rows = [
        ("delta", linear.delta, "the effect with z at its median strength held fixed"),
        ("bias", linear.bias, "alpha_z beta_z v / (alpha_z² v + Var(e_D)): what hiding z adds to the slope"),
        (
            "observed slope",
            linear.observed_slope,
            "delta + bias: the slope that is seen, as far as all is linear",
        ),
    ]
    found = [
        {"name": name, "value": factor * float(value), "unit": f"{outcome} per {treatment}", "text": text}
        for name, value, text in rows
    ]
    found.append({
        "name": "printed bias", "value": float(linear.printed_bias) / factor if linear.beta_z else None,
        "unit": f"{treatment} per {outcome}",
        "text": "alpha_z / beta_z, as the note prints it: a reciprocal, not added to delta",
    })  # fmt: skip
    return found


def linear_sensitivity(hidden: Hidden) -> LinearSensitivity:
    r"""The note's linear system for the fitted energy at median strengths, on the standardized scale.

    Dec is the treatment, C the outcome; :math:`\alpha_z` is the slope of the treatment on z given the covariates,
    in linear projection for a binary treatment.
    """
    energy, rows = hidden.fit.energy, hidden.fit.data
    decoder = decoders_of(energy)[1]
    alpha, residual = treatment_covariance(energy, rows), residual_variance(rows)
    with torch.no_grad():
        beta, delta = float(decoder.loading() * decoder.strengths.alignment), float(decoder.effect)
    return LinearSensitivity(
        alpha_x=0.0, alpha_z=alpha, beta_x=0.0, beta_z=beta, beta_y=0.0, delta=delta,
        latent_variance=1.0, decoder_noise_variance=residual - alpha**2,
    )  # fmt: skip


def _prior(
    table: CausalTable, omitted: OmittedVariableBias, latent_dim: int, strength: tuple[float, float] | None
) -> StrengthPrior:
    if strength is not None:
        return StrengthPrior(treatment=strength[0], outcome=strength[1], latent_dim=latent_dim)
    strongest = strongest_covariate(omitted)
    if strongest is None:
        source = f"{UNKNOWN}, there being no covariate to compare with"
        return StrengthPrior(treatment=UNKNOWN, outcome=UNKNOWN, latent_dim=latent_dim, source=source)
    toward, on = strongest
    if table.treatment_kind == "binary":
        left = regress(table, table.design).treatment ** 2
        toward = index_strength(_chances(table), float(left.mean()), toward, most=STRONGEST)
    source = f"as the strongest observed covariate on either side, but within {WEAKEST} and {STRONGEST}"
    toward, on = (min(max(value, WEAKEST), STRONGEST) for value in (toward, on))
    return StrengthPrior(treatment=toward, outcome=on, latent_dim=latent_dim, source=source)


def strongest_covariate(omitted: OmittedVariableBias) -> tuple[float, float] | None:
    """The largest partial R^2 of a covariate with treatment and with outcome; 1 where it is too strong to bound."""
    once = [row for row in omitted.bounds_records() if row["multiple"] == 1]
    if not once:
        return None
    toward, on = (
        [1.0 if row[key] is None else row[key] for row in once] for key in ("r2_treatment", "r2_outcome")
    )
    return max(toward), max(on)


def _chances(table: CausalTable) -> np.ndarray | None:
    """The propensities; None where levels with one arm alone leave none."""
    try:
        return propensity(table).values
    except OverlapError:
        return None


def _columns(
    table: CausalTable, standardized: StandardizedTable
) -> tuple[Tensor, tuple[str, ...], tuple[str, ...], str]:
    design, treatment = table.design, table.treatment_values
    chance = _chances(table) if table.treatment_kind == "binary" else None
    if design.columns <= WIDE and (chance is not None or table.treatment_kind == "continuous"):
        return standardized.covariates, design.names, design.sources, ""
    toward = treatment - design.residualize(treatment) if chance is None else logit(chance)
    on = (
        table.outcome_values
        - design.residualize(np.column_stack([table.treatment_values, table.outcome_values]))[:, 1]
    )
    scores = np.column_stack([toward, on])
    scores = (scores - scores.mean(0)) / scores.std(0)
    note = (
        f"In the latent energy two scores stand for the {design.columns} covariate columns: what they predict of "
        "the treatment, and of the outcome. Exact for linear mechanisms."
    )
    names = ("score of the treatment", "score of the outcome")
    return torch.from_numpy(scores), names, names, note
