import math

import pyro
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError


@pytest.fixture
def energy():
    return ec.energy(lambda y, z: ((y - z) ** 2).sum(-1) + 0.5 * (z**2).sum(-1), y=1, z=1)


Y = torch.zeros(3, 1, dtype=torch.float64)


def test_unknown_variables(energy):
    with pytest.raises(EnergyError, match=r"unknown variable 'w'; the energy's variables are \['y', 'z'\]"):
        ec.free_energy(energy, over="z", given={"y": Y, "w": Y})


def test_a_variable_in_both(energy):
    with pytest.raises(EnergyError, match="'y' stands in both over and given"):
        ec.free_energy(energy, over=("y", "z"), given={"y": Y})


def test_a_variable_in_neither(energy):
    with pytest.raises(EnergyError, match="'y' is neither in over nor in given"):
        ec.free_energy(energy, over="z")


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_an_inverse_temperature_that_is_not_positive(energy, beta):
    with pytest.raises(ArgumentError, match="beta is an inverse temperature and must be positive"):
        ec.free_energy(energy, over="z", given={"y": Y}, beta=beta)
    with pytest.raises(ArgumentError, match="must be positive"):
        ec.GibbsDensity(energy, over="y", beta=beta)
    with pytest.raises(ArgumentError, match="must be positive"):
        ec.log_partition(energy, over=("y", "z"), beta=beta)
    with pytest.raises(ArgumentError, match="must be positive"):
        ec.sample(energy, over="z", given={"y": Y}, beta=beta)


def test_no_temperature_at_all_where_a_density_is_asked_for(energy):
    with pytest.raises(ArgumentError, match="must be positive and finite; got inf"):
        ec.GibbsDensity(energy, over="y", beta=math.inf)


def test_rows_that_are_not_finite_are_named(energy):
    y = Y.clone()
    y[1] = math.nan
    with pytest.raises(EnergyError, match=r"'y' is not finite in 1 rows, the first of them \[1\]"):
        ec.free_energy(energy, over="z", given={"y": y})
    with pytest.raises(EnergyError, match="'y' is not finite"):
        ec.GibbsDensity(energy, over="y").log_prob(y)


def test_a_wrong_shape(energy):
    with pytest.raises(EnergyError, match=r"'y' must be \[rows, 1\]; got \[3, 2\]"):
        ec.free_energy(energy, over="z", given={"y": torch.zeros(3, 2)})


def test_rows_that_do_not_match():
    energy = ec.energy(lambda x, y, z: (x + y + z).squeeze(-1) ** 2, x=1, y=1, z=1)
    with pytest.raises(EnergyError, match=r"the same number of rows; got \{'x': 2, 'y': 3\}"):
        ec.free_energy(energy, over="z", given={"x": torch.zeros(2, 1), "y": torch.zeros(3, 1)})


def test_a_value_outside_its_support():
    spin = ec.energy(lambda s, z: (s * z + z**2).sum(-1), s=ec.Variable(1, ec.finite([-1, 1])), z=1)
    with pytest.raises(
        EnergyError, match=r"'s' must be in its support, finite.*not in 1 rows, .*\[1\]: \[0.5\]"
    ):
        ec.free_energy(spin, over="z", given={"s": [[1.0], [0.5]]})


def test_a_lattice_in_ten_dimensions():
    energy = ec.energy(lambda z: (z**2).sum(-1), z=10)
    with pytest.raises(
        EnergyError,
        match=r"serves one to three real dimensions, not \['z'\] \(dimension 10\): use 'auto', 'laplace'",
    ):
        ec.log_partition(energy, over="z", method="lattice")


def test_fits_at_modes_of_finite_variables():
    energy = ec.energy(lambda s, z: ((s - z) ** 2).sum(-1), s=ec.Variable(20, ec.finite([-1, 1])), z=20)
    for method in ("laplace", "importance"):
        with pytest.raises(ArgumentError, match=f"method='{method}' serves real variables.* some are finite"):
            ec.log_partition(energy, over=("s", "z"), method=method)


def test_a_lattice_beside_too_many_states():
    energy = ec.energy(lambda s, z: ((s - z) ** 2).sum(-1), s=ec.Variable(20, ec.finite([-1, 1])), z=20)
    with pytest.raises(EnergyError, match=r"not \['s', 'z'\] \(dimension 40\)"):
        ec.log_partition(energy, over=("s", "z"), method="lattice")


def test_too_many_states_for_an_exact_sum():
    energy = ec.energy(lambda s: s.sum(-1), s=ec.Variable(20, ec.finite([-1, 1])))
    with pytest.raises(EnergyError, match="more than 65536 states"):
        ec.log_partition(energy, over="s", method="exact")


def test_too_few_draws(energy):
    with pytest.raises(ArgumentError, match="draws must be at least 64; got 10"):
        ec.free_energy(energy, over="z", given={"y": Y}, method="laplace", draws=10)


def test_proposals_that_do_not_fit(energy):
    narrow = torch.distributions.Normal(torch.zeros(3), 1.0)
    with pytest.raises(ArgumentError, match="a proposal serves method='importance'; got method='auto'"):
        ec.free_energy(energy, over="z", given={"y": Y}, proposal=pyro.distributions.Normal(0.0, 1.0))
    proposal = pyro.distributions.Normal(narrow.mean, 1.0).to_event(1)
    with pytest.raises(ArgumentError, match=r"must draw \[1\] numbers as one event"):
        ec.free_energy(energy, over="z", given={"y": Y}, method="importance", proposal=proposal)


