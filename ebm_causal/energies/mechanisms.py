r"""Mechanisms: directed factors, :math:`C(\mathrm{Dec}(\text{parents}), \text{child})`, and their normalizers."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import cast

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor
from torch.distributions.transforms import ReshapeTransform

from ebm_causal.energies.costs import Cost, Temperature
from ebm_causal.energies.discrete_costs import CategoricalCost
from ebm_causal.energies.factors import Factor, Values, called, flattened
from ebm_causal.energies.scaling import ScaledCost, Weight, Weighted, positive_weight
from ebm_causal.energies.variables import Variable
from ebm_causal.errors import ConvergenceError, EnergyError, IdentificationError
from ebm_causal.sampling import Lattice, adapt_lattice
from ebm_causal.shapes import as_names, broadcast_shapes


class Mechanism(Factor):
    r"""How a variable comes about from its causes: :math:`E_v = C(\mathrm{Dec}(\text{parents}), v)`.

    Made locally normalized (``fit``, ``do``, ``interventional``), it is the conditional law
    :math:`p(v \mid \text{parents}) \propto e^{-\beta E_v}`; as a term of a raw energy it is not.

    Args:
        child: The variable that is caused.
        parents: Its causes, a name or several.
        decoder: Called with the parents by keyword, ``decoder(x=x, z=z)``; gives the prediction.
        cost: Called as ``cost(prediction, value)``. One of the package's costs, or any callable; the
            normalizer of the latter is computed by quadrature where the child has dimension one or two.
        dim: The child's dimension; a tuple for images and sequences, None where the first data decide.

    Raises:
        EnergyError: If the child is among its own parents.

    Example:
        >>> import ebm_causal as ec
        >>> y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + 2 * z, ec.SquaredError(1.0))
        >>> sorted((y + ec.GaussianRegularizer(1)).graph.edges)
        [('x', 'y'), ('z', 'y')]
    """

    def __init__(
        self,
        child: str,
        parents: str | Iterable[str],
        decoder: Callable[..., Tensor],
        cost: Callable[[Tensor, Tensor], Tensor],
        dim: int | tuple[int, ...] | Variable | None = 1,
    ) -> None:
        super().__init__()
        (child,) = as_names(child)
        self.child, self.parents, self.name = child, as_names(parents), child
        for part, what in ((decoder, "decoder"), (cost, "cost")):
            if not callable(part) or isinstance(part, type):
                raise EnergyError(
                    f"the {what} of {child!r} must be callable, as ec.SquaredError() is; got {part!r}."
                )
        if child in self.parents:
            raise EnergyError(f"{child!r} cannot be its own parent; parents are {list(self.parents)}.")
        self.decoder, self.cost = decoder, cost
        support = getattr(cost, "support", torch.distributions.constraints.real)
        self._child_variable = dim if isinstance(dim, Variable) else Variable(dim, support)
        self.know({})

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The parents, whose dimensions other factors or the data state, and the child."""
        return {name: Variable(None) for name in self.parents} | {self.child: self._child_variable}

    def know(self, variables: Mapping[str, Variable]) -> None:
        """Take notice of dimensions, and of the shapes of child and prediction that follow."""
        super().know(variables)
        self._shape: tuple[int, ...] | None = self.known[self.child].shape
        self._prediction_shape: tuple[int | None, ...] | None = self._shape
        if self._shape is not None and isinstance(self.cost, Cost):
            self._prediction_shape = self.cost.prediction_shape(self._shape)

    def predict(self, values: Values) -> Tensor:
        """The decoder's prediction from the parents.

        Raises:
            EnergyError: If its shape is not that of a prediction of the child.
        """
        prediction = called(self.decoder, {name: values[name] for name in self.parents}, self.known)
        if not isinstance(prediction, Tensor):
            raise EnergyError(
                f"the decoder of {self.child!r} must give a tensor; got {type(prediction).__name__}."
            )
        wanted = self._prediction_shape
        if wanted is None or not isinstance(self.cost, Cost) or _ends_with(prediction, wanted):
            return prediction
        shape = [size if size is not None else -1 for size in wanted]
        spread = not isinstance(self.cost, CategoricalCost)  # one logit for all classes would say nothing
        if spread and prediction.ndim >= len(shape) and _ends_with(prediction, wanted, broadcast=True):
            return prediction.expand(*prediction.shape[: prediction.ndim - len(shape)], *shape)
        sizes = ", ".join("K" if size is None else str(size) for size in wanted)
        raise EnergyError(
            f"the decoder of {self.child!r} must give [..., {sizes}]; got {list(prediction.shape)}."
        )

    def term(self, values: Values) -> Tensor:
        """The cost of the child's value under the prediction."""
        if isinstance(self.cost, Cost):
            return self.cost(self._flat_prediction(values), flattened(values[self.child], self._shape))
        term = self.cost(self.predict(values), values[self.child])
        whole = isinstance(term, Tensor) and not term.is_floating_point() and not term.is_complex()
        return term.to(values[self.child].dtype) if whole else term

    def fits(self, term: Tensor, batch: tuple[int, ...], values: Values) -> bool:
        """Whether a term has one number per row; a decoder may leave out some of the parents."""
        if tuple(term.shape) == tuple(batch):
            return True
        child, prediction = flattened(values[self.child], self._shape), self._flat_prediction(values)
        return tuple(term.shape) == tuple(broadcast_shapes(child.shape[:-1], prediction.shape[:-1]))

    def scaled(self, weight: Weight) -> "Mechanism":
        r"""The mechanism with a weighted cost: a law at :math:`w\beta`, so that surgery and fits stay true."""
        positive_weight(weight, f"the mechanism of {self.child!r}")
        cost = ScaledCost(self.cost, weight) if isinstance(self.cost, Cost) else Weighted(self.cost, weight)
        part = Mechanism(self.child, self.parents, self.decoder, cost, self._child_variable)
        part.name = self.name
        part.know(self.known)
        return part

    def log_normalizer(self, values: Values, beta: Temperature = 1.0) -> Tensor:
        r"""The log of :math:`\int e^{-\beta C}\,dv`, in closed form or by quadrature over the child.

        Raises:
            IdentificationError: If the cost does not know it and the child has more than two dimensions
                or is not a real vector.
            ConvergenceError: If the quadrature does not resolve it.
        """
        self.refuse_unknown_normalizer()
        if isinstance(self.cost, Cost):
            return self.cost.log_normalizer(self._flat_prediction(values), beta)
        energy, lattice, batch = self._quadrature(self.predict(values), beta)
        return lattice.log_partition(energy(lattice.points)).reshape(batch)

    def distribution(self, values: Values, beta: Temperature = 1.0) -> TorchDistributionMixin | None:
        """The conditional law as a Pyro distribution, where the cost has one.

        Raises:
            IdentificationError: If the cost cannot be normalized.
        """
        self.refuse_unknown_normalizer()
        if not isinstance(self.cost, Cost):
            return None
        law = self.cost.distribution(self._flat_prediction(values), beta)
        if self._shape is None or len(self._shape) < 2:
            return law
        return dist.TransformedDistribution(law, [ReshapeTransform(law.event_shape, torch.Size(self._shape))])

    def mean(self, values: Values, beta: Temperature = 1.0) -> Tensor:
        """The child's mean given its parents: in closed form, or by quadrature."""
        self.refuse_unknown_normalizer()
        if isinstance(self.cost, Cost):
            mean = self.cost.mean(self._flat_prediction(values), beta)
            return mean if self._shape is None else mean.reshape(*mean.shape[:-1], *self._shape)
        _, lattice, batch = self._quadrature(self.predict(values), beta)
        return lattice.mean().reshape(*batch, lattice.dim)

    def sample(self, values: Values, beta: Temperature, generator: torch.Generator) -> Tensor:
        """One draw of the child for each row of parents."""
        law = self.distribution(values, beta)
        if law is not None:
            seed = int(torch.randint(2**62, (1,), generator=generator))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return law.sample()
        energy, lattice, batch = self._quadrature(self.predict(values), beta)
        return lattice.draw(energy, 1, generator)[0].reshape(*batch, lattice.dim)

    def refuse_unknown_normalizer(self) -> None:
        """Refuse where there is no normalizer, or none is known and quadrature cannot serve.

        Raises:
            IdentificationError: With the reason and what to do.
        """
        shape = self._shape
        if isinstance(self.cost, Cost):
            if self.cost.without_normalizer is not None:
                raise IdentificationError(
                    f"the mechanism of {self.child!r} is no conditional law: {self.cost.without_normalizer}"
                )
            return
        if shape is None or len(shape) > 1 or shape[0] > 2 or not self._child_variable.is_real:
            raise IdentificationError(
                f"the mechanism of {self.child!r} has a cost without a known normalizer, and its child (dimension "
                f"{self.known[self.child].dim}, {self._child_variable.support}) is not a real vector of one or two "
                "dimensions: use one of the package's costs, or a subclass of Cost that knows its normalizer."
            )

    @property
    def constant_normalizer(self) -> bool:
        """Whether the normalizer is known to be the same for all parents, so that surgery may leave it out."""
        return isinstance(self.cost, Cost) and self.cost.constant_normalizer

    def _flat_prediction(self, values: Values) -> Tensor:
        return flattened(self.predict(values), self._prediction_shape)

    def _quadrature(
        self, prediction: Tensor, beta: Temperature
    ) -> tuple[Callable[[Tensor], Tensor], Lattice, torch.Size]:
        """The reduced cost over the child, a lattice that carries its mass, and the batch of rows."""
        self.refuse_unknown_normalizer()
        dim = math.prod(self._shape or (1,))
        inverse = torch.as_tensor(beta, dtype=prediction.dtype, device=prediction.device)
        batch = broadcast_shapes(prediction.shape[:-1], inverse.shape)
        rows = prediction.expand(*batch, prediction.shape[-1]).reshape(-1, prediction.shape[-1])
        each = inverse.expand(batch).reshape(-1) if inverse.ndim else inverse

        def over_child(points: Tensor) -> Tensor:
            return each * self.cost(rows, points)

        lattice = adapt_lattice(over_child, rows.shape[0], dim, like=rows)
        bad = (~lattice.resolved).nonzero().flatten().tolist()
        if bad:
            raise ConvergenceError(
                f"the normalizer of the mechanism of {self.child!r} was not resolved for {len(bad)} of {len(rows)} "
                f"predictions, the first {bad[:5]}: its cost does not grow at infinity, grows too slowly, or is too "
                "narrow there. Use a subclass of Cost that knows its normalizer."
            )
        return over_child, lattice, batch


