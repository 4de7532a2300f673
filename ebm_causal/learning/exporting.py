"""A fit's draws as ArviZ's groups, their dimensions named."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from ebm_causal.inference import inference_data

PRIOR_DRAWS = 500


def export(
    groups: Mapping[str, Mapping[str, Tensor]], shapes: Mapping[str, tuple[int, ...]], rows: int
) -> Any:
    """Groups of draws for ArviZ: what runs over the rows has the dimension ``row``, then ``name_dim``.

    Args:
        groups: ``[chains, draws, ...]`` by name, by group; ``observed_data`` without the first two.
        shapes: The variables' own shapes, by name; what is not among them is a parameter or runs over rows alone.
        rows: How many rows.
    """
    dims: dict[str, list[str]] = {"rows": ["row"]}
    coords: dict[str, np.ndarray] = {"row": np.arange(rows)}
    for name, shape in shapes.items():
        own = [f"{name}_dim"] if len(shape) == 1 else [f"{name}_dim_{place}" for place in range(len(shape))]
        dims[name] = ["row", *own]
        coords |= {dim: np.arange(size) for dim, size in zip(own, shape, strict=True)}
    for name, value in {**groups.get("posterior", {}), **groups.get("prior", {})}.items():
        if name not in shapes:
            own = [f"{name}_dim_{place}" for place in range(value.ndim - 2)]
            dims[name] = own
            coords |= {dim: np.arange(size) for dim, size in zip(own, value.shape[2:], strict=True)}
    arrays = {
        group: {name: value.detach().cpu().numpy() for name, value in values.items()}
        for group, values in groups.items()
    }
    used = {name for values in arrays.values() for name in values}
    dims = {name: names for name, names in dims.items() if name in used}
    named = {dim for names in dims.values() for dim in names}
    return inference_data(arrays, dims, {dim: coords[dim] for dim in named})


def prior_draws(
    laws: Mapping[str, Distribution], shapes: Mapping[str, torch.Size], seed: int
) -> dict[str, Tensor]:
    """Draws ``[1, draws, *shape]`` of each parameter's prior."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found = {}
        for name, law in laws.items():
            shape = shapes[name]
            own = torch.Size(law.batch_shape + law.event_shape)
            missing = shape[: len(shape) - len(own)]
            found[name] = law.sample(torch.Size((1, PRIOR_DRAWS, *missing))).expand(1, PRIOR_DRAWS, *shape)
    return found
