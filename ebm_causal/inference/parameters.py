"""The learnable parameters of an energy as one flat vector, with labels."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ebm_causal.energies import Energy, PositiveScale, find_parameters, named_parameters


class ParameterVector:
    """Some of an energy's parameters, laid end to end.

    Args:
        energy: The energy; its parameters are read and written in place.
        fixed: Names of parameters that are left out.

    Raises:
        ArgumentError: If a name in ``fixed`` is not a parameter.
    """

    def __init__(self, energy: Energy, fixed: Iterable[str] = ()) -> None:
        left_out = set(find_parameters(energy, fixed))
        named = named_parameters(energy)
        self.names = tuple(name for name in named if name not in left_out)
        self.tensors: list[nn.Parameter] = [named[name] for name in self.names]
        self._scales = [m.value for m in energy.modules() if isinstance(m, PositiveScale)]
        self._places = Places(energy, self.tensors)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def scale_names(self) -> frozenset[str]:
        """The names of scales, of which only the size matters."""
        pairs = zip(self.names, self.tensors, strict=True)
        return frozenset(name for name, tensor in pairs if any(tensor is scale for scale in self._scales))

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per coordinate: ``name`` for a scalar, ``name[i, j]`` for an array."""
        found: list[str] = []
        for name, tensor in zip(self.names, self.tensors, strict=True):
            index = itertools.product(*(range(size) for size in tensor.shape))
            found += [f"{name}[{', '.join(map(str, i))}]" if i else name for i in index]
        return tuple(found)

    def get(self) -> Tensor:
        """The current values."""
        if not self.tensors:
            return torch.zeros(0, dtype=torch.float64)
        return torch.cat([tensor.detach().reshape(-1).to(torch.float64) for tensor in self.tensors])

    def set(self, flat: Tensor) -> None:
        """Write values."""
        with torch.no_grad():
            for tensor, part in zip(self.tensors, self._parts(flat), strict=True):
                tensor.copy_(part.reshape(tensor.shape))

    @contextmanager
    def standing_at(self, flat: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Let the energy read its parameters from a flat vector within; yields their values, in the order of names."""
        with self._places.holding(flat) as values:
            yield values

    def with_positive_scales(self, flat: Tensor) -> Tensor:
        """A flat vector, or several, with scales made positive: only their squares matter."""
        parts = [
            part.abs() if any(tensor is scale for scale in self._scales) else part
            for tensor, part in zip(self.tensors, self._parts(flat), strict=True)
        ]
        return torch.cat(parts, -1) if parts else flat

    def gradient(self, value: Tensor) -> Tensor:
        """The gradient of a scalar with a graph; zeros for parameters that it does not use."""
        found = torch.autograd.grad(value, self.tensors, allow_unused=True)
        parts = [torch.zeros_like(t) if g is None else g for g, t in zip(found, self.tensors, strict=True)]
        return torch.cat([part.detach().reshape(-1).to(torch.float64) for part in parts])

    def _parts(self, flat: Tensor) -> tuple[Tensor, ...]:
        return torch.split(flat, [tensor.numel() for tensor in self.tensors], dim=-1)


class Places:
    """Where the modules of a tree keep some parameters, so that others can stand in for a while.

    ``torch.func.functional_call`` does the same at a higher cost per call, and not while tracing. A callable that holds
    a parameter outside its module keeps the old value: compare with the plain way before relying on this.

    Args:
        module: The tree.
        tensors: Parameters of it.
    """

    def __init__(self, module: nn.Module, tensors: Iterable[Tensor]) -> None:
        self.tensors = tuple(tensors)
        self._sizes = [tensor.numel() for tensor in self.tensors]
        self._kinds = [(tuple(tensor.shape), tensor.dtype) for tensor in self.tensors]
        kept = [part._parameters for part in module.modules()]
        self._places = [
            [(held, name) for held in kept for name, value in held.items() if value is tensor]
            for tensor in self.tensors
        ]

    def __len__(self) -> int:
        return sum(self._sizes)

    @contextmanager
    def holding(self, flat: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Put the parts of a flat vector in the parameters' place within: differentiable in it, also under ``vmap``."""
        parts = torch.split(flat, self._sizes, dim=-1)
        values = tuple(
            part.reshape(shape).to(dtype) for part, (shape, dtype) in zip(parts, self._kinds, strict=True)
        )
        try:
            self._put(values)
            yield values
        finally:
            self._put(self.tensors)

    def _put(self, values: Iterable[Tensor]) -> None:
        for places, value in zip(self._places, values, strict=True):
            for held, name in places:
                held[name] = value  # type: ignore[assignment]
