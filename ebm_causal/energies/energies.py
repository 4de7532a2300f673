"""An energy is a sum of named factors over named variables; everything else is read off that sum."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import cast

import networkx as nx
import torch
from torch import Tensor, nn

from ebm_causal.energies.checking import checked_term, refuse_bad_values, refuse_no_number
from ebm_causal.energies.costs import Temperature
from ebm_causal.energies.factors import Factor, FunctionFactor, Values, batch_of
from ebm_causal.energies.mechanisms import LocalNormalizer
from ebm_causal.energies.scaling import Weight
from ebm_causal.energies.variables import Variable
from ebm_causal.errors import EnergyError
from ebm_causal.shapes import as_tensor, broadcast_shapes, by_name


class Energy(nn.Module):
    r"""A sum of named factors, :math:`E(v) = \sum_f E_f(v_f)`: low where values go together.

    Call it with one tensor per variable, ``[*batch, dim]`` each; batches broadcast and are not expanded.
    Energies and factors add up to an energy, and ``2.0 * energy`` is one: at beta it weighs as the energy does
    at ``2.0 * beta``, mechanisms locally normalized there. The modules within keep their parameters, so an
    energy is an ``nn.Module`` like any other.

    Args:
        factors: The terms. Two of the same name get numbers.
        clamped: Values at which variables are held, as by ``do``; these are no longer arguments.

    Raises:
        EnergyError: If two factors contradict each other on a variable, two are mechanisms of one child, or a
            term is no factor.

    Example:
        >>> import ebm_causal as ec, torch
        >>> quadratic = ec.energy(lambda y, z: ((y - z) ** 2).sum(-1), y=1, z=1)
        >>> quadratic(y=torch.ones(3, 1), z=torch.zeros(1))
        tensor([1., 1., 1.])

    References:
        LeCun, Chopra, Hadsell, Ranzato and Huang (2006), A tutorial on energy-based learning.
    """

    def __init__(self, factors: Iterable[Factor], *, clamped: Values | None = None) -> None:
        super().__init__()
        self._terms = nn.ModuleList(_only_factors(factors))
        self._clamped_names = tuple(clamped or ())
        for position, name in enumerate(self._clamped_names):
            self.register_buffer(f"clamped_{position}", (clamped or {})[name])
        self._learned_dims: dict[str, Variable] = {}
        self._merged: dict[str, Variable] | None = None  # looked up at every evaluation
        self._check_one_mechanism_each()
        self._tell_factors()

    @property
    def _factors(self) -> list[Factor]:
        return [term for term in self._terms if isinstance(term, Factor)]

    @property
    def factors(self) -> Mapping[str, Factor]:
        """The factors by name, in the order in which they were added."""
        named: dict[str, Factor] = {}
        for factor in self._factors:
            name, count = str(factor.name), 2
            while name in named:
                name, count = f"{factor.name} ({count})", count + 1
            named[name] = factor
        return MappingProxyType(named)

    @property
    def all_variables(self) -> Mapping[str, Variable]:
        """The variables of all factors, clamped ones included."""
        if self._merged is not None:
            return MappingProxyType(self._merged)
        merged: dict[str, Variable] = dict(self._learned_dims)
        for factor in self._factors:
            for name, variable in factor.variables.items():
                merged[name] = merged[name].merged(name, variable) if name in merged else variable
        order = dict.fromkeys(name for factor in self._factors for name in factor.variables)
        self._merged = {name: merged[name] for name in order}
        return MappingProxyType(self._merged)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """What the energy is a function of: all variables but the clamped ones."""
        return MappingProxyType({k: v for k, v in self.all_variables.items() if k not in self._clamped_names})

    @property
    def clamped(self) -> Values:
        """Values at which variables are held."""
        return {name: getattr(self, f"clamped_{i}") for i, name in enumerate(self._clamped_names)}

    @property
    def graph(self) -> nx.DiGraph:
        """Arrows from each mechanism's parents to its child; nodes say whether they are ``latent``."""
        from ebm_causal.energies.structure import graph_of

        return graph_of(self)

    def forward(self, **values: object) -> Tensor:
        """The energy of each row.

        Raises:
            EnergyError: If a variable is missing, unknown, of the wrong shape, NaN or outside its support, or a
                factor does not give one real number per row, or gives NaN.
        """
        checked, known = self._checked(values), self.all_variables
        batches = {name: list(batch_of(checked[name], known[name])) for name in known}
        if not _broadcast([*batches.values()]):
            raise EnergyError(f"the batches of the variables do not broadcast; got {batches}.")
        batch = broadcast_shapes(*batches.values())
        terms = [refuse_no_number(f, checked_term(f, checked, known)) for f in self._factors]
        return torch.stack([term.expand(batch) for term in terms]).sum(0)

    def reduced(self, values: Values, beta: Temperature = 1.0) -> Tensor:
        r"""The negative log weight, :math:`\beta E` plus the local normalizers kept by ``do``.

        Beta is a number, or a tensor of one for each row that broadcasts against the batch. Names and values
        are not checked: this is what samplers and quadratures call.
        """
        values = {**values, **self.clamped}
        if not self._factors:
            raise EnergyError("this energy has no factor left: nothing weighs the remaining variables.")
        terms = [factor.reduced(values, beta) for factor in self._factors]
        small_first = sorted(terms, key=Tensor.numel)  # fewer large sums
        return functools.reduce(torch.add, small_first)

    def __add__(self, other: "Factor | Energy") -> "Energy":
        others = list(other._factors) if isinstance(other, Energy) else [other]
        if isinstance(other, Energy):
            _refuse_two_values(self.clamped, other.clamped)
        held = {**self.clamped, **(other.clamped if isinstance(other, Energy) else {})}
        total = Energy([*self._factors, *others], clamped=held)
        for part in (self, other):
            if isinstance(part, Energy):
                total.learn_dims_of(part)
        return total

    def __radd__(self, other: int) -> "Energy":
        """So that ``sum(energies)``, which starts at zero, is their sum."""
        return self if other == 0 else NotImplemented

    def __mul__(self, weight: Weight) -> "Energy":
        scaled = {f: f.scaled(weight) for f in self._factors if not isinstance(f, LocalNormalizer)}
        for factor in self._factors:
            if isinstance(factor, LocalNormalizer):
                scaled[factor] = factor.beside(scaled[factor.mechanism])
        total = Energy([scaled[factor] for factor in self._factors], clamped=self.clamped)
        total.learn_dims_of(self)
        return total

    __rmul__ = __mul__

    def extra_repr(self) -> str:
        """The variables, for ``print``."""
        return ", ".join(f"{name}: {variable.dim}" for name, variable in self.variables.items())

    def _check_one_mechanism_each(self) -> None:
        children = [factor.child for factor in self._factors if hasattr(factor, "child")]
        for child in children:
            if children.count(child) > 1:
                raise EnergyError(f"{child!r} has two mechanisms; a variable is caused in one way.")
        _ = self.all_variables

    def _checked(self, values: Mapping[str, object]) -> dict[str, Tensor]:
        wanted = self.variables
        for name in values:
            if name not in wanted:
                held = " (it is clamped)" if name in self._clamped_names else ""
                raise EnergyError(
                    f"unknown variable {name!r}{held}; the energy's variables are {list(wanted)}."
                )
        missing = [name for name in wanted if name not in values]
        if missing:
            raise EnergyError(f"missing variable {missing[0]!r}; the energy's variables are {list(wanted)}.")
        floats = [v for v in values.values() if isinstance(v, Tensor) and v.is_floating_point()]
        like = floats[0] if floats else None
        given = {name: as_tensor(name, value, like) for name, value in values.items()}
        given = {name: value[None] if value.ndim == 0 else value for name, value in given.items()}
        if any(variable.dim is None for variable in wanted.values()):
            self._learn_shapes(given)
            wanted = self.variables
        for name, value in given.items():
            refuse_bad_values(name, wanted[name], value)
        return given | dict(self.clamped)

    def _learn_shapes(self, values: Values) -> None:
        """The dimensions of variables of which nothing is stated, from values ``[*batch, *shape]``.

        A batch has at most as many dimensions as those of the other variables, at least one, and broadcasts
        against them; the batch of vectors ``[*, *, dim]`` may have two.
        """
        known = self.all_variables
        batches = [batch_of(v, known[name]) for name, v in values.items() if known[name].dim is not None]
        most = max([1, *map(len, batches)])
        for name, value in values.items():
            if known[name].dim is None:
                first = value.ndim - 1 if value.ndim == 3 else min(most, value.ndim - 1)
                depths = (k for k in range(first, 0, -1) if _broadcast([*batches, value.shape[:k]]))
                self.learn_dim(name, tuple(value.shape[next(depths, value.ndim - 1) :]))

    def learn_dim(self, name: str, dim: int | tuple[int, ...]) -> None:
        """Fix the dimension of a variable that no factor states, from its first data."""
        if self.all_variables[name].dim is None:
            short = dim[0] if isinstance(dim, tuple) and len(dim) == 1 else dim
            self._learned_dims[name] = Variable(short, self.all_variables[name].support)
            self._merged = None
            self._tell_factors()

    def state_dims(self, dims: Mapping[str, int | tuple[int, ...]] | None) -> None:
        """Fix the dimensions of several variables, by name."""
        for name, dim in by_name({} if dims is None else dims, ()).items():
            if name not in self.all_variables:
                raise EnergyError(f"unknown variable {name!r} in dims; there are {list(self.all_variables)}.")
            self.learn_dim(name, cast(int | tuple[int, ...], dim))

    def learn_dims_of(self, other: "Energy") -> None:
        """Take over the dimensions that another energy knows of the same variables."""
        for name, variable in other.all_variables.items():
            if name in self.all_variables and variable.shape is not None:
                self.learn_dim(name, variable.shape)

    def check_terms(self, values: Values) -> None:
        """Refuse a factor that does not give one real number per row at these values.

        Raises:
            EnergyError: Naming the factor.
        """
        values = {**values, **self.clamped}
        with torch.no_grad():
            for factor in self._factors:
                checked_term(factor, values, self.all_variables)

    def _tell_factors(self) -> None:
        variables = self.all_variables
        for factor in self._factors:
            factor.know(variables)


