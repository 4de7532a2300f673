"""CPU seconds and peak memory of whole reports, against their limits."""

import json
import os
import sys
import tempfile
from pathlib import Path

from side_by_side import publish, where

LIMITS = {"lalonde-nsw": 15.0, "lalonde-cps": 60.0}  # CPU seconds
MEMORY = 1.5  # GB
EXPECTED = {"lalonde-nsw": (1676.3426, 0.11817476), "lalonde-cps": (699.1318, 0.00999015)}


def report(dataset, folder):
    """Run one report; its CPU seconds, its peak memory in GB, and what it wrote."""
    page = Path(folder) / f"{dataset}.json"
    html = page.with_suffix(".html")
    arguments = ["report", "--dataset", dataset, "--html", html, "--json", page, "--quiet"]
    process = os.posix_spawn(
        sys.executable, [sys.executable, "-m", "ebm_causal", *map(str, arguments)], os.environ
    )
    _, status, usage = os.wait4(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"the report on {dataset} failed"
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20, json.loads(page.read_text())


def checked(dataset, found):
    """Whether the numbers are the known ones."""
    (regression,) = (row for row in found["effects"] if row["method"] == "regression")
    estimate, robustness = EXPECTED[dataset]
    assert abs(regression["estimate"] - estimate) < 1e-3, regression
    assert abs(found["sensitivity"]["robustness_value"] - robustness) < 1e-7
    return found["question"]["rows"], found["verdict"]["answer"]


def main():
    lines = ["| table | rows | CPU s | limit | peak GB | limit | goal | verdict |", "|" + "---|" * 8]
    with tempfile.TemporaryDirectory() as folder:
        for dataset, limit in LIMITS.items():
            seconds, memory, found = report(dataset, folder)
            rows, answer = checked(dataset, found)
            goal = "met" if seconds <= limit and memory <= MEMORY else "MISSED"
            cells = (dataset, rows, f"{seconds:.1f}", limit, f"{memory:.2f}", MEMORY, goal, answer)
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    head = (
        "## Whole reports\n\n"
        "One process each, from its start to the files written; numbers checked against the known ones."
    )
    versions = where("ebm-causal", "torch", "dowhy", "pandas")
    publish("report", f"{head}\n\n" + "\n".join(lines) + f"\n\n{versions}")


if __name__ == "__main__":
    main()
