"""What ec.sample does with bad input: it refuses by name, or says what it could not do."""

import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, ConvergenceError, EnergyError

F64 = torch.float64
QUICK = {"draws": 25, "chains": 2}


def quadratic(dim=4):
    return ec.energy(lambda y, z: 0.5 * ((z - y) ** 2).sum(-1), y=dim, z=dim)


def test_counts_are_positive_whole_numbers(unchecked):
    for name, value in (("chains", 0), ("chains", -1), ("draws", 0)):
        with pytest.raises(ArgumentError, match="draws and chains must be positive"):
            ec.sample(quadratic(), given={"y": torch.zeros(1, 4)}, **{name: value})
    with pytest.raises(ArgumentError, match=r"draws must be a whole number; got 2.5"):
        ec.sample(quadratic(), given={"y": torch.zeros(1, 4)}, draws=2.5)
    with pytest.raises(ArgumentError, match=r"chains must be a whole number; got 'two'"):
        ec.sample(quadratic(), given={"y": torch.zeros(1, 4)}, chains="two")


def test_unknown_methods_are_refused_with_those_there_are(unchecked):
    with pytest.raises(ArgumentError, match=r"method must be one of \['auto', 'lattice'.*got 'nuts'"):
        ec.sample(quadratic(), given={"y": torch.zeros(1, 4)}, method="nuts")


def test_methods_that_do_not_serve_finite_variables_are_refused():
    spins = ec.energy(lambda s: s.sum(-1), s=ec.Variable(3, ec.finite([0, 1])))
    for method in ("hmc", "lattice", "importance", "tempering"):
        with pytest.raises(
            ArgumentError, match=f"method='{method}' does not serve .*'enumeration', 'gibbs', 'auto'"
        ):
            ec.sample(spins, over="s", method=method)


def test_finite_beside_too_many_real_dimensions_is_refused():
    energy = ec.energy(
        lambda s, z: s[..., 0] * z.sum(-1) + (z**2).sum(-1), s=ec.Variable(1, ec.finite([0, 1])), z=5
    )
    with pytest.raises(EnergyError, match=r"partly finite \(2 states\) and partly real \(dimension 5\)"):
        ec.sample(energy, over=("s", "z"))


@pytest.mark.parametrize("method", ["auto", "hmc"])
def test_rows_of_nan_half_precision_and_no_rows_are_refused_by_name(method):
    y = torch.zeros(3, 4, dtype=F64)
    y[1, 2] = torch.nan
    with pytest.raises(EnergyError, match=r"'y' is not finite in 1 rows, the first of them \[1\]"):
        ec.sample(quadratic(), given={"y": y}, method=method)
    with pytest.raises(EnergyError, match=r"'y' is torch.float16; use float32 or float64"):
        ec.sample(quadratic(), given={"y": torch.zeros(3, 4, dtype=torch.float16)}, method=method)
    with pytest.raises(EnergyError, match="'y' has no rows: give at least one"):
        ec.sample(quadratic(), given={"y": torch.zeros(0, 4)}, method=method)


def test_one_row_and_single_precision_are_served():
    posterior = ec.sample(quadratic(), given={"y": torch.ones(4)}, draws=200, chains=2, method="hmc")
    assert posterior.values["z"].shape == (2, 200, 1, 4)
    assert posterior.values["z"].dtype == torch.float32
    assert posterior.diagnostics.ok
    assert posterior.values["z"].mean().item() == pytest.approx(1.0, abs=0.2)


def test_an_energy_that_is_nowhere_finite_names_the_rows():
    energy = ec.energy(lambda y, z: (z**2).sum(-1) + torch.where(y[..., 0] > 0, torch.inf, 0.0), y=1, z=4)
    with pytest.raises(ConvergenceError, match=r"infinite or NaN wherever it was evaluated in rows \[1\]"):
        ec.sample(energy, given={"y": [[0.0], [1.0]]}, method="hmc", **QUICK)


@pytest.mark.parametrize("beyond", [torch.inf, torch.nan, -torch.inf])
@pytest.mark.parametrize("method", ["hmc", "importance"])
def test_where_an_energy_is_not_finite_no_draw_is(method, beyond):
    """A normal in four dimensions whose first coordinate is cut at 1: the share beyond is never entered."""

    def energy(z):
        return torch.where(z[..., 0] > 1.0, beyond, 0.5 * (z**2).sum(-1))

    posterior = ec.sample(ec.energy(energy, z=4), draws=100, chains=4, method=method)
    first = posterior.values["z"][..., 0]
    assert float(first.max()) <= 1.0
    assert float(posterior.diagnostics.numbers["non_finite"]) > 0
    assert float(first.mean()) == pytest.approx(-0.2876, abs=0.25)  # -phi(1) / Phi(1)


@pytest.mark.parametrize("dim", [1, 4])
def test_a_density_that_cannot_be_normalized_is_said(dim):
    with pytest.warns(UserWarning, match=r"did not pass its self-check in 1 rows.*normaliz") as told:
        posterior = ec.sample(ec.energy(lambda z: 0 * z.sum(-1), z=dim), draws=50)
    assert len(told) == 1
    assert not posterior.diagnostics.ok
    assert posterior.diagnostics.failed == (0,)


@pytest.mark.parametrize("method", ["importance", "hmc"])
def test_a_step_is_sampled_as_well_as_a_slope(method):
    """A jump of one at zero in each of four coordinates: P(z > 0) = e / (1 + e)."""

    def energy(z):
        return (0.5 * z**2 - (z > 0).to(z)).sum(-1)

    posterior = ec.sample(ec.energy(energy, z=4), draws=500, method=method)
    assert posterior.diagnostics.ok
    share = (posterior.values["z"] > 0).double().mean((0, 1))[0]
    size = float(posterior.diagnostics.numbers["ess_bulk"])
    assert float((share - 0.7310585786).abs().max()) < 5 * (0.1966 / size) ** 0.5


def test_failures_are_listed_by_row_with_what_was_tried():
    energy = ec.energy(lambda y, z: (y * z**2).sum(-1), y=1, z=1)
    with pytest.warns(UserWarning, match="did not pass its self-check in 1 rows"):
        posterior = ec.sample(energy, over="z", given={"y": [[1.0], [0.0]]}, draws=50)
    frame = posterior.diagnostics.failures()
    assert list(frame.index) == [1]
    assert frame.loc[1, "before"].startswith("lattice, importance")
    assert frame.loc[1, "reason"]
    assert posterior.diagnostics.method_of_row[0] == "lattice"
    assert "1 of 2 rows failed" in repr(posterior.diagnostics)
