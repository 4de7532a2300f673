"""Columns with roles: the table that every estimate, fit and report starts from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.data.designs import Design, Factor
from ebm_causal.data.missing import DroppedRows, complete_rows
from ebm_causal.data.roles import block_of, check_design, check_listed, check_names, outcome_of, treatment_of
from ebm_causal.data.scaling import StandardizedTable, standardize
from ebm_causal.errors import TableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What an experiment found for the same effect, to show beside the estimates.

    Attributes:
        estimate: The effect, in the outcome's units.
        standard_error: Its standard error, or None where it is not known.
    """

    estimate: float
    standard_error: float | None = None


@dataclass(frozen=True, eq=False, init=False, repr=False)
class CausalTable:
    r"""A table with roles: one treatment, one outcome, covariates.

    Text, boolean and categorical columns, and those in ``categorical``, enter as indicators of their levels
    (the first is left out); numeric columns enter as they stand, those in ``squares`` also squared. A
    treatment with two values is binary, coded 0 and 1 in the order of its values; any other numeric one is
    continuous. The frame is copied and never changed.

    An adjustment for the covariates gives the effect only if no hidden variable moves both treatment and
    outcome; the table cannot tell whether that is so.

    Args:
        frame: One row per observation.
        treatment: The column that is set or seen.
        outcome: The column that answers; numeric.
        covariates: Columns from before the treatment.
        categorical: Numeric covariates to enter as levels.
        squares: Numeric covariates to enter squared as well.
        missing: ``"drop"`` leaves out rows with a missing or infinite value in a role and counts them;
            ``"refuse"`` raises.
        experiment: A known effect to show beside the estimates: a number, or that and its standard error.
        name: What to call the table in a report.
        source: Where it comes from, in words.

    Attributes:
        frame: The rows that were kept, with all columns.
        rows: Their number; ``rows_read`` counts those that came.
        dropped: For each column, how many rows were left out and why.
        treatment_kind: ``"binary"`` or ``"continuous"``; ``treatment_levels`` are the texts of a binary one, the one
            that counts as 0 first: in order of the alphabet, or of an ordered set of categories.
        outcome_kind: ``"binary"`` for two values, else ``"continuous"``.
        treatment_values: The treatment, 0 or 1 if binary.
        outcome_values: The outcome as it stands.
        design: The columns of the covariates.

    Raises:
        TableError: If a column is not there, cannot take its role, is constant or repeats others; the
            message names the column.

    Examples:
        >>> import pandas as pd
        >>> import ebm_causal as ec
        >>> frame = pd.DataFrame({"dose": [0, 0, 1, 1], "site": list("abab"), "gain": [1.0, 2.0, 2.5, 4.0]})
        >>> ec.CausalTable(frame, "dose", "gain", ["site"]).design.names
        ('site[b]',)
    """

    frame: pd.DataFrame
    treatment: str
    outcome: str
    covariates: tuple[str, ...]
    categorical: tuple[str, ...]
    squares: tuple[str, ...]
    experiment: Experiment | None
    name: str | None
    source: str | None
    rows_read: int
    dropped: tuple[DroppedRows, ...]
    treatment_levels: tuple[str, str] | None
    treatment_values: Float[np.ndarray, " rows"]
    outcome_values: Float[np.ndarray, " rows"]
    design: Design

    def __init__(
        self,
        frame: pd.DataFrame,
        treatment: str,
        outcome: str,
        covariates: Sequence[str] = (),
        *,
        categorical: Sequence[str] = (),
        squares: Sequence[str] = (),
        missing: str = "drop",
        experiment: Experiment | float | tuple[float, float] | None = None,
        name: str | None = None,
        source: str | None = None,
    ):
        if not isinstance(frame, pd.DataFrame):
            raise TableError(f"a table is made from a pandas DataFrame; got {type(frame).__name__}.")
        covariates = _names(covariates, "covariates")
        categorical, squares = _names(categorical, "categorical"), _names(squares, "squares")
        check_names(frame, treatment, outcome, covariates)
        check_listed(categorical, covariates, "categorical")
        check_listed(squares, covariates, "squares")
        keep, dropped = complete_rows(frame, (treatment, outcome, *covariates), missing)
        kept = frame.loc[keep].copy()
        roles = kept[[treatment, outcome, *covariates]].infer_objects()
        treated, levels = treatment_of(roles[treatment])
        outcomes = outcome_of(roles[outcome])
        blocks = tuple(block_of(roles[column], categorical, squares) for column in covariates)
        design = Design(rows=len(kept), blocks=blocks)
        check_design(design, {f"treatment {treatment!r}": treated, f"outcome {outcome!r}": outcomes})
        levelled = tuple(block.source for block in blocks if isinstance(block, Factor))
        self._set(frame=kept, treatment=treatment, outcome=outcome, covariates=covariates)
        self._set(categorical=levelled, squares=squares, experiment=_experiment(experiment))
        self._set(name=name, source=source, rows_read=len(frame), dropped=dropped, design=design)
        self._set(treatment_values=treated, treatment_levels=levels, outcome_values=outcomes)

    def _set(self, **fields: object) -> None:
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    @property
    def rows(self) -> int:
        """The number of rows that were kept."""
        return self.design.rows

    @property
    def treatment_kind(self) -> str:
        """``"binary"`` for a treatment with two values, else ``"continuous"``."""
        return "continuous" if self.treatment_levels is None else "binary"

    @property
    def outcome_kind(self) -> str:
        """``"binary"`` for an outcome with two values, else ``"continuous"``."""
        return "binary" if len(np.unique(self.outcome_values)) == 2 else "continuous"

    @property
    def sha256(self) -> str:
        """A hash of the names and values in the roles: the same data, the same hash, on any machine."""
        digest = hashlib.sha256()
        for name, values in ((self.treatment, self.treatment_values), (self.outcome, self.outcome_values)):
            digest.update(name.encode() + b"\0" + values.astype("<f8").tobytes())
        for block in self.design.blocks:
            values = block.codes.astype("<f8") if isinstance(block, Factor) else block.values.astype("<f8")
            digest.update("\0".join((block.source, *block.names)).encode() + b"\0" + values.tobytes())
        return digest.hexdigest()

    def standardized(self) -> StandardizedTable:
        """The table as tensors of mean 0 and standard deviation 1, and the way back to units."""
        return standardize(
            self.design.matrix(), self.treatment_values, self.outcome_values, self.treatment_kind
        )

    def summary(self) -> pd.DataFrame:
        """One row for each column of the analysis: its role, mean, standard deviation and range."""
        roles = ["treatment", "outcome"] + ["covariate"] * self.design.columns
        values = np.column_stack([self.treatment_values, self.outcome_values, self.design.matrix()])
        return pd.DataFrame(
            {
                "role": roles,
                "mean": values.mean(axis=0),
                "sd": values.std(axis=0, ddof=1),
                "min": values.min(axis=0),
                "max": values.max(axis=0),
            },
            index=pd.Index([self.treatment, self.outcome, *self.design.names], name="column"),
        )

    def __repr__(self) -> str:
        called = f"{self.name}: " if self.name else ""
        dropped = f" of {self.rows_read} read" if self.rows < self.rows_read else ""
        return (
            f"CausalTable({called}{self.rows} rows{dropped}, {self.treatment_kind} treatment "
            f"{self.treatment!r}{self._contrast()}, {self.outcome_kind} outcome {self.outcome!r}, "
            f"{len(self.covariates)} covariates in {self.design.columns} columns)"
        )

    def _contrast(self) -> str:
        """Which level is set rather than which, where that is no 1 and 0."""
        low, high = self.treatment_levels or ("0", "1")
        return "" if (low, high) == ("0", "1") else f" ({high!r} rather than {low!r})"


def _names(names: Sequence[str], option: str) -> tuple[str, ...]:
    if isinstance(names, str):
        raise TableError(f"{option} must be a list of names; got the text {names!r}. Write [{names!r}].")
    return tuple(names)


def _experiment(known: Experiment | float | tuple[float, float] | None) -> Experiment | None:
    if known is None or isinstance(known, Experiment):
        return known
    estimate, error = known if isinstance(known, tuple | list) else (known, None)
    found = Experiment(estimate=float(estimate), standard_error=None if error is None else float(error))
    if not np.isfinite(found.estimate) or not (error is None or (np.isfinite(error) and error >= 0)):
        raise TableError(f"experiment must be a finite effect, or one and its standard error; got {known!r}.")
    return found
