"""Modes whose curvature says nothing about their width."""

import math

import pytest
import torch

import ebm_causal as ec
from ebm_causal.gibbs.widths import precision_at


def log_integral_of_a_power(power: int, scale: float) -> float:
    r"""Of :math:`e^{-s z^p}` over the line: :math:`2\,\Gamma(1 + 1/p)\,s^{-1/p}`."""
    return math.log(2 * math.gamma(1 + 1 / power)) - math.log(scale) / power


@pytest.mark.filterwarnings("error:the estimate over")
@pytest.mark.parametrize(("power", "dim", "scale"), [(4, 6, 1.0), (6, 5, 1.0), (4, 4, 1e-6), (4, 4, 1e9)])
def test_modes_without_curvature_are_fitted_by_how_far_the_energy_takes_to_rise(power, dim, scale):
    energy = ec.energy(lambda z: scale * (z**power).sum(-1), z=dim)
    found = ec.free_energy(energy, method="laplace")
    truth = -dim * log_integral_of_a_power(power, scale)
    assert float(found.value) == pytest.approx(truth, abs=4 * float(found.standard_error))
    assert float(found.standard_error) < 0.03


@pytest.mark.filterwarnings("error:the estimate over")
def test_curvature_in_some_directions_alone():
    energy = ec.energy(lambda z: (z[..., :3] ** 4).sum(-1) + 0.5 * (z[..., 3:] ** 2).sum(-1), z=6)
    found = ec.log_partition(energy, over="z", beta=2.0, method="laplace")
    truth = 3 * log_integral_of_a_power(4, 2.0) + 1.5 * math.log(math.pi)
    assert float(found.value) == pytest.approx(truth, abs=4 * float(found.standard_error))


def test_a_direction_in_which_the_energy_never_rises_is_warned_about():
    energy = ec.energy(lambda z: 0.5 * z[..., 0] ** 2 + 0 * z.sum(-1), z=4)
    with pytest.warns(UserWarning, match="fits at the modes did not pass its self-check"):
        found = ec.log_partition(energy, over="z", method="laplace")
    assert abs(float(found.value)) < 100


def test_a_curvature_that_tells_the_width_is_the_precision():
    matrix = torch.tensor([[2.0, 0.9], [0.9, 0.5]], dtype=torch.float64)
    point = torch.tensor([[[0.3, -1.0]]], dtype=torch.float64)

    def surface(z):
        return 0.5 * ((z - point) @ matrix * (z - point)).sum(-1).reshape(z.shape[:-1])

    torch.testing.assert_close(precision_at(surface, point, matrix[None, None])[0, 0], matrix)


def test_the_width_of_a_quartic_is_where_it_has_risen_by_a_half():
    point, bent = torch.zeros(1, 1, 3, dtype=torch.float64), torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    precision = precision_at(lambda z: (z**4).sum(-1), point, bent)
    torch.testing.assert_close(
        precision[0, 0], math.sqrt(2) * torch.eye(3, dtype=torch.float64), atol=0, rtol=1e-5
    )
