"""Part 8: the outcome and the energy where the treatment is seen, and where it is set."""

import math
from typing import Any

import torch

from ebm_causal.data import CausalTable
from ebm_causal.intervention import Draws, interventional, observational
from ebm_causal.sensitivity import Hidden, capacity_curve

DRAWS = 40_000
CAPACITY_DRAWS = 16_000
WEIGHTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
ROUNDING = 1e-9  # relative: a linear effect has no Monte Carlo error but this


def seeing_section(table: CausalTable, hidden: Hidden, seed: int) -> dict[str, Any]:
    """Both sides at each level, for the outcome (in its units) and for the energy."""
    levels, held = _levels(table, hidden)
    query = {}
    for name, unit in (("y", ""), ("energy", "energy, without unit")):
        seen, done = _both(hidden, held, name, seed)
        query[table.outcome if name == "y" else "energy"] = _sides(hidden, name, seen, done) | {"unit": unit}
        if name == "y":
            contrast = _contrasts(hidden, seen, done)
    return {
        "treatment": table.treatment,
        "outcome": table.outcome,
        "levels": levels,
        "query": query,
        "contrast": contrast,
        "capacity": _capacity(hidden, held, seed),
        "text": f"Under the latent energy at its median strength, the mean of {table.outcome} where {table.treatment} "
        "is seen tells of the covariates and the confounder too; where it is set it does not. The gap between the "
        "two is confounding, observed and hidden together.",
        "warnings": [*seen.warnings, *done.warnings],
    }


def _capacity(hidden: Hidden, held: list[float], seed: int) -> dict[str, Any]:
    """The same contrast as the hidden confounder is regularized away, in the outcome's units, and the cost of fit."""
    scale = hidden.standardized.outcome_scale
    curve = capacity_curve(
        hidden.fit.energy,
        hidden.fit.data,
        weights=WEIGHTS,
        draws=CAPACITY_DRAWS,
        seed=seed,
        t=[held[0], held[-1]],
    )
    return {
        "weights": curve.weights,
        "gap": {"mean": scale * curve.gap, "standard_error": scale * curve.standard_error},
        "cost": curve.cost,
    }


def _levels(table: CausalTable, hidden: Hidden) -> tuple[list[float], list[float]]:
    if table.treatment_kind == "binary":
        return [0.0, 1.0], [0.0, 1.0]
    at, by = hidden.standardized.treatment_location, hidden.standardized.treatment_scale
    return [at - by, at, at + by], [-1.0, 0.0, 1.0]


def _both(hidden: Hidden, held: list[float], query: str, seed: int) -> tuple[Draws, Draws]:
    fit = hidden.fit
    rows = {"t": torch.tensor(held, dtype=torch.float64)[:, None]}
    seen = observational(fit.energy, rows, query, fit.data, draws=DRAWS, seed=seed)
    return seen, interventional(fit.energy, rows, query, fit.data, draws=DRAWS, seed=seed)


def _sides(hidden: Hidden, query: str, seen: Draws, done: Draws) -> dict[str, Any]:
    shift = hidden.standardized.outcome_location if query == "y" else 0.0
    scale = hidden.standardized.outcome_scale if query == "y" else 1.0
    sides = {}
    for name, draws in (("seen", seen), ("done", done)):
        means, errors = draws.mean[:, 0].numpy(), draws.standard_error[:, 0].numpy()
        sides[name] = {"mean": shift + scale * means, "standard_error": scale * errors}
    gap = sides["seen"]["mean"] - sides["done"]["mean"]
    error = (sides["seen"]["standard_error"] ** 2 + sides["done"]["standard_error"] ** 2) ** 0.5
    return sides | {"gap": {"mean": gap, "standard_error": error}}


def _contrasts(hidden: Hidden, seen: Draws, done: Draws) -> dict[str, Any]:
    scale, found = hidden.standardized.outcome_scale, {}
    for name, draws in (("seen", seen), ("done", done)):
        difference, error = (scale * float(part[0]) for part in draws.contrast(len(draws.mean) - 1, 0))
        found[name] = {
            "mean": difference,
            "standard_error": error if error > ROUNDING * abs(difference) else 0.0,
        }
    gap = found["seen"]["mean"] - found["done"]["mean"]
    error = math.hypot(found["seen"]["standard_error"], found["done"]["standard_error"])
    return found | {"gap": {"mean": gap, "standard_error": error}}
