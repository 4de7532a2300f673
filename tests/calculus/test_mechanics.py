"""Motions whose equations are known: their residuals vanish, and constraint forces are the textbook's."""

import math

import numpy as np
import pytest
import torch
from scipy.special import ellipj, ellipk

from ebm_causal.calculus import differentiate, euler_lagrange
from ebm_causal.errors import ArgumentError, EnergyError

F64 = torch.float64
MASS, LENGTH, GRAVITY = 1.7, 0.8, 9.81
STEP = 0.01


def in_gravity(r, v):
    return 0.5 * MASS * (v**2).sum(-1) - MASS * GRAVITY * r[..., 1]


def free(r, v):
    return 0.5 * MASS * (v**2).sum(-1)


def rod(r):
    return r.norm(dim=-1) - LENGTH


def times(count=301):
    return STEP * torch.arange(count, dtype=F64)


def pendulum(amplitude=2.5, count=301):
    """Angle from below, its rate and acceleration: Jacobi's elliptic functions, from rest at the amplitude."""
    k, w = math.sin(amplitude / 2), math.sqrt(GRAVITY / LENGTH)
    sn, cn, _, _ = ellipj(ellipk(k**2) - w * times(count).numpy(), k**2)
    angle, rate = 2 * np.arcsin(k * sn), -2 * k * w * cn
    return [torch.from_numpy(value) for value in (angle, rate, -(w**2) * np.sin(angle))]


def in_the_plane(angle, rate, acceleration):
    out = torch.stack([angle.sin(), -angle.cos()], -1)
    along = torch.stack([angle.cos(), angle.sin()], -1)
    rate, acceleration = rate[:, None], acceleration[:, None]
    return LENGTH * out, LENGTH * rate * along, LENGTH * (acceleration * along - rate**2 * out)


def tension(angle, rate):
    return MASS * (LENGTH * rate**2 + GRAVITY * angle.cos())


def test_the_tension_of_a_pendulum():
    angle, rate, acceleration = pendulum()
    r, v, a = in_the_plane(angle, rate, acceleration)
    motion = euler_lagrange(in_gravity, r, STEP, rod, velocities=v, accelerations=a)
    assert motion.residual.abs().max() < 1e-12
    assert (motion.multipliers[:, 0] + tension(angle, rate)).abs().max() < 1e-12
    assert motion.constraint_values.abs().max() < 1e-14
    assert motion.difference_error == 0
    assert motion.warnings == ()


def test_the_tension_of_a_pendulum_from_its_positions_alone():
    angle, rate, acceleration = pendulum()
    r, v, a = in_the_plane(angle, rate, acceleration)
    motion = euler_lagrange(in_gravity, r, STEP, rod)
    error = (motion.multipliers[:, 0] + tension(angle, rate)).abs()
    assert motion.residual.abs().max() < 1e-7
    assert error.max() < 1e-7
    assert error[4:-4].max() < 1e-8
    assert (motion.velocities - v)[4:-4].abs().max() < 1e-9
    assert (motion.accelerations - a)[4:-4].abs().max() < 1e-8
    assert motion.residual.abs().max() < motion.difference_error < 1e-3
    assert motion.warnings == ()


def test_velocities_alone_give_better_accelerations_at_the_ends():
    r, v, _ = in_the_plane(*pendulum())
    motions = [euler_lagrange(in_gravity, r, STEP, rod, velocities=given) for given in (None, v)]
    without, given = (motion.residual[[0, -1]].abs().max() for motion in motions)
    assert given < 0.2 * without
    assert motions[1].residual.abs().max() < 1e-7


def test_the_force_does_not_depend_on_how_the_constraint_is_written():
    angle, rate, acceleration = pendulum()
    r, v, a = in_the_plane(angle, rate, acceleration)
    known = -tension(angle, rate)[:, None] * r / LENGTH
    forms = (
        (rod, 1.0),
        (lambda r: 0.5 * ((r**2).sum(-1) - LENGTH**2), LENGTH),
        (lambda r: LENGTH - r.norm(dim=-1), -1.0),
    )
    for form, slope in forms:
        motion = euler_lagrange(in_gravity, r, STEP, form, velocities=v, accelerations=a)
        assert (motion.forces - known).abs().max() < 1e-12
        assert (motion.multipliers[:, 0] + tension(angle, rate) / slope).abs().max() < 1e-12


