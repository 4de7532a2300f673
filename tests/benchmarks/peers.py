"""Contenders in processes of their own: peers under the interpreter that EBM_CAUSAL_PEERS names, the package here.

Each runs a function of ``contenders_*.py`` once, cold: what compiles or traces does so within the time. CPU seconds
are those of the process after its imports.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from side_by_side import Row, skipped

HERE = Path(__file__).parent
FLAGS = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run took and found."""

    seconds: float
    versions: str
    arrays: dict[str, np.ndarray]


def interpreter() -> str | None:
    """The peers' Python, or None where there is none."""
    path = os.environ.get("EBM_CAUSAL_PEERS", "")
    return path if path and Path(path).exists() else None


def run_cold(script: str, contender: str, data: dict[str, np.ndarray], *, peer: bool) -> Outcome | None:
    """One contender on some data, in a fresh process; None where its interpreter is missing."""
    python = interpreter() if peer else sys.executable
    if python is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder, "given.npz"), Path(folder, "found.npz")
        np.savez(given, **data)
        run = subprocess.run(
            [python, str(HERE / script), contender, str(given), str(found)],
            env={**os.environ, **FLAGS}, check=False, capture_output=True, text=True,
        )  # fmt: skip
        if run.returncode:
            raise SystemExit(f"{contender} failed:\n{run.stderr[-2000:]}")
        told = json.loads(run.stdout.splitlines()[-1])
        with np.load(found) as arrays:
            return Outcome(seconds=told["seconds"], versions=told["versions"], arrays=dict(arrays))


def interleaved_cold(
    script: str, contenders: dict[str, bool], data: dict[str, np.ndarray], *, repetitions: int
) -> tuple[dict[str, list[Outcome]], list[Row]]:
    """All contenders in turn, again and again; those whose interpreter is missing are skipped by name."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in contenders}
    for repetition in range(repetitions):
        for name, peer in contenders.items():
            outcome = run_cold(script, name, {**data, "seed": np.array(repetition)}, peer=peer)
            if outcome is not None:
                outcomes[name].append(outcome)
    rows = [
        Row(name=name, seconds=tuple(o.seconds for o in found)) if found else skipped(name)
        for name, found in outcomes.items()
    ]
    return outcomes, rows


def main_of(contenders: dict[str, object], versions: object) -> None:
    """What a script of contenders runs: one of them, timed, its arrays written."""
    import time

    name, given, found = sys.argv[1:]
    with np.load(given) as arrays:
        data = dict(arrays)
    start = time.process_time()
    result = contenders[name](data)
    seconds = time.process_time() - start
    np.savez(found, **result)
    print(json.dumps({"seconds": seconds, "versions": versions(name)}))
