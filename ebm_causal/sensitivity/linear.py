r"""The note's linear system: how a hidden z biases the slope of C on Dec, and what the printed formulas are.

.. math::
    \mathrm{Dec} = \alpha_x x + \alpha_z z + e_D, \qquad
    C = \beta_x x + \beta_z z + \beta_y y + \delta\,\mathrm{Dec} + e_C
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
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

Number = float | np.ndarray


@dataclass(frozen=True, slots=True)
class LinearSensitivity:
    r"""The confounding bias of the slope of C on Dec, z hidden, with the note's letters.

    Regressing C on Dec, x and y estimates :math:`\delta + \text{bias}`, where

    .. math::
        \text{bias} = \frac{\alpha_z \beta_z v}{\alpha_z^2 v + \mathrm{Var}(e_D)},\qquad v = \mathrm{Var}(z \mid x, y).

    It is :math:`\beta_z/\alpha_z` where Dec has no noise of its own; but then Dec is a function of x and z, the
    regression compares nothing, and ``warnings`` says so. Linear; for a nonlinear energy these are the
    quantities at a point (``from_energy``). Each field is a number, or an array over points.

    Args:
        alpha_x: The effect of x on Dec.
        alpha_z: The effect of z on Dec.
        beta_x: The effect of x on C.
        beta_z: The effect of z on C.
        beta_y: The effect of y on C.
        delta: The effect of Dec on C.
        latent_variance: v, the variance of z that x and y leave.
        decoder_noise_variance: The variance of Dec given x and z.

    Raises:
        ArgumentError: If a number is not finite or a variance is negative.

    Example:
        >>> import ebm_causal as ec
        >>> ec.LinearSensitivity(
        ...     alpha_x=1, alpha_z=1, beta_x=0, beta_z=2, beta_y=0, delta=1, decoder_noise_variance=1
        ... ).bias
        1.0

    References:
        The note, "Sensitivity analysis of such EBM"; Wooldridge (2010), Econometric analysis of cross section
        and panel data, section 4.3 (omitted variables).
    """

    alpha_x: Number
    alpha_z: Number
    beta_x: Number
    beta_z: Number
    beta_y: Number
    delta: Number
    latent_variance: Number = 1.0
    decoder_noise_variance: Number = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = np.asarray(getattr(self, field.name), dtype=float)
            if not np.isfinite(value).all():
                raise ArgumentError(f"{field.name} must be finite; got {getattr(self, field.name)}.")
            if field.name.endswith("variance") and (value < 0).any():
                raise ArgumentError(f"{field.name} cannot be negative; got {getattr(self, field.name)}.")

    @property
    def bias(self) -> Number:
        r"""What hiding z adds to the slope of C on Dec: :math:`\alpha_z\beta_z v/(\alpha_z^2 v + \mathrm{Var}(e_D))`.

        Raises:
            ArgumentError: If Dec does not vary given x and y, so that there is no slope.
        """
        spread = np.square(self.alpha_z) * self.latent_variance + self.decoder_noise_variance
        if (np.asarray(spread) <= 0).any():
            raise ArgumentError(
                "Dec does not vary given x and y (alpha_z^2 v + Var(e_D) = 0): there is no slope to bias."
            )
        return _plain(np.multiply(self.alpha_z, self.beta_z) * self.latent_variance / spread)

    @property
    def observed_slope(self) -> Number:
        r"""The slope of C on Dec that is seen, z hidden: :math:`\delta + \text{bias}`."""
        return _plain(np.add(self.delta, self.bias))

    @property
    def total_effect_of_latent(self) -> Number:
        r"""The total effect of z on C with y held: :math:`\beta_z + \delta\alpha_z`."""
        return _plain(np.add(self.beta_z, np.multiply(self.delta, self.alpha_z)))

    @property
    def printed_bias(self) -> Number:
        r"""The note's printed "Bias", :math:`\alpha_z/\beta_z`: the reciprocal, in units that cannot be added to delta.

        It is the slope of Dec on C along z where delta = 0: the bias with the roles of Dec and C exchanged.

        Raises:
            ArgumentError: If z does not move C.
        """
        if (np.asarray(self.beta_z) == 0).any():
            raise ArgumentError("the printed bias alpha_z / beta_z is not defined where beta_z = 0.")
        return _plain(np.divide(self.alpha_z, self.beta_z))

    @property
    def printed_ate(self) -> Number:
        r"""The note's printed total effect, :math:`\delta + \alpha_z/\beta_z`, with its own "Bias"."""
        return _plain(np.add(self.delta, self.printed_bias))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What cannot be trusted, in words."""
        if (np.asarray(self.decoder_noise_variance) == 0).any():
            return (
                "Dec is a function of x and z: there is no overlap, and no data could tell its effect from that of z",
            )
        return ()

    @classmethod
    def from_energy(cls, energy: Energy, at: Mapping[str, object]) -> "LinearSensitivity":
        r"""The linear quantities of a latent energy at points: Jacobians of decoder, cost and regularizer.

        :math:`\alpha` is the decoder's Jacobian (x stands for Pred(x), as in the note), :math:`\delta` and
        :math:`\beta_y` the derivatives of the cost in its two arguments, :math:`\beta_z` that of R, and
        :math:`\beta_x = 0`. The variance of z given x and y is one over the energy's curvature in z there, exact for
        a linear-Gaussian energy; where the energy is not convex in z, the prior's.

        Args:
            energy: An energy with a mechanism of y given x and a latent, all of dimension one.
            at: x, y and z, ``[rows, 1]`` each.

        Returns:
            One value per row.

        Raises:
            EnergyError: If the energy has no such mechanism, or a dimension is not one.
        """
        mechanism, latent = _outcome_and_latent(energy)
        composed = mechanism.decoder if isinstance(mechanism.decoder, PredictThenDecode) else None
        values = restrict(energy, (), at, 1.0).given
        rows = max(len(value) for value in values.values())
        x, y, z = (
            values[name].expand(rows, -1).clone().requires_grad_()
            for name in (_cause(mechanism, latent), "y", latent)
        )
        with torch.enable_grad():
            seen = x if composed is None else composed.predictor(x)
            predicted = (
                _predict(mechanism, (seen, z), latent) if composed is None else composed.decoder(seen, z)
            )
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
        return cls(**slopes, beta_x=np.zeros(rows), latent_variance=variance)

    def summary(self) -> pd.DataFrame:
        """The quantities, one row each; for arrays, their mean and standard deviation over the points."""
        names = ("delta", "bias", "observed_slope", "total_effect_of_latent", "printed_bias", "printed_ate")
        found = {name: value for name in names if (value := self._or_none(name)) is not None}
        return pd.DataFrame(
            {
                "value": [float(np.mean(v)) for v in found.values()],
                "sd": [float(np.std(v)) for v in found.values()],
            },
            index=list(found),
        )

    def _or_none(self, name: str) -> Number | None:
        try:
            return getattr(self, name)
        except ArgumentError:
            return None

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value:.6g}" for name, value in self.summary()["value"].items())
        return f"LinearSensitivity({shown})"


def _outcome_and_latent(energy: Energy) -> tuple[Mechanism, str]:
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


def _plain(value: Number) -> Number:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
