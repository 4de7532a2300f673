"""The only door to ArviZ, in both of its major versions."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ebm_causal.errors import ArgumentError

Arrays = Mapping[str, np.ndarray]
TAILS = (0.05, 0.95)  # which ArviZ 1.x does not assume where it is given arrays


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
    if is_tree(arviz):
        return arviz.from_dict(filled, dims=dims, coords=coords)
    return arviz.from_dict(**filled, dims=dims, coords=coords)


def with_group(
    data: Any, name: str, arrays: Arrays, dims: Mapping[str, list[str]], attributes: Mapping[str, str]
) -> Any:
    """ArviZ's data with one more group of arrays that do not belong to draws, and with attributes."""
    arviz = _arviz()
    if is_tree(arviz):
        added = arviz.from_dict({name: dict(arrays)}, dims=dims, attrs={name: dict(attributes)})
        data[name] = added[name]
        return data
    added = arviz.from_dict(**{name: dict(arrays)}, dims=dims)
    added[name].attrs.update(attributes)
    return data + added


def write_netcdf(data: Any, path: Path) -> None:
    """Write ArviZ's data.

    Raises:
        ArgumentError: If no library for netCDF is installed, or the folder does not exist.
    """
    if not path.parent.is_dir():
        raise ArgumentError(f"{path.parent} is no folder: make it, or choose another path.")
    try:
        data.to_netcdf(path)
    except (ImportError, ValueError) as error:
        raise ArgumentError(
            f"{path} cannot be written: {error}. netCDF needs h5netcdf or netCDF4; install 'arviz[h5netcdf]'."
        ) from error


def read_netcdf(path: Path) -> Any:
    """Read ArviZ's data into memory.

    Raises:
        ArgumentError: If the file is not there, or is not netCDF.
    """
    if not path.is_file():
        raise ArgumentError(f"{path} is no file.")
    try:
        return _arviz().from_netcdf(str(path)).load()
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ArgumentError(f"{path} is no netCDF file, or is damaged: {error}.") from error


def groups_of(data: Any) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, dict[str, Any]]]:
    """The arrays of each group by name, and the attributes of each group."""
    names = [group.lstrip("/") for group in (data.groups() if callable(data.groups) else data.groups)]
    kept = [name for name in names if name]
    arrays = {name: {key: value.values for key, value in data[name].data_vars.items()} for name in kept}
    return arrays, {name: dict(data[name].attrs) for name in kept}


def is_tree(arviz: ModuleType) -> bool:
    """Whether this ArviZ hands out trees, as from 1.0, rather than InferenceData."""
    return int(arviz.__version__.split(".")[0]) >= 1


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
        "ess_tail": np.array([float(arviz.ess(column, method="tail", prob=TAILS)) for column in columns]),
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
