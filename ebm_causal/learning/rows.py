"""Data of a fit: a mapping or a DataFrame, as rows of each variable."""

from collections.abc import Mapping

import pandas as pd
from torch import Tensor

from ebm_causal.energies import Energy, like_of
from ebm_causal.errors import EnergyError
from ebm_causal.shapes import as_rows, by_name, common_rows


def rows_of(
    energy: Energy, data: Mapping[str, object] | pd.DataFrame, latents: tuple[str, ...]
) -> dict[str, Tensor]:
    """Rows ``[rows, dim]`` of every variable that is not latent.

    Args:
        energy: The energy that names the variables.
        data: ``[rows]`` or ``[rows, dim]`` by name; or a frame with a column per variable, or columns
            ``name[0]``, ``name[1]``, ... for a variable of several dimensions.
        latents: The variables that are not in the data.

    Returns:
        The rows, in the parameters' dtype. Columns of a frame that are no variables are left alone.

    Raises:
        EnergyError: If a variable is missing or unknown, or rows do not match, are not finite or are outside
            the variable's support.
    """
    wanted = [name for name in energy.variables if name not in latents]
    given = by_name(data, wanted)
    for name in given:
        if name not in wanted:
            what = "is latent" if name in latents else "is not a variable of the energy"
            raise EnergyError(f"data hold {name!r}, which {what}; the energy needs {wanted}.")
    missing = [name for name in wanted if name not in given]
    if missing:
        raise EnergyError(
            f"data lack {missing[0]!r}; the energy needs {wanted}. Put it into latents if it is not observed."
        )
    like = like_of(energy)
    rows = {name: as_rows(name, given[name], energy.variables[name].shape, like).to(like) for name in wanted}
    for name, value in rows.items():
        energy.variables[name].check(name, value)
        energy.learn_dim(name, tuple(value.shape[1:]))
    common_rows(rows)
    return rows
