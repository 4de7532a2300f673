"""Part 4: the confounding that the fitted energy of a table implies."""

from typing import Any

import torch

from ebm_causal.data import CausalTable
from ebm_causal.energies import decoders_of
from ebm_causal.findings.plain import spread
from ebm_causal.learning import residual_variance, treatment_covariance
from ebm_causal.sensitivity import Hidden, LinearSensitivity, OmittedVariableBias, strongest_covariate


def implied_section(hidden: Hidden, table: CausalTable, omitted: OmittedVariableBias) -> dict[str, Any]:
    """Strength as partial R^2, signed bias, and the note's linear quantities."""
    fits, units = hidden.fits, hidden.standardized.effect_in_units
    prior = fits.prior
    scale = "of the log-odds index" if table.treatment_kind == "binary" else "of the treatment"
    return {
        "r2_treatment": spread(fits.implied[:, 0]),
        "r2_outcome": spread(fits.implied[:, 1]),
        "bias": spread(units(fits.bias)),
        "cloud": fits.implied,
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
