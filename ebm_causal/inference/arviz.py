"""The only door to ArviZ, in both of its major versions."""

import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]


def inference_data(
    groups: Mapping[str, Arrays],
    dims: Mapping[str, list[str]] | None = None,
    coords: Mapping[str, np.ndarray] | None = None,
) -> Any:
    """Groups of arrays as what the installed ArviZ calls its data: InferenceData, or a DataTree from 1.0.

    Args:
        groups: For example ``{"posterior": {"w": [chains, draws, ...]}, "observed_data": {...}}``.
        dims: Names of the dimensions after chain and draw, per variable.
        coords: What the places along a dimension stand for, by its name.

    Returns:
        The object that ArviZ's plots and statistics take.
    """
    arviz = _arviz()
    filled = {name: dict(arrays) for name, arrays in groups.items() if arrays}
    if int(arviz.__version__.split(".")[0]) >= 1:
        return arviz.from_dict(filled, dims=dims, coords=coords)
    return arviz.from_dict(**filled, dims=dims, coords=coords)


def chain_statistics(draws: np.ndarray) -> dict[str, np.ndarray]:
    """Rank-normalized R-hat, bulk and tail effective sample size of ``[chains, draws, quantities]``.

    References:
        Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Rank-normalization, folding, and localization.
    """
    arviz = _arviz()
    columns = [np.ascontiguousarray(draws[:, :, i]) for i in range(draws.shape[2])]
    return {
        "r_hat": np.array([float(arviz.rhat(column)) for column in columns]),
        "ess_bulk": np.array([float(arviz.ess(column, method="bulk")) for column in columns]),
        "ess_tail": np.array([float(arviz.ess(column, method="tail")) for column in columns]),
    }


def version() -> str:
    """The installed ArviZ's version."""
    return str(_arviz().__version__)


def _arviz() -> ModuleType:
    """ArviZ, imported without its announcement of the next major version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        import arviz
    return arviz
