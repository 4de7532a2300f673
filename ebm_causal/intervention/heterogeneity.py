"""Effects by groups: the mean effect within each level of a covariate, and whether they differ at all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from ebm_causal.data import CausalTable
from ebm_causal.errors import ArgumentError
from ebm_causal.intervention.adjustment import effect_on_members
from ebm_causal.intervention.columns import cluster_codes, named_column
from ebm_causal.intervention.effects import Effect
from ebm_causal.intervention.options import ARMS, Bootstrap, Options, check_options
from ebm_causal.shapes import is_whole

FEW_LEVELS = 12
"""Numeric columns with more values are cut into classes of about equal size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupEffects:
    r"""The mean effect within each group of rows.

    Attributes:
        by: The column whose levels or classes are the groups.
        groups: The groups, in words.
        effects: The effect in each, with the number of its rows.
        heterogeneity_p: The p value of "all groups have the same effect", by Wald's test
            :math:`\sum_g (\tau_g - \bar\tau)^2 / \mathrm{se}_g^2`, which takes the groups for independent.
    """

    by: str
    groups: tuple[str, ...]
    effects: tuple[Effect, ...]
    heterogeneity_p: float

    def summary(self) -> pd.DataFrame:
        """A row for each group."""
        table = pd.concat([effect.summary() for effect in self.effects])
        table.index = pd.Index(self.groups, name=self.by)
        table.insert(0, "rows", [effect.rows for effect in self.effects])
        return table

    def plot(self, ax: Any = None) -> Any:
        """Draw the effects with their intervals, one below the other; returns the axes."""
        from ebm_causal.figures import forest_picture

        rows = [
            (f"{self.by}: {group}", effect.estimate, *effect.interval, "adjusted")
            for group, effect in zip(self.groups, self.effects, strict=True)
        ]
        return forest_picture(rows, ax=ax)

    def __repr__(self) -> str:
        lines = [
            f"  {group}: {effect.estimate:.6g} [{effect.interval[0]:.6g}, {effect.interval[1]:.6g}], {effect.rows} rows"
            for group, effect in zip(self.groups, self.effects, strict=True)
        ]
        head = f"Effects of {self.effects[0].treatment!r} on {self.effects[0].outcome!r} by {self.by!r}"
        return "\n".join([f"{head} (equal: p = {self.heterogeneity_p:.2g})", *lines])


def effects_by(
    table: CausalTable,
    by: str,
    method: str = "doubly_robust",
    interactions: Sequence[str] | None = None,
    *,
    classes: int = 4,
    target: str = "ate",
    contrast: str = "difference",
    folds: int | None = None,
    errors: Bootstrap | None = None,
    cluster: str | None = None,
    trim: float = 0.0,
    outcome_model: Any = None,
    propensity_model: Any = None,
    seed: int = 0,
) -> GroupEffects:
    r"""Estimate the mean effect within each level of a column: :math:`E[y_1 - y_0 \mid g]`.

    Models are fitted once on all rows; what they say is averaged within groups. The column must be from before
    the treatment. Groups that were chosen by looking at the effects need another sample to be believed.

    Args:
        table: The table.
        by: A column of its frame; numeric ones with many values are cut at quantiles.
        method: ``"weighting"``, ``"standardization"`` or ``"doubly_robust"``.
        interactions: As in ``adjust``; without the column among them, standardization cannot see a difference.
        classes: The number of classes of a numeric column.
        target: As in ``adjust``, within each group.
        contrast: As in ``adjust``.
        folds: As in ``adjust``.
        errors: None, or a ``Bootstrap``.
        cluster: As in ``adjust``.
        trim: As in ``adjust``.
        outcome_model: As in ``adjust``.
        propensity_model: As in ``adjust``.
        seed: As in ``adjust``.

    Returns:
        The effects.

    Raises:
        ArgumentError: If the column is not there, a group has one arm alone, or the method has no groups.
        TableError: If the column has missing values, or the data do not carry the method.

    Examples:
        >>> import ebm_causal as ec
        >>> from ebm_causal.intervention import effects_by
        >>> found = effects_by(ec.load_dataset("nhefs"), "sex")
        >>> [round(effect.estimate, 2) for effect in found.effects]
        [3.3, 3.44]

    References:
        V. Semenova and V. Chernozhukov 2021, Debiased machine learning of conditional average effects.
    """
    options = Options.among(locals())
    if method not in ARMS:
        raise ArgumentError(f"effects by groups need one of the methods {', '.join(ARMS)}; got {method!r}.")
    check_options(table, options)
    clusters = cluster_codes(table, cluster)
    names, codes = _groups(table, by, classes)
    found = []
    for place in range(len(names)):
        members = codes == place
        effect = effect_on_members(table, options, errors, clusters, members)
        found.append(replace(effect, rows=int(members.sum())))
    return GroupEffects(
        by=by, groups=tuple(names), effects=tuple(found), heterogeneity_p=_heterogeneity(found, contrast)
    )


def _groups(table: CausalTable, by: str, classes: int) -> tuple[list[str], np.ndarray]:
    column = named_column(table, by, "group")
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > FEW_LEVELS:
        if not is_whole(classes) or classes < 2:
            raise ArgumentError(f"classes must be 2 or more; got {classes!r}.")
        column = pd.qcut(column, classes, duplicates="drop")
    codes, levels = pd.factorize(column, sort=True)
    if table.treatment_kind == "binary":
        for place, level in enumerate(levels):
            inside = table.treatment_values[codes == place]
            if inside.min() == inside.max():
                arm = "treated" if inside[0] == 1 else "untreated"
                raise ArgumentError(f"the group {str(level)!r} of {by!r} has only {arm} rows: merge groups.")
    return [str(level) for level in levels], np.asarray(codes)


def _heterogeneity(effects: Sequence[Effect], contrast: str) -> float:
    if len(effects) < 2:
        return 1.0
    values = np.array([effect.estimate for effect in effects])
    errors = np.array([effect.standard_error for effect in effects])
    if contrast == "ratio":
        values, errors = np.log(values), errors / values
    weights = 1 / errors**2
    mean = weights @ values / weights.sum()
    return float(chdtrc(len(effects) - 1, weights @ (values - mean) ** 2))
