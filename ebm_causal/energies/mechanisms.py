r"""Mechanisms: directed factors, :math:`C(\mathrm{Dec}(\text{parents}), \text{child})`, and their normalizers."""

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from ebm_causal.energies.costs import Cost
from ebm_causal.energies.factors import Factor, Values, called
from ebm_causal.energies.variables import Variable
from ebm_causal.errors import ConvergenceError, EnergyError, IdentificationError
from ebm_causal.sampling import Lattice, adapt_lattice
from ebm_causal.shapes import as_names


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
        dim: The child's dimension.

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
        self.child, self.parents, self.name = child, as_names(parents), child
        if child in self.parents:
            raise EnergyError(f"{child!r} cannot be its own parent; parents are {list(self.parents)}.")
        self.decoder, self.cost = decoder, cost
        support = getattr(cost, "support", torch.distributions.constraints.real)
        self._child_variable = dim if isinstance(dim, Variable) else Variable(dim, support)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The parents, whose dimensions other factors or the data state, and the child."""
        return {name: Variable(None) for name in self.parents} | {self.child: self._child_variable}

    def predict(self, values: Values) -> Tensor:
        """The decoder's prediction from the parents."""
        return called(self.decoder, {name: values[name] for name in self.parents}, self.variables)

    def term(self, values: Values) -> Tensor:
        """The cost of the child's value under the prediction."""
        return self.cost(self.predict(values), values[self.child])

    def fits(self, term: Tensor, batch: tuple[int, ...], values: Values) -> bool:
        """Whether a term has one number per row; a decoder may leave out some of the parents."""
        if tuple(term.shape) == tuple(batch):
            return True
        own = len(self._child_variable.shape or (1,))
        child, prediction = values[self.child], self.predict(values)
        used = torch.broadcast_shapes(
            child.shape[: child.ndim - own], prediction.shape[: prediction.ndim - own]
        )
        return tuple(term.shape) == tuple(used)

    def log_normalizer(self, values: Values, beta: float = 1.0) -> Tensor:
        r"""The log of :math:`\int e^{-\beta C}\,dv`, in closed form or by quadrature over the child.

        Raises:
            IdentificationError: If the cost does not know it and the child has more than two dimensions
                or is not a real vector.
            ConvergenceError: If the quadrature does not resolve it.
        """
        prediction = self.predict(values)
        if isinstance(self.cost, Cost):
            return self.cost.log_normalizer(prediction, beta)
        energy, lattice = self._quadrature(prediction, beta)
        return lattice.log_partition(energy(lattice.points)).reshape(prediction.shape[:-1])

    def distribution(self, values: Values, beta: float = 1.0) -> TorchDistributionMixin | None:
        """The conditional law as a Pyro distribution, where the cost has one."""
        return self.cost.distribution(self.predict(values), beta) if isinstance(self.cost, Cost) else None

    def mean(self, values: Values, beta: float = 1.0) -> Tensor:
        """The child's mean given its parents: in closed form, or by quadrature."""
        prediction = self.predict(values)
        if isinstance(self.cost, Cost):
            return self.cost.mean(prediction, beta)
        lattice = self._quadrature(prediction, beta)[1]
        return lattice.mean().reshape(*prediction.shape[:-1], lattice.dim)

    def sample(self, values: Values, beta: float, generator: torch.Generator) -> Tensor:
        """One draw of the child for each row of parents."""
        law = self.distribution(values, beta)
        if law is not None:
            seed = int(torch.randint(2**62, (1,), generator=generator))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                return law.sample()
        prediction = self.predict(values)
        energy, lattice = self._quadrature(prediction, beta)
        return lattice.draw(energy, 1, generator)[0].reshape(*prediction.shape[:-1], lattice.dim)

    def refuse_unknown_normalizer(self) -> None:
        """Refuse where the normalizer has no closed form and quadrature cannot serve.

        Raises:
            IdentificationError: With the reason and what to do.
        """
        shape = self._child_variable.shape
        if isinstance(self.cost, Cost):
            return
        if shape is None or len(shape) > 1 or shape[0] > 2 or not self._child_variable.is_real:
            raise IdentificationError(
                f"the mechanism of {self.child!r} has a cost without a known normalizer, and its child (dimension "
                f"{self._child_variable.dim}, {self._child_variable.support}) is not a real vector of one or two "
                "dimensions: use one of the package's costs, or a subclass of Cost that knows its normalizer."
            )

    @property
    def constant_normalizer(self) -> bool:
        """Whether the normalizer is known to be the same for all parents, so that surgery may leave it out."""
        return isinstance(self.cost, Cost) and self.cost.constant_normalizer

    def _quadrature(self, prediction: Tensor, beta: float) -> tuple[Callable[[Tensor], Tensor], Lattice]:
        self.refuse_unknown_normalizer()
        dim = math.prod(self._child_variable.shape or (1,))
        rows = prediction.reshape(-1, prediction.shape[-1])

        def over_child(points: Tensor) -> Tensor:
            return beta * self.cost(rows, points)

        lattice = adapt_lattice(over_child, rows.shape[0], dim, like=rows)
        bad = (~lattice.resolved).nonzero().flatten().tolist()
        if bad:
            raise ConvergenceError(
                f"the normalizer of the mechanism of {self.child!r} was not resolved for {len(bad)} of {len(rows)} "
                f"predictions, the first {bad[:5]}: its cost does not grow at infinity, grows too slowly, or is too "
                "narrow there. Use a subclass of Cost that knows its normalizer."
            )
        return over_child, lattice


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
        return tuple(torch.broadcast_shapes(term.shape, batch)) == tuple(batch)

    def reduced(self, values: Values, beta: float) -> Tensor:
        """The log normalizer at this beta."""
        return self.mechanism.log_normalizer(values, beta)

    def term(self, values: Values) -> Tensor:
        """The log normalizer at beta = 1."""
        return self.mechanism.log_normalizer(values, 1.0)
