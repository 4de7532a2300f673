"""Posteriors go to ArviZ, in both of its shapes, and to netCDF and back."""

import sys
import types

import numpy as np
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.inference import chain_statistics, inference_data

F64 = torch.float64
WEIGHT = torch.tensor([[1.0, 0.2], [-0.5, 0.3], [0.1, 1.0]], dtype=F64)
Y = torch.tensor([[1.0, 0.0, 0.5], [-2.0, 0.5, 0.0]], dtype=F64)


def posterior(**options):
    return ec.sample(ec.LinearGaussianEnergy(WEIGHT), given={"y": Y}, draws=40, chains=2, **options)


CASES = {
    "of a lattice": {},
    "of chains": {"method": "hmc"},
    "of a schedule": {"beta": [0.5, 1.0, 2.0]},
    "of chains at each beta": {"beta": [0.5, 2.0], "method": "hmc"},
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_saved_is_what_is_loaded(case, tmp_path):
    before = posterior(**CASES[case])
    before.save(tmp_path / "draws.nc")
    after = ec.Posterior.load(tmp_path / "draws.nc")
    assert repr(after) == repr(before)
    for field in ("values", "given", "statistics"):
        known, found = getattr(before, field), getattr(after, field)
        assert set(found) == set(known)
        for name, value in known.items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=0)
    assert after.diagnostics.failed == before.diagnostics.failed
    assert after.diagnostics.summary().equals(
        before.diagnostics.summary()[after.diagnostics.summary().columns]
    )
    assert torch.equal(torch.as_tensor(after.beta), torch.as_tensor(before.beta))


def test_groups_dimensions_and_coordinates_have_names():
    data = posterior(beta=[0.5, 2.0], method="hmc").to_arviz()
    assert data.posterior["z"].dims == ("chain", "draw", "beta", "row", "z_dim")
    assert data.posterior["beta"].values.tolist() == [0.5, 2.0]
    assert data.sample_stats["lp"].dims == ("chain", "draw", "beta", "row")
    assert set(data.sample_stats.data_vars) == {"lp", "acceptance_rate", "diverging"}
    assert data.observed_data["y"].dims == ("row", "y_dim")
    np.testing.assert_array_equal(data.observed_data["y"].values, Y.numpy())


def test_the_log_density_of_a_draw_is_that_of_the_energy():
    energy = ec.LinearGaussianEnergy(WEIGHT)
    found = ec.sample(energy, given={"y": Y}, draws=20, method="hmc")
    known = -energy(y=Y, z=found.values["z"])
    torch.testing.assert_close(found.statistics["lp"], known.detach())


def test_a_lattice_has_no_sample_statistics():
    assert posterior().statistics == {}
    assert not hasattr(posterior().to_arviz(), "sample_stats")


def test_files_that_are_not_there_damaged_or_foreign_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match="is no file"):
        ec.Posterior.load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("not netCDF")
    with pytest.raises(ArgumentError, match="is no netCDF file, or is damaged"):
        ec.Posterior.load(tmp_path / "text.nc")
    foreign = inference_data({"posterior": {"z": np.zeros((1, 5))}})
    foreign.to_netcdf(str(tmp_path / "foreign.nc"))
    with pytest.raises(ArgumentError, match=r"holds no posterior that Posterior.save has written"):
        ec.Posterior.load(tmp_path / "foreign.nc")
    with pytest.raises(ArgumentError, match="is no folder: make it"):
        posterior().save(tmp_path / "missing" / "draws.nc")


def test_a_truncated_file_is_refused(tmp_path):
    posterior().save(tmp_path / "draws.nc")
    whole = (tmp_path / "draws.nc").read_bytes()
    (tmp_path / "half.nc").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArgumentError, match="is no netCDF file, or is damaged"):
        ec.Posterior.load(tmp_path / "half.nc")


def test_without_a_library_for_netcdf_the_error_names_one(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    with pytest.raises(ArgumentError, match=r"netCDF needs h5netcdf or netCDF4; install 'arviz\[h5netcdf\]'"):
        posterior().save(tmp_path / "draws.nc")


class Tree(dict):
    """As much of a DataTree as is used: groups by name, each with variables and attributes."""

    def __init__(self, groups, attrs):
        super().__init__(groups)
        self.attrs = attrs


@pytest.fixture
def recorded(monkeypatch):
    """ArviZ 1.3 as recorded: from_dict takes one nested dict, attributes by group; ess of arrays asks for the tails."""
    calls = []

    def from_dict(data, *, dims=None, coords=None, attrs=None):
        assert all(isinstance(group, dict) for group in data.values())
        calls.append({"data": data, "dims": dims, "coords": coords, "attrs": attrs})
        return Tree({name: Tree(group, (attrs or {}).get(name, {})) for name, group in data.items()}, {})

    def ess(draws, *, method="bulk", prob=None):
        if method == "tail" and prob is None:
            raise TypeError("_DiagnosticsBase._ess_tail() missing 1 required positional argument: 'prob'")
        return np.float64(draws.size)

    stand_in = types.ModuleType("arviz")
    stand_in.ess, stand_in.rhat = ess, lambda draws: np.float64(1.0)
    stand_in.__version__, stand_in.from_dict = "1.2.0", from_dict
    monkeypatch.setitem(sys.modules, "arviz", stand_in)
    return calls


def test_arviz_1_is_handed_one_nested_dict(recorded):
    tree = posterior(beta=[0.5, 2.0], method="hmc").to_arviz()
    (call,) = recorded
    assert set(tree) == {"posterior", "sample_stats", "observed_data"}
    assert call["data"]["posterior"]["z"].shape == (2, 40, 2, 2, 2)
    assert call["dims"]["z"] == ["beta", "row", "z_dim"]
    assert call["coords"]["beta"].tolist() == [0.5, 2.0]


@pytest.mark.usefixtures("recorded")
def test_arviz_1_is_told_which_tails():
    assert chain_statistics(np.zeros((4, 50, 2)))["ess_tail"].tolist() == [200.0, 200.0]


def test_arviz_1_writes_a_tree_with_the_diagnostics_in_a_group(recorded, monkeypatch, tmp_path):
    written = []
    monkeypatch.setattr(Tree, "to_netcdf", lambda tree, path: written.append((tree, path)), raising=False)
    posterior(method="hmc").save(tmp_path / "draws.nc")
    ((tree, path),) = written
    assert path == tmp_path / "draws.nc"
    assert set(tree["constant_data"]) >= {"r_hat", "ess_bulk", "acceptance"}
    assert '"methods": ["hmc", "hmc"]' in tree["constant_data"].attrs["ebm_causal"]
