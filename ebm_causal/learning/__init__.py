"""Learning: fits of latent energies."""

from ebm_causal.learning.fits import Fit, FitDiagnostics
from ebm_causal.learning.fitting import fit

__all__ = ["Fit", "FitDiagnostics", "fit"]
