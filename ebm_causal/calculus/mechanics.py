r"""Lagrangian mechanics under constraints: does a trajectory obey its equations, and with what forces?"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from ebm_causal.calculus.differences import differentiate
from ebm_causal.calculus.jacobians import batched_jacobian
from ebm_causal.errors import ArgumentError
from ebm_causal.shapes import as_tensor, refuse_non_finite

Lagrangian = Callable[[Tensor, Tensor], Tensor]
Constraints = Callable[[Tensor], Tensor]
FEWEST = 5  # times, so that a derivative from two points fewer tells the error
TOLERATED = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Motion:
    r"""A trajectory held against the Euler-Lagrange equations.

    Attributes:
        times: From zero, ``[times]``.
        positions: As given, ``[times, coordinates]``.
        velocities: As given, or by differences.
        accelerations: As given, or by differences.
        residual: What is left of the equations after the constraint forces, ``[times, coordinates]``: zero
            where the trajectory is a motion of the system, else the force that would be missing.
        multipliers: :math:`\lambda_i`, ``[times, constraints]``, by least squares.
        forces: :math:`\sum_i\lambda_i\,\partial f_i/\partial r`, ``[times, coordinates]``.
        constraint_values: :math:`f_i`, ``[times, constraints]``; zero where the trajectory obeys them.
        energy: :math:`\dot r'\partial L/\partial\dot r - L`, which is T + V for L = T - V, ``[times]``.
        difference_error: How much the residual changes where derivatives use two points fewer: an upper
            estimate of what the differences add to it. Zero where velocities and accelerations are given.
        warnings: What cannot be trusted, in words; empty where all can.
    """

    times: Tensor
    positions: Tensor
    velocities: Tensor
    accelerations: Tensor
    residual: Tensor
    multipliers: Tensor
    forces: Tensor
    constraint_values: Tensor
    energy: Tensor
    difference_error: float
    warnings: tuple[str, ...] = ()

    def summary(self) -> pd.DataFrame:
        """A row per time: the residual's and the constraint force's length, each multiplier, the energy."""
        frame = pd.DataFrame(
            {
                "time": self.times.cpu().numpy(),
                "residual": self.residual.norm(dim=-1).cpu().numpy(),
                "force": self.forces.norm(dim=-1).cpu().numpy(),
                "energy": self.energy.cpu().numpy(),
            }
        )
        names = [f"multiplier[{i}]" for i in range(self.multipliers.shape[-1])]
        return frame.join(pd.DataFrame(self.multipliers.cpu().numpy(), columns=names))

    def __repr__(self) -> str:
        largest = float(self.residual.abs().max())
        return (
            f"Motion({len(self.times)} times, {self.positions.shape[-1]} coordinates, "
            f"{self.multipliers.shape[-1]} constraints, largest residual={largest:.1e}, "
            f"warnings={len(self.warnings)})"
        )


def euler_lagrange(
    lagrangian: Lagrangian,
    positions: object,
    step: float,
    constraints: Constraints | None = None,
    *,
    velocities: object = None,
    accelerations: object = None,
) -> Motion:
    r"""Hold a trajectory against the Euler-Lagrange equations, with the forces of holonomic constraints.

    .. math::
        \frac{\mathrm d}{\mathrm dt}\frac{\partial L}{\partial\dot r} - \frac{\partial L}{\partial r}
        = \sum_i \lambda_i\,\frac{\partial f_i}{\partial r}, \qquad f_i(r) = 0

    So :math:`\lambda_i\,\partial f_i/\partial r` is the force that constraint i exerts *on* the system. A
    pendulum with :math:`f = |r| - l` has :math:`\lambda = -m(v^2/l + g\cos\theta)`, minus the tension of
    its rod, which pulls inward. The note writes the same equations with the opposite sign of
    :math:`\lambda`.

    The time derivative is taken by the chain rule, :math:`L_{\dot r\dot r}\ddot r + L_{\dot r r}\dot r`.
    Holds where neither L nor the constraints depend on time or on other velocities. Where positions
    alone are given, the residual is as exact as their differences: see ``difference_error``.

    Args:
        lagrangian: Maps positions and velocities, ``[times, coordinates]`` each, to L, ``[times]``: T - V, say.
        positions: At equally spaced times, ``[times, coordinates]``, Cartesian or generalized.
        step: The time between two positions.
        constraints: Maps positions to the values :math:`f_i`, ``[times, constraints]`` or ``[times]``.
        velocities: Where known, in the shape of the positions; else by differences.
        accelerations: Where known, in the shape of the positions; else by differences.

    Returns:
        The residual and the multipliers at each time.

    Raises:
        ArgumentError: If the step is not positive, there are fewer than five times, a shape is wrong, a
            function does not depend on its argument or is not finite, or constraints are dependent.
        EnergyError: If positions, velocities or accelerations are not finite real numbers.

    Example:
        >>> import torch
        >>> angle = torch.linspace(0, 3, 301, dtype=torch.float64)  # a bead of mass 2 at speed 4 on a circle
        >>> circle = 4 * torch.stack([angle.cos(), angle.sin()], -1)
        >>> motion = euler_lagrange(lambda r, v: (v**2).sum(-1), circle, 0.01, lambda r: r.norm(dim=-1) - 4)
        >>> round(motion.multipliers.mean().item(), 6)  # m v^2 / l, inward
        -8.0

    References:
        Goldstein, Poole and Safko (2002), Classical Mechanics, section 2.4.
    """
    if not 0 < step < math.inf:
        raise ArgumentError(f"step is the time between two positions and must be positive; got {step}.")
    r = _trajectory(positions)
    known = _alike("velocities", velocities, r), _alike("accelerations", accelerations, r)
    values, gradients = _constraint_gradients(constraints, r)
    finest = min(9, len(r) - (1 - len(r) % 2))
    v, a = _derivatives(r, known, step, finest)
    balance = _balance(lagrangian, gradients, (r, v, a))
    error = torch.zeros(())
    if any(one is None for one in known):
        coarse = _balance(lagrangian, gradients, (r, *_derivatives(r, known, step, finest - 2)))
        error = (balance.residual - coarse.residual).abs().max()
    scale = max(balance.scale, float(balance.momenta.abs().max()) / (step * (len(r) - 1)))
    return Motion(
        times=step * torch.arange(len(r), dtype=r.dtype, device=r.device),
        positions=r,
        velocities=v,
        accelerations=a,
        residual=balance.residual,
        multipliers=balance.multipliers,
        forces=balance.forces,
        constraint_values=values,
        energy=balance.energy,
        difference_error=float(error),
        warnings=(*_too_coarse(float(error), scale), *_off_constraint(values, gradients, r)),
    )


class _Balance(NamedTuple):
    """The equations at each time; scale is the largest force in them."""

    residual: Tensor
    multipliers: Tensor
    forces: Tensor
    momenta: Tensor
    energy: Tensor
    scale: float


def _balance(lagrangian: Lagrangian, gradients: Tensor, motion: tuple[Tensor, Tensor, Tensor]) -> _Balance:
    r, v, a = motion
    n = r.shape[-1]
    state = torch.cat([r, v], -1)

    def slopes(point: Tensor) -> Tensor:
        value = _checked(lagrangian(point[..., :n], point[..., n:]), len(r))
        (slope,) = torch.autograd.grad(value.sum(), point, create_graph=True)
        return slope + 0 * point  # a Lagrangian that is linear has slopes without a graph

    slope, curvature = batched_jacobian(slopes, state)
    if not bool(slope.isfinite().all() & curvature.isfinite().all()):
        bad = ~(slope.isfinite().all(-1) & curvature.isfinite().flatten(1).all(-1))
        raise ArgumentError(f"the Lagrangian's derivatives are not finite at times {_first(bad)}.")
    momenta = slope[:, n:]
    inertia = (curvature[:, n:] @ torch.cat([v, a], -1)[..., None]).squeeze(-1)
    demand = inertia - slope[:, :n]
    multipliers = torch.linalg.lstsq(gradients.mT, demand[..., None]).solution.squeeze(-1)
    forces = (gradients.mT @ multipliers[..., None]).squeeze(-1)
    energy = (v * momenta).sum(-1) - lagrangian(r, v).detach()
    scale = float(torch.maximum(inertia.abs().max(), slope[:, :n].abs().max()))
    return _Balance(demand - forces, multipliers, forces, momenta, energy, scale)


def _constraint_gradients(constraints: Constraints | None, r: Tensor) -> tuple[Tensor, Tensor]:
    if constraints is None:
        return r.new_zeros(len(r), 0), r.new_zeros(len(r), 0, r.shape[-1])

    def columns(point: Tensor) -> Tensor:
        value = constraints(point)
        if not isinstance(value, Tensor) or value.ndim not in (1, 2) or len(value) != len(r):
            found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ArgumentError(f"constraints must give [{len(r)}, constraints] or [{len(r)}]; got {found}.")
        return value[:, None] if value.ndim == 1 else value

    values, gradients = batched_jacobian(columns, r)
    bad = ~(values.isfinite().all(-1) & gradients.isfinite().flatten(1).all(-1))
    if bool(bad.any()):
        raise ArgumentError(f"constraints or their derivatives are not finite at times {_first(bad)}.")
    lengths = torch.linalg.svdvals(gradients)
    dependent = lengths[:, -1] <= 1e-10 * lengths[:, 0]
    if values.shape[-1] > r.shape[-1] or bool(dependent.any()):
        times = _first(dependent) if bool(dependent.any()) else "all"
        raise ArgumentError(
            f"the gradients of the constraints are linearly dependent at times {times}, so the multipliers "
            "are not determined: leave out what is redundant, or write f so that its gradient is not zero where f is."
        )
    return values, gradients


def _derivatives(
    r: Tensor, known: tuple[Tensor | None, Tensor | None], step: float, points: int
) -> tuple[Tensor, Tensor]:
    velocities, accelerations = known
    if accelerations is None and velocities is not None:
        accelerations = differentiate(velocities, step, points=points)
    if accelerations is None:
        accelerations = differentiate(r, step, order=2, points=points)
    return differentiate(r, step, points=points) if velocities is None else velocities, accelerations


def _checked(value: object, times: int) -> Tensor:
    if not isinstance(value, Tensor) or tuple(value.shape) != (times,):
        found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ArgumentError(f"the Lagrangian must give one number per time, [{times}]; got {found}.")
    if not value.requires_grad:
        raise ArgumentError(
            "the Lagrangian does not depend on positions or velocities by differentiable steps."
        )
    return value


def _trajectory(positions: object) -> Tensor:
    r = as_tensor("positions", positions).detach()
    if r.ndim != 2 or len(r) < FEWEST or r.shape[-1] == 0:
        raise ArgumentError(
            f"positions must be [times, coordinates] with at least {FEWEST} times; got {list(r.shape)}."
        )
    refuse_non_finite("positions", r)
    return r


def _alike(name: str, value: object, r: Tensor) -> Tensor | None:
    if value is None:
        return None
    tensor = as_tensor(name, value, r).detach().to(r)
    if tensor.shape != r.shape:
        raise ArgumentError(
            f"{name} must have the shape of the positions, {list(r.shape)}; got {list(tensor.shape)}."
        )
    refuse_non_finite(name, tensor)
    return tensor


def _too_coarse(error: float, scale: float) -> tuple[str, ...]:
    if error <= TOLERATED * scale:
        return ()
    text = (
        f"Derivatives by differences add up to {error:.2g} to the residual, where the largest force is "
        f"{scale:.2g}: give velocities and accelerations, or positions in double precision at another step."
    )
    return (text,)


def _off_constraint(values: Tensor, gradients: Tensor, r: Tensor) -> tuple[str, ...]:
    distance = (values.abs() / gradients.norm(dim=-1)).amax(-1) if values.numel() else r.new_zeros(len(r))
    extent = float((r - r.mean(0)).norm(dim=-1).max())
    bad = distance > TOLERATED * extent
    if not bool(bad.any()):
        return ()
    text = (
        f"The trajectory is off its constraints by up to {float(distance.max()):.2g}, first at times "
        f"{_first(bad)}: the multipliers there are those of another motion."
    )
    return (text,)


def _first(bad: Tensor) -> list[int]:
    return bad.nonzero().flatten()[:5].tolist()
