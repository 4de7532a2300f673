"""The arrays that an adjustment works on: those of a table, or of a resample of its rows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ebm_causal.data import CausalTable
from ebm_causal.intervention.options import Options
from ebm_causal.intervention.outcome_models import OutcomeModel, outcome_model


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    r"""Rows, each with how often it is there and how far the effect in question is about it.

    Attributes:
        table: The table that the rows are from, for names in messages.
        rows: Their places in it.
        counts: How often each is there; all ones but in a resample.
        members: 1 for rows of the group that the effect is about, 0 for others.
        treatment: The treatment.
        outcome: The outcome.
        model: The columns of the outcome model; its covariates serve the propensity too.
        start: Where the logit of a resample starts from: that of the whole.
        resampled: Whether this is a resample, where an error need not find its reason.
    """

    table: CausalTable
    rows: np.ndarray
    counts: Float[np.ndarray, " rows"]
    members: Float[np.ndarray, " rows"]
    treatment: Float[np.ndarray, " rows"]
    outcome: Float[np.ndarray, " rows"]
    model: OutcomeModel
    start: Float[np.ndarray, " coefficients"] | None = None
    resampled: bool = False

    @property
    def size(self) -> float:
        """The number of rows, each as often as it is there."""
        return float(self.counts.sum())

    def drawn(self, counts: Float[np.ndarray, " rows"]) -> "Sample":
        """The resample in which each row is there so many times; rows that are not there are dropped."""
        kept = np.flatnonzero(counts)
        model = OutcomeModel(
            names=self.model.names,
            covariates=self.model.covariates[kept],
            modifiers=self.model.modifiers[kept],
            treatment=self.treatment[kept],
        )
        return Sample(
            table=self.table,
            rows=self.rows[kept],
            counts=counts[kept],
            members=self.members[kept],
            treatment=self.treatment[kept],
            outcome=self.outcome[kept],
            model=model,
            start=self.start,
            resampled=True,
        )


def sample_of(table: CausalTable, options: Options, members: np.ndarray | None = None) -> Sample:
    """The rows of a table with the columns that its outcome model has."""
    wide = options.method in ("standardization", "doubly_robust") and options.outcome_model is None
    model = outcome_model(table, options.interactions if wide else (), check=wide)
    return Sample(
        table=table,
        rows=np.arange(table.rows),
        counts=np.ones(table.rows),
        members=np.ones(table.rows) if members is None else members.astype(np.float64),
        treatment=table.treatment_values,
        outcome=table.outcome_values,
        model=model,
    )
