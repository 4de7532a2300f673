"""The linear-Gaussian energy: every quantity of the package in closed form, the yardstick of all others."""

import math
from typing import cast

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from ebm_causal.energies.costs import SquaredError, Temperature
from ebm_causal.energies.energies import Energy
from ebm_causal.energies.mechanisms import Mechanism
from ebm_causal.energies.regularizers import GaussianRegularizer
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.shapes import as_number, as_weights


class LinearDecoder(nn.Module):
    r"""The prediction :math:`b + U x + W z`.

    Args:
        latent_weight: W, ``[observed, latent]``.
        input_weight: U, ``[observed, input]``, or None.
        offset: b, ``[observed]``, or None.
    """

    def __init__(self, latent_weight: Tensor, input_weight: Tensor | None, offset: Tensor | None) -> None:
        super().__init__()
        self.latent_weight = _parameter(latent_weight)
        self.input_weight = None if input_weight is None else _parameter(input_weight)
        self.offset = None if offset is None else _parameter(offset)

    def forward(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        """The prediction of y."""
        return self.at_zero(x, z) + z @ self.latent_weight.mT

    def at_zero(self, x: Tensor | None, like: Tensor) -> Tensor:
        """The prediction at z = 0."""
        start = like.new_zeros(self.latent_weight.shape[0]) if self.offset is None else self.offset
        return start if x is None or self.input_weight is None else start + x @ self.input_weight.mT


class LinearGaussianEnergy(Energy):
    r"""The energy :math:`E(x,y,z) = \frac{|y - b - Ux - Wz|^2}{2s^2} + \frac\tau2 |z|^2`, with closed forms.

    With :math:`\Lambda = W'W/s^2 + \tau I` and r = y - b - Ux:
    the minimizer is :math:`z^* = \Lambda^{-1}W'r/s^2`, the posterior of z is normal with covariance
    :math:`\Lambda^{-1}/\beta`, and y given x is normal with covariance :math:`(s^2 I + WW'/\tau)/\beta`.
    Exact for every beta: a number, or a tensor that broadcasts against the rows, ``[rows]`` for one each and
    ``schedule[:, None]`` for every row at each of several.

    Args:
        latent_weight: W, ``[observed, latent]``.
        input_weight: U, ``[observed, input]``; None for an energy of y and z alone.
        offset: b, ``[observed]``; zero where None.
        scale: s, the standard deviation of y given x and z, in y's units.
        regularizer_weight: :math:`\tau`.

    Raises:
        EnergyError: If the weights do not fit together.
        ArgumentError: If they are not numbers, or the scale or the regularizer's weight is not positive.

    Example:
        >>> import ebm_causal as ec, torch
        >>> energy = ec.LinearGaussianEnergy(torch.eye(2))
        >>> energy.minimum(torch.ones(1, 2))
        tensor([[0.5000, 0.5000]], grad_fn=...)

    References:
        Tipping and Bishop (1999), Probabilistic principal component analysis.
    """

    def __init__(
        self,
        latent_weight: Tensor,
        input_weight: Tensor | None = None,
        offset: Tensor | None = None,
        scale: float | Tensor = 1.0,
        regularizer_weight: float | Tensor = 1.0,
    ) -> None:
        for name, value, dims in _shaped(latent_weight, input_weight, offset):
            needed = value is not None or name == "latent_weight"
            if needed and as_weights(name, value).ndim != dims:
                raise EnergyError(
                    f"{name} must have {dims} dimensions; got shape {list(as_weights(name, value).shape)}."
                )
        for name, number in (("scale", scale), ("regularizer_weight", regularizer_weight)):
            if not isinstance(number, nn.Parameter) and not 0 < (as_number(number) or 0.0) < math.inf:
                raise ArgumentError(f"{name} must be one positive, finite number; got {number!r}.")
        decoder = LinearDecoder(latent_weight, input_weight, offset)
        observed, latent = decoder.latent_weight.shape
        for name, part in (("input_weight", decoder.input_weight), ("offset", decoder.offset)):
            if part is not None and part.shape[0] != observed:
                raise EnergyError(
                    f"{name} must have {observed} rows, as latent_weight has; got {list(part.shape)}."
                )
        parents = ("z",) if decoder.input_weight is None else ("x", "z")
        cost = SquaredError(_parameter(scale, decoder.latent_weight))
        super().__init__(
            [
                Mechanism("y", parents, decoder, cost, dim=observed),
                GaussianRegularizer(latent, regularizer_weight),
            ]
        )
        if decoder.input_weight is not None:
            self.learn_dim("x", decoder.input_weight.shape[1])

    @property
    def decoder(self) -> LinearDecoder:
        """The decoder, which holds W, U and b."""
        return cast(LinearDecoder, self._mechanism.decoder)

    def minimum(self, y: Tensor, x: Tensor | None = None) -> Tensor:
        """The latent of least energy, ``[rows, latent]``."""
        precision, residual, noise = self._parts(y, x)
        return torch.linalg.solve(precision, (residual @ self.decoder.latent_weight / noise).mT).mT

    def free_energy(self, y: Tensor, x: Tensor | None = None, beta: Temperature = 1.0) -> Tensor:
        r"""The free energy of each row, z integrated out (Lebesgue measure); ``beta = inf`` is the minimum over z.

        .. math:: F_\beta = F_\infty - \tfrac{d_z}{2\beta}\log\tfrac{2\pi}\beta + \tfrac1{2\beta}\log\det\Lambda.

        Raises:
            ArgumentError: If beta is not positive, or does not broadcast against the rows.
        """
        precision, residual, noise = self._parts(y, x)
        z = self.minimum(y, x)
        left = residual - z @ self.decoder.latent_weight.mT
        lowest = 0.5 * (left * left).sum(-1) / noise + 0.5 * self.regularizer_weight * (z * z).sum(-1)
        inverse = _checked(beta, lowest)
        log_volume = (
            z.shape[-1] * (math.log(2 * math.pi) - inverse.log()) - torch.linalg.slogdet(precision)[1]
        )
        return torch.where(inverse.isinf(), lowest, lowest - log_volume / (2 * inverse))

    def posterior_covariance(self, beta: Temperature = 1.0) -> Tensor:
        """The covariance of z given x and y, one for each beta: the same for every row."""
        covariance = torch.linalg.inv(self.latent_precision())
        return covariance / _checked(beta, covariance[0, 0])[..., None, None]

    def outcome_covariance(self, beta: Temperature = 1.0) -> Tensor:
        """The covariance of y given x, z integrated out, one for each beta."""
        weight, noise = self.decoder.latent_weight, self.noise_variance
        covariance = torch.eye(len(weight)).to(weight) * noise + weight @ weight.mT / self.regularizer_weight
        return covariance / _checked(beta, noise)[..., None, None]

    def log_likelihood(self, y: Tensor, x: Tensor | None = None, beta: Temperature = 1.0) -> Tensor:
        """The log density of y given x, per row."""
        free = self.free_energy(y, x, beta)
        return -_checked(beta, free) * free - self.log_partition(beta)

    def outcome_law(self, x: Tensor | None = None, beta: Temperature = 1.0) -> dist.MultivariateNormal:
        """The law of y given x, z integrated out: one normal per row of x."""
        mean = self.decoder.at_zero(x, self.decoder.latent_weight)
        return dist.MultivariateNormal(mean, self.outcome_covariance(beta))

    def latent_law(
        self, y: Tensor, x: Tensor | None = None, beta: Temperature = 1.0
    ) -> dist.MultivariateNormal:
        """The law of z given y and x: one normal per row."""
        return dist.MultivariateNormal(self.minimum(y, x), self.posterior_covariance(beta))

    def score(self, y: Tensor, x: Tensor | None = None, beta: Temperature = 1.0) -> Tensor:
        """The gradient of the log density in y, ``[rows, observed]``."""
        residual = self._parts(y, x)[1]
        pull = torch.linalg.solve(self.outcome_covariance(), residual.mT).mT
        return -_checked(beta, pull[..., 0])[..., None] * pull

    def log_partition(self, beta: Temperature = 1.0) -> Tensor:
        """The log integral of exp(-beta E) over y and z, one for each beta; the same for every x."""
        observed, latent = self.decoder.latent_weight.shape
        both = (observed + latent) * (math.log(2 * math.pi) - _checked(beta, self.noise_variance).log())
        return 0.5 * (both + observed * self.noise_variance.log() - latent * self.regularizer_weight.log())

    def latent_precision(self) -> Tensor:
        r"""The matrix :math:`\Lambda`, the curvature of the energy in z."""
        weight = self.decoder.latent_weight
        return (
            weight.mT @ weight / self.noise_variance
            + torch.eye(weight.shape[1]).to(weight) * self.regularizer_weight
        )

    @property
    def noise_variance(self) -> Tensor:
        """The variance of y given x and z at beta = 1."""
        return cast(SquaredError, self._mechanism.cost).scale(self.decoder.latent_weight) ** 2

    @property
    def regularizer_weight(self) -> Tensor:
        r"""The weight :math:`\tau`."""
        return cast(GaussianRegularizer, self._factors[1]).weight(self.decoder.latent_weight)

    @property
    def _mechanism(self) -> Mechanism:
        return cast(Mechanism, self._factors[0])

    def _parts(self, y: Tensor, x: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        weight = self.decoder.input_weight
        if (x is None) != (weight is None):
            raise EnergyError(
                "this energy has no x: leave it out."
                if weight is None
                else "this energy has an x: give it too."
            )
        wanted = len(self.decoder.latent_weight)
        for name, value, size in (("y", y, wanted), ("x", x, None if weight is None else weight.shape[1])):
            shape = list(value.shape) if isinstance(value, Tensor) else None
            if value is not None and (not shape or shape[-1] != size):
                raise EnergyError(f"{name} must be [..., {size}]; got {shape or repr(value)}.")
        return self.latent_precision(), y - self.decoder.at_zero(x, y), self.noise_variance


def _checked(beta: Temperature, rows: Tensor) -> Tensor:
    """An inverse temperature as a tensor that broadcasts against one number per row, or for none of them."""
    if not isinstance(beta, Tensor) and as_number(beta) is None:
        raise ArgumentError(f"beta is an inverse temperature and must be positive; got {beta!r}.")
    inverse = torch.as_tensor(beta, dtype=rows.dtype, device=rows.device)
    if not bool((inverse > 0).all()):
        raise ArgumentError(f"beta is an inverse temperature and must be positive; got {inverse.tolist()}.")
    pairs = zip(reversed(inverse.shape), reversed(rows.shape), strict=False)
    if not all(mine == theirs or 1 in (mine, theirs) for mine, theirs in pairs):
        raise ArgumentError(
            f"beta {list(inverse.shape)} does not broadcast against the rows {list(rows.shape)}: give one number, one "
            "for each row, or schedule[:, None] for every row at each."
        )
    return inverse


def _parameter(value: float | Tensor, like: Tensor | None = None) -> nn.Parameter:
    """A parameter as it is, arrays as one of their own dtype, numbers in that of a tensor."""
    if isinstance(value, nn.Parameter):
        return value
    weights = as_weights("a weight", value).detach().clone()
    return nn.Parameter(weights if like is None or isinstance(value, Tensor) else weights.to(like))


def _shaped(
    latent_weight: object, input_weight: object, offset: object
) -> tuple[tuple[str, object, int], ...]:
    """The arrays by name, and how many dimensions each has."""
    return (("latent_weight", latent_weight, 2), ("input_weight", input_weight, 2), ("offset", offset, 1))
