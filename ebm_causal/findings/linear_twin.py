"""The linear-Gaussian twin of a table's latent energy: what means and covariances alone can say."""

import numpy as np
import torch

from ebm_causal.energies import Energy, Strength, confounded_energy, decoders_of, strengths_of
from ebm_causal.errors import EnergyError
from ebm_causal.sensitivity import Hidden


def linear_twin(hidden: Hidden) -> Energy:
    r"""The energy with squared errors throughout, at the same strengths, fitted by least squares.

    With :math:`\kappa = \sqrt{R_t}/\sigma_t` the slope of z on t given w, and least squares of y on (w, t)
    giving :math:`(B_0, d_0, \sigma_0)`, the parameters that fit as well at strengths :math:`(R_t, R_y)` are
    :math:`s^2 = \sigma_0^2(1 - R_y)`, :math:`d = d_0 - b\rho\kappa` and :math:`B = B_0 + b\rho\kappa\,\alpha`, with
    loading b and alignment :math:`\rho`: each choice of strengths fits the means and covariances alike.
    """
    held = strengths_of(hidden.fit.energy)
    strength = Strength(
        treatment=float(torch.sigmoid(held.treatment.detach())),
        outcome=float(torch.sigmoid(held.outcome.detach())),
        alignment=float(held.alignment),
    )
    columns = hidden.covariates.shape[1]
    twin = confounded_energy(
        columns, binary_treatment=False, strength=strength, latent_dim=hidden.fits.prior.latent_dim
    )
    _set(twin, hidden, strength)
    return twin


def _set(twin: Energy, hidden: Hidden, strength: Strength) -> None:
    w, t = hidden.covariates.numpy(), hidden.standardized.treatment_column
    toward, spread = _least_squares(w, t)
    on, noise = _least_squares(np.column_stack([w, t]), hidden.standardized.outcome_column)
    treatment, outcome = decoders_of(twin)
    if treatment.log_sd is None or outcome.log_noise is None:
        raise EnergyError("a linear twin has squared errors throughout.")
    with torch.no_grad():
        treatment.offset.fill_(toward[0])
        treatment.log_sd.fill_(np.log(spread))
        outcome.log_noise.fill_(np.log(noise * np.sqrt(1 - strength.outcome)))
        follow = float(outcome.loading()) * strength.alignment * np.sqrt(strength.treatment) / spread
        outcome.effect.fill_(on[-1] - follow)
        outcome.offset.fill_(on[0] + follow * toward[0])
        if treatment.covariates is not None and outcome.covariates is not None:
            treatment.covariates.copy_(torch.from_numpy(toward[1:]))
            outcome.covariates.copy_(torch.from_numpy(on[1:-1] + follow * toward[1:]))


def _least_squares(columns: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients, the intercept first, and the standard deviation of the residuals."""
    design = np.column_stack([np.ones(len(values)), columns])
    found = np.linalg.lstsq(design, values, rcond=None)[0]
    left = values - design @ found
    return found, float(np.sqrt(left @ left / len(left)))