def _ends_with(prediction: Tensor, wanted: tuple[int | None, ...], *, broadcast: bool = False) -> bool:
    """Whether a tensor's last dimensions are the wanted ones, or, on request, can be broadcast to them."""
    found = prediction.shape[-len(wanted) :]
    if len(found) < len(wanted):
        return False
    return all(
        size is None or have == size or (broadcast and have == 1)
        for have, size in zip(found, wanted, strict=True)
    )


class LocalNormalizer(Factor):
    r"""The factor :math:`\log Z_v(\text{parents})` that makes a mechanism a conditional density.

    It depends on beta: at inverse temperature beta the density holds
    :math:`e^{-\beta C}/\int e^{-\beta C}\,dv`. A raw energy shows it at beta = 1.

    Args:
        mechanism: What it normalizes.
    """

    def __init__(self, mechanism: Mechanism) -> None:
        super().__init__()
        self.mechanism = mechanism
        self.name = f"log Z({mechanism.child})"

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The mechanism's parents."""
        return {name: v for name, v in self.mechanism.variables.items() if name != self.mechanism.child}

    def fits(self, term: Tensor, batch: tuple[int, ...], values: Values) -> bool:
        """A normalizer that does not depend on the parents is one number for all rows."""
        return tuple(broadcast_shapes(term.shape, batch)) == tuple(batch)

    def scaled(self, weight: Weight) -> "LocalNormalizer":
        """The normalizer of the scaled mechanism."""
        return LocalNormalizer(self.mechanism.scaled(weight))

    def beside(self, mechanism: Factor) -> "LocalNormalizer":
        """The normalizer of a mechanism that takes the place of this one's."""
        return LocalNormalizer(cast(Mechanism, mechanism))

    def know(self, variables: Mapping[str, Variable]) -> None:
        """Take notice of dimensions, which the mechanism needs too."""
        super().know(variables)
        self.mechanism.know(variables)

    def reduced(self, values: Values, beta: Temperature) -> Tensor:
        """The log normalizer at this beta."""
        return self.mechanism.log_normalizer(values, beta)

    def term(self, values: Values) -> Tensor:
        """The log normalizer at beta = 1."""
        return self.mechanism.log_normalizer(values, 1.0)
