"""How far observed covariates move the odds of treatment: a yardstick for Lambda."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ebm_causal.data import CausalTable
from ebm_causal.intervention import propensity
from ebm_causal.sensitivity.groups import without_group

USUAL = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class OddsShift:
    """By what factor, either way, covariates move the fitted odds of treatment.

    Attributes:
        usual: The factor that 90 % of the rows (or pairs) stay within.
        largest: That which all stay within.
    """

    usual: float
    largest: float


def odds_shifts(table: CausalTable, groups: Mapping[str, tuple[str, ...]]) -> dict[str, OddsShift]:
    """The shift of each group of covariates, left out of the propensity's model.

    Raises:
        ArgumentError: If the treatment is continuous.
        TableError: If the arms do not overlap.
    """
    if not groups:
        return {}
    full, found = _log_odds(table), {}
    for name, group in groups.items():
        found[name] = shift_of(full - _log_odds(without_group(table, group)))
    return found


def shift_of(log_odds: Float[np.ndarray, " rows"]) -> OddsShift:
    """The factors that differences of log odds amount to."""
    moved = np.exp(np.abs(log_odds))
    return OddsShift(usual=float(np.quantile(moved, USUAL)), largest=float(moved.max()))


def shifts_beside(
    tipping: float | None,
    shifts: Mapping[str, OddsShift],
    lead: str = "Left out of the propensity",
    unit: str = "row",
) -> str:
    """The covariate that moves the odds most, beside the factor that tips the result; empty without one."""
    if not shifts:
        return ""
    name = max(shifts, key=lambda group: shifts[group].usual)
    own = shifts[name]
    text = (
        f" {lead}, {name}, which moves the odds most, changes them by a factor of up to {own.usual:.4g} in 90% of the "
        f"{unit}s and of {own.largest:.4g} at most"
    )
    if tipping is None or tipping == 1.0:
        return f"{text}."
    beyond = f"a tenth of the {unit}s or more" if own.usual > tipping else f"less than a tenth of the {unit}s"
    if own.largest <= tipping:
        beyond = f"no {unit}"
    return f"{text}: beyond {tipping:.4g} in {beyond}."


def _log_odds(table: CausalTable) -> np.ndarray:
    chance = propensity(table)
    return np.log(chance.values) - np.log(chance.complements)