def _only_factors(terms: Iterable[object]) -> list[Factor]:
    found: list[Factor] = []
    for term in terms:
        if not isinstance(term, Factor):
            reason = getattr(term, "why_no_factor", "")
            raise EnergyError(
                f"an energy is a sum of factors and energies; got {type(term).__name__}. {reason}".strip()
            )
        found.append(term)
    return found


def _refuse_two_values(first: Values, second: Values) -> None:
    for name in set(first) & set(second):
        if first[name].shape != second[name].shape or not torch.equal(first[name], second[name]):
            raise EnergyError(
                f"{name!r} is held at other values in one energy than in the other; add them before do()."
            )


def _broadcast(shapes: Sequence[Sequence[int]]) -> bool:
    try:
        broadcast_shapes(*shapes)
    except RuntimeError:
        return False
    return True


def energy(function: Callable[..., Tensor], **variables: Variable | int | tuple[int, ...]) -> Energy:
    """Wrap a callable as an energy.

    Holds for any callable that treats rows alone; one that mixes rows (batch normalization, say)
    is not an energy of a row, and samplers would be wrong without a warning.

    Args:
        function: Takes the named tensors ``[*batch, dim]`` by keyword and gives ``[*batch]``.
            An ``nn.Module`` keeps its parameters.
        **variables: A dimension (a real vector) or a :class:`Variable` for each.

    Returns:
        An energy of one factor, called like the function.

    Raises:
        EnergyError: If it is not callable or no variable is named.

    Example:
        >>> import ebm_causal as ec
        >>> ec.energy(lambda x: 2 * (x.squeeze(-1) ** 2 - 1) ** 2, x=1)(x=0.0)
        tensor(2., dtype=torch.float64)
    """
    if not callable(function):
        raise EnergyError(f"an energy wraps a callable; got {type(function).__name__}.")
    if not variables:
        raise EnergyError("name the energy's variables, as in energy(function, x=1, z=2).")
    named = {k: v if isinstance(v, Variable) else Variable(v) for k, v in variables.items()}
    return Energy([FunctionFactor(function, named)])
