r"""Small simulated worlds whose effects are known, shared by tests, examples and docs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from ebm_causal.data.tables import CausalTable
from ebm_causal.errors import ArgumentError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """What a simulation gives to see, and what only it knows.

    Attributes:
        frame: What is seen: columns ``treatment``, ``outcome`` and the covariates.
        covariates: The names of the covariates.
        categorical: Those of them that are levels.
        latent: The hidden confounder of each row, which is not in the frame.
        effect: What one unit of treatment does to the outcome.
        observed_slope: The slope of the outcome on the treatment given the covariates, with the confounder
            hidden and rows without end; None where it has no simple form.
    """

    frame: pd.DataFrame
    covariates: tuple[str, ...]
    categorical: tuple[str, ...] = ()
    latent: Float[np.ndarray, " rows"]
    effect: float
    observed_slope: float | None

    def table(self) -> CausalTable:
        """What is seen, as a table with roles."""
        return CausalTable(self.frame, "treatment", "outcome", self.covariates, categorical=self.categorical)


def linear_world(
    rows: int,
    *,
    treatment_on_latent: float = 1.0,
    outcome_on_latent: float = 2.0,
    effect: float = 1.0,
    covariates: int = 0,
    binary_treatment: bool = False,
    seed: int = 0,
) -> World:
    r"""Simulate a linear world with one hidden confounder of treatment and outcome.

    .. math::
        t = a z + \tfrac12 \textstyle\sum_j w_j + \epsilon_t, \qquad
        y = \delta t + b z + \tfrac12 \textstyle\sum_j w_j + \epsilon_y,

    everything else standard normal. Seen, the slope given w is :math:`\delta + a b / (a^2 + 1)`; done, it is
    :math:`\delta`. A binary treatment is 1 with probability :math:`1/(1 + e^{-m})`, m being the mean above.

    Args:
        rows: How many.
        treatment_on_latent: The strength a; 0 leaves no confounding.
        outcome_on_latent: The strength b.
        effect: The effect :math:`\delta`.
        covariates: How many covariates w that are seen.
        binary_treatment: Whether the treatment is 0 or 1.
        seed: Of the draws.

    Returns:
        The world.

    Raises:
        ArgumentError: If there are fewer than two rows.

    Examples:
        >>> from ebm_causal.data import linear_world
        >>> linear_world(100, seed=1).observed_slope
        2.0
    """
    if rows < 2:
        raise ArgumentError(f"rows must be 2 or more; got {rows}.")
    draws = np.random.default_rng(seed)
    latent, seen = draws.standard_normal(rows), draws.standard_normal((rows, covariates))
    mean = treatment_on_latent * latent + 0.5 * seen.sum(axis=1)
    if binary_treatment:
        treatment = (draws.uniform(size=rows) < 1 / (1 + np.exp(-mean))).astype(np.float64)
    else:
        treatment = mean + draws.standard_normal(rows)
    noise = draws.standard_normal(rows)
    outcome = effect * treatment + outcome_on_latent * latent + 0.5 * seen.sum(axis=1) + noise
    names = tuple(f"w{j + 1}" for j in range(covariates))
    slope = effect + treatment_on_latent * outcome_on_latent / (treatment_on_latent**2 + 1)
    return World(
        frame=pd.DataFrame(
            {"treatment": treatment, "outcome": outcome, **dict(zip(names, seen.T, strict=True))}
        ),
        covariates=names,
        latent=latent,
        effect=effect,
        observed_slope=None if binary_treatment else slope,
    )


def village_world(*, rows: int = 1276, villages: int = 486, effect: float = 0.1, seed: int = 0) -> World:
    r"""Simulate a world of the size of the Darfur survey: hundreds of villages, each with its own level.

    The village moves treatment and outcome, as do six covariates; nothing is hidden (``latent`` is zero), so
    a regression on covariates and village gives the effect.

    Args:
        rows: How many, at least one for each village.
        villages: How many villages.
        effect: The effect of the treatment, which is 0 or 1.
        seed: Of the draws.

    Returns:
        The world; its covariate ``village`` is text.

    Raises:
        ArgumentError: If there are fewer rows than villages.

    References:
        Its size is that of C. Cinelli and C. Hazlett 2020, section 2.
    """
    if rows < villages:
        raise ArgumentError(f"each of the {villages} villages needs a row; got {rows} rows.")
    draws = np.random.default_rng(seed)
    home = np.concatenate([np.arange(villages), draws.integers(villages, size=rows - villages)])
    level = draws.standard_normal(villages)[home]
    frame = pd.DataFrame({"village": [f"village {number}" for number in home]})
    frame["female"] = draws.integers(2, size=rows)
    frame["age"] = draws.integers(18, 80, size=rows)
    for name in ("farmer", "herder", "voted", "household"):
        frame[name] = draws.standard_normal(rows)
    mean = 0.5 * level - 0.5 * frame["female"].to_numpy()
    treatment = (mean + draws.standard_normal(rows) > 0).astype(np.float64)
    outcome = (
        effect * treatment + level - 0.3 * frame["female"].to_numpy() + 0.3 * draws.standard_normal(rows)
    )
    return World(
        frame=frame.assign(treatment=treatment, outcome=outcome),
        covariates=("female", "age", "farmer", "herder", "voted", "household", "village"),
        latent=np.zeros(rows),
        effect=effect,
        observed_slope=effect,
    )
