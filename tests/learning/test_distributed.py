"""One model in several processes: two give what one gives."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from learning.toys import network
from learning.trained_apart import fit

import ebm_causal as ec

ROOT = Path(__file__).parents[2]


def test_two_processes_give_one_s_parameters(tmp_path):
    settings = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = str(Path(__file__).with_name("trained_apart.py"))
    run = subprocess.run(
        [sys.executable, "-m", *launch, script, str(tmp_path)], env=os.environ | settings, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    alone = fit()
    for rank in ("0", "1"):
        together = ec.load_fit(tmp_path / rank, network())
        assert (together.mean - alone.mean).abs().max() < 1e-5
    assert alone.training.loss[-1] < alone.training.loss[0]


def test_torch_distributed_has_one_door():
    doors = [
        str(path.relative_to(ROOT / "ebm_causal"))
        for path in (ROOT / "ebm_causal").rglob("*.py")
        if "torch.distributed" in path.read_text() or "import distributed" in path.read_text()
    ]
    assert doors == ["distributed.py"]


def test_without_torchrun_there_is_one_process():
    from ebm_causal.distributed import add_up, agree, processes, wait_for_all

    with processes() as part:
        assert part == (0, 1)
    value = torch.ones(2)
    add_up([value], 1)
    agree([value], 1)
    wait_for_all(1)
    assert value.tolist() == [1.0, 1.0]
