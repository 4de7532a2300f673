"""A fit in a folder: what comes back is what was written, and what is not a fit of this energy is refused."""

import json
import pickle

import pytest
import torch
from learning.toys import normal, paired, precision
from torch import nn
from torch.distributions import Normal

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.learning import RegularizedLatent, ScoreMatching


def linear(latents=1, outcomes=2):
    return ec.LinearGaussianEnergy(torch.ones(outcomes, latents, dtype=torch.float64))


def latent():
    torch.manual_seed(0)
    predictor = nn.Linear(1, 1, dtype=torch.float64)
    return ec.LatentEnergy(predictor, lambda h, z: h + z, ec.SquaredError(), ec.GaussianRegularizer(1))


def fits():
    y = normal(40, dim=2)
    few = {"chains": 2, "draws": 6, "warmup": 4}
    yield (
        "map",
        linear(),
        ec.fit(linear(), {"y": y}, method="map", priors={"latent_weight": Normal(0.0, 3.0)}),
    )
    yield "svi", linear(), ec.fit(linear(), {"y": y}, guide="amortized", steps=20)
    yield "mcmc", linear(), ec.fit(linear(), {"y": y}, method="mcmc", **few)
    yield "loss", precision(), ec.fit(precision(), {"x": normal(50)}, loss=ScoreMatching(), steps=20)
    yield "latent", latent(), ec.fit(latent(), paired(50), loss=RegularizedLatent(), steps=3)


def test_a_fit_that_is_saved_and_loaded_is_the_same(tmp_path):
    for name, energy, fit in fits():
        fit.save(tmp_path / name)
        same = ec.load_fit(tmp_path / name, energy)
        assert repr(same) == repr(fit)
        assert same.summary().equals(fit.summary())
        assert torch.equal(same.mean, fit.mean)
        assert repr(same.diagnostics) == repr(fit.diagnostics)
        assert all(torch.equal(fit.data[k], same.data[k]) for k in fit.data)
        state, known = same.energy.state_dict(), fit.energy.state_dict()
        assert all(torch.equal(state[k], known[k]) for k in known)
        assert (same.training is None) == (fit.training is None)
        assert repr(same.training) == repr(fit.training)
        if name in ("map", "svi", "mcmc"):
            assert torch.equal(same.latent_draws(5)["z"], fit.latent_draws(5)["z"])
        if fit.draws is not None:
            assert torch.equal(same.draws, fit.draws)


def test_only_json_and_safetensors_are_written_and_nothing_is_left_behind(tmp_path):
    fit = ec.fit(precision(), {"x": normal(50)}, loss=ScoreMatching(), steps=5)
    for _ in range(2):
        fit.save(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.rsplit(".", 1)[1] for name in names] == ["safetensors", "json"]


@pytest.fixture
def saved(tmp_path):
    ec.fit(linear(), {"y": normal(30, dim=2)}, method="map").save(tmp_path)
    return tmp_path


def refused(folder, energy, match):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ArgumentError, match=match):
        ec.load_fit(folder, energy)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def tensors_in(folder):
    return next(folder.glob("*.safetensors"))


def test_truncated_tensors(saved):
    path = tensors_in(saved)
    path.write_bytes(path.read_bytes()[:-8])
    refused(saved, linear(), "is truncated, or of another fit: its digest is not the one in fit.json")


def test_a_pickle_in_place_of_tensors(saved):
    torch.save({"a": torch.ones(2)}, tensors_in(saved))
    refused(saved, linear(), "is a pickle, which is never loaded")


def test_a_pickle_in_place_of_json(saved):
    (saved / "fit.json").write_bytes(pickle.dumps({"format": 1}))
    refused(saved, linear(), "fit.json' is a pickle, which is never loaded")


def test_truncated_json(saved):
    path = saved / "fit.json"
    path.write_text(path.read_text()[:100])
    refused(saved, linear(), "fit.json' is truncated or no JSON")


def test_json_of_something_else(saved):
    (saved / "fit.json").write_text('{"a": 1}')
    refused(saved, linear(), "is JSON of something else")


def test_missing_tensors(saved):
    tensors_in(saved).unlink()
    refused(saved, linear(), "lacks 'fit-.*safetensors', the tensors of fit.json")


def test_a_fit_of_another_energy(saved):
    refused(saved, linear(2), r"is of another energy: .* is \[2, 1\] torch.float64 there and \[2, 2\]")
    refused(saved, precision(), "is of another energy")


@pytest.mark.parametrize(("key", "value", "match"), [
    ("format", 99, "has format 99, and this version reads format 1"),
    ("release", "0.0", "was written by ebm_causal 0.0, and this is"),
])  # fmt: skip
def test_a_fit_of_another_version(saved, key, value, match):
    path = saved / "fit.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    refused(saved, linear(), match)


def test_a_folder_without_a_fit_and_a_file(tmp_path):
    refused(tmp_path, linear(), "holds no fit.json")
    file = tmp_path / "fit.pt"
    torch.save({}, file)
    with pytest.raises(ArgumentError, match="is a pickle, which is never loaded; expected a folder"):
        ec.load_fit(file, linear())
    fit = ec.fit(linear(), {"y": normal(30, dim=2)}, method="map")
    with pytest.raises(ArgumentError, match="is a file; a fit is saved into a folder"):
        fit.save(file)
