r"""Information without a matrix: products, solutions, the diagonal, the largest eigenvalues."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError
from ebm_causal.shapes import as_number, as_tensor, check_count, is_whole
from ebm_causal.uncertainty.layers_seen import LayerCall, exact_diagonal, seen_calls

Metric = Callable[[Tensor], Tensor]
MOST_COLUMNS = 2_000  # parameters up to which a diagonal is found column by column


class FisherOperator:
    r"""The information :math:`J'MJ` as a product: J the Jacobian of many numbers in the parameters, M their metric.

    One product is a Jacobian-vector product (the derivative of a backward pass, which is linear in what it is given)
    and a backward pass; the matrix is never formed.

    Args:
        function: Gives the numbers with a graph, at the parameters of the moment.
        parameters: The parameters.
        metric: What M does to numbers of that shape; positive semi-definite.
        roots: Columns R with M = R R', for the diagonal; each in the shape of the numbers.
        names: One per parameter coordinate.
        modules: Where linear layers are found, for an exact diagonal in a few passes.
        cached: Whether the graph is kept between products: faster, and holds the activations.
    """

    def __init__(
        self,
        function: Callable[[], Tensor],
        parameters: Sequence[Tensor],
        metric: Metric,
        *,
        roots: Callable[[Tensor], Sequence[Tensor]] | None = None,
        names: Sequence[str] = (),
        modules: nn.Module | None = None,
        cached: bool = True,
    ) -> None:
        self._function, self._parameters, self._metric = function, list(parameters), metric
        self._roots, self._modules, self._cached = roots, modules, cached
        self.names = tuple(names)
        self._kept: tuple[Tensor, Tensor, list[Tensor]] | None = None

    def __len__(self) -> int:
        return sum(parameter.numel() for parameter in self._parameters)

    def __repr__(self) -> str:
        return f"FisherOperator({len(self)} parameters)"

    def product(self, vector: object) -> Tensor:
        """The information times a vector.

        Raises:
            ArgumentError: If the vector has another size.
        """
        v = self._vector("vector", vector)
        value, probe, pulled = self._graph()
        parts = v.split([parameter.numel() for parameter in self._parameters])
        shaped = [part.reshape(p.shape).to(p) for part, p in zip(parts, self._parameters, strict=True)]
        with torch.enable_grad():
            (pushed,) = torch.autograd.grad(pulled, probe, shaped, retain_graph=True)
            back = torch.autograd.grad(
                value, self._parameters, self._metric(pushed.detach()), retain_graph=self._cached
            )
        return torch.cat([part.reshape(-1) for part in back]).detach()

    def solve(
        self, right: object, *, damping: float = 0.0, tolerance: float = 1e-8, most: int | None = None
    ) -> Tensor:
        r"""The solution of :math:`(I + \lambda 1)u = r` by conjugate gradients, preconditioned by the diagonal.

        Args:
            right: r.
            damping: :math:`\lambda`.
            tolerance: Of the residual, relative to r.
            most: Iterations; by default twice the number of parameters, at least 20.

        Raises:
            ArgumentError: If r has another size, or an option is not positive.
            ConvergenceError: If the information has no curvature along a direction that is needed, or the iterations do
                not suffice.
        """
        r = self._vector("right", right)
        numbers = as_number(damping), as_number(tolerance)
        if None in numbers or not 0 <= damping < math.inf or not 0 < tolerance < 1:
            raise ArgumentError(
                f"damping must not be negative and tolerance between 0 and 1; got {damping} and {tolerance}."
            )
        size, count = float(r.norm()), max(20, 2 * len(self)) if most is None else check_count("most", most)
        diagonal = self.diagonal() + damping
        scale = torch.where(diagonal > 0, diagonal, torch.ones_like(diagonal))
        solution, z = torch.zeros_like(r), r / scale
        direction, inner = z, r @ z
        for _ in range(count):
            if float(r.norm()) <= tolerance * size:
                return solution
            bent = self.product(direction) + damping * direction
            curvature = float(direction @ bent)
            if not curvature > 1e-12 * float((scale * direction**2).sum()):
                raise ConvergenceError(
                    f"the information has curvature {curvature:.3g} along a direction of the right-hand side: it is "
                    "singular there. Give damping, or leave out what is not identified."
                )
            step = inner / curvature
            solution, r = solution + step * direction, r - step * bent
            z = r / scale
            inner, before = r @ z, inner
            direction = z + (inner / before) * direction
        if float(r.norm()) <= tolerance * size:
            return solution
        raise ConvergenceError(
            f"conjugate gradients left {float(r.norm()) / size:.2g} of the right-hand side after {count} iterations "
            f"(tolerance {tolerance:.2g}): allow more, or give damping."
        )

    def diagonal(self) -> Tensor:
        """The diagonal, exact: by the inputs and slopes of linear layers where these hold all, else by columns.

        Raises:
            ArgumentError: If parameters outside of linear layers are too many for columns.
        """
        if self._roots is not None and self._modules is not None:
            value, calls = self._watched()
            found = exact_diagonal(value, calls, self._parameters, self._roots(value.detach()))
            if found is not None:
                return found
        if len(self) > MOST_COLUMNS:
            raise ArgumentError(
                f"an exact diagonal of {len(self)} parameters needs all of them in linear layers that are called once; "
                f"by columns at most {MOST_COLUMNS} are served."
            )
        basis = torch.eye(len(self)).to(self._parameters[0])
        return torch.stack([self.product(column)[i] for i, column in enumerate(basis)])

    def trace(self) -> float:
        """The sum of the diagonal."""
        return float(self.diagonal().sum())

    def top_eigenvalues(self, count: int = 5) -> Tensor:
        """The largest eigenvalues, falling, by Lanczos' method.

        Raises:
            ArgumentError: If there are not more parameters than eigenvalues asked for.
        """
        from scipy.sparse.linalg import LinearOperator, eigsh

        if not is_whole(count) or not 0 < count < len(self):
            raise ArgumentError(f"count must be between 1 and {len(self) - 1}; got {count!r}.")
        like = self._parameters[0]

        def times(vector: np.ndarray) -> np.ndarray:
            return self.product(torch.as_tensor(vector).reshape(-1).to(like)).double().numpy()

        operator = LinearOperator((len(self), len(self)), matvec=times, dtype=np.float64)
        start = np.ones(len(self)) / math.sqrt(len(self))
        values = eigsh(operator, k=count, return_eigenvectors=False, v0=start)
        return torch.as_tensor(np.sort(values)[::-1].copy())

    def _vector(self, name: str, value: object) -> Tensor:
        vector = as_tensor(name, value, self._parameters[0])
        if tuple(vector.shape) != (len(self),):
            raise ArgumentError(f"{name} must be [{len(self)}]; got {list(vector.shape)}.")
        if not bool(vector.isfinite().all()):
            raise ArgumentError(f"{name} holds NaN or infinity.")
        return vector.to(self._parameters[0]).detach()

    def _graph(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        if self._kept is not None:
            return self._kept
        with torch.enable_grad():
            value = self._function()
            probe = torch.zeros_like(value, requires_grad=True)
            pulled = list(
                torch.autograd.grad(
                    value,
                    self._parameters,
                    probe,
                    create_graph=True,
                    allow_unused=True,
                )
            )
        self._refuse_unused(pulled)
        if self._cached:
            self._kept = value, probe, pulled
        return value, probe, pulled

    def _refuse_unused(self, pulled: Sequence[Tensor | None]) -> None:
        start = 0
        for slope, parameter in zip(pulled, self._parameters, strict=True):
            if slope is None:
                name = self.names[start] if self.names else f"parameter {start}"
                raise EnergyError(f"the energy does not use {name!r}: there is no information about it.")
            start += parameter.numel()

    def _watched(self) -> tuple[Tensor, list[LayerCall]]:
        if self._modules is None:
            raise ArgumentError("there are no modules to watch.")
        with torch.enable_grad():
            return seen_calls(self._modules, self._function)
