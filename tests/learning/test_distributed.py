"""One model in several processes: two give what one gives, with seeds and chains of their own, and go on together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from learning.toys import network, precision
from learning.trained_apart import bounded, factors, fit

import ebm_causal as ec
from ebm_causal.errors import ArgumentError
from ebm_causal.learning.storage import read_tree

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """What two processes under torchrun left behind."""
    place = tmp_path_factory.mktemp("apart")
    settings = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = str(Path(__file__).with_name("trained_apart.py"))
    run = subprocess.run(
        [sys.executable, "-m", *launch, script, str(place)], env=os.environ | settings, check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return place


def test_two_processes_give_one_s_parameters(apart):
    """Also where a batch does not halve: means are over the rows of both."""
    alone = fit()
    for rank in ("0", "1"):
        together = ec.load_fit(apart / rank / "plain", network())
        assert (together.mean - alone.mean).abs().max() < 1e-5
        assert together.training.loss == pytest.approx(alone.training.loss, rel=1e-9)
    assert alone.training.loss[-1] < alone.training.loss[0]


def test_two_processes_give_one_s_parameters_and_guide_where_the_loss_draws_noise(apart):
    alone = bounded()
    known = dict(alone.network.named_parameters())
    for rank in ("0", "1"):
        together = ec.load_fit(apart / rank / "bounded", factors())
        assert (together.mean - alone.mean).abs().max() < 1e-5
        assert together.training.loss == pytest.approx(alone.training.loss, rel=1e-9)
        guide = dict(together.network.named_parameters())
        assert all((guide[name] - value).abs().max() < 1e-5 for name, value in known.items())
    assert (alone.mean - 0.5).abs().max() > 0.05


@pytest.mark.parametrize("method", ["map", "svi", "mcmc"])
def test_a_method_that_runs_whole_in_each_process_keeps_no_checkpoint(method, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    match = f"method='{method}' runs whole in each of the 2 processes of torchrun.* give a loss="
    with pytest.raises(ArgumentError, match=match):
        ec.fit(factors(), {"y": torch.ones(3, 2)}, method=method, checkpoint=tmp_path)
    assert not list(tmp_path.iterdir())


def test_processes_have_chains_and_seeds_of_their_own_and_the_first_keeps_them(apart):
    first, second = read_tree(apart / "kept", "checkpoint")["processes"]
    chains = "criterion buffer.points"
    assert first["memory"][chains].shape == second["memory"][chains].shape == (50, 1)
    assert not (first["memory"][chains] == second["memory"][chains]).any()
    assert not torch.equal(first["generator"], second["generator"])
    assert len(list((apart / "kept").iterdir())) == 2


def test_processes_that_ended_go_on_to_the_same_numbers(apart):
    fits = {
        (rank, kind): ec.load_fit(apart / rank / kind, precision())
        for rank in ("0", "1")
        for kind in ("whole", "resumed")
    }
    assert [fits[rank, "resumed"].resumed_from for rank in ("0", "1")] == [20, 20]
    assert len({found.mean.item() for found in fits.values()}) == 1
    assert len({found.training.loss for found in fits.values()}) == 1


def test_torch_distributed_has_one_door():
    doors = [
        str(path.relative_to(ROOT / "ebm_causal"))
        for path in (ROOT / "ebm_causal").rglob("*.py")
        if "torch.distributed" in path.read_text() or "import distributed" in path.read_text()
    ]
    assert doors == ["distributed.py"]


def test_means_over_the_rows_of_one_process_stay_as_they_are():
    from ebm_causal.distributed import add_up, agree, collect, processes, wait_for_all

    with processes() as part:
        assert part == (0, 1)
    value = torch.ones(2)
    add_up([value], 1)
    agree([value], 1)
    wait_for_all(1)
    assert value.tolist() == [1.0, 1.0]
    assert collect(value, 1) == [value]
