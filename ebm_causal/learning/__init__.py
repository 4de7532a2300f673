"""Learning: fits of latent energies."""

from ebm_causal.learning.confounding import HELD, ConfoundedFits, StrengthPrior, fit_over_strengths
from ebm_causal.learning.fits import Fit, FitDiagnostics
from ebm_causal.learning.fitting import fit
from ebm_causal.learning.implied import (
    average_effect,
    implied_strength,
    index_strength,
    residual_variance,
    treatment_covariance,
)

__all__ = [
    "HELD",
    "ConfoundedFits",
    "Fit",
    "FitDiagnostics",
    "StrengthPrior",
    "average_effect",
    "fit",
    "fit_over_strengths",
    "implied_strength",
    "index_strength",
    "residual_variance",
    "treatment_covariance",
]
