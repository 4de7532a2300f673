r"""The letters of the note's linear system, from the Jacobians of an energy at points."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ebm_causal.energies import (
    Energy,
    Mechanism,
    PredictThenDecode,
    latents_of,
    mechanisms_of,
    regularizers_of,
)
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.gibbs import restrict
from ebm_causal.inference import Posterior

Quantities = dict[str, np.ndarray]


def quantities_at(energy: Energy, at: Mapping[str, object]) -> Quantities:
    """The letters at points, by name, one value for each row; what they are ``LinearSensitivity.from_energy`` says.

    Args:
        energy: An energy with a mechanism of y given one cause and one latent, all of dimension one.
        at: The cause, y and the latent, ``[rows, 1]`` each.

    Raises:
        EnergyError: If the energy has no such mechanism, or a dimension is not one.
    """
    mechanism, latent = outcome_and_latent(energy)
    composed = mechanism.decoder if isinstance(mechanism.decoder, PredictThenDecode) else None
    values = restrict(energy, (), at, 1.0).given
    rows = max(len(value) for value in values.values())
    x, y, z = (
        values[name].expand(rows, -1).clone().requires_grad_()
        for name in (_cause(mechanism, latent), "y", latent)
    )
    with torch.enable_grad():
        seen = x if composed is None else composed.predictor(x)
        predicted = _predict(mechanism, (seen, z), latent) if composed is None else composed.decoder(seen, z)
        cost = mechanism.cost(predicted, y)
        regularizer = regularizers_of(energy)[latent]
        curvature = _curvature(cost + regularizer.term({latent: z}), z)
        slopes = {
            "alpha_x": _slope(predicted, seen),
            "alpha_z": _slope(predicted, z),
            "delta": _slope(cost, predicted),
            "beta_y": _slope(cost, y),
            "beta_z": _slope(regularizer.term({latent: z}), z),
        }
    prior = regularizer.standard_deviation(1.0) ** 2
    variance = np.where(curvature > 0, 1 / np.where(curvature > 0, curvature, 1.0), prior)
    return slopes | {"beta_x": np.zeros(rows), "latent_variance": variance}


def quantities_of_draws(energy: Energy, posterior: Posterior) -> Quantities:
    """The letters at each draw of the latent, ``[draws, rows]`` by name, the chains one after the other.

    Raises:
        ArgumentError: If the posterior is of a schedule of betas, or has no draws of the latent.
        EnergyError: As in ``quantities_at``.
    """
    _, latent = outcome_and_latent(energy)
    if not isinstance(posterior, Posterior):
        raise ArgumentError(f"posterior must be what ec.sample gives; got {type(posterior).__name__}.")
    if isinstance(posterior.beta, Tensor):
        raise ArgumentError("the posterior is of a schedule of betas; sample at one of them.")
    if latent not in posterior.values:
        raise ArgumentError(f"the posterior has draws of {list(posterior.values)}, not of {latent!r}.")
    drawn = {latent: posterior.values[latent].flatten(0, 1)}
    return quantities_over(energy, posterior.given, drawn, posterior.beta)


def quantities_over(
    energy: Energy, given: Mapping[str, Tensor], drawn: Mapping[str, Tensor], beta: float
) -> Quantities:
    """The letters at draws ``[draws, rows, 1]`` of the latent beside what is given, ``[draws, rows]`` by name."""
    draws, rows = next(iter(drawn.values())).shape[:2]
    beside = {name: value.expand(rows, -1).repeat(draws, 1) for name, value in given.items()}
    found = quantities_at(energy, {**beside, **{name: value.flatten(0, 1) for name, value in drawn.items()}})
    found["latent_variance"] = found["latent_variance"] / beta
    return {name: value.reshape(draws, rows) for name, value in found.items()}


def outcome_and_latent(energy: Energy) -> tuple[Mechanism, str]:
    """The mechanism of y and the name of its latent.

    Raises:
        EnergyError: If the energy has no such mechanism.
    """
    if not isinstance(energy, Energy):
        raise EnergyError(f"the linear quantities are those of an energy; got {type(energy).__name__}.")
    mechanism, latents = mechanisms_of(energy).get("y"), latents_of(energy)
    named = [
        name
        for name in latents
        if mechanism is not None and name in mechanism.parents and name in regularizers_of(energy)
    ]
    if mechanism is None or len(mechanism.parents) != 2 or len(named) != 1:
        raise EnergyError(
            "the linear quantities need a mechanism of 'y' given one cause and one latent; the energy has "
            f"{list(energy.factors)}."
        )
    return mechanism, named[0]


def _cause(mechanism: Mechanism, latent: str) -> str:
    return next(name for name in mechanism.parents if name != latent)


def _predict(mechanism: Mechanism, parents: tuple[Tensor, Tensor], latent: str) -> Tensor:
    seen, z = parents
    return mechanism.predict({_cause(mechanism, latent): seen, latent: z})


def _slope(value: Tensor, of: Tensor) -> np.ndarray:
    flat = value.reshape(len(of), -1)
    if of.shape[-1] != 1 or flat.shape[-1] != 1:
        raise EnergyError(
            f"the linear quantities are for dimension one; got {list(of.shape)} and {list(value.shape)}."
        )
    if not value.requires_grad:
        return np.zeros(len(of))
    (slope,) = torch.autograd.grad(value.sum(), of, retain_graph=True, allow_unused=True)
    return np.zeros(len(of)) if slope is None else slope.detach().numpy()[:, 0]


def _curvature(energy: Tensor, z: Tensor) -> np.ndarray:
    (first,) = torch.autograd.grad(energy.sum(), z, create_graph=True)
    return _slope(first, z)
