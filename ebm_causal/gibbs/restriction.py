"""An energy with some variables given and others to be integrated over, as a bare callable of one batch of points."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor
from torch.distributions import biject_to, constraints

from ebm_causal.energies import (
    Energy,
    FiniteSupport,
    Temperature,
    Variable,
    as_energy,
    latents_of,
    like_of,
    regularizers_of,
    unclamped,
)
from ebm_causal.errors import EnergyError
from ebm_causal.gibbs.tables import Table, tabulate
from ebm_causal.sampling import Lattice, coarse_points, joined, lay_lattices, weighed
from ebm_causal.shapes import as_names, as_rows, by_name, check_beta, common_rows

BLOCK = 200_000  # points times rows that are evaluated at once: stays in cache, and memory stays flat
LOOKED_AT = 300_000  # points times rows of a first look
MOST_STATES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """The reduced energy of ``over`` with ``given`` held, for every row.

    Attributes:
        energy: The energy.
        over: The variables that points stand for, in this order along the last dimension.
        given: Rows of the others.
        beta: The inverse temperature, a number or one for each row.
        rows: How many rows.
        like: Gives dtype and device.
    """

    energy: Energy
    over: tuple[str, ...]
    given: Mapping[str, Tensor]
    beta: Temperature
    rows: int
    like: Tensor

    @property
    def dim(self) -> int:
        """The sum of the dimensions of ``over``."""
        return sum(math.prod(variable.shape or (1,)) for variable in self.variables)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables of ``over``."""
        return tuple(self.energy.variables[name] for name in self.over)

    @property
    def finite(self) -> bool:
        """Whether all of ``over`` takes finitely many values."""
        return all(values_of(variable) is not None for variable in self.variables)

    @property
    def served(self) -> bool:
        """Whether one quadrature serves: all finite, or one to three continuous dimensions."""
        kinds = {values_of(variable) is None for variable in self.variables}
        return kinds == {False} or (kinds == {True} and self.dim <= 3)

    def select(self, rows: Tensor) -> "Restriction":
        """The same restriction of the rows of these numbers."""
        given = {k: v if v.shape[0] == 1 else v[rows] for k, v in self.given.items()}
        return replace(self, given=given, rows=len(rows), beta=self._beta_of(rows))

    def _beta_of(self, rows: Tensor | slice) -> Temperature:
        return self.beta[rows] if isinstance(self.beta, Tensor) else self.beta

    def tabulate(self, points: Tensor) -> Table | None:
        """The reduced energy at points ``[points, dim]`` that many rows share; None where it does not pay."""
        if isinstance(self.beta, Tensor) or not all(variable.is_real for variable in self.variables):
            return None
        return tabulate(self.energy, self.given, self.split(points[:, None]), self.beta)

    def split(self, points: Tensor) -> dict[str, Tensor]:
        """Cut points ``[points, rows, dim]`` into values of each variable."""
        values, start = {}, 0
        for name, variable in zip(self.over, self.variables, strict=True):
            shape = variable.shape or (1,)
            size = math.prod(shape)
            values[name] = points[..., start : start + size].reshape(*points.shape[:-1], *shape)
            start += size
        return values

    def to_support(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Carry unconstrained points into the supports; also the log volume by which that stretches."""
        log_volume, parts = points.new_zeros(()), []
        for name, value in self.split(points).items():
            support = self.energy.variables[name].support
            flat = value.reshape(*points.shape[:-1], -1)
            if values_of(self.energy.variables[name]) is None and support is not constraints.real:
                transform = biject_to(support)
                inside = transform(flat)
                log_volume = log_volume + transform.log_abs_det_jacobian(flat, inside).sum(-1)
                flat = inside
            parts.append(flat)
        return torch.cat(parts, -1), log_volume

    def at(self, points: Tensor) -> Tensor:
        """The reduced energy at points within the supports, ``[points, rows]``."""
        values = self.energy.reduced({**self.given, **self.split(points)}, self.beta)
        return values.expand(points.shape[0], self.rows)

    def __call__(self, points: Tensor) -> Tensor:
        """The reduced energy at unconstrained points, with the volume of the change of variables."""
        if all(variable.is_real for variable in self.variables):
            return self.at(points)
        inside, log_volume = self.to_support(points)
        return self.at(inside) - log_volume

    def blocks(self, points_each: int) -> Iterator["Restriction"]:
        """The same restriction, block of rows by block of rows."""
        size = max(1, BLOCK // points_each)
        for start in range(0, self.rows, size):
            part = slice(start, start + size)
            given = {k: v if v.shape[0] == 1 else v[part] for k, v in self.given.items()}
            yield replace(self, given=given, rows=min(size, self.rows - start), beta=self._beta_of(part))

    def _numbered_blocks(self) -> Iterator[tuple[int, "Restriction"]]:
        """Blocks of rows that are looked at together, with the number of the first row."""
        size = max(1, LOOKED_AT // coarse_points(self.dim))
        for start in range(0, self.rows, size):
            rows = torch.arange(start, min(start + size, self.rows), device=self.like.device)
            yield start, self if len(rows) == self.rows else self.select(rows)

    def probe(self) -> Tensor:
        """The reduced energy at one point within the supports."""
        return self.at(_inside_all(self, 1, self.rows))

    def quadrature(self, *, step: float = 0.5, drop: float = 22.0, kinks: bool = True) -> Lattice:
        """The points that carry this restriction's mass: all states where finite, else an adapted lattice.

        Raises:
            EnergyError: If the variables are neither all finite nor one to three real numbers in all.
        """
        return joined(list(self.lattices(step=step, drop=drop, kinks=kinks)))

    def lattices(
        self, *, step: float = 1 / 3, drop: float = 32.0, fine: float | None = None, kinks: bool = True
    ) -> Iterator[tuple[Tensor, Lattice]]:
        """The same some rows at a time, in any order, with the rows' numbers: what sums over points needs no more.

        Raises:
            EnergyError: If the variables are neither all finite nor one to three real numbers in all.
        """
        if self.finite:
            yield torch.arange(self.rows, device=self.like.device), self.states(self.at)
            return
        self._refuse_what_no_lattice_serves()
        for start, block in self._numbered_blocks():
            for rows, lattice in lay_lattices(
                block, block.rows, block.dim, like=self.like, scale=self.first_scale(), step=step, drop=drop,
                fine=fine, kinks=kinks,
            ):  # fmt: skip
                yield rows + start, lattice

    def _refuse_what_no_lattice_serves(self) -> None:
        mixed = [n for n, v in zip(self.over, self.variables, strict=True) if values_of(v) is not None]
        if mixed or self.dim > 3:
            what = f"{mixed} have finite support" if mixed else f"together they have dimension {self.dim}"
            raise EnergyError(
                f"a lattice over {list(self.over)} serves one to three real dimensions, and {what}: "
                "integrate fewer variables at once, put some of them into given, or take another method, as "
                "'laplace', 'importance' or 'annealed'."
            )

    def first_scale(self) -> Tensor:
        """How wide each coordinate may be before anything is known: as its regularizer's prior, else one, ``[dim]``."""
        warmest = float(self.beta.min()) if isinstance(self.beta, Tensor) else self.beta
        regularizers, scales = regularizers_of(self.energy), []
        for name, variable in zip(self.over, self.variables, strict=True):
            size = math.prod(variable.shape or (1,))
            known = regularizers.get(name)
            scales += [known.standard_deviation(warmest) if known is not None else 1.0] * size
        return self.like.new_tensor(scales)

    def states(self, reduced: Callable[[Tensor], Tensor]) -> Lattice:
        """All states of finite variables, weighed by a reduced energy."""
        axes: list[tuple[float, ...]] = []
        for variable in self.variables:
            axes += [values_of(variable) or ()] * math.prod(variable.shape or (1,))
        if math.prod(len(axis) for axis in axes) > MOST_STATES:
            raise EnergyError(
                f"{list(self.over)} have more than {MOST_STATES} states: too many to enumerate."
            )
        states = self.like.new_tensor(list(itertools.product(*axes)))[:, None].expand(-1, self.rows, -1)
        with torch.no_grad():
            energies = reduced(states)
        rows, dim = self.rows, states.shape[-1]
        frame = energies.new_zeros(rows, dim, dim)
        return weighed(
            states, energies, frame, resolved=energies.isfinite().any(0), log_cell=energies.new_zeros(rows)
        )


def restrict(
    energy: Energy, over: str | Iterable[str], given: Mapping[str, object] | pd.DataFrame | None, beta: float
) -> Restriction:
    """Check names and shapes, and hold what is given; of a frame, the columns of what is not in ``over``.

    Raises:
        EnergyError: If a variable is unknown, in both, in neither, or of the wrong shape, or data are not finite.
        ArgumentError: If beta is not positive.
    """
    energy = as_energy(energy)
    names, known = as_names(over), energy.variables
    held = by_name({} if given is None else given, [name for name in known if name not in names])
    for name in [*names, *held]:
        if name not in known:
            raise EnergyError(f"unknown variable {name!r}; the energy's variables are {list(known)}.")
    for name in sorted(set(names) & set(held)):
        raise EnergyError(f"{name!r} stands in both over and given.")
    missing = [name for name in known if name not in names and name not in held]
    if missing:
        raise EnergyError(f"{missing[0]!r} is neither in over nor in given; put it into one of them.")
    floats = [v for v in held.values() if isinstance(v, Tensor) and v.is_floating_point()]
    like = floats[0] if floats else like_of(energy)
    rows = {name: as_rows(name, value, known[name].shape, like) for name, value in held.items()}
    for name, value in rows.items():
        known[name].check(name, value)
        energy.learn_dim(name, tuple(value.shape[1:]))
    for name in names:
        known[name].refuse_endless(name)
        if energy.variables[name].dim is None:
            raise EnergyError(
                f"the dimension of {name!r} is not known yet: evaluate the energy on data first."
            )
    rows |= energy.clamped
    found = Restriction(
        energy=unclamped(energy), over=names, given=rows, beta=check_beta(beta), rows=common_rows(rows),
        like=like.detach(),
    )  # fmt: skip
    _check_terms(found)
    return found


def _check_terms(restriction: Restriction) -> None:
    """Refuse factors that mix rows or points, at two points for up to two rows."""
    rows = min(2, restriction.rows)
    points = _inside_all(restriction, 2, rows)
    given = {name: value[:rows] for name, value in restriction.given.items()}
    restriction.energy.check_terms({**given, **restriction.split(points)})


def _inside_all(restriction: Restriction, points: int, rows: int) -> Tensor:
    """Points within the supports, ``[points, rows, dim]``."""
    parts = [
        torch.full((points, rows, math.prod(v.shape or (1,))), _inside(v)).to(restriction.like)
        for v in restriction.variables
    ]
    return torch.cat(parts, -1) if parts else restriction.like.new_zeros(points, rows, 0)


def _inside(variable: Variable) -> float:
    """A number within the support."""
    values = values_of(variable)
    if values is not None:
        return values[0]
    return 0.0 if variable.is_real else float(biject_to(variable.support)(torch.zeros(())))


def latents_left(energy: Energy, over: tuple[str, ...], given: Iterable[str]) -> tuple[str, ...]:
    """The variables that are in neither, which a marginal density integrates out.

    Raises:
        EnergyError: If one of them has no law of its own: it is not a latent and has no mechanism.
    """
    left = tuple(name for name in energy.variables if name not in over and name not in set(given))
    weighed = set(latents_of(energy)) | {f.child for f in energy.factors.values() if hasattr(f, "child")}
    for name in left:
        if weighed and name not in weighed:
            raise EnergyError(f"{name!r} is neither given nor a latent of this energy: put it into given.")
    return left


def values_of(variable: Variable) -> tuple[float, ...] | None:
    """The values that each coordinate may take, or None for a continuum."""
    if isinstance(variable.support, FiniteSupport):
        return variable.support.values
    return (0.0, 1.0) if isinstance(variable.support, type(constraints.boolean)) else None
