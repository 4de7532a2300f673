"""The hidden confounder of a table: its latent energy, fitted over the prior of its strength."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor

from ebm_causal.data import CausalTable, StandardizedTable
from ebm_causal.energies import Energy, Strength, Tail, confounded_energy
from ebm_causal.learning import (
    HELD,
    ConfoundedFits,
    Fit,
    fit,
    fit_over_strengths,
)
from ebm_causal.sensitivity.calibration import calibrated_prior, chances_of
from ebm_causal.sensitivity.omitted_variable import OmittedVariableBias
from ebm_causal.sensitivity.tails import outcome_tail

WIDE = 60  # covariate columns beyond which two scores stand for them
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
    multiple: float = 1.0,
    progress: Progress,
) -> Hidden:
    """Build the latent energy of a table, fit it at the median strengths, then over their prior."""
    prior = calibrated_prior(table, omitted, latent_dim=latent_dim, strength=strength, multiple=multiple)
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

    seen = np.column_stack([standardized.treatment.numpy(), covariates.numpy()])
    tail, tail_note = outcome_tail(table, seen, standardized.outcome.numpy().ravel(), least_squares)
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


def _columns(
    table: CausalTable, standardized: StandardizedTable
) -> tuple[Tensor, tuple[str, ...], tuple[str, ...], str]:
    design, treatment = table.design, table.treatment_values
    chance = chances_of(table) if table.treatment_kind == "binary" else None
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
