r"""The Gibbs-Boltzmann density :math:`p(y \mid x) \propto e^{-\beta F(x, y)}` as a Pyro distribution."""

import math
from collections.abc import Iterable, Mapping

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from ebm_causal.energies import Energy, LinearGaussianEnergy
from ebm_causal.errors import EnergyError
from ebm_causal.gibbs.free_energies import Estimate, log_integral
from ebm_causal.gibbs.restriction import Restriction, latents_left, restrict
from ebm_causal.sampling import Lattice, adapt_lattice
from ebm_causal.shapes import as_names, as_rows, check_beta, common_rows, refuse_non_finite


class GibbsDensity(TorchDistribution):
    r"""The density proportional to :math:`e^{-\beta E}`, latents integrated out.

    .. math:: p(y \mid x) = \frac{e^{-\beta F_\beta(x, y)}}{\int e^{-\beta F_\beta(x, y')}\,dy'}

    What is in neither ``over`` nor ``given`` is latent and integrated out. ``log_prob`` leaves out the
    normalizer: it serves samplers and comparisons at fixed parameters, never learning them
    (``normalized_log_prob`` does). Its gradient in y is exactly that of the normalized density.

    Args:
        energy: The energy, taken as the raw sum of its factors.
        over: The variable or variables of the density; several are joined along the last dimension.
        given: What it is conditional on, ``[rows, dim]`` each: one density per row.
        beta: The inverse temperature.

    Raises:
        EnergyError: If a variable is unknown, or is neither given nor latent.
        ArgumentError: If beta is not positive.

    Example:
        >>> import ebm_causal as ec, torch
        >>> well = ec.energy(lambda x: 2 * (x.squeeze(-1) ** 2 - 1) ** 2, x=1)
        >>> density = ec.GibbsDensity(well, over="x")
        >>> density.normalized_log_prob(torch.ones(1, dtype=torch.float64))
        tensor(-0.3442, dtype=torch.float64)

    References:
        LeCun et al. (2006), A tutorial on energy-based learning, equation 3.
    """

    arg_constraints = {}
    has_rsample = False

    def __init__(
        self,
        energy: Energy,
        over: str | Iterable[str] = "y",
        given: Mapping[str, object] | None = None,
        beta: float = 1.0,
    ) -> None:
        self.energy, self.over, self.beta = energy, as_names(over), check_beta(beta)
        held = dict(given or {})
        self.latents = latents_left(energy, self.over, held)
        self._joint = restrict(energy, (*self.over, *self.latents), held, beta)
        self.given = self._joint.given
        rows = (common_rows(self.given),) if self.given else ()
        super().__init__(torch.Size(rows), torch.Size((self._width,)), validate_args=False)

    @property
    def _width(self) -> int:
        return sum(math.prod(self.energy.variables[name].shape or (1,)) for name in self.over)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self):
        """The support of the density's variable; of the first, where there are several."""
        return constraints.independent(self.energy.variables[self.over[0]].support, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        r"""The unnormalized log density, :math:`-\beta F_\beta`, of each value."""
        value, batch, given = self._rows_of(value)
        values = {**given, **self._over_only(given).split(value[None])}
        values = {
            name: part.reshape(-1, *part.shape[2:]) if name in self.over else part
            for name, part in values.items()
        }
        if not self.latents:
            return -self.energy.reduced(values, self.beta).expand(len(value)).reshape(batch)
        if isinstance(self.energy, LinearGaussianEnergy) and self.latents == ("z",):
            return (-self.beta * self.energy.free_energy(values["y"], values.get("x"), self.beta)).reshape(
                batch
            )
        return log_integral(restrict(self.energy, self.latents, values, self.beta)).value.reshape(batch)

    def log_partition(self) -> Estimate:
        """The log normalizer of each row's density."""
        if isinstance(self.energy, LinearGaussianEnergy) and set(self._joint.over) == {"y", "z"}:
            value = self.energy.log_partition(self.beta).expand(self._joint.rows)
            return Estimate(value=value, standard_error=torch.zeros_like(value), method="exact")
        if self._joint.served:
            return log_integral(self._joint)
        lattice = self._nested()
        value = lattice.log_partition(self._marginal(lattice.points))
        return Estimate(value=value, standard_error=lattice.disagreement(), method="lattice of lattices")

    def normalized_log_prob(self, value: Tensor) -> Tensor:
        """The log density, its normalizer included: this one may be used to learn parameters."""
        log_partition = self.log_partition().value
        return self.log_prob(value) - (log_partition if self.batch_shape else log_partition[0])

    def score(self, value: Tensor) -> Tensor:
        r"""The gradient of the log density, :math:`-\beta\nabla_y F`; the normalizer does not depend on y."""
        with torch.enable_grad():
            point = value.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.log_prob(point).sum(), point)
        return gradient

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = torch.Size()) -> Tensor:
        """Independent draws from a lattice, latents drawn along and dropped; Pyro's seed governs them."""
        draws = math.prod(sample_shape)
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        with torch.no_grad():
            points = self._draw(draws, generator)[..., : self._width]
        shape = torch.Size(sample_shape) + self.batch_shape + self.event_shape
        return points.reshape(shape)

    def expand(self, batch_shape, _instance=None):
        """The same density over a larger batch, as plates ask for."""
        if torch.Size(batch_shape) == self.batch_shape:
            return self
        rows = math.prod(batch_shape)
        if len(batch_shape) != 1 or (self.batch_shape and self.batch_shape != (1,)):
            raise EnergyError(
                f"a Gibbs density of batch {tuple(self.batch_shape)} cannot expand to {tuple(batch_shape)}."
            )
        given = {name: part.expand(rows, *part.shape[1:]) for name, part in self.given.items()}
        wider = GibbsDensity(self.energy, self.over, given, self.beta)
        super(GibbsDensity, wider).__init__(torch.Size(batch_shape), self.event_shape, validate_args=False)
        wider._joint = Restriction(
            energy=self.energy,
            over=self._joint.over,
            given=given,
            beta=self.beta,
            rows=rows,
            like=self._joint.like,
        )
        return wider

    def _rows_of(self, value: Tensor) -> tuple[Tensor, torch.Size, dict[str, Tensor]]:
        batch = torch.broadcast_shapes(value.shape[:-1], self.batch_shape)
        rows = value.expand(*batch, self._width).reshape(-1, self._width)
        refuse_non_finite(self.over[0], rows)
        given = {}
        for name, part in self.given.items():
            wide = part.expand(*batch, *part.shape[1:]) if self.batch_shape else part
            given[name] = as_rows(name, wide.reshape(-1, *part.shape[1:]), tuple(part.shape[1:]))
        return rows, torch.Size(batch), given

    def _over_only(self, given: Mapping[str, Tensor]) -> Restriction:
        rows = common_rows(given)
        return Restriction(
            energy=self.energy, over=self.over, given=given, beta=self.beta, rows=rows, like=self._joint.like
        )

    def _draw(self, draws: int, generator: torch.Generator) -> Tensor:
        if self._joint.served:
            lattice = self._joint.quadrature()
            if self._joint.finite:
                chosen = torch.multinomial(
                    lattice.weights().T, draws, replacement=True, generator=generator
                ).T
                return lattice.points.gather(0, chosen[..., None].expand(-1, -1, self._joint.dim))
            drawn = lattice.draw(self._joint, draws, generator)
            return self._joint.to_support(drawn)[0]
        return self._nested().draw(self._marginal, draws, generator)

    def _nested(self) -> Lattice:
        if self._width > 2 or any(not self.energy.variables[name].is_real for name in self.over):
            raise EnergyError(
                f"the density over {list(self.over)} (dimension {self._width}, latents {list(self.latents)}) cannot be "
                "normalized or drawn from by a lattice, which serves one or two real dimensions."
            )
        return adapt_lattice(self._marginal, self._joint.rows, self._width, like=self._joint.like)

    def _marginal(self, points: Tensor) -> Tensor:
        return -self.log_prob(points if self.batch_shape else points[:, 0]).reshape(points.shape[:-1])