@pytest.mark.slow
def test_a_density_in_four_dimensions_that_cannot_be_normalized():
    flat = ec.energy(lambda z: (z[..., :3] ** 2).sum(-1), z=4)
    with pytest.warns(UserWarning, match="did not pass its self-check in 1 rows.* cannot be normalized"):
        found = ec.log_partition(flat, over="z", draws=256)
    assert found.warnings


def test_a_population_that_nothing_lets_in():
    nowhere = ec.energy(lambda z: torch.where(z[..., 0] > 60, z.sum(-1), math.inf), z=4)
    with pytest.raises(ConvergenceError, match="no particle of a population has a finite energy in 1 rows"):
        ec.log_partition(nowhere, over="z", method="annealed")


@pytest.mark.parametrize(
    ("beta", "message"),
    [
        ([0.5, 2.0, 1.0], "rise throughout or fall throughout; it turns after number 1"),
        ([0.5, -1.0], "must be positive and finite; number 1 is -1"),
        ([0.5], "at least two inverse temperatures"),
        ([0.5, math.nan], "must be positive and finite; number 1 is nan"),
    ],
)
def test_what_is_no_schedule(energy, beta, message):
    for function in (ec.free_energy, ec.thermodynamics, ec.GibbsDensity):
        with pytest.raises(ArgumentError, match=message):
            function(energy, over="z", given={"y": Y}, beta=beta)


@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda y, z: ((y - z) ** 2).sum(), id="a scalar"),
        pytest.param(lambda y, z: (y - z) ** 2, id="the last dimension kept"),
        pytest.param(lambda y, z: torch.complex((y - z) ** 2, y - y).sum(-1), id="complex"),
    ],
)
def test_factors_that_do_not_give_a_real_number_per_row(function):
    energy = ec.energy(function, y=1, z=1)
    with pytest.raises(EnergyError, match="must give one real number per row"):
        ec.free_energy(energy, over="z", given={"y": Y})
    with pytest.raises(EnergyError, match="must give one real number per row"):
        ec.free_energy(energy, over="z", given={"y": Y[:1]})


def test_an_energy_that_is_nowhere_finite():
    energy = ec.energy(lambda z: z.squeeze(-1) * math.nan, z=1)
    with pytest.raises(ConvergenceError, match=r"not finite in rows \[0\]"):
        ec.log_partition(energy, over="z")


def test_methods_that_do_not_serve(energy, unchecked):
    with pytest.raises(
        ArgumentError, match="method='exact' serves finite variables, and a LinearGaussianEnergy"
    ):
        ec.free_energy(energy, over="z", given={"y": Y}, method="exact")
    with pytest.raises(
        ArgumentError, match="method='exact' serves finite variables, and a LinearGaussianEnergy"
    ):
        ec.log_partition(energy, over=("y", "z"), method="exact")
    for function in (ec.free_energy, ec.log_partition):
        with pytest.raises(ArgumentError, match="method must be one of .*'annealed'.*; got 'magic'"):
            function(energy, over="z", given={"y": Y}, method="magic")


def test_a_dimension_that_is_not_known_yet():
    latent = ec.LatentEnergy(lambda x: x, lambda h, z: h + z, ec.SquaredError(), ec.GaussianRegularizer(1))
    with pytest.raises(EnergyError, match="dimension of 'y' is not known yet"):
        ec.log_partition(latent, over=("y", "z"), given={"x": [[1.0]]})


def test_a_density_that_no_lattice_draws_from():
    energy = ec.energy(lambda y, z: ((y - z) ** 2).sum(-1), y=3, z=3)
    with pytest.raises(EnergyError, match="cannot be drawn from by a lattice"):
        ec.GibbsDensity(energy, over="y").sample()


def test_what_is_neither_given_nor_latent():
    y = ec.Mechanism("y", ("x", "z"), lambda x, z: x + z, ec.SquaredError())
    with pytest.raises(
        EnergyError, match="'x' is neither given nor a latent of this energy: put it into given"
    ):
        ec.GibbsDensity(y + ec.GaussianRegularizer(1), over="y")


def test_a_density_at_a_value_where_the_energy_is_not_a_number():
    density = ec.GibbsDensity(ec.energy(lambda y: (y - y.log()).sum(-1), y=1), over="y")
    values = torch.tensor([[1.0], [-0.5]], dtype=torch.float64)
    with pytest.raises(
        EnergyError, match=r"NaN at the value \[-0.5\] of \['y'\], in row 1: state the support"
    ):
        density.log_prob(values)
    assert float(density.log_prob(values[:1])) == -1.0


def test_an_energy_of_minus_infinity():
    endless = ec.energy(lambda z: torch.where(z > 0, -math.inf, 0.5 * z**2).sum(-1), z=5)
    with pytest.raises(EnergyError, match="is minus infinity in 1 rows, the first of them"):
        endless(z=torch.ones(5, dtype=torch.float64))
    with pytest.raises(EnergyError, match=r"minus infinity at the value \[1.0, .* of \['z'\], in row 0"):
        ec.GibbsDensity(endless, over="z").log_prob(torch.ones(5, dtype=torch.float64))
    with pytest.raises(ConvergenceError, match=r"the integral over \['z'\] is not finite in rows \[0\]"):
        ec.log_partition(endless, over="z", method="annealed", draws=64)
