r"""Minimizers over bare callables: all starts of all rows are one batch, and a point that is done leaves it.

One loop serves all methods: a method proposes a direction at a point, Armijo's rule says how far to go
along it, and the expected decrease :math:`-\tfrac12 g'p` (for Newton half the squared Newton decrement,
which does not depend on the coordinates) says when to stop.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebm_causal.errors import ArgumentError
from ebm_causal.sampling.directions import METHODS, Look, PointEnergy, State, curvatures, rounding, slopes

SelectRows = Callable[[Tensor], PointEnergy]
ARMIJO = 1e-4
PATIENCE = 10  # steps without a gain, after which a point is given up
MOST_CURVED = 64  # dimensions up to which a certificate has the Hessian


class Minima(NamedTuple):
    """Where the starts have ended.

    Attributes:
        points: ``[starts, rows, dim]``.
        energies: ``[starts, rows]``; infinite where a start had no finite energy.
        arrived: Whether the expected decrease fell to rounding, ``[starts, rows]``.
        steps: How many steps the slowest of them took.
    """

    points: Tensor
    energies: Tensor
    arrived: Tensor
    steps: int


class Certificate(NamedTuple):
    """What is known about one point per row.

    Attributes:
        gradient_norm: The length of the gradient, ``[rows]``.
        smallest_eigenvalue: Of the Hessian, ``[rows]``; None above 64 dimensions.
        stationary: Whether the expected decrease is that of rounding and the Hessian has no negative
            eigenvalue beyond rounding.
    """

    gradient_norm: Tensor
    smallest_eigenvalue: Tensor | None
    stationary: Tensor


def minimize_rows(select: SelectRows, starts: Tensor, *, method: str = "newton", steps: int = 200) -> Minima:
    r"""Minimize the energies of rows, each from several starts.

    Newton takes the batch's Hessians by one backward pass per dimension, and turns the signs of negative
    eigenvalues, so that each step goes down; L-BFGS remembers ten pairs; gradient descent takes the step
    of Barzilai and Borwein. Each finds the minimum of the basin of its start.

    Args:
        select: Gives, for indices of rows, the energy of one point each, ``[points, dim] -> [points]``.
        starts: ``[starts, rows, dim]``.
        method: ``newton``, ``lbfgs`` or ``gradient``.
        steps: The most that are taken.

    Returns:
        Where they ended.

    Raises:
        ArgumentError: If there is no such method.
        EnergyError: If the energy does not depend on the points by differentiable steps.

    References:
        Nocedal and Wright (2006), Numerical optimization, algorithms 3.1 and 7.4 and section 3.4.
    """
    if method not in METHODS:
        raise ArgumentError(f"method must be one of {list(METHODS)}; got {method!r}.")
    look, (count, rows, dim) = METHODS[method], starts.shape
    owner = torch.arange(rows, device=starts.device).expand(count, -1).reshape(-1)
    active, energy, taken = torch.arange(count * rows, device=starts.device), select(owner), 0
    state = init(energy, starts.reshape(-1, dim), look)
    ended, lowest, arrived = (
        state.point.clone(),
        state.energy.clone(),
        torch.zeros_like(owner, dtype=torch.bool),
    )
    while True:
        there = _has_arrived(state)
        leaves = there | _is_lost(state) | (taken == steps)
        if bool(leaves.any()):
            gone = active[leaves]
            lowest[gone], arrived[gone] = state.energy[leaves], there[leaves]
            ended[gone] = _with_last_step(state, there)[leaves]
            active, state = active[~leaves], State(*(part[~leaves] for part in state))
            if len(active) == 0:
                break
            energy = select(owner[active])
        state, taken = step(state, energy, look), taken + 1
    shape = (count, rows)
    return Minima(ended.reshape(starts.shape), lowest.reshape(shape), arrived.reshape(shape), taken)


def certify(energy: PointEnergy, points: Tensor) -> Certificate:
    """Gradient, curvature, and whether a point is a minimum to rounding, per row.

    Args:
        energy: Of one point per row.
        points: ``[rows, dim]``.

    Returns:
        The certificate.
    """
    tolerance = 0.01 * rounding(points) ** 0.5
    if points.shape[-1] > MOST_CURVED:
        value, gradient = slopes(energy, points)
        norm = gradient.norm(dim=-1)
        return Certificate(norm, None, norm**2 <= tolerance * (1 + value.abs()))
    return judge(*curvatures(energy, points))


def judge(value: Tensor, gradient: Tensor, hessian: Tensor) -> Certificate:
    """Whether energy ``[points]``, gradient ``[points, dim]`` and Hessian there are those of a minimum."""
    eigenvalues, vectors = torch.linalg.eigh(hessian)
    size = eigenvalues.abs()
    floor = 1e-8 * size.amax(-1, keepdim=True) + torch.finfo(value.dtype).tiny
    along = (vectors.mT @ gradient[..., None])[..., 0]
    decrease = 0.5 * (along**2 / size.maximum(floor)).sum(-1)
    smallest, allowed = eigenvalues[:, 0], 0.01 * rounding(value) ** 0.5 * (1 + value.abs())
    convex = smallest >= -(rounding(value) ** 0.4) * size.amax(-1)
    return Certificate(gradient.norm(dim=-1), smallest, convex & (decrease <= allowed))


def init(energy: PointEnergy, point: Tensor, look: Look) -> State:
    """A state at a point; one without a finite energy or gradient leaves at the first chance."""
    state = look(energy, point, None)
    finite = _finite(state)
    worst = torch.full_like(state.energy, torch.inf)
    return state._replace(
        energy=torch.where(finite, state.energy, worst),
        idle=torch.where(finite, state.idle, torch.full_like(state.idle, PATIENCE)),
    )


def step(state: State, energy: PointEnergy, look: Look) -> State:
    """Try a point along each direction; go there where Armijo's rule allows, else look nearer."""
    slope = (state.gradient * state.direction).sum(-1)
    trial = look(energy, state.point + state.size[:, None] * state.direction, state)
    slack = 4 * rounding(state.energy) * (1 + state.energy.abs())
    accepted = _finite(trial) & (trial.energy <= state.energy + ARMIJO * state.size * slope + slack)
    gained = accepted & (state.energy - trial.energy > slack)
    chosen = _choose(accepted, trial, state)
    surplus = (trial.energy - state.energy - state.size * slope).nan_to_num(nan=torch.inf)
    nearer = (-slope * state.size / (2 * surplus)).clamp(0.1, 0.5)  # the minimum of a parabola
    return chosen._replace(
        size=torch.where(accepted, torch.ones_like(nearer), state.size * nearer),
        idle=torch.where(gained, torch.zeros_like(state.idle), state.idle + 1),
    )


def _finite(state: State) -> Tensor:
    return state.energy.isfinite() & state.gradient.isfinite().all(-1)


def _is_lost(state: State) -> Tensor:
    """Where the energy falls no more, or only ever farther out."""
    return (state.idle >= PATIENCE) | (state.point.norm(dim=-1) > rounding(state.point) ** -2)


def _has_arrived(state: State) -> Tensor:
    """Where the expected decrease is below the rounding of the energy."""
    expected = -0.5 * (state.gradient * state.direction).sum(-1)
    return _finite(state) & (expected <= 1e-3 * rounding(state.energy) * (1 + state.energy.abs()))


def _with_last_step(state: State, there: Tensor) -> Tensor:
    """The points, those that have arrived by one last step, too small for the energy to show it."""
    small = state.direction.norm(dim=-1) <= 1e-3 * (1 + state.point.norm(dim=-1))
    return torch.where((there & small)[:, None], state.point + state.direction, state.point)


def _choose(accepted: Tensor, new: State, old: State) -> State:
    def pick(first: Tensor, second: Tensor) -> Tensor:
        return torch.where(accepted.reshape(-1, *([1] * (first.ndim - 1))), first, second)

    return State(*map(pick, new, old))
