"""How long it takes until the package answers: its import, and `ebm-causal --help`."""

import subprocess
import sys

from side_by_side import children, interleaved, publish, table, where

GOAL = 0.2
COMMANDS = {
    "python, nothing else": ["-c", "pass"],
    "import ebm_causal": ["-c", "import ebm_causal"],
    "ebm-causal --help": ["-m", "ebm_causal", "--help"],
    "import torch, for comparison": ["-c", "import torch"],
}


def run(arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)


def main():
    assert run(COMMANDS["ebm-causal --help"]).stdout.startswith("usage: ebm-causal")
    tasks = {name: lambda arguments=arguments: run(arguments) for name, arguments in COMMANDS.items()}
    rows = interleaved(tasks, repetitions=5, clock=children)
    middle = sorted(rows[2].seconds)[len(rows[2].seconds) // 2]
    publish(
        "startup",
        f"## Startup\n\nCPU time of a fresh process. Goal for `--help`: {1e3 * GOAL:.0f} ms, "
        f"{'met' if middle <= GOAL else 'MISSED'}.\n\n{table(rows)}\n\n{where('ebm-causal', 'torch')}",
    )


if __name__ == "__main__":
    main()
