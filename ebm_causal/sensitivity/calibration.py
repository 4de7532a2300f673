"""The prior of a hidden confounder's strength: by default as strong as the strongest observed covariate."""

import numpy as np

from ebm_causal.data import CausalTable
from ebm_causal.errors import OverlapError
from ebm_causal.intervention import propensity, regress
from ebm_causal.learning import StrengthPrior, index_strength
from ebm_causal.sensitivity.omitted_variable import OmittedVariableBias
from ebm_causal.sensitivity.ranges import check_positive
from ebm_causal.sensitivity.strengths import bound_strengths

WEAKEST, STRONGEST, UNKNOWN = 0.01, 0.5, 0.1  # prior means of a partial R^2


def calibrated_prior(
    table: CausalTable,
    omitted: OmittedVariableBias,
    *,
    latent_dim: int = 1,
    strength: tuple[float, float] | None = None,
    multiple: float = 1.0,
    index: bool = True,
) -> StrengthPrior:
    r"""The prior of the strengths: Beta(1, (1 - m)/m) of a partial R^2 on either side.

    The mean m is that of a confounder ``multiple`` times as strong as the strongest observed covariate on that
    side, by the bounds of omitted-variable bias. The two sides may have different covariates.

    Args:
        table: The table.
        omitted: Its analysis, with the benchmarks to compare with.
        latent_dim: The dimension of the confounder.
        strength: Both means, if they are stated.
        multiple: How many times as strong.
        index: Whether the strength toward a binary treatment is that of its log-odds index.
    """
    if strength is not None:
        return StrengthPrior(treatment=strength[0], outcome=strength[1], latent_dim=latent_dim)
    check_positive("multiple", multiple)
    strongest = strongest_covariate(omitted, multiple)
    if strongest is None:
        source = f"{UNKNOWN}, there being no covariate to compare with"
        return StrengthPrior(treatment=UNKNOWN, outcome=UNKNOWN, latent_dim=latent_dim, source=source)
    toward, on = strongest
    if index and table.treatment_kind == "binary":
        left = regress(table, table.design).treatment ** 2
        toward = index_strength(chances_of(table), float(left.mean()), toward, most=STRONGEST)
    times = "" if multiple == 1 else f"{multiple:g} times "
    source = (
        f"{times}as the strongest observed covariate on either side, but within {WEAKEST} and {STRONGEST}"
    )
    toward, on = (min(max(value, WEAKEST), STRONGEST) for value in (toward, on))
    return StrengthPrior(treatment=toward, outcome=on, latent_dim=latent_dim, source=source)


def strongest_covariate(omitted: OmittedVariableBias, multiple: float = 1.0) -> tuple[float, float] | None:
    """The largest partial R^2 with treatment and with outcome of a confounder so many times as strong as a covariate.

    1 where the covariate is too strong to bound; None without covariates.
    """
    bounds = bound_strengths(omitted.benchmarks, (multiple,))
    if not bounds.benchmarks:
        return None
    toward, on = (np.where(np.isfinite(side), side, 1.0) for side in (bounds.r2_treatment, bounds.r2_outcome))
    return float(toward.max()), float(on.max())


def chances_of(table: CausalTable) -> np.ndarray | None:
    """The propensities; None where levels with one arm alone leave none."""
    try:
        return propensity(table).values
    except OverlapError:
        return None
