"""A fit's energy at draws of its parameters, and the note's linear quantities there."""

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError
from ebm_causal.inference import ParameterVector
from ebm_causal.learning import Fit
from ebm_causal.sensitivity.jacobians import Quantities, outcome_and_latent, quantities_at, quantities_over
from ebm_causal.sensitivity.ranges import check_count


def energies_of(fit: Fit) -> Iterator[Energy]:
    """The energy at each draw of the parameters, the chains one after the other: one energy, which changes.

    Parameters that were held stay as they are.

    Raises:
        ArgumentError: If the fit has no draws.
    """
    if not isinstance(fit, Fit):
        raise ArgumentError(f"fit must be what ec.fit gives; got {type(fit).__name__}.")
    if fit.draws is None:
        raise ArgumentError(f"a fit by {fit.method!r} has no draws; fit with method='mcmc'.")
    energy = copy.deepcopy(fit.energy)
    named = ParameterVector(energy)
    places = torch.tensor(
        [fit.labels.index(label) if label in fit.labels else -1 for label in named.labels], dtype=torch.long
    )
    for row in fit.draws.flatten(0, 1):
        with torch.no_grad():
            named.set(torch.where(places < 0, named.get(), row[places]))
        yield energy


def quantities_of_fit(fit: Fit, draws: int) -> Quantities:
    """The letters in each row of a fit's data, ``[draws, rows]`` by name.

    At draws of parameters and latents together where the fit has chains; else of the latents alone.

    Args:
        fit: A fit of an energy as in ``quantities_at``.
        draws: At most how many; chains are thinned evenly.

    Raises:
        ArgumentError: If it is no fit.
        EnergyError: As in ``quantities_at``.
    """
    check_count("draws", draws)
    if not isinstance(fit, Fit):
        raise ArgumentError(f"fit must be what ec.fit gives; got {type(fit).__name__}.")
    _, latent = outcome_and_latent(fit.energy)
    if fit.draws is None:
        drawn = fit.latent_draws(draws)[latent][0]
        return quantities_over(fit.energy, fit.data, {latent: drawn}, fit.beta)
    thinned = _thinned(fit, draws)
    values = thinned.replicas().latents[latent].flatten(0, 1)
    found = [
        quantities_at(energy, {**fit.data, latent: z})
        for energy, z in zip(energies_of(thinned), values, strict=True)
    ]
    letters = {name: np.stack([each[name] for each in found]) for name in found[0]}
    return letters | {"latent_variance": letters["latent_variance"] / fit.beta}


def _thinned(fit: Fit, draws: int) -> Fit:
    chains, each = fit.draws.shape[:2] if fit.draws is not None else (1, 1)
    step = max(1, -(-chains * each // draws))

    def kept(values: torch.Tensor | None) -> torch.Tensor | None:
        return None if values is None else values[:, ::step]

    return replace(fit, draws=kept(fit.draws), latent_chains=kept(fit.latent_chains))
