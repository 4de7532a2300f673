"""Maximizing the collapsed objective: quasi-Newton in coordinates whitened by the curvature."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize as scipy_minimize
from torch import Tensor

from ebm_causal.calculus import hessian
from ebm_causal.errors import ConvergenceError
from ebm_causal.inference.keeping import Keeper
from ebm_causal.inference.marginal import MarginalLikelihood
from ebm_causal.inference.parameters import ParameterVector

LogPrior = Callable[[Sequence[Tensor]], Tensor]  # of the parameters' values, in the order of their names

MOST_CURVED = 400  # parameters up to which the whole curvature is computed
ROUNDS = 40
FIRST_REACH, SHORTER = 20, 8  # iterations of the first round, doubled where it rose and cut where it fell
FELL = 1e-6  # nats
FLOORS = (1e-4, 1e-8)  # of the largest curvature: far from the optimum flat directions take short steps
WHOLE = 32.0  # drop of the last lattices: what they leave out would hide directions without information
FLAT = 1e-4  # of the largest curvature: below it a last Newton step is taken
ARRIVED = 0.02  # posterior standard deviations that the optimum may still be away


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The log likelihood of all rows plus the log prior, as a function of a flat vector."""

    likelihood: MarginalLikelihood
    parameters: ParameterVector
    log_prior: LogPrior | None = None
    keeper: Keeper | None = None

    def value(self) -> Tensor:
        """At the energy's current parameters, with a graph."""
        total = self.likelihood.log_likelihood().sum()
        return total if self.log_prior is None else total + self.log_prior(self.parameters.tensors)

    def at(self, flat: Tensor) -> Tensor:
        """At a flat vector, with a graph and whatever it is, infinite or NaN: what ``vmap`` can run."""
        with self.parameters.standing_at(flat) as values:
            total = self.likelihood.unchecked().sum()
            return total if self.log_prior is None else total + self.log_prior(values)

    def value_and_gradient(self, flat: Tensor) -> tuple[float, Tensor]:
        """At a flat vector; minus infinity and zeros where the likelihood is not finite."""
        self.parameters.set(flat)
        if self.keeper is None:
            return self._computed(flat)
        number, slope = self.keeper.record(lambda: _as_tensors(self._computed(flat)))
        return float(number), slope

    def _computed(self, flat: Tensor) -> tuple[float, Tensor]:
        try:
            value = self.value()
        except ConvergenceError:
            return -np.inf, torch.zeros_like(flat)
        if not bool(value.detach().isfinite()):  # beyond a prior's support
            return -np.inf, torch.zeros_like(flat)
        return float(value.detach()), self.parameters.gradient(value)

    @property
    def dtype(self) -> torch.dtype:
        """In which the energy computes."""
        return self.parameters.tensors[0].dtype if self.parameters.tensors else torch.float64

    def curvature(self) -> Tensor:
        """Minus the Hessian at the current parameters: the observed information, prior included."""
        if self.keeper is not None:
            return self.keeper.record(lambda: (self._bent(),))[0]
        return self._bent()

    def _bent(self) -> Tensor:
        return -hessian(self.value(), self.parameters.tensors).to(torch.float64)


