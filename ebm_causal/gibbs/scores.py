r"""The score of a Gibbs density: the gradient of its log, in what is drawn, in what is given, or in parameters."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ebm_causal.calculus import parameter_jacobian
from ebm_causal.energies import Energy, find_parameters, named_parameters
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs.estimates import Estimate
from ebm_causal.shapes import as_names, broadcast_shapes


@runtime_checkable
class Scored(Protocol):
    """What a score needs of a density: its variables, its weight and its normalizer."""

    energy: Energy
    over: tuple[str, ...]

    @property
    def given(self) -> Mapping[str, Tensor]:
        """What it is conditional on, one row per density."""

    @property
    def batch_shape(self) -> torch.Size:
        """How many densities there are."""

    def score(self, value: Tensor) -> Tensor:
        """The gradient in what is drawn."""

    def log_weight(self, value: Tensor) -> Tensor:
        """The unnormalized log density."""

    def log_partition(self) -> Estimate:
        """The log normalizers."""

    def given_over(self, batch: torch.Size) -> Mapping[str, Tensor]:
        """What is given, a row for each place of a batch."""

    def with_given(self, given: Mapping[str, object]) -> "Scored":
        """The same density given other values."""


def score_in(density: Scored, value: Tensor, wrt: str | Iterable[str]) -> Tensor:
    """The score of each value, ``[*batch, coordinates]``; the normalizer counts where it depends on what is asked for.

    Raises:
        ArgumentError: If a name is neither a variable of the density nor a parameter.
    """
    parameters = named_parameters(density.energy)
    free = tuple(name for name, one in parameters.items() if one.requires_grad)
    names = free if wrt == "parameters" else as_names(wrt)
    sides = {side for name in names for side in (_side(density, name),)}
    if len(sides) > 1:
        raise ArgumentError(
            f"wrt mixes {sorted(sides)}: ask for the score in one kind of {list(names)} at a time."
        )
    if sides == {"over"}:
        return _columns(density, density.score(value), names)
    with torch.enable_grad():
        if sides == {"given"}:
            return _in_given(density, value, names)
        wanted = find_parameters(density.energy, names)
        frozen = [name for name in wanted if name not in free]
        if frozen:
            raise ArgumentError(f"{frozen[0]!r} is frozen (requires_grad is False): it has no score.")
        tensors = [parameters[name] for name in wanted]
        if not tensors:
            raise ArgumentError("the energy has no parameters: its callables are not nn.Modules.")
        weights = density.log_weight(value)
        normalizer = density.log_partition().value.reshape(density.batch_shape)
        return parameter_jacobian(weights, tensors) - _jacobian_or_zero(normalizer, tensors)


def _side(density: Scored, name: str) -> str:
    if name in density.over:
        return "over"
    return "given" if name in density.given else "parameters"


def _columns(density: Scored, score: Tensor, names: tuple[str, ...]) -> Tensor:
    sizes = [math.prod(density.energy.variables[name].shape or (1,)) for name in density.over]
    parts = dict(zip(density.over, score.split(sizes, -1), strict=True))
    return torch.cat([parts[name] for name in names], -1)


def _in_given(density: Scored, value: Tensor, names: tuple[str, ...]) -> Tensor:
    """Each value has a row of its own; the normalizer's part is that of the density's rows."""
    batch = broadcast_shapes(value.shape[:-1], density.batch_shape)
    wide = density.given_over(batch)
    each = _slopes(density, wide, names, value.expand(*batch, value.shape[-1]).flatten(0, -2))
    rows = _slopes(density, density.given, names, None)
    return each.reshape(*batch, -1) - rows.reshape(*density.batch_shape, -1)


def _slopes(
    density: Scored, given: Mapping[str, Tensor], names: tuple[str, ...], value: Tensor | None
) -> Tensor:
    leaves = {name: given[name].detach().clone().requires_grad_() for name in names}
    again = density.with_given({**given, **leaves})
    total = again.log_partition().value if value is None else again.log_weight(value)
    found = torch.autograd.grad(total.sum(), list(leaves.values()), allow_unused=True, materialize_grads=True)
    return torch.cat([slope.flatten(1) for slope in found], -1)


def _jacobian_or_zero(value: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    if not value.requires_grad:
        return value.new_zeros(*value.shape, sum(tensor.numel() for tensor in tensors))
    return parameter_jacobian(value, tensors)
