"""Reading a table from a file: csv with nothing more, parquet where pyarrow is installed."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from ebm_causal.data.columns import shown
from ebm_causal.data.tables import CausalTable, Experiment
from ebm_causal.errors import TableError

PARQUET = (".parquet", ".pq")
_VERSION = tuple(int(part) for part in pd.__version__.split(".")[:2])
_TO_THE_LAST_DIGIT: dict[str, Any] = {"float_precision": "round_trip"} if _VERSION < (3, 1) else {}


def read_table(
    path: str | Path,
    treatment: str | None = None,
    outcome: str | None = None,
    covariates: Sequence[str] = (),
    *,
    categorical: Sequence[str] = (),
    squares: Sequence[str] = (),
    missing: str = "drop",
    experiment: Experiment | float | tuple[float, float] | None = None,
) -> CausalTable | pd.DataFrame:
    """Read a file of rows and columns; with roles, make it a ``CausalTable``.

    Files that end in ``.parquet`` or ``.pq`` need pyarrow, which ``pip install "ebm-causal[parquet]"``
    brings; all others are read as csv (with tabs if they end in ``.tsv``; ``.gz`` and the like are unpacked).

    Args:
        path: The file.
        treatment: The column that is set or seen; with it, ``outcome`` is needed too.
        outcome: The column that answers.
        covariates: Columns from before the treatment.
        categorical: Numeric covariates to enter as levels.
        squares: Numeric covariates to enter squared as well.
        missing: ``"drop"`` or ``"refuse"`` rows with missing or infinite values.
        experiment: A known effect to show beside the estimates.

    Returns:
        A ``CausalTable``, or without roles the columns as they are.

    Raises:
        TableError: If the file cannot be read, or a column cannot take its role.

    Examples:
        >>> import ebm_causal as ec
        >>> ec.read_table("no_such_file.csv")
        Traceback (most recent call last):
            ...
        ebm_causal.errors.TableError: There is no file 'no_such_file.csv'.
    """
    if (treatment is None) != (outcome is None):
        raise TableError(f"Give both roles or none; got treatment {treatment!r} and outcome {outcome!r}.")
    path = Path(path)
    frame = _read(path)
    if treatment is None or outcome is None:
        return frame
    return CausalTable(
        frame,
        treatment,
        outcome,
        covariates,
        categorical=categorical,
        squares=squares,
        missing=missing,
        experiment=experiment,
        name=path.name,
    )


def _read(path: Path) -> pd.DataFrame:
    if path.is_dir():
        raise TableError(f"{str(path)!r} is a folder; give a csv or parquet file.")
    if not path.is_file():
        raise TableError(f"There is no file {str(path)!r}.")
    if path.stat().st_size == 0:
        raise TableError(f"The file {str(path)!r} is empty.")
    if path.suffix.lower() in PARQUET:
        return _read_parquet(path)
    return read_csv(path)


def read_csv(path: Path) -> pd.DataFrame:
    """Read a csv file, its numbers to the last digit.

    Raises:
        TableError: If the file is not a csv, or two of its columns bear the same name.
    """
    separator = "\t" if ".tsv" in path.suffixes else ","
    try:
        header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype=str, keep_default_na=False)
        frame = pd.read_csv(path, sep=separator, skipinitialspace=True, **_TO_THE_LAST_DIGIT)
    except (ValueError, OSError, EOFError, pd.errors.ParserError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TableError(f"{str(path)!r} cannot be read as csv: {reason}.") from error
    names = header.iloc[0]
    twice = names[names.duplicated() & (names != "")].unique()
    if len(twice):
        raise TableError(
            f"Column names must differ; {str(path)!r} has {shown(twice)} more than once. Rename them."
        )
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    if find_spec("pyarrow") is None:
        raise TableError(f'Reading {str(path)!r} needs pyarrow: pip install "ebm-causal[parquet]"')
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (ValueError, OSError) as error:  # pyarrow's own errors are of these kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TableError(f"{str(path)!r} cannot be read as parquet: {reason}.") from error
