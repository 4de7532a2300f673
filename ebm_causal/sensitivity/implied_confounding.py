r"""What a fitted latent energy implies about the confounder: its strengths, its bias, the effect without it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from ebm_causal.data import CausalTable
from ebm_causal.energies import Energy, decoders_of
from ebm_causal.errors import EnergyError
from ebm_causal.learning import Fit, average_effect, implied_strength, residual_variance, treatment_covariance
from ebm_causal.sensitivity.arguments import check_table
from ebm_causal.sensitivity.benchmarks import omitted_variable_bias
from ebm_causal.sensitivity.drawn_parameters import energies_of
from ebm_causal.sensitivity.hidden_confounder import Hidden
from ebm_causal.sensitivity.omitted_variable import OmittedVariableBias

GRID = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImpliedConfounding:
    r"""Draws of what a latent energy implies, on the scale of linear partial :math:`R^2`.

    They come from parameters, with the latent integrated out. The mean of z given treatment and outcome is
    never put beside the covariates of a regression: it is a function of the outcome, and adjusting for it
    biases what it should mend.

    Attributes:
        r2_treatment: The confounder's partial :math:`R^2` with the treatment.
        r2_outcome: That with the outcome, given treatment and covariates.
        bias: What hiding it adds to the slope that is seen, with its sign, in units.
        effect: The effect with it adjusted for.
        omitted: The regression that it is compared with.
    """

    r2_treatment: Float[np.ndarray, " draws"]
    r2_outcome: Float[np.ndarray, " draws"]
    bias: Float[np.ndarray, " draws"]
    effect: Float[np.ndarray, " draws"]
    omitted: OmittedVariableBias

    @classmethod
    def from_fits(cls, hidden: Hidden, omitted: OmittedVariableBias) -> "ImpliedConfounding":
        """From fits at strengths drawn from their prior, one draw for each."""
        fits, units = hidden.fits, hidden.standardized.effect_in_units
        return cls(
            r2_treatment=fits.implied[:, 0], r2_outcome=fits.implied[:, 1], bias=units(fits.bias),
            effect=units(fits.effects), omitted=omitted,
        )  # fmt: skip

    @classmethod
    def from_chains(cls, fit: Fit, table: CausalTable) -> "ImpliedConfounding":
        """From a confounded energy whose parameters were sampled on the standardized table.

        Args:
            fit: A fit by ``mcmc`` of a table's latent energy with a continuous outcome.
            table: The table.

        Raises:
            ArgumentError: If the fit has no draws.
            EnergyError: If the energy is not a table's latent energy, or its outcome is binary.
        """
        check_table(table)
        treatment, on, bias, effect = np.array([_implied(energy, fit.data) for energy in energies_of(fit)]).T
        units = table.standardized().effect_in_units
        return cls(
            r2_treatment=treatment, r2_outcome=on, bias=units(bias), effect=units(effect),
            omitted=omitted_variable_bias(table, "all"),
        )  # fmt: skip

    def summary(self) -> pd.DataFrame:
        """Mean and central 95 % of each quantity."""
        rows = {}
        for name in ("r2_treatment", "r2_outcome", "bias", "effect"):
            draws = getattr(self, name)
            lower, upper = np.quantile(draws, [0.025, 0.975])
            rows[name] = {"mean": draws.mean(), "sd": draws.std(), "lower": lower, "upper": upper}
        return pd.DataFrame(rows).T.rename_axis("quantity")

    def plot(self, ax: Any = None) -> Any:
        """Draw the strengths as a cloud on the contour of the adjusted estimate; returns the axes."""
        from ebm_causal.figures import contour_picture  # drawing loads matplotlib

        grid, points = self.omitted.contour(GRID), self.omitted.strengths.points()
        cloud = np.column_stack([self.r2_treatment, self.r2_outcome])
        return contour_picture(
            grid.r2_treatment, grid.r2_outcome, grid.adjusted_estimate, points,
            estimate=self.omitted.estimate, cloud=cloud, ax=ax,
        )  # fmt: skip

    def __repr__(self) -> str:
        return (
            f"ImpliedConfounding({len(self.effect)} draws: partial R^2 {self.r2_treatment.mean():.3g} with the "
            f"treatment and {self.r2_outcome.mean():.3g} with the outcome, bias {self.bias.mean():.4g}, effect "
            f"{self.effect.mean():.4g}, on average)"
        )


@torch.no_grad()
def _implied(energy: Energy, rows: Mapping[str, Tensor]) -> tuple[float, float, float, float]:
    """Both strengths, the signed bias, and the effect."""
    outcome = decoders_of(energy)[1]
    if outcome.log_noise is None:
        raise EnergyError("the signed bias has a form in the parameters for a continuous outcome alone.")
    follow = float(outcome.loading() * outcome.strengths.alignment) / residual_variance(rows)
    bias = follow * treatment_covariance(energy, rows)
    return *implied_strength(energy, rows), bias, float(average_effect(energy, rows))