def test_a_pendulum_in_its_angle_has_no_constraint():
    angle, rate, acceleration = (value[:, None] for value in pendulum())

    def lagrangian(q, u):
        return (0.5 * MASS * (LENGTH * u) ** 2 + MASS * GRAVITY * LENGTH * q.cos()).squeeze(-1)

    motion = euler_lagrange(lagrangian, angle, STEP, velocities=rate, accelerations=acceleration)
    assert motion.residual.abs().max() < 1e-12
    assert motion.multipliers.shape == (301, 0)
    assert torch.equal(motion.forces, torch.zeros(301, 1, dtype=F64))


def test_the_energy_is_conserved():
    r, v, a = in_the_plane(*pendulum(amplitude=2.5))
    motion = euler_lagrange(in_gravity, r, STEP, rod, velocities=v, accelerations=a)
    known = -MASS * GRAVITY * LENGTH * math.cos(2.5)
    assert (motion.energy - known).abs().max() < 1e-12


def test_free_fall():
    t = times()
    r = torch.stack([1 + 2 * t, 3 * t - 0.5 * GRAVITY * t**2], -1)
    motion = euler_lagrange(in_gravity, r, STEP)
    assert motion.residual.abs().max() < 1e-6
    assert motion.warnings == ()
    assert repr(motion).startswith("Motion(301 times, 2 coordinates, 0 constraints, largest residual=")


def test_the_residual_of_a_wrong_motion_is_the_missing_force():
    t = times()
    r = torch.stack([t, torch.zeros_like(t)], -1)  # it hovers
    motion = euler_lagrange(in_gravity, r, STEP)
    assert motion.residual.numpy() == pytest.approx(np.tile([0, MASS * GRAVITY], (301, 1)), abs=1e-8)


def test_a_bead_on_a_circle_is_pulled_inward():
    angle, speed = 3 * times(), 3 * LENGTH
    r = LENGTH * torch.stack([angle.cos(), angle.sin()], -1)
    motion = euler_lagrange(free, r, STEP, rod)
    assert (motion.multipliers + MASS * speed**2 / LENGTH).abs().max() < 1e-6
    assert (motion.forces + MASS * speed**2 / LENGTH**2 * r).abs().max() < 1e-6


def test_a_bead_that_speeds_up_on_a_circle_without_a_force_has_its_residual_along_the_circle():
    angle = times() ** 2
    r = LENGTH * torch.stack([angle.cos(), angle.sin()], -1)
    motion = euler_lagrange(free, r, STEP, rod)
    along = torch.stack([-angle.sin(), angle.cos()], -1)
    known = 2 * MASS * LENGTH * along
    assert (motion.residual - known).abs().max() < 1e-6


def test_a_charge_in_a_magnetic_field_runs_in_circles():
    field, t = 2.0, times()  # L is linear in the velocity there: the mixed derivative counts
    w = field / MASS
    r = torch.stack([(w * t).cos(), -(w * t).sin()], -1)

    def lagrangian(r, v):
        return free(r, v) + 0.5 * field * (r[:, 0] * v[:, 1] - r[:, 1] * v[:, 0])

    assert euler_lagrange(lagrangian, r, STEP).residual.abs().max() < 1e-6


def test_two_constraints_are_told_apart():
    # On a table (z = 0, held against gravity) and on a circle.
    angle = 3 * times()
    r = torch.stack([LENGTH * angle.cos(), LENGTH * angle.sin(), 0 * angle], -1)

    def lagrangian(r, v):
        return 0.5 * MASS * (v**2).sum(-1) - MASS * GRAVITY * r[:, 2]

    def constraints(r):
        return torch.stack([r[:, :2].norm(dim=-1) - LENGTH, r[:, 2]], -1)

    motion = euler_lagrange(lagrangian, r, STEP, constraints)
    assert motion.multipliers.mean(0).tolist() == pytest.approx(
        [-MASS * 9 * LENGTH, MASS * GRAVITY], abs=1e-7
    )
    assert motion.summary().columns.tolist() == [
        *("time", "residual", "force", "energy", "multiplier[0]", "multiplier[1]")
    ]


def test_two_particles_on_a_rod_share_its_force():
    angle = 2 * times()
    out = torch.stack([angle.cos(), angle.sin()], -1)
    r = torch.cat([out, -out], -1)
    motion = euler_lagrange(free, r, STEP, lambda r: (r[:, :2] - r[:, 2:]).norm(dim=-1) - 2)
    assert (motion.multipliers + MASS * 4).abs().max() < 1e-6
    assert (motion.forces[:, :2] + motion.forces[:, 2:]).abs().max() < 1e-12


