r"""The Gibbs-Boltzmann density :math:`p(y \mid x) \propto e^{-\beta F(x, y)}` as a Pyro distribution."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from pyro.distributions import TorchDistribution
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor
from torch.distributions import constraints

from ebm_causal.energies import Energy, LinearGaussianEnergy, Temperature, as_energy
from ebm_causal.errors import EnergyError
from ebm_causal.gibbs.estimates import Estimate
from ebm_causal.gibbs.integrating import integrate
from ebm_causal.gibbs.restriction import latents_left, restrict
from ebm_causal.gibbs.scores import score_in
from ebm_causal.gibbs.temperatures import Betas, restrict_at
from ebm_causal.sampling import Lattice, adapt_lattice
from ebm_causal.shapes import as_names, broadcast_shapes, by_name, check_count, refuse_non_finite


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
        beta: The inverse temperature; a schedule of them gives a density at each, ``[betas, rows]`` in all.
        with_normalizer: Whether ``log_prob`` includes the normalizer, as a site of a Pyro model needs it.

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

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {}
    has_rsample = False

    def __init__(
        self,
        energy: Energy,
        over: str | Iterable[str] = "y",
        given: Mapping[str, object] | None = None,
        beta: Betas = 1.0,
        *,
        with_normalizer: bool = False,
    ) -> None:
        energy, self.over = as_energy(energy), as_names(over)
        held = by_name(
            {} if given is None else given, [name for name in energy.variables if name not in self.over]
        )
        if not self.over:
            raise EnergyError("a density is over at least one variable; over names none.")
        self.latents = latents_left(energy, self.over, held)
        self._joint, shape = restrict_at(energy, (*self.over, *self.latents), held, beta)
        self.energy, self.beta, self.with_normalizer = self._joint.energy, self._joint.beta, with_normalizer
        rows = shape or (self._joint.rows,)
        batch = rows if held or rows[-1] > 1 else rows[:-1]
        super().__init__(torch.Size(batch), torch.Size((self._width,)), validate_args=False)

    @property
    def given(self) -> Mapping[str, Tensor]:
        """What the density is conditional on, one row per density."""
        return {
            name: part.expand(self._joint.rows, *part.shape[1:]) for name, part in self._joint.given.items()
        }

    @property
    def _width(self) -> int:
        return sum(math.prod(self.energy.variables[name].shape or (1,)) for name in self.over)

    @constraints.dependent_property(is_discrete=False, event_dim=1)
    def support(self):
        """The support of the density's variable; of the first, where there are several."""
        return constraints.independent(self.energy.variables[self.over[0]].support, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        r"""The unnormalized log density, :math:`-\beta F_\beta`, of each value; normalized only if so constructed."""
        return self.normalized_log_prob(value) if self.with_normalizer else self.log_weight(value)

    def log_partition(self) -> Estimate:
        """The log normalizer of each row's density."""
        if not self._nests:
            return integrate(self._joint)
        lattice = self._nested()
        value = lattice.log_partition(self._marginal(lattice.points))
        return Estimate(value=value, standard_error=lattice.error, method="lattice of lattices")

    def normalized_log_prob(self, value: Tensor) -> Tensor:
        """The log density, its normalizer included: this one may be used to learn parameters."""
        log_partition = self.log_partition().value
        return self.log_weight(value) - log_partition.reshape(self.batch_shape)

    def score(self, value: Tensor, wrt: str | Iterable[str] | None = None) -> Tensor:
        r"""The gradient of the log density, whose mean is zero and whose variance is the Fisher information.

        In y itself it is :math:`-\beta\nabla_y F`: the normalizer does not depend on y.

        Args:
            value: Of the density's variables.
            wrt: By default these; else the names of some of them, of variables that are given, or of parameters
                (``"parameters"`` for all), of which the normalizer does depend.

        Returns:
            ``[*batch, coordinates]``, detached.

        Raises:
            ArgumentError: If a name is none of these, or they are of several kinds.
        """
        if wrt is not None:
            return score_in(self, value, wrt)
        with torch.enable_grad():
            batch = broadcast_shapes(self._checked(value).shape[:-1], self.batch_shape)
            point = value.detach().expand(*batch, self._width).clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self.log_weight(point).sum(), point)
        return gradient

    def with_given(self, given: Mapping[str, object]) -> "GibbsDensity":
        """The same density given other values."""
        return GibbsDensity(self.energy, self.over, given, self.beta)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Independent draws, exact or from a lattice; latents drawn along are dropped. Pyro's seed governs them."""
        for size in sample_shape if isinstance(sample_shape, Iterable) else (sample_shape,):
            check_count("each size of a sample", size, least=0)
        draws = math.prod(sample_shape)
        generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        with torch.no_grad():
            points = self._draw(draws, generator)[..., : self._width]
        return points.reshape(torch.Size(sample_shape) + self.batch_shape + self.event_shape)

    def expand(self, batch_shape: Any, _instance: Any = None) -> "GibbsDensity":
        """The same density over a larger batch, as plates ask for."""
        batch = torch.Size(batch_shape)
        if batch == self.batch_shape:
            return self
        wider = object.__new__(GibbsDensity)
        wider.__dict__.update(self.__dict__)
        wider.beta = self._beta_over(batch)
        wider._joint = replace(
            self._joint, given=self.given_over(batch), rows=math.prod(batch), beta=wider.beta
        )
        super(GibbsDensity, wider).__init__(batch, self.event_shape, validate_args=False)
        return wider

    def log_weight(self, value: Tensor) -> Tensor:
        """The unnormalized log density, whatever ``log_prob`` includes."""
        batch = broadcast_shapes(self._checked(value).shape[:-1], self.batch_shape)
        flat = value.expand(*batch, self._width).reshape(-1, self._width)
        refuse_non_finite(self.over[0], flat)
        beta = self._beta_over(batch)
        alone = replace(self._joint, over=self.over, given=self.given_over(batch), rows=len(flat), beta=beta)
        values = {**alone.given, **{name: part[0] for name, part in alone.split(flat[None]).items()}}
        if not self.latents:
            weight = -self.energy.reduced(values, beta).expand(len(flat))
            self._refuse_no_weight(weight, flat)
            return weight.reshape(batch)
        within = replace(restrict(self.energy, self.latents, values, 1.0), beta=beta)
        return integrate(within).value.reshape(batch)

    def _refuse_no_weight(self, weight: Tensor, values: Tensor) -> None:
        """Refuse an energy that is not a number, or minus infinity.

        Raises:
            EnergyError: With the first value at which it is none.
        """
        lost = weight.detach().isnan() | (weight.detach() == math.inf)
        if bool(lost.any()):
            row = int(lost.nonzero()[0])
            found = "NaN" if bool(weight[row].isnan()) else "minus infinity"
            where = [round(number, 6) for number in values[row].tolist()[:5]]
            raise EnergyError(
                f"the energy is {found} at the value {where} of {list(self.over)}, in row {row}: state the support "
                "of the variable, as ec.Variable(1, constraints.positive), or make the energy infinite there."
            )

    def _checked(self, value: Tensor) -> Tensor:
        """A value as it is, or a refusal.

        Raises:
            EnergyError: If it is not of real numbers, or not one for each density.
        """
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise EnergyError(f"a value of {list(self.over)} must be a floating tensor; got {value!r}.")
        pairs = zip(reversed(value.shape[:-1]), reversed(self.batch_shape), strict=False)
        fits = all(mine == theirs or 1 in (mine, theirs) for mine, theirs in pairs)
        if value.ndim == 0 or value.shape[-1] not in (1, self._width) or not fits:
            wanted = ", ".join(map(str, ("...", *self.batch_shape, self._width)))
            raise EnergyError(f"a value of {list(self.over)} must be [{wanted}]; got {list(value.shape)}.")
        return value

    def _beta_over(self, batch: torch.Size) -> Temperature:
        if not isinstance(self.beta, Tensor):
            return self.beta
        return self.beta.reshape(self.batch_shape).expand(batch).reshape(-1)

    def given_over(self, batch: torch.Size) -> dict[str, Tensor]:
        """What is given, a row for each place of a batch."""
        found = {}
        for name, part in self.given.items():
            own = part.shape[1:]
            shaped = part.reshape(*(self.batch_shape or (1,)), *own)
            found[name] = shaped.expand(*(batch or (1,)), *own).reshape(-1, *own)
        return found

    def _draw(self, draws: int, generator: torch.Generator) -> Tensor:
        law = self._normal()
        if law is not None:
            return law.sample((draws,)).reshape(draws, self._joint.rows, self._width)
        if self._nests:
            return self._nested().draw(self._marginal, draws, generator)
        if not self._joint.served:
            raise EnergyError(
                f"the density over {list(self.over)} (dimension {self._width}, latents {list(self.latents)}) cannot be "
                "drawn from by a lattice, which serves one to three real dimensions or finite variables."
            )
        lattice = self._joint.quadrature()
        if self._joint.finite:
            return lattice.choose(draws, generator)
        return self._joint.to_support(lattice.draw(self._joint, draws, generator))[0]

    def _normal(self) -> TorchDistributionMixin | None:
        """The density's closed form, for one variable of a ``LinearGaussianEnergy``."""
        if not isinstance(self.energy, LinearGaussianEnergy):
            return None
        given, x = self.given, self.given.get("x")
        if self.over == ("y",) and self.latents == ("z",):
            law = self.energy.outcome_law(x, self.beta)
        elif self.over == ("z",) and not self.latents:
            law = self.energy.latent_law(given["y"], x, self.beta)
        else:
            return None
        return law.expand((self._joint.rows,))

    @property
    def _nests(self) -> bool:
        """Whether a lattice over the variable serves, with one over the latents at each of its points.

        That resolves curved and narrow joint densities which no box around both does.
        """
        real = all(self.energy.variables[name].is_real for name in self.over)
        return (
            bool(self.latents)
            and self._width <= 2
            and real
            and replace(self._joint, over=self.latents).served
        )

    def _nested(self) -> Lattice:
        return adapt_lattice(self._marginal, self._joint.rows, self._width, like=self._joint.like)

    def _marginal(self, points: Tensor) -> Tensor:
        batch = self.batch_shape or (1,)
        shaped = points.reshape(len(points), *batch, self._width)
        weights = self.log_weight(shaped if self.batch_shape else shaped[:, 0])
        return -weights.reshape(points.shape[:-1])
