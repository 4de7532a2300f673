r"""Kronecker factors of the information in linear layers, through curvlinops; the only door to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ebm_causal.energies import Energy, Mechanism
from ebm_causal.errors import ArgumentError, ConvergenceError
from ebm_causal.shapes import as_names, as_tensor, check_beta
from ebm_causal.uncertainty.fisher import ask
from ebm_causal.uncertainty.gauss_newton import predicted
from ebm_causal.uncertainty.settings import check_damping
from ebm_causal.uncertainty.values import in_one_precision, values_by_name

RESIDUAL = 1e-6  # of the right-hand side: what a solution may leave


@dataclass(frozen=True, slots=True, kw_only=True)
class KroneckerOperator:
    r"""A block :math:`A_l \otimes G_l` for each linear layer, of its inputs' and its outputs' second moments.

    Attributes:
        names: One per parameter coordinate.
        shapes: Of the parameters, in their order.
        scale: What the factors are multiplied by.
        factors: What curvlinops holds.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    scale: float
    factors: Any

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"KroneckerOperator({len(self)} parameters)"

    def product(self, vector: object) -> Tensor:
        """The blocks times a vector.

        Raises:
            ArgumentError: If the vector has another size.
        """
        return self.scale * self._times(self.factors, self._vector("vector", vector))

    def solve(self, right: object, *, damping: float = 0.0) -> Tensor:
        r"""The solution of :math:`(A \otimes G + \lambda 1)u = r`, by the factors' eigenvectors.

        Args:
            right: r, one number per coordinate.
            damping: :math:`\lambda`.

        Raises:
            ArgumentError: If r has another size, or damping is negative.
            ConvergenceError: If a factor is singular.
        """
        from curvlinops import KFACInverseLinearOperator

        r = self._vector("right", right)
        check_damping(damping)
        inverse = KFACInverseLinearOperator(
            self.factors, damping=damping / self.scale, use_exact_damping=True
        )
        found = self._times(inverse, r) / self.scale
        left = float((self.product(found) + damping * found - r).norm())
        if not left <= RESIDUAL * float(r.norm()):
            raise ConvergenceError(
                "a Kronecker factor is singular, so the solution is not defined: give damping, or more rows than a "
                "layer has inputs."
            )
        return found

    def trace(self) -> float:
        """The sum of the diagonal."""
        return self.scale * float(self.factors.trace)

    def _times(self, operator: Any, vector: Tensor) -> Tensor:
        parts = vector.split([shape.numel() for shape in self.shapes])
        shaped = [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return torch.cat([part.reshape(-1) for part in operator @ shaped]).detach()

    def _vector(self, name: str, value: object) -> Tensor:
        like = next(self.factors._model_func.parameters())
        vector = as_tensor(name, value, like)
        if tuple(vector.shape) != (len(self),):
            raise ArgumentError(f"{name} must be [{len(self)}]; got {list(vector.shape)}.")
        return vector.to(like).detach()


def kronecker_operator(
    energy: Energy,
    wrt: str | Iterable[str] = "parameters",
    over: str | Iterable[str] = "y",
    given: Mapping[str, object] | None = None,
    *,
    beta: float = 1.0,
) -> KroneckerOperator:
    r"""The Fisher information of linear layers, each by the Kronecker product of two small factors.

    .. math:: I_l \approx A_l \otimes G_l, \qquad A_l = \sum_i a_i a_i', \qquad G_l = \tfrac1n\sum_i g_i g_i'

    with a layer's inputs a (and a one for its bias) and the slopes g of the prediction in its outputs. Exact for a
    single linear layer under a squared error; else layers are taken as independent, and inputs as independent of
    slopes. It preconditions and damps; for products that are exact take ``fisher_operator``.

    Args:
        energy: The energy at the parameters in question: one mechanism whose cost is a squared error.
        wrt: ``parameters`` or names of some; all in linear layers.
        over: The mechanism's child.
        given: Its parents.
        beta: The inverse temperature.

    Returns:
        The operator: ``product``, ``solve``, ``trace``.

    Raises:
        ArgumentError: If curvlinops is missing, a parameter is outside of linear layers, or the cost has another
            curvature than a squared error.
        EnergyError: If names and shapes do not fit.

    References:
        Martens and Grosse (2015), Optimizing neural networks with Kronecker-factored approximate curvature.
    """
    try:
        from curvlinops import KFACLinearOperator
    except ImportError as error:
        raise ArgumentError(
            'Kronecker factors need curvlinops: pip install "ebm-causal[kronecker]", or take fisher_operator.'
        ) from error
    (held,) = in_one_precision(energy, values_by_name("given", given))
    question = ask(energy, wrt, (as_names(over), held), check_beta(beta))
    if question.warm or question.variables:
        raise ArgumentError("Kronecker factors are those of parameters of linear layers.")
    if question.latents or question.global_normalizer or len(question.over) != 1:
        raise ArgumentError(
            "a Kronecker operator serves one mechanism without latents; take fisher_operator, or 'expected' with draws."
        )
    (mechanism,), values, bend = predicted(question, None)
    tensors = question.parameters.tensors
    _refuse_others(mechanism, question.parameters.names, tensors)
    if not torch.allclose(bend, bend[..., :1, :1] * torch.eye(bend.shape[-1]).to(bend)) or not torch.allclose(
        bend, bend.reshape(-1)[0] * torch.eye(bend.shape[-1]).to(bend)
    ):
        raise ArgumentError(
            f"Kronecker factors serve squared errors; the cost of {mechanism.child!r} has another curvature. Take "
            "fisher_operator."
        )
    model = _Prediction(mechanism, values)
    rows = torch.arange(bend.shape[-3])
    target = torch.zeros(bend.shape[:-1]).to(bend)
    factors = KFACLinearOperator(
        model, nn.MSELoss(reduction="sum"), list(tensors), [(rows, target)], fisher_type="type-2",
        check_deterministic=False, separate_weight_and_bias=False,
    )  # fmt: skip
    return KroneckerOperator(
        names=question.labels, shapes=tuple(tensor.shape for tensor in tensors),
        scale=0.5 * float(bend.reshape(-1)[0]), factors=factors,
    )  # fmt: skip


class _Prediction(nn.Module):
    """The predictions of a mechanism at some of its rows, as curvlinops calls a model."""

    def __init__(self, mechanism: Mechanism, values: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.mechanism, self._values = mechanism, dict(values)

    def forward(self, rows: Tensor) -> Tensor:
        return self.mechanism.predict({name: value[rows] for name, value in self._values.items()})


def _refuse_others(mechanism: Mechanism, names: Sequence[str], tensors: Sequence[Tensor]) -> None:
    linear = [layer for layer in mechanism.modules() if isinstance(layer, nn.Linear)]
    inside = {id(parameter) for layer in linear for parameter in layer.parameters(recurse=False)}
    outside = [name for name, tensor in zip(names, tensors, strict=True) if id(tensor) not in inside]
    if outside:
        raise ArgumentError(
            f"{outside[0]!r} is not in a linear layer of {mechanism.child!r}: leave it out of wrt, or take "
            "fisher_operator."
        )
