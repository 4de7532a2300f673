import math

import pytest
import torch
from torch import nn
from torch.distributions import constraints

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError


def plain():
    return ec.energy(lambda a, b: ((a * b).sum(-1) - 1) ** 2 + (a**4).sum(-1), a=2, b=2)


def intervened():
    x = ec.Mechanism("x", "z", lambda z: z.repeat_interleave(2, -1), ec.StudentTCost(1.0, 3.0), dim=2)
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x[..., :1] + z, ec.SquaredError(0.5))
    return ec.do(x + y + ec.GaussianRegularizer(1), x=[0.3, -0.2])


def test_a_missing_variable():
    with pytest.raises(EnergyError, match=r"missing variable 'b'; the energy's variables are \['a', 'b'\]"):
        plain()(a=torch.zeros(3, 2))


def test_an_unknown_variable():
    with pytest.raises(EnergyError, match="unknown variable 'c'"):
        plain()(a=torch.zeros(3, 2), b=torch.zeros(3, 2), c=torch.zeros(3, 2))


def test_a_clamped_variable():
    with pytest.raises(EnergyError, match=r"unknown variable 'x' \(it is clamped\)"):
        intervened()(x=torch.zeros(3, 2), y=torch.zeros(3, 1), z=torch.zeros(3, 1))