def _as_tensors(found: tuple[float, Tensor]) -> tuple[Tensor, Tensor]:
    return torch.tensor(found[0], dtype=torch.float64), found[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """Where a maximization ended.

    Attributes:
        flat: The parameters.
        value: The objective there.
        curvature: Minus its Hessian, or None where there are too many parameters.
        decrement: The estimated distance to the optimum, in posterior standard deviations; None if not known.
        converged: Whether that distance is small, or, without curvature, whether the optimizer says so.
        evaluations: How many values and gradients it took.
        resolved: Whether every row's lattice passed its check at the end.
        history: The objective after each round.
    """

    flat: Tensor
    value: float
    curvature: Tensor | None
    decrement: float | None
    converged: bool
    evaluations: int
    resolved: bool
    history: tuple[float, ...]


def maximize(
    objective: Objective,
    *,
    steps: int = 500,
    whitening: Tensor | None = None,
    curved: bool = True,
    tolerance: float = 1e-3,
    report: Callable[[int, float], None] | None = None,
) -> Optimum:
    """Maximize from the energy's current parameters; the lattices are laid anew after every round.

    At fixed lattices a likelihood can be raised by moving mass off their points, so a round is short at first,
    and undone where the objective, on lattices laid anew, turns out to have fallen.

    Args:
        objective: What to maximize.
        steps: The most iterations in all.
        whitening: A matrix L with L L' near the inverse curvature; the identity where None.
        curved: Whether to compute the curvature at the end (and to polish with it).
        tolerance: How near the optimum is near enough, in posterior standard deviations.
        report: Told the number of evaluations and the value, now and then.

    Returns:
        The optimum; the energy's parameters are left there.

    Raises:
        ConvergenceError: If the objective is not finite at the start.
    """
    history: list[float] = []
    used, reach, best = 0, FIRST_REACH, objective.parameters.get()
    curved = curved and len(objective.parameters) <= MOST_CURVED
    known = whitening is not None
    for turn in range(ROUNDS):
        resolved = objective.likelihood.adapt()
        value, gradient = objective.value_and_gradient(objective.parameters.get())
        if history and value < history[-1] - FELL:  # the round outran its lattices: go back, and go less far
            objective.parameters.set(best)
            resolved, reach, known = objective.likelihood.adapt(), reach // SHORTER, False
            value, gradient = objective.value_and_gradient(best)
            if used >= steps or reach < 1:
                break
        else:
            history.append(value)
            best, reach = objective.parameters.get(), 2 * reach
            if turn > 0 and (
                used >= steps or _still(history, gradient, whitening if known else None, tolerance)
            ):
                break
        if curved and not known:
            whitening = whiten(objective.curvature(), FLOORS[min(turn, 1)])
            known = turn > 0 and reach > 2 * FIRST_REACH
        limits = (max(min(steps - used, reach), 1), tolerance)
        used += _round(objective, whitening, limits, report, known=(value, gradient))
    else:
        value, gradient = objective.value_and_gradient(objective.parameters.get())
    trace = (used, resolved, tuple(history))
    return _ended(objective, whitening, trace, None if curved else (value, gradient))


def _still(history: list[float], gradient: Tensor, whitening: Tensor | None, tolerance: float) -> bool:
    """Whether a new round would gain nothing: the slope in posterior standard deviations, or the last gain in nats."""
    if whitening is not None:
        return float((whitening.mT @ gradient).norm()) < tolerance
    return history[-1] - history[-2] < tolerance**2


def whiten(curvature: Tensor, floor: float = 1e-8) -> Tensor:
    """A matrix L with L L' = curvature^-1, flat and indefinite directions held at a floor: for steps alone."""
    values, vectors = torch.linalg.eigh(curvature)
    return vectors / values.abs().clamp_min(floor * float(values.abs().max())).sqrt()


def _round(
    objective: Objective,
    whitening: Tensor | None,
    limits: tuple[int, float],
    report: Callable[[int, float], None] | None,
    *,
    known: tuple[float, Tensor],
) -> int:
    """Some iterations at fixed lattices, from where value and gradient are known."""
    start = objective.parameters.get()
    if not len(start):
        return 0
    count = 0

    def negative(moved: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal count
        count += 1
        step = torch.as_tensor(moved)
        moved_to = start + (step if whitening is None else whitening @ step)
        value, gradient = objective.value_and_gradient(moved_to) if count > 1 else known
        if report is not None:
            report(count, value)
        slope = gradient if whitening is None else whitening.mT @ gradient
        return -value, -slope.numpy()

    options = {"maxiter": limits[0], "ftol": 1e-11, "gtol": 0.1 * limits[1], "maxcor": 20}
    found = scipy_minimize(negative, np.zeros(len(start)), jac=True, method="L-BFGS-B", options=options)
    step = torch.as_tensor(found.x)
    end = start + (step if whitening is None else whitening @ step)
    objective.parameters.set(objective.parameters.with_positive_scales(end))
    return count


def _ended(
    objective: Objective,
    whitening: Tensor | None,
    trace: tuple[int, bool, tuple[float, ...]],
    found: tuple[float, Tensor] | None,
) -> Optimum:
    """The optimum, with its curvature unless value and gradient have been found and will do."""
    (used, resolved, history), curved = trace, found is None
    if curved:
        resolved = objective.likelihood.adapt(drop=WHOLE)
    value, gradient = found or objective.value_and_gradient(objective.parameters.get())
    curvature = objective.curvature() if curved else None
    if curvature is not None and float(torch.linalg.eigvalsh(curvature)[0]) < FLAT * float(
        curvature.abs().max()
    ):
        step = whiten(curvature, 1e-6)  # off the optimum a direction without information seems to bend
        before, lattices = objective.parameters.get(), objective.likelihood.lattices()
        objective.parameters.set(before + step @ (step.mT @ gradient))
        moved = objective.likelihood.adapt(drop=WHOLE)
        higher, slope = objective.value_and_gradient(objective.parameters.get())
        if higher < value - FELL:  # far from the optimum such a step is no step toward it
            objective.parameters.set(before)
            objective.likelihood.swap(lattices)
        else:
            resolved, value, gradient, curvature = moved, higher, slope, objective.curvature()
    metric = whiten(curvature) if curvature is not None else whitening
    decrement = None if metric is None else float((metric.mT @ gradient).norm())
    slow = len(history) > 1 and abs(value - history[-1]) < 1e-3
    return Optimum(
        flat=objective.parameters.get(),
        value=value,
        curvature=curvature,
        decrement=decrement,
        converged=decrement < ARRIVED if decrement is not None else slow,
        evaluations=used,
        resolved=resolved,
        history=(*history, value),
    )
