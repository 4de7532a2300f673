r"""A table on the scale that a model learns on, and the way back to units."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StandardizedTable:
    r"""Covariates, treatment and outcome with mean 0 and standard deviation 1 (that of the rows themselves).

    A binary treatment stays 0 and 1. A binary outcome becomes 0 and 1, its location the lower value and its
    scale the distance to the higher one. An effect :math:`\delta` on this scale is
    :math:`\delta\, s_y / s_t` in the outcome's units per unit of treatment.

    Attributes:
        covariate_columns: The columns of the design, ``treatment_column`` and ``outcome_column`` beside them,
            as numpy arrays; ``covariates``, ``treatment`` and ``outcome`` give them as tensors.
        treatment_location: What was taken away from the treatment before ``treatment_scale`` divided it.
        outcome_location: The same for the outcome, with ``outcome_scale``.
    """

    covariate_columns: Float[np.ndarray, "rows columns"]
    treatment_column: Float[np.ndarray, " rows"]
    outcome_column: Float[np.ndarray, " rows"]
    treatment_location: float
    treatment_scale: float
    outcome_location: float
    outcome_scale: float

    @property
    def covariates(self) -> "torch.Tensor":
        """The covariates, ``[rows, columns]``, float64."""
        return _tensor(self.covariate_columns)

    @property
    def treatment(self) -> "torch.Tensor":
        """The treatment, ``[rows, 1]``, float64."""
        return _tensor(self.treatment_column[:, None])

    @property
    def outcome(self) -> "torch.Tensor":
        """The outcome, ``[rows, 1]``, float64."""
        return _tensor(self.outcome_column[:, None])

    def effect_in_units(self, effect: Any) -> Any:
        """An effect on this scale in the outcome's units, per unit of treatment (low to high if binary)."""
        return effect * (self.outcome_scale / self.treatment_scale)

    def outcome_in_units(self, outcome: Any) -> Any:
        """An outcome on this scale in its own units."""
        return self.outcome_location + self.outcome_scale * outcome


def standardize(
    covariates: Float[np.ndarray, "rows columns"],
    treatment: Float[np.ndarray, " rows"],
    outcome: Float[np.ndarray, " rows"],
    treatment_kind: str,
) -> StandardizedTable:
    """Bring covariates, treatment and outcome to the scale of ``StandardizedTable``."""
    treatment_location, treatment_scale = (
        (0.0, 1.0) if treatment_kind == "binary" else _location_scale(treatment)
    )
    binary = len(np.unique(outcome)) == 2
    outcome_location, outcome_scale = (outcome.min(), np.ptp(outcome)) if binary else _location_scale(outcome)
    return StandardizedTable(
        covariate_columns=(covariates - covariates.mean(axis=0)) / covariates.std(axis=0),
        treatment_column=(treatment - treatment_location) / treatment_scale,
        outcome_column=(outcome - outcome_location) / outcome_scale,
        treatment_location=float(treatment_location),
        treatment_scale=float(treatment_scale),
        outcome_location=float(outcome_location),
        outcome_scale=float(outcome_scale),
    )


def _location_scale(values: Float[np.ndarray, " rows"]) -> tuple[float, float]:
    return float(values.mean()), float(values.std())


def _tensor(values: Float[np.ndarray, "..."]) -> "torch.Tensor":
    import torch  # reading a table should not load it

    return torch.from_numpy(values.copy())
