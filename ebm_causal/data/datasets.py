"""The bundled tables: public research data with published answers."""

from importlib.resources import as_file, files
from typing import Any

from ebm_causal.data.columns import shown
from ebm_causal.data.reading import read_csv
from ebm_causal.data.tables import CausalTable
from ebm_causal.errors import TableError

# The difference of means in lalonde-nsw, where chance decided who was trained, and its standard error.
TRAINING_EXPERIMENT = (1794.3423901351352, 632.8533949624691)

_LALONDE: dict[str, Any] = {
    "treatment": "treat",
    "outcome": "re78",
    "covariates": ("age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"),
}
_DATASETS: dict[str, dict[str, Any]] = {
    "lalonde-cps": {
        **_LALONDE,
        "experiment": TRAINING_EXPERIMENT,
        "source": "LaLonde 1986; Dehejia and Wahba 1999: the trained of an experiment beside survey controls",
    },
    "lalonde-nsw": {
        **_LALONDE,
        "source": "LaLonde 1986; Dehejia and Wahba 1999: a randomized experiment in job training",
    },
    "nhefs": {
        "treatment": "qsmk",
        "outcome": "wt82_71",
        "covariates": (
            *("sex", "race", "age", "education", "smokeintensity", "smokeyrs"),
            *("exercise", "active", "wt71"),
        ),
        "categorical": ("sex", "race", "education", "exercise", "active"),
        "squares": ("age", "smokeintensity", "smokeyrs", "wt71"),
        "source": "NHEFS; Hernan and Robins, Causal Inference: What If, 2020",
    },
}


def dataset_names() -> tuple[str, ...]:
    """The names that ``load_dataset`` knows."""
    return tuple(_DATASETS)


def load_dataset(name: str) -> CausalTable:
    """Load a bundled table with its roles.

    ``"lalonde-cps"`` and ``"lalonde-nsw"``: the effect of job training ``treat`` on earnings ``re78``, with
    eight covariates as they stand; the first is observational and carries the answer of the experiment, the
    second is the experiment. ``"nhefs"``: the effect of quitting smoking ``qsmk`` on weight change
    ``wt82_71``, with nine covariates in 18 columns; ``death`` stays in the frame as a second outcome.

    Args:
        name: One of ``dataset_names()``.

    Returns:
        The table.

    Raises:
        TableError: If there is no table of this name.

    Examples:
        >>> import ebm_causal as ec
        >>> ec.load_dataset("nhefs").design.columns
        18

    References:
        LaLonde 1986; Dehejia and Wahba 1999; Hernan and Robins 2020, chapter 12.
    """
    if name not in _DATASETS:
        raise TableError(f"There is no bundled table {name!r}; there are {shown(_DATASETS)}.")
    file = files("ebm_causal.data") / "bundled" / f"{name.replace('-', '_')}.csv.gz"
    with as_file(file) as path:
        frame = read_csv(path)
    return CausalTable(frame, **_DATASETS[name], name=name)
