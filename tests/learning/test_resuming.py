"""A fit that is killed by SIGKILL and started again ends at the same numbers, bit for bit."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from learning.killed import fit
from learning.toys import line, normal, paired, precision

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.learning import ContrastiveHinge, Loop, ScoreMatching

ROOT = Path(__file__).parents[2]
KINDS = {
    "chains": (30, 20),
    "noise": (30, 20),
    "hinge": (30, 20),
    "map": (12, 10),
    "svi": (50, 40),
    "mcmc": (30, 20),
}
SLOW = ("noise", "hinge", "mcmc")  # a loss with chains holds the state of the loop, map and svi the tape


def started(*words):
    """The exit code of a process that fits."""
    settings = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("killed.py")), *map(str, words)]
    return subprocess.run(command, env=os.environ | settings, check=False, capture_output=True).returncode


def numbers(found):
    """All that a fit learned."""
    tensors = {"mean": found.mean, "draws": found.draws, "curvature": found.curvature}
    state = {f"energy {k}": v for k, v in found.energy.state_dict().items()}
    guide = {} if found.network is None else {f"guide {k}": v for k, v in found.network.state_dict().items()}
    return {name: value for name, value in {**tensors, **state, **guide}.items() if value is not None}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] if kind in SLOW else []) for kind in KINDS]
)
def test_a_fit_that_was_killed_goes_on_and_ends_at_the_same_numbers(kind, tmp_path):
    killed_at, kept_at = KINDS[kind]
    assert started(kind, tmp_path / "kept", tmp_path / "no", killed_at) == -signal.SIGKILL
    assert not (tmp_path / "no").exists()
    resumed, whole = fit(kind, tmp_path / "kept"), fit(kind, None)
    assert resumed.resumed_from is not None
    assert resumed.resumed_from >= kept_at
    assert whole.resumed_from is None
    first, second = numbers(resumed), numbers(whole)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert resumed.diagnostics.history == whole.diagnostics.history
    if whole.training is not None:
        assert repr(asdict(resumed.training)) == repr(asdict(whole.training))


def test_a_state_is_kept_at_every_twentieth_of_the_steps(tmp_path):
    kept = []

    def progress(share, text):
        pages = list(tmp_path.glob("*.json"))
        kept.append(pages[0].stat().st_mtime_ns if pages else None)

    ec.fit(
        precision(),
        {"x": normal(100)},
        loss=ScoreMatching(),
        steps=40,
        checkpoint=tmp_path,
        progress=progress,
    )
    assert kept[0] is None
    assert len(set(kept[1:])) == 20
    names = {path.suffix for path in tmp_path.iterdir()}
    assert names == {".json", ".safetensors"}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_that_has_ended_is_not_run_again(tmp_path):
    options = {"loss": ScoreMatching(), "steps": 20, "checkpoint": tmp_path}
    first = ec.fit(precision(), {"x": normal(100)}, **options)
    again = ec.fit(precision(), {"x": normal(100)}, **options)
    assert again.resumed_from == 20
    assert torch.equal(first.mean, again.mean)


@pytest.fixture
def kept(tmp_path):
    ec.fit(precision(), {"x": normal(100)}, loss=ScoreMatching(), steps=20, checkpoint=tmp_path)
    return tmp_path


def refused(folder, match, energy=None, data=None, **options):
    settings = {"loss": ScoreMatching(), "steps": 20, "checkpoint": folder, **options}
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ArgumentError, match=match):
        ec.fit(energy or precision(), data or {"x": normal(100)}, **settings)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_checkpoint_of_another_model(kept):
    refused(kept, "is of another energy", line(), paired(100))


@pytest.mark.parametrize(("options", "what"), [
    ({"seed": 1}, "seed was 0 there and is 1 here"),
    ({"steps": 30}, "steps was 20 there and is 30 here"),
    ({"data": {"x": normal(100, seed=5)}}, "data was .* there"),
    ({"loop": Loop(batch=10)}, "loop was"),
    ({"loss": ContrastiveHinge()}, "loss was ScoreMatching"),
])  # fmt: skip
def test_a_checkpoint_of_another_fit(kept, options, what):
    refused(kept, f"is of another fit: {what}", **options)


def test_a_checkpoint_of_another_version(kept):
    path = kept / "checkpoint.json"
    page = json.loads(path.read_text())
    path.write_text(json.dumps({**page, "release": "0.0"}))
    refused(kept, "was written by ebm_causal 0.0, and this is ")
    path.write_text(json.dumps({**page, "format": 99}))
    refused(kept, "has format 99, and this version reads format 1")


def test_a_truncated_checkpoint(kept):
    path = next(kept.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:50])
    refused(kept, "is truncated, or of another fit")


def test_a_pickled_checkpoint(kept):
    shutil.rmtree(kept)
    kept.mkdir()
    torch.save({"step": 3}, kept / "checkpoint.json")
    refused(kept, "is a pickle, which is never loaded")


def test_a_checkpoint_folder_that_is_a_file(tmp_path):
    torch.save({}, tmp_path / "a.pt")
    with pytest.raises(ArgumentError, match="is a pickle, which is never loaded; expected a folder"):
        ec.fit(precision(), {"x": normal(100)}, loss=ScoreMatching(), checkpoint=tmp_path / "a.pt")
