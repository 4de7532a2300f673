"""Each example runs as its reader would run it, and keeps its form."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NAMES = [path.stem for path in EXAMPLES]


@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
def test_examples_run_without_a_warning(path, tmp_path):
    settings = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-3000:]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
def test_examples_ask_one_question_and_say_what_was_learned(path):
    text = path.read_text()
    cells = re.split(r"^# %%", text, flags=re.MULTILINE)[1:]
    assert cells[0].startswith(" [markdown]\n# # ")
    assert cells[0].splitlines()[1].endswith("?")
    assert text.count("\n# # ") == 1
    assert "\n# ## What was learned\n" in cells[-1]
    assert "\nassert " in text
    assert len(text.splitlines()) <= 120


def test_no_outputs_of_examples_are_kept():
    assert [path.name for path in (ROOT / "examples").iterdir() if path.suffix in {".ipynb", ".html"}] == []
