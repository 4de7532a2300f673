"""The capacity curve: what is left of confounding as the latent is regularized away, and what that costs in fit."""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from ebm_causal.energies import Energy, latents_of, mechanisms_of, normalized, prior_groups
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs import free_energy, log_partition
from ebm_causal.intervention import Draws, confounding_gap, held_rows
from ebm_causal.learning import fit
from ebm_causal.shapes import as_number, by_name

WEIGHTS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityCurve:
    """Seen minus done against the weight of the latents' regularizers, and the cost of fit beside it.

    Attributes:
        weights: What the regularizers are multiplied by.
        gap: Between the last and the first level of what is set: the contrast that is seen less the one that is done.
        standard_error: Its Monte Carlo error.
        cost: Minus the log likelihood per row of data, in nats.
        query: What the gap is of.
        treatment: What is seen or set.
        warnings: What cannot be trusted.
    """

    weights: np.ndarray
    gap: np.ndarray
    standard_error: np.ndarray
    cost: np.ndarray
    query: str
    treatment: str
    warnings: tuple[str, ...] = ()

    def neglected_at(self, share: float = 0.1) -> float | None:
        """The least weight from which on the gap stays under a share of its largest; None where it never does.

        Raises:
            ArgumentError: If the share is not between zero and one.
        """
        if not 0 < share < 1:
            raise ArgumentError(f"a share lies between 0 and 1; got {share}.")
        small = np.abs(self.gap) <= share * np.abs(self.gap).max()
        order = np.argsort(self.weights)
        lasting = np.logical_and.accumulate(small[order][::-1])[::-1]
        return float(self.weights[order][lasting][0]) if lasting.any() else None

    def summary(self) -> pd.DataFrame:
        """A row per weight: the gap, its Monte Carlo error, and the cost of fit above the least."""
        columns = {
            "gap": self.gap,
            "standard_error": self.standard_error,
            "cost": self.cost,
            "cost_above_least": self.cost - self.cost.min(),
        }
        return pd.DataFrame(columns, index=pd.Index(self.weights, name="weight"))

    def plot(self, ax: Any = None) -> Any:
        """The gap, and on an axis of its own the cost of fit, against the weight."""
        from ebm_causal.figures import capacity_picture

        sides = (self.gap, self.standard_error, self.cost - self.cost.min())
        return capacity_picture(self.weights, sides, self.query, ax=ax)

    def __repr__(self) -> str:
        least, most = self.weights.argmin(), self.weights.argmax()
        return (
            f"CapacityCurve(gap of {self.query!r} {self.gap[least]:.3g} at weight {self.weights[least]:g}, "
            f"{self.gap[most]:.3g} at {self.weights[most]:g}; cost of fit {self.cost[most] - self.cost[least]:+.3g} "
            "nats per row)"
        )


