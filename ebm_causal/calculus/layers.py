"""The layers of a sequential net as functions of a state and weights that are their own."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebm_causal.errors import EnergyError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    r"""A layer :math:`g_k(z, w_k)`, whose weights are leaves of its own: what layers share is told apart.

    Attributes:
        index: Which layer, from zero.
        name: What kind it is.
        apply: Maps a state and weights to the next state.
        weights: The leaves :math:`w_k`, by name.
    """

    index: int
    name: str
    apply: Callable[[Tensor, Mapping[str, Tensor]], Tensor]
    weights: Mapping[str, Tensor]

    def __call__(self, state: Tensor) -> Tensor:
        """The next state, with a graph.

        Raises:
            EnergyError: If the layer cannot take the state, or what it gives is not a next state.
        """
        with torch.enable_grad():
            try:  # a copy, since a layer may work in place
                output = self.apply(state.clone(), self.weights)
            except (RuntimeError, TypeError, IndexError) as error:
                raise EnergyError(
                    f"{self} cannot take a state of shape {list(state.shape)}: {error}"
                ) from error
        self._check(state, output)
        return output

    def pull_back(
        self, state: Tensor, output: Tensor, multiplier: Tensor
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        r"""The Jacobians' transposes times :math:`\lambda`: in the state (None for the input), and in each weight."""
        names, leaves = [name for name, _ in self.named_weights()], list(self.weights.values())
        wanted = [state, *leaves] if state.requires_grad else leaves
        if not wanted or not output.requires_grad:
            return None, {}
        products = torch.autograd.grad(output, wanted, multiplier, allow_unused=True, materialize_grads=True)
        through = products[0] if state.requires_grad else None
        return through, dict(zip(names, products[-len(names) :] if names else (), strict=True))

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        """The weights under their names in the whole net."""
        return ((f"{self.index}.{name}", value) for name, value in self.weights.items())

    def __str__(self) -> str:
        return f"layer {self.index} ({self.name})"

    def _check(self, state: Tensor, output: object) -> None:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            found = str(output.dtype) if isinstance(output, Tensor) else type(output).__name__
            raise EnergyError(f"{self} must give a real tensor; got {found}.")
        if output.shape[:1] != state.shape[:1]:
            raise EnergyError(
                f"{self} must keep the rows; it maps {list(state.shape)} to {list(output.shape)}."
            )
        refuse_non_finite_state(f"the output of {self}", output)
        leaves = set(leaves_of(output))
        if state.requires_grad and state not in leaves:
            raise EnergyError(f"the output of {self} does not depend on its input by differentiable steps.")
        if leaves - {state, *self.weights.values()}:
            raise EnergyError(
                f"{self} uses parameters that are not its own: hand over the module itself, or a function "
                "of state and weight with weights=."
            )


def as_layers(
    layers: Iterable[Callable[..., Tensor]], weights: Sequence[Tensor | None] | None = None
) -> tuple[Layer, ...]:
    """Make a net a sequence of layers, or say what it is instead.

    Args:
        layers: Modules or callables; an ``nn.Sequential`` is both a module and a sequence.
        weights: One for each layer, None for those that take a state alone.

    Returns:
        The layers.

    Raises:
        EnergyError: If the layers are not a sequence of callables, or the weights do not fit them.
    """
    if not isinstance(layers, Iterable):
        raise EnergyError(
            f"layers must be a list of callables or an nn.Sequential; got {type(layers).__name__}."
        )
    functions = list(layers)
    given = [None] * len(functions) if weights is None else list(weights)
    if not functions:
        raise EnergyError("layers is empty: a net has at least one layer.")
    if len(given) != len(functions):
        raise EnergyError(f"weights must be one for each of {len(functions)} layers; got {len(given)}.")
    return tuple(_layer(k, f, w) for k, (f, w) in enumerate(zip(functions, given, strict=True)))


def refuse_non_finite_state(what: str, value: Tensor) -> None:
    """Raise where a tensor holds NaN or infinity.

    Raises:
        EnergyError: Naming what, and the first rows.
    """
    bad = ~value.detach().isfinite()
    if bool(bad.any()):
        rows = bad.reshape(len(bad), -1).any(-1).nonzero().flatten()[:5].tolist() if bad.ndim else [0]
        raise EnergyError(f"{what} is not finite, first in rows {rows}.")


def leaves_of(output: Tensor) -> Iterator[Tensor]:
    """The leaves that a tensor is differentiable in, found by walking its graph."""
    waiting, seen = [output.grad_fn], set()
    if output.is_leaf and output.requires_grad:
        yield output
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        waiting.extend(after for after, _ in node.next_functions)


def _layer(index: int, function: Callable[..., Tensor], weight: Tensor | None) -> Layer:
    name = type(function).__name__ if isinstance(function, nn.Module) else _named(function)
    if not callable(function):
        raise EnergyError(f"layer {index} is not callable: it is {function!r}.")
    if weight is not None:
        refuse_non_finite_state(f"the weight of layer {index} ({name})", weight)
        leaf = {"w": weight.detach().clone().requires_grad_()}
        return Layer(index=index, name=name, apply=lambda z, w: function(z, w["w"]), weights=leaf)
    if isinstance(function, nn.Module):
        module = function
        leaves = {
            key: value.detach().clone().requires_grad_()
            for key, value in module.named_parameters()
            if value.requires_grad
        }
        call = torch.func.functional_call
        return Layer(index=index, name=name, apply=lambda z, w: call(module, dict(w), (z,)), weights=leaves)
    return Layer(index=index, name=name, apply=lambda z, _: function(z), weights={})


def _named(function: object) -> str:
    return getattr(function, "__name__", type(function).__name__)
