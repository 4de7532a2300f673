"""Whether a cause was needed, and whether it would have been enough: probabilities of causation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import Energy, as_energy
from ebm_causal.errors import EnergyError
from ebm_causal.intervention.counterfactuals import Action, conventions, predicted
from ebm_causal.intervention.surgery import refuse_undirected_surgery
from ebm_causal.intervention.worlds import Setting, causes, imagine

Bounds: TypeAlias = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Causation:
    """Probabilities of causation under a model, and what they could be without its convention on the noise.

    Attributes:
        treatment: The cause.
        outcome: The effect.
        necessity: PN, that the outcome would not have come without the treatment, where both were seen.
        sufficiency: PS, that the treatment would have brought the outcome, where neither was seen.
        both: PNS, that the outcome comes with the treatment and only with it.
        standard_errors: Monte Carlo errors of these three, in this order.
        bounds: What each could be for any noise, given the model's laws of seeing and doing, in this order.
        warnings: The conventions on the noise, in words.
    """

    treatment: str
    outcome: str
    necessity: float
    sufficiency: float
    both: float
    standard_errors: tuple[float, float, float]
    bounds: Bounds
    warnings: tuple[str, ...]

    def summary(self) -> pd.DataFrame:
        """A row per probability: its value, Monte Carlo error, and the bounds without the convention."""
        lower, upper = zip(*self.bounds, strict=True)
        columns = {
            "probability": [self.necessity, self.sufficiency, self.both],
            "standard_error": self.standard_errors,
            "lower": lower,
            "upper": upper,
        }
        return pd.DataFrame(columns, index=["necessity", "sufficiency", "both"])

    def __repr__(self) -> str:
        named = zip(("necessity", "sufficiency", "both"), self.summary().to_numpy(), strict=True)
        shown = ", ".join(f"{name} {p:.3g} (+- {e:.2g}; {a:.3g} to {b:.3g})" for name, (p, e, a, b) in named)
        return f"Causation({self.treatment!r} of {self.outcome!r}: {shown})"


@torch.no_grad()
def probabilities_of_causation(
    energy: Energy,
    treatment: str = "x",
    outcome: str = "y",
    data: Mapping[str, object] | pd.DataFrame | None = None,
    *,
    draws: int = 40_000,
    beta: float = 1.0,
    seed: int = 0,
) -> Causation:
    r"""Probabilities of necessity and sufficiency of one binary variable for another, under the model.

    .. math:: PN = P(y_0 = 0 \mid x = 1, y = 1), \quad PS = P(y_1 = 1 \mid x = 0, y = 0), \quad
        PNS = P(y_1 = 1, y_0 = 0)

    Worlds are drawn from the model, and each is imagined with the other treatment, its noise kept. The monotone
    coupling that is used for two values says that nobody who has the outcome less often on average has it
    because of the treatment; ``bounds`` do without it. Both stand on the model, so on its hidden confounder.

    Args:
        energy: A sum of mechanisms and regularizers.
        treatment: A variable of values 0 and 1.
        outcome: Another one, that it moves.
        data: Rows of all that is not latent, where a variable has neither mechanism nor prior.
        draws: How many worlds.
        beta: The inverse temperature.
        seed: The same seed gives the same numbers.

    Returns:
        The three probabilities, with errors and bounds.

    Raises:
        EnergyError: If the two are the same, a variable is unknown or takes other values than 0 and 1, or no world
            drawn has the pair of values that a probability is about.
        IdentificationError: If the energy has a factor without direction, or a cost does not say what its noise is.

    Example:
        >>> import ebm_causal as ec
        >>> x = ec.Mechanism("x", "z", lambda z: 0 * z, ec.BernoulliCost())
        >>> y = ec.Mechanism("y", ("x", "z"), lambda x, z: 2 * x - 1 + 0 * z, ec.BernoulliCost())
        >>> found = ec.probabilities_of_causation(x + y + ec.GaussianRegularizer(1))
        >>> round(found.both, 1)  # P(y | do(x = 1)) less P(y | do(x = 0)): .73 - .27
        0.5

    References:
        Pearl (2009), Causality, section 9.2; Tian and Pearl (2000), Probabilities of causation: bounds and
        identification.
    """
    if treatment == outcome:
        raise EnergyError(f"treatment and outcome are both {treatment!r}; they must be two variables.")
    energy = as_energy(energy)
    refuse_undirected_surgery(energy, (treatment, outcome))
    for name in (treatment, outcome):
        if name not in energy.variables:
            raise EnergyError(
                f"unknown variable {name!r}; the energy's variables are {list(energy.variables)}."
            )
    unset, set_ = (Action.of(energy, {treatment: level}) for level in (0.0, 1.0))
    notes = conventions(energy, set_, set(energy.all_variables))
    setting = Setting.of(energy, draws, beta, seed)
    world = dict(imagine(setting, causes(setting, data, {}), {}, {}).values)
    x, y = (_as_event(name, world[name], draws) for name in (treatment, outcome))
    without, with_it = (
        _as_event(outcome, predicted(setting, world, (action, 1))[outcome], draws) for action in (unset, set_)
    )
    return _counted(
        (treatment, outcome), (x, y), (torch.where(x, without, y), torch.where(x, y, with_it)), notes
    )


def _as_event(name: str, values: Tensor, draws: int) -> Tensor:
    """A binary variable over worlds, ``[draws]``.

    Raises:
        EnergyError: If it has other values than 0 and 1, or several coordinates.
    """
    if values[0, 0].numel() != 1 or not bool(((values == 0) | (values == 1)).all()):
        raise EnergyError(
            f"{name!r} must be one number, 0 or 1 (a BernoulliCost); in the worlds drawn it is not. Probabilities of "
            "causation are about two events: ask counterfactual() for other variables."
        )
    return values.expand(draws, *values.shape[1:]).flatten() == 1


def _counted(
    names: tuple[str, str], seen: tuple[Tensor, Tensor], would: tuple[Tensor, Tensor], notes: tuple[str, ...]
) -> Causation:
    """Shares of worlds, with binomial errors, and the bounds of Tian and Pearl."""
    (x, y), (y0, y1) = seen, would
    cells = {"necessity": (x & y, ~y0), "sufficiency": (~x & ~y, y1), "both": (torch.ones_like(x), y1 & ~y0)}
    shares, errors = [], []
    for what, (among, event) in cells.items():
        count = int(among.sum())
        if count == 0:
            raise EnergyError(
                f"no world of {len(x)} has the values of {names[0]!r} and {names[1]!r} that {what} is about: more "
                "draws, or a question that can be asked."
            )
        share = float(event[among].double().mean())
        shares.append(share)
        errors.append(math.sqrt(max(share * (1 - share), 0.25 / count) / count))
    return Causation(
        treatment=names[0], outcome=names[1], necessity=shares[0], sufficiency=shares[1], both=shares[2],
        standard_errors=(errors[0], errors[1], errors[2]), bounds=_bounds(seen, would), warnings=notes,
    )  # fmt: skip


def _bounds(seen: tuple[Tensor, Tensor], would: tuple[Tensor, Tensor]) -> Bounds:
    """What laws of seeing and doing alone leave open; Tian and Pearl (2000), theorems 1 to 3."""
    (x, y), (y0, y1) = seen, would
    low, high, plain = (float(event.double().mean()) for event in (y0, y1, y))
    hit, quiet = float((x & y).double().mean()), float((~x & ~y).double().mean())
    miss, alone = float((x & ~y).double().mean()), float((~x & y).double().mean())
    both = (
        max(0.0, high - low, plain - low, high - plain),
        min(high, 1 - low, hit + quiet, high - low + miss + alone),
    )
    necessity = (max(0.0, (plain - low) / hit), min(1.0, (1 - low - quiet) / hit))
    sufficiency = (max(0.0, (high - plain) / quiet), min(1.0, (high - hit) / quiet))
    return necessity, sufficiency, both