def capacity_curve(
    energy: Energy,
    data: Mapping[str, object] | pd.DataFrame,
    *,
    query: str = "y",
    weights: Sequence[float] = WEIGHTS,
    refit: bool = False,
    draws: int = 10_000,
    seed: int = 0,
    **treatment: Any,
) -> CapacityCurve:
    r"""The gap between seeing and doing while the latents' regularizers gain weight, and what that costs in fit.

    .. math:: \text{gap}(\lambda) = \big[\mathbb E_\lambda[q \mid x_1] - \mathbb E_\lambda[q \mid x_0]\big]
        - \big[\mathbb E_\lambda[q \mid \mathrm{do}(x_1)] - \mathbb E_\lambda[q \mid \mathrm{do}(x_0)]\big],
        \qquad E_\lambda = \sum_v E_v + \lambda R

    As the weight grows, the latent shrinks and the gap goes to zero: the latent has been regularized until it can
    be neglected. If the fit gets no worse on the way, the data never asked for it; if it does, the small gap is a
    property of the weight and not of the world. With ``refit=False`` the parameters stay as they are. With
    ``refit=True`` they are fitted at each weight, and a decoder that can scale its latent undoes the weight.

    Args:
        energy: A fitted sum of mechanisms and regularizers.
        data: The rows that it was fitted to, of all that is not latent. They also stand for the law of variables
            that have neither mechanism nor prior; latents have their priors.
        query: A variable, or ``energy``.
        weights: What the regularizers are multiplied by; rising or not.
        refit: Whether to fit the parameters at each weight, by marginal maximum likelihood.
        draws: Worlds for each side.
        seed: The same seed gives the same numbers.
        **treatment: What is seen or set, at two levels or more: ``x=[0.0, 1.0]``.

    Returns:
        The curve.

    Raises:
        ArgumentError: If a weight is not positive and finite.
        EnergyError: If the treatment does not have two levels, or the energy has no latent.

    Example:
        >>> import ebm_causal as ec
        >>> from ebm_causal.sensitivity import capacity_curve
        >>> x = ec.Mechanism("x", "z", lambda z: z, ec.SquaredError())
        >>> y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError())
        >>> confounded = x + y + ec.GaussianRegularizer(1)
        >>> rows = {"x": [0.3, -1.2, 0.8], "y": [1.0, -3.1, 2.9]}
        >>> curve = capacity_curve(confounded, rows, x=[0.0, 1.0], weights=(1, 9))
        >>> curve.gap.round(1).tolist()  # 2 / (1 + weight)
        [1.0, 0.2]

    References:
        The note's last section but one, "regularize it so it is small enough to neglect".
    """
    levels = _levels(energy, treatment)
    if not latents_of(energy):
        raise EnergyError(
            "the energy has no latent, a variable with a regularizer and no mechanism: there is no weight to change."
        )
    _check_weights(weights)
    gaps, costs = [], []
    for weight in weights:
        changed = weighted(energy, float(weight))
        if refit:
            changed = fit(copy.deepcopy(changed), data, latents_of(energy), method="map", seed=seed).energy
        needed = data if _rootless(changed, treatment) else None
        gaps.append(confounding_gap(changed, query=query, data=needed, draws=draws, seed=seed, **treatment))
        costs.append(cost_of_fit(changed, data))
    contrasts = [gap.contrast(levels - 1, 0) for gap in gaps]
    return CapacityCurve(
        weights=np.array([float(weight) for weight in weights]),
        gap=np.array([float(value.flatten()[0]) for value, _ in contrasts]),
        standard_error=np.array([float(error.flatten()[0]) for _, error in contrasts]),
        cost=np.array(costs),
        query=query,
        treatment=", ".join(treatment),
        warnings=_warnings(gaps),
    )


def weighted(energy: Energy, weight: float) -> Energy:
    """The energy with the priors of its latents multiplied by a weight; parameters are shared."""
    weighing = {id(factor) for group in prior_groups(energy) for factor in group.factors.values()}
    parts = [factor * weight if id(factor) in weighing else factor for factor in energy.factors.values()]
    changed = Energy(parts, clamped=energy.clamped)
    changed.learn_dims_of(energy)
    return changed


@torch.no_grad()
def cost_of_fit(energy: Energy, data: Mapping[str, object] | pd.DataFrame) -> float:
    r"""Minus the mean log likelihood of rows, :math:`-\log p(v) = F(v) + \log Z_R`, latents integrated out, in nats."""
    latents = latents_of(energy)
    told = by_name(data, energy.variables)
    given = {name: value for name, value in told.items() if name in energy.variables and name not in latents}
    raw = free_energy(normalized(energy), latents, given).value.mean()
    priors = sum(float(log_partition(group, tuple(group.variables)).value) for group in prior_groups(energy))
    return float(raw) + priors


def _check_weights(weights: object) -> None:
    """Refuse what are no weights.

    Raises:
        ArgumentError: If one is not a positive, finite number, or there is none.
    """
    numbers = [as_number(weight) for weight in weights] if isinstance(weights, Iterable) else []
    if not numbers or not all(number is not None and 0 < number < math.inf for number in numbers):
        raise ArgumentError(f"weights must be positive and finite, at least one; got {weights!r}.")


def _levels(energy: Energy, treatment: Mapping[str, object]) -> int:
    """How many levels there are.

    Raises:
        EnergyError: If there are not two or more of one variable or of several together, or they do not fit it.
    """
    counts = {name: len(rows) for name, rows in held_rows(energy, treatment).items()}
    if not counts or max(counts.values()) < 2:
        raise EnergyError(
            f"the gap is that of a contrast: give two levels or more, as in x=[0.0, 1.0]; got {counts}."
        )
    return max(counts.values())


def _rootless(energy: Energy, treatment: Mapping[str, object]) -> bool:
    """Whether some variable has neither a mechanism nor a prior, so that data must stand for its law."""
    known = {*mechanisms_of(energy), *latents_of(energy), *treatment}
    return bool(set(energy.variables) - known)


def _warnings(gaps: list[Draws]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for gap in gaps for note in gap.warnings))