def test_a_wrong_shape():
    with pytest.raises(EnergyError, match=r"'a' must be \[..., 2\]; got \[3, 1\]"):
        plain()(a=torch.zeros(3, 1), b=torch.zeros(3, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    with pytest.raises(EnergyError, match="use float32 or float64, half precision loses the energy"):
        plain()(a=torch.zeros(3, 2, dtype=dtype), b=torch.zeros(3, 2))


def test_complex_values():
    with pytest.raises(EnergyError, match="'a' is complex; energies take real numbers"):
        plain()(a=torch.zeros(3, 2, dtype=torch.complex128), b=torch.zeros(3, 2))


def test_values_that_are_not_numbers():
    with pytest.raises(EnergyError, match="'a' must be numeric; got str"):
        plain()(a="high", b=torch.zeros(3, 2))


@pytest.mark.parametrize("function", [lambda a: (a**2).sum(), lambda a: a**2, lambda a: 1.0])
def test_factors_that_do_not_give_one_number_per_row(function, unchecked):
    with pytest.raises(
        EnergyError, match=r"factor '<lambda>' must give one real number per row, shape \[3\]"
    ):
        ec.energy(function, a=2)(a=torch.zeros(3, 2))


def test_a_cost_that_sums_over_rows():
    y = ec.Mechanism("y", "z", lambda z: z, lambda prediction, value: ((prediction - value) ** 2).sum())
    with pytest.raises(EnergyError, match="factor 'y' must give one real number per row"):
        (y + ec.GaussianRegularizer(1))(y=torch.zeros(3, 1), z=torch.zeros(3, 1))


def test_factors_that_contradict_each_other():
    with pytest.raises(EnergyError, match="'a' has dimension 2 in one factor and 3 in another"):
        plain() + ec.energy(lambda a: a.sum(-1), a=3)
    spins, bits = (ec.energy(lambda s: s.sum(-1), s=ec.Variable(1, ec.finite(v))) for v in ((-1, 1), (0, 1)))
    with pytest.raises(EnergyError, match="'s' has support .* in one factor and .* in another"):
        spins + bits


def test_two_mechanisms_of_one_variable():
    y = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError())
    with pytest.raises(EnergyError, match="'y' has two mechanisms; a variable is caused in one way"):
        y + ec.Mechanism("y", "x", lambda x: x, ec.SquaredError())


def test_a_variable_that_is_its_own_parent():
    with pytest.raises(EnergyError, match="'y' cannot be its own parent"):
        ec.Mechanism("y", ("x", "y"), lambda x, y: x, ec.SquaredError())


def test_a_cycle_of_causes():
    x = ec.Mechanism("x", "y", lambda y: y, ec.SquaredError())
    y = ec.Mechanism("y", "x", lambda x: x, ec.SquaredError())
    with pytest.raises(EnergyError, match="the mechanisms form a cycle, [xy] -> [xy]"):
        ec.pyro_model(x + y)
    with pytest.raises(EnergyError, match="form the circle [xy] -> [xy]"):
        ec.interventional(x + y, do={"x": 1.0})


def test_an_energy_of_nothing(unchecked):
    with pytest.raises(EnergyError, match="an energy wraps a callable; got int"):
        ec.energy(3, x=1)
    with pytest.raises(EnergyError, match="name the energy's variables"):
        ec.energy(lambda: 0)


def test_an_assignment_of_another_variable():
    wrong = ec.Mechanism("w", "z", lambda z: z, ec.SquaredError())
    with pytest.raises(EnergyError, match="the assignment must be the mechanism of x given the latent"):
        ec.LatentEnergy(nn.Identity(), lambda h, z: h, ec.SquaredError(), ec.GaussianRegularizer(1), wrong)


def test_linear_weights_that_do_not_fit():
    with pytest.raises(
        EnergyError, match=r"input_weight must have 3 rows, as latent_weight has; got \[2, 1\]"
    ):
        ec.LinearGaussianEnergy(torch.zeros(3, 1), torch.zeros(2, 1))


def test_supports_and_dimensions_that_make_no_sense():
    with pytest.raises(ArgumentError, match=r"at least two distinct values; got \[1.0\]"):
        ec.finite([1])
    with pytest.raises(ArgumentError, match="a variable's dimension must be positive; got 0"):
        ec.Variable(0)


def test_nan_in_values():
    with pytest.raises(
        EnergyError, match=r"'b' is NaN in 2 rows, the first of them \[0, 2\]: drop or mend these rows"
    ):
        plain()(a=torch.zeros(3, 2), b=torch.tensor([[torch.nan, 0.0], [0.0, 0.0], [torch.nan, torch.nan]]))


def test_a_factor_that_is_nan():
    root = ec.energy(lambda a: a.sqrt().sum(-1), a=2)
    with pytest.raises(
        EnergyError, match=r"factor '<lambda>' of \['a'\] is NaN in 1 rows, the first of them \[1\]: look"
    ):
        (root + plain())(a=torch.tensor([[1.0, 4.0], [1.0, -1.0]]), b=torch.zeros(2, 2))


def test_an_infinite_energy_is_a_constraint():
    wall = ec.energy(lambda a: torch.where(a > 0, 0.0, torch.inf).sum(-1), a=1)
    assert wall(a=torch.tensor([[1.0], [-1.0]])).tolist() == [0.0, torch.inf]


def test_a_factor_that_is_complex(unchecked):
    with pytest.raises(
        EnergyError, match="factor '<lambda>' must give one real number per row.* got complex"
    ):
        ec.energy(lambda a: a.sum(-1) * 1j, a=2)(a=torch.zeros(3, 2))


@pytest.mark.parametrize(
    ("support", "value", "shown"),
    [
        (constraints.positive, -1.0, r"GreaterThan\(lower_bound=0.0\)"),
        (constraints.unit_interval, 1.5, r"Interval\(lower_bound=0.0, upper_bound=1.0\)"),
        (constraints.boolean, 0.5, "Boolean"),
        (ec.finite((-1, 1)), 0.0, r"finite\(\[-1.0, 1.0\]\)"),
    ],
    ids=["positive", "interval", "boolean", "finite"],
)
def test_values_outside_their_support(support, value, shown):
    energy = ec.energy(lambda s: s.sum(-1), s=ec.Variable(1, support))
    inside = torch.ones(2, 1)
    with pytest.raises(
        EnergyError, match=rf"'s' must be in its support, {shown}.*; it is not in 1 rows, the first"
    ):
        energy(s=torch.cat([inside, torch.tensor([[value]])]))
    with pytest.raises(EnergyError, match="Drop or mend these values, or state another support"):
        energy(s=value)


def test_a_prediction_that_no_value_of_the_child_fits():
    y = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError(), dim=2) + ec.GaussianRegularizer(3)
    with pytest.raises(EnergyError, match=r"the decoder of 'y' must give \[..., 2\]; got \[4, 3\]"):
        y(y=torch.zeros(4, 2), z=torch.zeros(4, 3))


def test_a_prediction_of_one_number_for_several_coordinates_counts_for_each():
    y = ec.Mechanism("y", "z", lambda z: z, ec.SquaredError(), dim=2)
    assert y.log_normalizer({"z": torch.zeros(4, 1)}).item() == pytest.approx(math.log(2 * math.pi))


def test_energies_under_vmap_are_not_looked_at():
    values = torch.randn(3, 2), torch.randn(3, 2)
    found = torch.vmap(lambda a, b: plain()(a=a, b=b))(*values)
    assert torch.allclose(found, plain()(a=values[0], b=values[1]))


def test_energies_that_hold_a_variable_at_two_values():
    first, second = (ec.do(caused(), x=x) for x in ([0.5, 0.0], [1.0, 0.0]))
    with pytest.raises(
        EnergyError, match=r"'x' is held at other values in one energy than in the other; add them"
    ):
        first + second


def caused():
    x = ec.Mechanism("x", "z", lambda z: z.repeat_interleave(2, -1), ec.SquaredError(), dim=2)
    return x + ec.GaussianRegularizer(1)
