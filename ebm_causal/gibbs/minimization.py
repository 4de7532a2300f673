r"""Inference by minimization, :math:`\hat y, \hat z = \arg\min E`, and the free energy at :math:`\beta = \infty`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs.estimates import Estimate
from ebm_causal.gibbs.restriction import Restriction, restrict
from ebm_causal.gibbs.searching import search

MinimizeMethod = Literal["auto", "newton", "lbfgs", "gradient", "enumeration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """The lowest point found in each row, with what certifies it.

    Gradient and eigenvalue are those in unconstrained coordinates: the variables themselves where they are
    real, the logarithm of a positive one, the logit of one in an interval.

    Attributes:
        values: By name, ``[rows, dim]``.
        energy: There, ``[rows]``; differentiable in the parameters and in what was given.
        converged: Whether a point is a minimum to rounding: stationary, without a direction of descent.
        gradient_norm: The length of the gradient, ``[rows]``; zero for finite variables.
        agreement: The share of starts that ended as low, ``[rows]``.
        smallest_eigenvalue: Of the Hessian, ``[rows]``: zero where the minimum is not unique, or at
            infinity. None for finite variables and above 64 dimensions.
        method: How it was found.
        warnings: What cannot be trusted, in words; empty where all can.
    """

    values: Mapping[str, Tensor]
    energy: Tensor
    converged: Tensor
    gradient_norm: Tensor
    agreement: Tensor
    smallest_eigenvalue: Tensor | None
    method: str
    warnings: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """A row per row: the values as ``name[coordinate]``, the energy and its certificate."""
        columns = {
            f"{name}[{i}]": column
            for name, value in self.values.items()
            for i, column in enumerate(value.flatten(1).unbind(-1))
        }
        columns |= {"energy": self.energy, "converged": self.converged, "gradient_norm": self.gradient_norm}
        if self.smallest_eigenvalue is not None:
            columns["smallest_eigenvalue"] = self.smallest_eigenvalue
        columns["agreement"] = self.agreement
        return pd.DataFrame({name: column.detach().cpu().numpy() for name, column in columns.items()})

    def __repr__(self) -> str:
        shown = ", ".join(f"{value:.6g}" for value in self.energy.detach()[:4].tolist())
        more = ", ..." if len(self.energy) > 4 else ""
        return (
            f"Minimum(over={list(self.values)}, energy=[{shown}{more}], converged {int(self.converged.sum())} "
            f"of {len(self.converged)}, method={self.method!r}, warnings={len(self.warnings)})"
        )


def minimize(
    energy: Energy,
    over: str | Iterable[str] = ("y", "z"),
    given: Mapping[str, object] | None = None,
    starts: int = 8,
    *,
    seed: int = 0,
    method: MinimizeMethod = "auto",
) -> Minimum:
    r"""The values of some variables at which each row's energy is lowest.

    .. math:: (\hat y, \hat z)(x) = \arg\min_{y, z} E(x, y, z)

    Real variables by descent from several starts: stratified over the regularizer's prior where there is
    one, over an interval, or else over a standard normal; half of them each the best of 32 for its row.
    Finite variables by enumeration of their states, with a descent in each where real variables stand
    beside them. Exact where the energy is convex; otherwise the lowest basin may lie between the starts, and
    ``agreement`` is a hint: one start of eight that agrees calls for more starts.

    Args:
        energy: The energy, taken as the raw sum of its factors.
        over: What to minimize over.
        given: All other variables, ``[rows, dim]`` each.
        starts: How many per row.
        seed: Of the starts.
        method: ``newton`` (damped, by the Hessian), ``lbfgs``, ``gradient`` or ``enumeration``; ``auto``
            takes Newton up to 32 dimensions, L-BFGS above and where Newton does not arrive.

    Returns:
        The minimum of each row.

    Raises:
        EnergyError: If a variable is missing, unknown, of the wrong shape or not finite, there are too many
            states, or the energy is not differentiable.
        ArgumentError: If ``starts`` is not positive or the method does not serve.
        ConvergenceError: If a row's energy is not finite at any start.

    Example:
        >>> import ebm_causal as ec, torch
        >>> energy = ec.energy(lambda y, z: ((y - z**3) ** 2).sum(-1), y=1, z=1)
        >>> ec.minimize(energy, over="z", given={"y": torch.tensor([[8.0], [-1.0]])}).values["z"]
        tensor([[ 2.],
                [-1.]])

    References:
        LeCun et al. (2006), A tutorial on energy-based learning, section 1.1.
    """
    restriction = restrict(energy, over, given, 1.0)
    if starts < 1:
        raise ArgumentError(f"starts must be at least 1; got {starts}.")
    generator = torch.Generator().manual_seed(seed)
    found, how = search(restriction, _check_method(restriction, method), starts, generator)
    curved = bool(found.smallest_eigenvalue.isfinite().all())
    return Minimum(
        values={name: value[0] for name, value in restriction.split(found.points[None]).items()},
        energy=restriction.at(found.points[None])[0],
        converged=found.stationary,
        gradient_norm=found.gradient_norm,
        agreement=found.agreement,
        smallest_eigenvalue=found.smallest_eigenvalue if curved else None,
        method=how,
        warnings=_warnings(found.stationary, restriction.over),
    )


def minimum_free_energy(
    energy: Energy,
    over: str | Iterable[str] = "z",
    given: Mapping[str, object] | None = None,
    *,
    starts: int = 8,
    seed: int = 0,
) -> Estimate:
    r"""The free energy at :math:`\beta = \infty`, :math:`F_\infty(x, y) = \min_z E(x, y, z)`, per row.

    The limit of :math:`F_\beta` once its volume term :math:`(d_z/2\beta)\log(2\pi/\beta)` is set aside.
    Differentiable in the parameters and in what is given: the minimizer itself does not contribute.

    Args:
        energy: The energy.
        over: What to minimize over.
        given: All other variables.
        starts: As for :func:`minimize`.
        seed: Of the starts.

    Returns:
        One number per row, its standard error zero; ``warnings`` says where no minimum was reached.

    Example:
        >>> import ebm_causal as ec, torch
        >>> energy = ec.LinearGaussianEnergy(torch.ones(1, 1))
        >>> minimum_free_energy(energy, given={"y": torch.ones(1, 1)})
        Estimate([0.25], method='minimum by newton', warnings=0)
    """
    found = minimize(energy, over, given, starts, seed=seed)
    return Estimate(
        value=found.energy,
        standard_error=torch.zeros_like(found.energy),
        method=f"minimum by {found.method}",
        warnings=found.warnings,
    )


def _check_method(restriction: Restriction, method: str) -> str:
    if method not in get_args(MinimizeMethod):
        raise ArgumentError(f"method must be one of {list(get_args(MinimizeMethod))}; got {method!r}.")
    if method == "enumeration" and not restriction.finite:
        raise ArgumentError(
            f"method='enumeration' serves finite variables, and {list(restriction.over)} have others: use 'auto'."
        )
    if method not in ("auto", "enumeration") and restriction.finite:
        raise ArgumentError(
            f"method={method!r} serves real variables, and {list(restriction.over)} are finite: use 'auto'."
        )
    return method


def _warnings(stationary: Tensor, over: tuple[str, ...]) -> tuple[str, ...]:
    bad = (~stationary).nonzero().flatten().tolist()
    if not bad:
        return ()
    note = (
        f"no minimum over {list(over)} was reached in {len(bad)} rows, the first of them {bad[:5]}: the energy there "
        "has a kink or a plateau, or falls without end. Look at gradient_norm, or take more starts."
    )
    return (note,)
