r"""Inference by minimization, :math:`\hat y, \hat z = \arg\min E`, and the free energy at :math:`\beta = \infty`."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from ebm_causal.energies import Energy
from ebm_causal.errors import ArgumentError
from ebm_causal.gibbs.estimates import Estimate
from ebm_causal.gibbs.minima import LocalMinima, Minimum, known
from ebm_causal.gibbs.restriction import Restriction, restrict
from ebm_causal.gibbs.searching import Found, search
from ebm_causal.sampling import check_schedule
from ebm_causal.shapes import check_callable, check_choice, check_count, check_seed

MinimizeMethod = Literal[
    "auto", "newton", "lbfgs", "gradient", "enumeration", "coordinate", "annealing", "cmaes"
]
REAL = ("newton", "lbfgs", "gradient", "cmaes")  # methods that need real variables


def minimize(
    energy: Energy,
    over: str | Iterable[str] = ("y", "z"),
    given: Mapping[str, object] | None = None,
    starts: int = 8,
    *,
    seed: int = 0,
    method: MinimizeMethod = "auto",
    modes: int = 1,
    schedule: object = None,
    progress: Callable[[float, str], None] | None = None,
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
        seed: Of the starts and of all else that is drawn.
        method: ``newton`` (damped, by the Hessian), ``lbfgs`` and ``gradient`` go by slopes; ``coordinate``
            (each in turn), ``annealing`` and ``cmaes`` by values alone, and then by slopes where there are
            any; ``enumeration`` serves finite variables. ``auto`` takes Newton up to 32 dimensions, L-BFGS
            above, and the coordinate search on kinks; it anneals where there are more than 65,536 states to
            start from, and takes the coordinate search where there is no gradient. The result says which.
        modes: How many distinct minima to report per row, in ``modes`` of the result. Every state of finite
            variables is a minimum of its own.
        schedule: Rising inverse temperatures for ``annealing``, with as many moves at each as there are
            coordinates, for example from ``geometric_schedule``. By default some hundred, in units of the
            energy's own changes.
        progress: Told the share done and what is being done, by the methods that take long.

    Returns:
        The minimum of each row.

    Raises:
        EnergyError: If a variable is missing, unknown, of the wrong shape or not finite, there are too many
            states to enumerate, or the energy has no gradient for a method that goes by slopes.
        ArgumentError: If ``starts`` or ``modes`` is not positive, or the method or the schedule does not serve.
        ConvergenceError: If a row's energy is not finite at any start, or falls to minus infinity.

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
    check_count("starts", starts)
    check_count("modes", modes)
    if progress is not None:
        check_callable("progress", progress)
    generator = torch.Generator().manual_seed(check_seed(seed))
    chosen, betas = _check_method(restriction, method), _check_schedule(method, schedule)
    found, how = search(restriction, chosen, starts, generator, most=modes, schedule=betas, report=progress)
    return _result(restriction, found, how, modes)


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


def _result(restriction: Restriction, found: Found, how: str, modes: int) -> Minimum:
    values, energy = restriction.split(found.points), restriction.at(found.points)
    norm, smallest = known(found.gradient_norm), known(found.smallest_eigenvalue)
    several = LocalMinima(
        values=values, energy=torch.where(found.energies.isfinite(), energy, math.inf),
        found=found.energies.isfinite(), converged=found.stationary, gradient_norm=norm,
        smallest_eigenvalue=smallest, starts=found.ends,
    )  # fmt: skip
    return Minimum(
        values={name: value[0] for name, value in values.items()},
        energy=energy[0],
        converged=found.stationary[0],
        gradient_norm=None if norm is None else norm[0],
        agreement=found.agreement[0],
        smallest_eigenvalue=None if smallest is None else smallest[0],
        method=how,
        warnings=_warnings(restriction, found),
        modes=several if modes > 1 else None,
    )


def _check_method(restriction: Restriction, method: str) -> str:
    check_choice("method", method, get_args(MinimizeMethod))
    if method == "enumeration" and not restriction.finite:
        raise ArgumentError(
            f"method='enumeration' serves finite variables, and {list(restriction.over)} have others: use 'auto'."
        )
    if method in REAL and restriction.finite:
        raise ArgumentError(
            f"method={method!r} serves real variables, and {list(restriction.over)} are finite: use 'auto'."
        )
    return method


def _check_schedule(method: str, schedule: object) -> Tensor | None:
    if schedule is None:
        return None
    if method != "annealing":
        raise ArgumentError(f"a schedule is for method='annealing'; got method={method!r}.")
    betas = check_schedule(schedule)
    if betas[0] > betas[-1]:
        raise ArgumentError(
            f"annealing cools: beta must rise; it falls from {betas[0]:.6g} to {betas[-1]:.6g}."
        )
    return betas


def _warnings(restriction: Restriction, found: Found) -> tuple[str, ...]:
    over, stationary = list(restriction.over), found.stationary[0]
    falls = (found.toward[0] != 0).any(-1)
    notes, tails, bad = [], falls.nonzero().flatten().tolist(), ~stationary & ~falls
    if tails:
        notes.append(
            f"no minimum over {over} was reached in {len(tails)} rows, the first of them {tails[:5]}: the energy still "
            f"falls toward {_toward(restriction, found.toward[0, tails[0]])}, where it has no slope left above "
            "rounding. Add a regularizer, or state the variable's support."
        )
    if bool(bad.any()):
        rows = bad.nonzero().flatten().tolist()
        notes.append(
            f"no minimum over {over} was reached in {len(rows)} rows, the first of them {rows[:5]}: the energy there "
            "falls without end or toward an open bound, or the search stopped early. Look at gradient_norm, take more "
            "starts, or method='cmaes'."
        )
    return tuple(notes)


def _toward(restriction: Restriction, direction: Tensor) -> str:
    """The coordinate that changes most in a direction, and which way."""
    place, names = int(direction.abs().argmax()), []
    for name, variable in zip(restriction.over, restriction.variables, strict=True):
        names += [f"{name}[{i}]" for i in range(math.prod(variable.shape or (1,)))]
    return f"{'larger' if direction[place] > 0 else 'smaller'} {names[place]}"
