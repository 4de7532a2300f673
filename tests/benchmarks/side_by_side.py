"""Timing side by side: CPU seconds, repetitions interleaved, one thread; correctness comes before speed."""

import argparse
import datetime
import gc
import os
import platform
import re
import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

if os.environ.get("OMP_NUM_THREADS") != "1":
    raise SystemExit("set OMP_NUM_THREADS=1, as `make bench` does: these are measurements of one thread.")

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one contender took: CPU seconds of each repetition, or why it did not run."""

    name: str
    seconds: tuple[float, ...] = ()
    note: str = ""


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    *,
    repetitions: int,
    clock: Callable[[], float] = time.process_time,
) -> list[Row]:
    """Run contenders in turn, so that a busy machine slows all alike; the first round does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for repetition in range(repetitions + 1):
        for name, run in contenders.items():
            gc.collect()
            start = clock()
            run()
            if repetition:
                seconds[name].append(clock() - start)
    return [Row(name=name, seconds=tuple(taken)) for name, taken in seconds.items()]


def children() -> float:
    """CPU seconds of all processes that this one has started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def installed(package: str) -> bool:
    """Whether a peer is there to be compared with."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def skipped(package: str) -> Row:
    """The row of a peer that is not installed."""
    return Row(name=package, note="skipped: not installed")


def table(rows: Sequence[Row], *, against: str | None = None, unit: str = "ms") -> str:
    """Minimum, median and maximum of each, and how many times the reference's median it is."""
    factor = {"s": 1.0, "ms": 1e3}[unit]
    medians = {row.name: statistics.median(row.seconds) for row in rows if row.seconds}
    reference = medians.get(against or next(iter(medians)))
    lines = [f"| | min, CPU {unit} | median | max | ratio | |", "|---|---|---|---|---|---|"]
    for row in rows:
        if not row.seconds:
            lines.append(f"| {row.name} | | | | | {row.note} |")
            continue
        low, middle, high = min(row.seconds), medians[row.name], max(row.seconds)
        shown = " | ".join(f"{factor * value:.3g}" for value in (low, middle, high))
        lines.append(f"| {row.name} | {shown} | {middle / reference:.3g} | {row.note} |")
    return "\n".join(lines)


def where(*packages: str) -> str:
    """Versions, date and device."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages if installed(name))
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"{today}; one thread of {_processor()}; Python {platform.python_version()}, {versions}."


def publish(name: str, fragment: str) -> None:
    """Print a fragment; with --write also put it into docs/benchmarks.md, in place of an earlier one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true", help="write the result into docs/benchmarks.md")
    print(fragment)
    if not parser.parse_args().write:
        return
    opening, closing = f"<!-- {name} -->", f"<!-- end of {name} -->"
    block = f"{opening}\n{fragment.strip()}\n{closing}"
    page = PAGE.read_text()
    known = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
    written = known.sub(lambda _: block, page) if known.search(page) else f"{page.rstrip()}\n\n{block}\n"
    PAGE.write_text(written)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
