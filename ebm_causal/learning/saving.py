"""Fits in a folder: parameters, draws and what is known of them; the energy itself stays code."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyro.distributions as pyro_laws
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from ebm_causal.energies import Energy, as_energy
from ebm_causal.errors import ArgumentError
from ebm_causal.inference import AmortizedGuide, Bounds, FlatGuide, NormalGuide
from ebm_causal.learning.checkpoints import (
    refuse_other_release,
    refuse_other_structure,
    release,
    structure_of,
)
from ebm_causal.learning.fits import Fit, FitDiagnostics
from ebm_causal.learning.records import HealthCheck, Ranking, TrainingRecord
from ebm_causal.learning.storage import read_header, read_tree, write_tree

NAME = "fit"
RECORDS = {c.__name__: c for c in (FitDiagnostics, TrainingRecord, Ranking, HealthCheck, Bounds)}
GUIDES: Mapping[str, Callable[..., NormalGuide]] = {
    c.__name__: c for c in (AmortizedGuide, FlatGuide)
}  # fmt: skip
KIND = "kind"  # what a mapping stands for; no field of a record is called so


def save_fit(fit: Fit, path: str | Path) -> None:
    """Write a fit into a folder, in place of an earlier one; what ``fit.save`` calls.

    Raises:
        ArgumentError: If the path is a file.
    """
    shapes = {name: list(v.shape) for name, v in fit.energy.all_variables.items() if v.shape is not None}
    header = {"release": release(), "structure": structure_of(fit.energy), "shapes": shapes}
    kept = {part.name: _packed(getattr(fit, part.name)) for part in fields(fit) if part.name != "energy"}
    write_tree(Path(path), NAME, {"energy": fit.energy.state_dict(), "fit": kept}, header)


def load_fit(path: str | Path, energy: Energy) -> Fit:
    """Read a fit that ``fit.save(path)`` wrote.

    The energy gives the structure, its callables above all, which no file can hold; the files give parameters,
    draws and data. Nothing is unpickled, and files are never changed by reading.

    Args:
        path: The folder.
        energy: An energy made as the fitted one was; its own parameters do not matter, and it is not changed.

    Returns:
        The fit.

    Raises:
        ArgumentError: If files are missing, truncated, foreign, of another energy or of another version.

    Example:
        >>> import ebm_causal as ec, tempfile, torch
        >>> energy = ec.LinearGaussianEnergy(torch.ones(2, 1))
        >>> fit = ec.fit(energy, {"y": torch.randn(50, 2)}, method="map")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fit.save(folder)
        ...     same = ec.load_fit(folder, energy)
        >>> torch.equal(same.mean, fit.mean)
        True
    """
    folder, own = Path(path), copy.deepcopy(as_energy(energy))
    page, where = read_header(folder, NAME), f"the fit in {str(path)!r}"
    refuse_other_release(page.get("release"), where)
    shapes = page.get("shapes")
    for name, shape in (shapes if isinstance(shapes, dict) else {}).items():
        if name in own.all_variables:
            own.learn_dim(name, tuple(shape))
    refuse_other_structure(page.get("structure"), own, where)
    tree: dict[str, Any] = read_tree(folder, NAME)
    own.load_state_dict(tree["energy"])
    kept = _unpacked(tree["fit"])
    kept["laws"] = {name: law for name, law in kept.get("laws", {}).items() if law is not None}
    guide = _guide(tree["fit"].get("network"), kept["data"])
    known = {part.name for part in fields(Fit)}
    return Fit(
        energy=own, **{name: value for name, value in kept.items() if name in known} | {"network": guide}
    )


def _packed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {KIND: "array", "values": torch.from_numpy(np.ascontiguousarray(value))}
    if isinstance(value, NormalGuide):
        kind = type(value).__name__
        return {KIND: "guide", "of": kind, "latents": value.latents, "state": value.state_dict()}
    if isinstance(value, Distribution):
        return _packed_law(value)
    if is_dataclass(value) and type(value).__name__ in RECORDS:
        return {KIND: type(value).__name__} | {f.name: _packed(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {name: _packed(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(part) for part in value]
    return value


def _packed_law(law: Distribution) -> Any:
    """A prior as its name and arguments; None for one that is more than that."""
    if isinstance(law, Independent):
        base = _packed_law(law.base_dist)
        return base and {KIND: "independent", "base": base, "dims": law.reinterpreted_batch_ndims}
    name = type(law).__name__
    arguments = {
        key: law.__dict__[key] for key in law.arg_constraints if isinstance(law.__dict__.get(key), Tensor)
    }
    if not hasattr(pyro_laws, name) or not arguments:
        return None
    return {KIND: "law", "name": name, "arguments": arguments}


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_unpacked(part) for part in value)
    if not isinstance(value, dict):
        return value
    kind = value.get(KIND)
    parts = {name: _unpacked(part) for name, part in value.items() if name != KIND}
    if kind is None:
        return parts
    if kind == "array":
        return value["values"].numpy()
    if kind == "law":
        return getattr(pyro_laws, value["name"])(**parts["arguments"])
    if kind == "independent":
        return parts["base"].to_event(value["dims"])
    if kind == "guide":
        return None
    if kind in RECORDS:
        return RECORDS[kind](**parts)
    raise ArgumentError(f"the fit holds a {kind!r}, which this version does not know.")


def _guide(packed: Any, data: Mapping[str, Tensor]) -> NormalGuide | None:
    if packed is None:
        return None
    if packed["of"] not in GUIDES:
        raise ArgumentError(f"the fit has a guide {packed['of']!r}, which this version does not know.")
    with torch.random.fork_rng(devices=[]):
        guide = GUIDES[packed["of"]](packed["latents"], data)
    guide.load_state_dict(packed["state"])
    return guide
