"""Minimizers over bare callables: closed forms, scipy as the oracle, batch against loop, points that are done leave."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize as scipy_minimize

from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.sampling import certify, minimize_rows

F64 = torch.float64
METHODS = ("newton", "lbfgs", "gradient")
every_method = pytest.mark.parametrize("method", METHODS)


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def same_for_all(energy):
    return lambda rows: energy


def rosenbrock(x):
    return 100 * (x[..., 1] - x[..., 0] ** 2) ** 2 + (1 - x[..., 0]) ** 2


def beale(x):
    a, b = x.unbind(-1)
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def wood(x):
    a, b, c, d = x.unbind(-1)
    first = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
    return first + 10 * (b + d - 2) ** 2 + 0.1 * (b - d) ** 2


@every_method
@pytest.mark.parametrize(
    ("function", "best"), [(rosenbrock, [1, 1]), (beale, [3, 0.5]), (wood, [1, 1, 1, 1])]
)
def test_known_minima(function, best, method):
    starts = torch.tensor(best, dtype=F64) + 0.3 * draws(3, 1, len(best))
    found = minimize_rows(same_for_all(function), starts, method=method, steps=500)
    lowest = found.points[found.energies[:, 0].argmin(), 0]
    assert lowest.numpy() == pytest.approx(np.array(best, dtype=float), abs=1e-7)
    assert bool(found.arrived[found.energies[:, 0].argmin(), 0])


@every_method
def test_quadratics_of_any_scale(method):
    scales = torch.logspace(-6, 6, 13, dtype=F64)
    center = draws(13, 3, seed=1)

    def select(rows):
        return lambda z: 0.5 * scales[rows] * ((z - center[rows]) ** 2).sum(-1)

    found = minimize_rows(select, draws(2, 13, 3), method=method)
    assert bool(found.arrived.all())
    # 1e-3 of the rounding of the energy is what stops a descent: so far off may the flattest rows be
    distance = (found.points - center).norm(dim=-1)
    assert bool((0.5 * scales * distance**2 <= 1e-16).all())


def test_newton_needs_few_steps_where_the_energy_is_quadratic():
    found = minimize_rows(same_for_all(lambda z: ((z - 1) ** 2).sum(-1)), draws(4, 5, 3), method="newton")
    assert found.steps <= 2


@every_method
def test_ends_are_those_of_scipy(method):
    y, weights = draws(10, 3, seed=2), draws(2, 3, seed=3)

    def select(rows):
        return lambda z: ((y[rows] - torch.tanh(z @ weights)) ** 2).sum(-1) + 0.05 * (z**2).sum(-1)

    starts = draws(1, 10, 2, seed=4)
    found = minimize_rows(select, starts, method=method)
    for row in range(10):
        energy = select(torch.tensor([row]))
        known = scipy_minimize(
            lambda z, f=energy: f(torch.as_tensor(z)[None]).item(),
            found.points[0, row].numpy(),
            method="BFGS",
        )
        assert found.energies[0, row].item() <= known.fun + 1e-9
        assert found.points[0, row].numpy() == pytest.approx(known.x, abs=1e-4)


@every_method
def test_a_batch_is_a_loop(method):
    y = draws(4, 1, seed=5)

    def select(rows):
        return lambda z: ((y[rows] - z.sin()) ** 2).sum(-1) + 0.1 * (z**2).sum(-1)

    starts = draws(3, 4, 1, seed=6)
    whole = minimize_rows(select, starts, method=method)
    for row in range(4):
        alone = minimize_rows(
            lambda rows, row=row: select(rows + row), starts[:, row : row + 1], method=method
        )
        assert alone.points[:, 0].numpy() == pytest.approx(whole.points[:, row].numpy(), abs=1e-10)


def test_points_that_are_done_leave_the_batch():
    sizes, scales = [], torch.tensor([1.0, 100.0], dtype=F64)

    def select(rows):
        def energy(z):
            sizes.append(len(z))
            return (scales[rows] * (z[:, 1] - z[:, 0] ** 2) ** 2) + (1 - z[:, 0]) ** 2

        return energy

    minimize_rows(select, torch.tensor([[[1.0, 1.0], [-1.2, 1.0]]], dtype=F64), method="newton")
    assert sizes[0] == 2
    assert sizes[1:] == [1] * len(sizes[1:])
    assert len(sizes) > 5


def test_newton_leaves_a_saddle_downhill():
    def saddle(z):
        return (z[..., 0] ** 2 - 1) ** 2 + z[..., 1] ** 2

    found = minimize_rows(same_for_all(saddle), torch.tensor([[[1e-6, 0.3]]], dtype=F64))
    assert found.energies.item() == pytest.approx(0, abs=1e-15)
    assert found.points[0, 0].numpy() == pytest.approx([1, 0], abs=1e-9)


def test_a_descent_without_end_is_given_up():
    found = minimize_rows(same_for_all(lambda z: -z.sum(-1)), draws(1, 2, 2))
    assert found.steps < 60
    assert not bool(found.arrived.any())


def test_energies_never_rise():
    starts = 3 * draws(50, 1, 2, seed=7)
    for method in METHODS:
        ends = minimize_rows(same_for_all(beale), starts, method=method, steps=30).energies
        assert bool((ends <= beale(starts) * (1 + 1e-12)).all())


@every_method
def test_starts_without_a_finite_energy_end_where_they_were(method):
    starts = torch.tensor([[[-1.0]], [[2.0]]], dtype=F64)
    found = minimize_rows(same_for_all(lambda z: (z - z.log()).sum(-1)), starts, method=method)
    assert found.energies[0].item() == math.inf
    assert not bool(found.arrived[0])
    assert found.points[1].item() == pytest.approx(1, abs=1e-7)


def test_float32_stays_float32():
    found = minimize_rows(
        same_for_all(lambda z: ((z - 1) ** 4).sum(-1) + (z**2).sum(-1)), draws(2, 3, 2).float()
    )
    assert {part.dtype for part in (found.points, found.energies)} == {torch.float32}
    assert bool(found.arrived.all())


def test_a_certificate_tells_minima_saddles_and_slopes_apart():
    points = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.5, 0.5]], dtype=F64)
    certificate = certify(lambda z: (z[:, 0] ** 2 - 1) ** 2 + z[:, 1] ** 2, points)
    assert certificate.stationary.tolist() == [True, False, False]
    assert certificate.smallest_eigenvalue.numpy() == pytest.approx([2, -4, -1], abs=1e-12)
    assert certificate.gradient_norm.numpy() == pytest.approx([0, 0, math.hypot(1.5, 1)], abs=1e-12)


def test_a_certificate_in_many_dimensions_has_no_hessian():
    certificate = certify(lambda z: (z**2).sum(-1), torch.zeros(2, 100, dtype=F64))
    assert certificate.smallest_eigenvalue is None
    assert bool(certificate.stationary.all())


@pytest.mark.parametrize("method", ["lbfgs", "gradient"])
def test_many_dimensions(method):
    scales = torch.linspace(1, 20, 200, dtype=F64)
    energy = same_for_all(lambda z: (scales * (z - 1) ** 2).sum(-1) + 0.1 * (z**4).sum(-1))
    found = minimize_rows(energy, draws(2, 3, 200), method=method, steps=500)
    assert bool(found.arrived.all())
    one = found.points[0, 0]
    assert (2 * scales * (one - 1) + 0.4 * one**3).norm().item() < 1e-6


def test_energies_that_cannot_be_differentiated():
    with pytest.raises(
        EnergyError, match="does not depend on what it is minimized over by differentiable steps"
    ):
        minimize_rows(same_for_all(lambda z: z.detach().sum(-1)), draws(1, 1, 1))


def test_a_method_that_is_not_there():
    with pytest.raises(ArgumentError, match=r"one of \['newton', 'lbfgs', 'gradient'\]; got 'magic'"):
        minimize_rows(same_for_all(lambda z: z.sum(-1)), draws(1, 1, 1), method="magic")
