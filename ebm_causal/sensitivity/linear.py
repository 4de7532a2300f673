r"""The note's linear system: how a hidden z biases the slope of C on Dec, and what the printed formulas are.

.. math::
    \mathrm{Dec} = \alpha_x x + \alpha_z z + e_D, \qquad
    C = \beta_x x + \beta_z z + \beta_y y + \delta\,\mathrm{Dec} + e_C
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError
from ebm_causal.inference import Posterior
from ebm_causal.learning import Fit
from ebm_causal.sensitivity.drawn_parameters import quantities_of_fit
from ebm_causal.sensitivity.jacobians import quantities_at, quantities_of_draws
from ebm_causal.sensitivity.ranges import check_numbers, check_shapes
from ebm_causal.shapes import as_names

DERIVED = ("delta", "bias", "observed_slope", "total_effect_of_latent", "printed_bias", "printed_ate")
Number = float | np.ndarray


@dataclass(frozen=True, slots=True)
class LinearSensitivity:
    r"""The confounding bias of the slope of C on Dec, z hidden, with the note's letters.

    Regressing C on Dec, x and y estimates :math:`\delta + \text{bias}`, where

    .. math::
        \text{bias} = \frac{\alpha_z \beta_z v}{\alpha_z^2 v + \mathrm{Var}(e_D)},\qquad v = \mathrm{Var}(z \mid x, y).

    It is :math:`\beta_z/\alpha_z` where Dec has no noise of its own; but then Dec is a function of x and z, the
    regression compares nothing, and ``warnings`` says so. Linear; for a nonlinear energy these are the
    quantities at points (``from_energy``), at draws of z (``from_posterior``), or at draws of parameters and z
    together (``from_fit``). Each field is a number, or an array over points and draws.

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
        ArgumentError: If a number is not finite, a variance is negative, or arrays do not go together.

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
        arrays = {field.name: check_numbers(field.name, getattr(self, field.name)) for field in fields(self)}
        for name, value in arrays.items():
            if not value.size:
                raise ArgumentError(f"{name} holds no number: give one or more.")
            if not np.isfinite(value).all():
                raise ArgumentError(f"{name} must be finite; got {getattr(self, name)}.")
            if name.endswith("variance") and (value < 0).any():
                raise ArgumentError(f"{name} cannot be negative; got {getattr(self, name)}.")
            object.__setattr__(self, name, _plain(value))
        check_shapes(arrays)

    @property
    def bias(self) -> Number:
        r"""What hiding z adds to the slope of C on Dec: :math:`\alpha_z\beta_z v/(\alpha_z^2 v + \mathrm{Var}(e_D))`.

        Raises:
            ArgumentError: If Dec does not vary given x and y, so that there is no slope.
        """
        if self._fixed.any():
            raise ArgumentError(
                "Dec does not vary given x and y (alpha_z^2 v + Var(e_D) = 0): there is no slope to bias."
            )
        width = np.sqrt(self.latent_variance)
        along = np.asarray(self.alpha_z * width)
        safe = np.where(along == 0, 1.0, along)
        # a b v / (a^2 v + s) with a sqrt(v) divided out: no square that overflows
        shared = np.where(along == 0, 0.0, self.beta_z * width / (safe + self.decoder_noise_variance / safe))
        return _finite("the bias", shared)

    @property
    def observed_slope(self) -> Number:
        r"""The slope of C on Dec that is seen, z hidden: :math:`\delta + \text{bias}`."""
        return _finite("observed_slope", np.add(self.delta, self.bias))

    @property
    def total_effect_of_latent(self) -> Number:
        r"""The total effect of z on C with y held: :math:`\beta_z + \delta\alpha_z`."""
        with np.errstate(over="ignore", invalid="ignore"):
            return _finite("the total effect", np.add(self.beta_z, np.multiply(self.delta, self.alpha_z)))

    @property
    def printed_bias(self) -> Number:
        r"""The note's printed "Bias", :math:`\alpha_z/\beta_z`: the reciprocal, in units that cannot be added to delta.

        It is the slope of Dec on C along z where delta = 0: the bias with the roles of Dec and C exchanged.

        Raises:
            ArgumentError: If z does not move C.
        """
        if (np.asarray(self.beta_z) == 0).any():
            raise ArgumentError("the printed bias alpha_z / beta_z is not defined where beta_z = 0.")
        with np.errstate(over="ignore"):
            return _finite("printed_bias", np.divide(self.alpha_z, self.beta_z))

    @property
    def printed_ate(self) -> Number:
        r"""The note's printed total effect, :math:`\delta + \alpha_z/\beta_z`, with its own "Bias"."""
        return _finite("printed_ate", np.add(self.delta, self.printed_bias))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What cannot be trusted, in words."""
        said = []
        if (np.asarray(self.decoder_noise_variance) == 0).any():
            said.append(
                "Dec is a function of x and z: there is no overlap, and no data could tell its effect from that of z"
            )
        for names, lacking, why in (
            ("bias and observed_slope", self._fixed, "Dec does not vary given x and y"),
            ("printed_bias and printed_ate", np.asarray(self.beta_z) == 0, "beta_z = 0"),
        ):
            if lacking.any():
                said.append(f"{names} are not defined where {why}: {lacking.sum()} of {lacking.size} points")
        return tuple(said)

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
        return cls(**quantities_at(energy, at))

    @classmethod
    def from_posterior(cls, energy: Energy, posterior: Posterior) -> "LinearSensitivity":
        """The same quantities at each draw of the latent: a posterior of every one of them.

        Args:
            energy: The energy that was sampled.
            posterior: Draws of its latent given x and y, from ``sample`` at one beta, which v is at too.

        Returns:
            Fields ``[draws, rows]``, the chains one after the other.

        Raises:
            ArgumentError: If the posterior is of a schedule of betas, or has no draws of the latent.
            EnergyError: As in ``from_energy``.
        """
        return cls(**quantities_of_draws(energy, posterior))

    @classmethod
    def from_fit(cls, fit: Fit, draws: int = 1000) -> "LinearSensitivity":
        """The same quantities in each row of a fit's data, at draws from its posterior.

        For ``mcmc`` each draw of the parameters has its own Jacobians, and its own draw of the latent given the row;
        for the other methods the latent is drawn at the fitted parameters.

        Args:
            fit: A fit of an energy as in ``from_energy``.
            draws: At most how many; chains are thinned evenly.

        Returns:
            Fields ``[draws, rows]``, the chains one after the other.

        Raises:
            ArgumentError: If it is no fit.
            EnergyError: As in ``from_energy``.
        """
        return cls(**quantities_of_fit(fit, draws))

    def summary(self) -> pd.DataFrame:
        """The quantities, one row each: mean, standard deviation and central 95 % over points and draws.

        A quantity that is not defined at some point is left out, and ``warnings`` says so.
        """
        found = {name: value for name in DERIVED if (value := self._or_none(name)) is not None}
        columns: dict[str, Callable[[Number], float]] = {"value": np.mean, "sd": np.std}
        columns |= {"lower": partial(np.quantile, q=0.025), "upper": partial(np.quantile, q=0.975)}
        return pd.DataFrame(
            {column: [float(of(v)) for v in found.values()] for column, of in columns.items()},
            index=pd.Index(list(found), name="quantity"),
        )

    def plot(self, ax: Any = None, of: Sequence[str] = ("delta", "observed_slope")) -> Any:
        """Draw how quantities spread over points and draws; returns the axes.

        Args:
            ax: Axes to draw on.
            of: Which of the fields and quantities, in like units.

        Raises:
            ArgumentError: If there is one number alone, or a name is unknown.
        """
        from ebm_causal.figures import densities_picture  # drawing loads matplotlib

        known, of = (*(field.name for field in fields(self)), *DERIVED), as_names(of)
        for name in of:
            if name not in known:
                raise ArgumentError(f"there are {', '.join(dict.fromkeys(known))}; got {name!r}.")
        draws = {name: np.ravel(np.asarray(getattr(self, name), dtype=float)) for name in of}
        if all(values.size < 2 for values in draws.values()):
            raise ArgumentError(
                "one number has no spread to draw; give from_energy more points, or take from_posterior or from_fit."
            )
        return densities_picture(draws, "over points and draws", ax)

    @property
    def _fixed(self) -> np.ndarray:
        """Where Dec does not vary given x and y."""
        moved = np.multiply(self.alpha_z, np.sqrt(self.latent_variance))
        return np.asarray((moved == 0) & (np.asarray(self.decoder_noise_variance) == 0))

    def _or_none(self, name: str) -> Number | None:
        try:
            return getattr(self, name)
        except ArgumentError:
            return None

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value:.6g}" for name, value in self.summary()["value"].items())
        return f"LinearSensitivity({shown})"


def _finite(name: str, value: Number) -> Number:
    if not np.isfinite(value).all():
        raise ArgumentError(f"{name} is beyond what a computer can hold; the numbers are too far apart.")
    return _plain(value)


def _plain(value: Number) -> Number:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