def test_rest_has_no_rounding():
    motion = euler_lagrange(free, torch.full((20, 2), 1e6, dtype=F64), 1e-6)
    assert motion.residual.abs().max() == 0
    assert motion.warnings == ()


def test_coarse_steps_and_single_precision_are_warned_about():
    t = 0.5 * torch.arange(12, dtype=F64)
    coarse = euler_lagrange(free, torch.stack([(3 * t).cos(), (3 * t).sin()], -1), 0.5)
    single = euler_lagrange(in_gravity, torch.stack([times(), times() ** 2], -1).float(), STEP)
    for motion in (coarse, single):
        assert len(motion.warnings) == 1
        assert "Derivatives by differences add up to" in motion.warnings[0]


def test_a_trajectory_off_its_constraint_is_warned_about():
    angle = 3 * times()
    r = 1.1 * LENGTH * torch.stack([angle.cos(), angle.sin()], -1)
    (warning,) = euler_lagrange(free, r, STEP, rod).warnings
    assert "off its constraints by up to 0.08, first at times [0, 1, 2, 3, 4]" in warning


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("count", [3, 4, 5, 8, 9, 20])
def test_differences_are_exact_for_polynomials(order, count):
    degree = min(8, count - 1 - (count + 1) % 2)
    t = 0.5 * torch.arange(count, dtype=F64)
    p = np.polynomial.Polynomial(np.arange(1.0, degree + 2))
    known = torch.from_numpy(p.deriv(order)(t.numpy()))
    found = differentiate(torch.from_numpy(p(t.numpy())), 0.5, order=order)
    assert (found - known).abs().max() <= 1e-10 * known.abs().max()


def test_differences_converge_at_their_order():
    def error(step):
        t = step * torch.arange(40, dtype=F64)
        return (differentiate(t.sin(), step, points=5) - t.cos())[2:-2].abs().max().item()

    assert error(0.2) / error(0.1) == pytest.approx(16, rel=0.1)


class TestRefusals:
    r = torch.stack([times(), times() ** 2], -1)

    def refused(self, match, lagrangian=free, r=None, step=STEP, constraints=None, **options):
        with pytest.raises(ArgumentError, match=match):
            euler_lagrange(lagrangian, self.r if r is None else r, step, constraints, **options)

    def test_steps(self):
        self.refused("step is the time between two positions and must be positive; got 0", step=0.0)
        self.refused("got nan", step=math.nan)

    def test_shapes(self):
        self.refused(r"with at least 5 times; got \[4, 2\]", r=self.r[:4])
        self.refused(r"positions must be \[times, coordinates\]", r=self.r[:, 0])
        self.refused(r"velocities must have the shape of the positions, \[301, 2\]", velocities=self.r[1:])
        with pytest.raises(ArgumentError, match="at least 3 points; got 2"):
            differentiate(torch.ones(2), 0.1)

    def test_values_that_are_not_finite(self):
        bad = self.r.clone()
        bad[7, 1] = math.nan
        for options in ({"positions": bad}, {"positions": self.r, "accelerations": bad}):
            with pytest.raises(EnergyError, match=r"is not finite in 1 rows, the first of them \[7\]"):
                euler_lagrange(free, step=STEP, **options)
        self.refused(r"Lagrangian's derivatives are not finite at times \[0\]", lambda r, v: r[:, 0].sqrt())
        rise = lambda r: r[:, 0].sqrt()
        self.refused(r"constraints or their derivatives are not finite at times \[0\]", constraints=rise)

    def test_lagrangians(self, unchecked):
        self.refused(r"one number per time, \[301\]; got \[301, 2\]", lambda r, v: v**2)
        self.refused("one number per time, .*; got float", lambda r, v: 1.0)
        self.refused("does not depend on positions or velocities", lambda r, v: torch.ones(len(r)))

    def test_constraints(self, unchecked):
        self.refused(r"must give \[301, constraints\] or \[301\]; got \[\]", constraints=lambda r: r.sum())
        self.refused("does not depend on its input", constraints=lambda r: torch.ones(len(r)))
        twice = lambda r: torch.stack([r[:, 0], 2 * r[:, 0]], -1)
        self.refused(r"linearly dependent at times \[0, 1, 2, 3, 4\]", constraints=twice)
        self.refused(r"linearly dependent at times \[0\]", constraints=lambda r: r[:, 0] ** 2)
        many = lambda r: torch.stack([r[:, 0], r[:, 1], r.sum(-1)], -1)
        self.refused("linearly dependent at times all", constraints=many)
