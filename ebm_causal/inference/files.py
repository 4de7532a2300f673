"""Posteriors as netCDF files: ArviZ's groups, and what diagnostics say beside them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.inference.arviz import groups_of, read_netcdf, with_group, write_netcdf
from ebm_causal.inference.diagnostics import Diagnostics

FORMAT = 1
GROUP = "constant_data"  # of what belongs to rows rather than to draws


def write_posterior(posterior: Any, data: Any, path: Path) -> None:
    """Write a posterior with its diagnostics."""
    diagnostics = posterior.diagnostics
    arrays = {name: value.cpu().numpy() for name, value in diagnostics.numbers.items()}
    dims = {name: ["chain", "place"] if value.ndim == 2 else ["place"] for name, value in arrays.items()}
    notes = {
        "format": FORMAT,
        "schedule": diagnostics.schedule,
        "beta": posterior.beta.tolist() if diagnostics.schedule else posterior.beta,
        "rows": diagnostics.rows,
        "methods": diagnostics.method_of_row,
        "tried": diagnostics.tried,
        "reasons": diagnostics.reasons,
        "warnings": diagnostics.warnings,
        "over": list(posterior.values),
    }
    write_netcdf(with_group(data, GROUP, arrays, dims, {"ebm_causal": json.dumps(notes)}), path)


def read_posterior(path: Path) -> dict[str, Any]:
    """The fields of a posterior that was written."""
    groups, attributes = groups_of(read_netcdf(path))
    try:
        notes = json.loads(attributes[GROUP]["ebm_causal"])
        if notes["format"] != FORMAT:
            raise ArgumentError(f"{path} is of format {notes['format']}; this version reads format {FORMAT}.")
        return _fields(groups, notes)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ArgumentError(
            f"{path} holds no posterior that Posterior.save has written: {error!r}."
        ) from error


def _fields(groups: dict[str, dict[str, np.ndarray]], notes: dict[str, Any]) -> dict[str, Any]:
    schedule = notes["schedule"]
    diagnostics = Diagnostics(
        method_of_row=tuple(notes["methods"]), tried=tuple(map(tuple, notes["tried"])),
        reasons=tuple(notes["reasons"]), numbers=_tensors(groups[GROUP], schedule=False), rows=notes["rows"],
        schedule=schedule, warnings=tuple(notes["warnings"]),
    )  # fmt: skip
    values = _tensors(groups["posterior"], schedule)
    return {
        "values": {name: values[name] for name in notes["over"]},
        "diagnostics": diagnostics,
        "beta": torch.tensor(notes["beta"], dtype=torch.float64) if schedule else notes["beta"],
        "given": _tensors(groups.get("observed_data", {}), schedule=False),
        "statistics": _tensors(groups.get("sample_stats", {}), schedule),
    }


def _tensors(arrays: dict[str, np.ndarray], schedule: bool) -> dict[str, Tensor]:
    """Tensors again, a schedule's beta in front."""
    found = {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}
    return {name: value.movedim(2, 0) for name, value in found.items()} if schedule else found
