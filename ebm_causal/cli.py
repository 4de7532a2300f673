"""The command ``ebm-causal``: a table in, a causal sensitivity report out.

Nothing heavy is imported before there is work to do, so that ``--help`` answers at once.
"""

import argparse
import csv
import os
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ebm_causal as ec
from ebm_causal.errors import ArgumentError

Progress = Callable[[float, str], None]

_PATIENCE, _EVERY = 2.0, 5.0  # seconds before the first line of progress, and between two
_LISTS = ("covariates", "categorical", "squares")
_ROLES = ("treatment", "outcome", *_LISTS, "missing")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: Its arguments; by default those of the process.

    Returns:
        The exit status: 0, or 2 after an error, whose last line on stderr names the culprit, or 130
        after an interruption.

    Examples:
        >>> main(["report"])
        2
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(argv)
    arguments.command_line = shlex.join(["ebm-causal", *argv])
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:  # those of libraries; findings carry their own
                warnings.simplefilter("ignore")
            arguments.run(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt:
        return _failed("interrupted", status=130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, ImportError, MemoryError) as error:
        return _failed(_message(error))
    return 0


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _failed(message: str, *, status: int = 2) -> int:
    from ebm_causal.report import printable

    print(f"ebm-causal: error: {' '.join(printable(message).split())}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ebm-causal",
        description="What would happen if we set the treatment, rather than saw it, and how sure can we be?",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ebm-causal {ec.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_report(commands)
    datasets = commands.add_parser("datasets", help="list the bundled tables")
    datasets.set_defaults(run=_datasets)
    return parser


def _add_report(commands: Any) -> None:
    parser = commands.add_parser(
        "report",
        help="analyze a table and report",
        description="Analyze a table. Without an output PATH the report goes to the terminal only.",
        epilog="A column whose name holds a comma goes in quotes: --covariates 'age,\"weight, kg\"'.",
        allow_abbrev=False,
    )
    parser.set_defaults(run=_report)
    _add_table_arguments(parser)
    model = parser.add_argument_group("the model")
    model.add_argument("--latent-dim", type=_natural, default=1, metavar="K", help="dimension of z (1)")
    model.add_argument("--method", choices=("svi", "mcmc"), default="svi", help="how to fit (svi)")
    model.add_argument("--seed", type=_natural, default=0, metavar="N", help="of all random numbers (0)")
    output = parser.add_argument_group("output")
    for kind, what in (
        ("html", "one self-contained page"),
        ("json", "every number"),
        ("markdown", "words and tables"),
    ):
        output.add_argument(f"--{kind}", metavar="PATH", help=f"write {what}")
    output.add_argument("--quiet", action="store_true", help="no report on the terminal and no progress")


def _add_table_arguments(parser: argparse.ArgumentParser) -> None:
    table = parser.add_argument_group("the table")
    table.add_argument("table", nargs="?", metavar="TABLE", help="a csv or parquet file")
    table.add_argument("--dataset", metavar="NAME", help="a bundled table, which has its own roles")
    table.add_argument("--treatment", metavar="T", help="the column that is set or seen")
    table.add_argument("--outcome", metavar="Y", help="the column that answers")
    lists = {
        "covariates": "columns from before the treatment, to adjust for",
        "categorical": "numeric covariates that enter as levels",
        "squares": "numeric covariates that enter squared as well",
    }
    for name, what in lists.items():
        text = f"{what}; separated by commas, and repeatable"
        table.add_argument(f"--{name}", action="append", metavar="A,B", help=text)
    text = "rows with missing or infinite values (drop)"
    table.add_argument("--missing", choices=("drop", "refuse"), help=text)


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 on, got {text!r}")
    return int(text)


def _report(arguments: argparse.Namespace) -> None:
    destinations = _destinations(arguments)
    roles = _roles(arguments)
    with _progress(quiet=arguments.quiet) as progress:
        progress(0.0, "reading the table")
        table = (
            ec.load_dataset(arguments.dataset) if roles is None else ec.read_table(arguments.table, **roles)
        )
        findings = ec.analyze(
            table,
            latent_dim=arguments.latent_dim,
            method=arguments.method,
            seed=arguments.seed,
            progress=progress,
            command=arguments.command_line,
        )
        progress(1.0, "writing the report")
        _write(findings, destinations)
    if not arguments.quiet:
        _print(findings)
    print(_where(destinations))


def _destinations(arguments: argparse.Namespace) -> dict[str, str]:
    """Where to write what, refused before any work if it cannot be."""
    from ebm_causal.report import check_destination

    given = {kind: getattr(arguments, kind) for kind in ("html", "json", "markdown")}
    destinations = {kind: path for kind, path in given.items() if path is not None}
    taken = {Path(os.path.realpath(arguments.table)): "the table"} if arguments.table else {}
    for kind, path in destinations.items():
        real = check_destination(path)
        if real in taken:
            raise ArgumentError(f"--{kind} {path} would overwrite {taken[real]}; give another name.")
        taken[real] = f"what --{kind} writes"
    if arguments.quiet and not destinations:
        raise ArgumentError("--quiet leaves nothing to do; give --html, --json or --markdown too.")
    return destinations


def _roles(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """The roles of the columns of a file; None for a bundled table, which has its own."""
    if (arguments.table is None) == (arguments.dataset is None):
        raise ArgumentError("report needs either a TABLE or --dataset NAME (see `ebm-causal datasets`).")
    if arguments.dataset is not None:
        extra = [f"--{role}" for role in _ROLES if getattr(arguments, role) is not None]
        if extra:
            raise ArgumentError(f"A bundled table has its own roles; leave out {', '.join(extra)}.")
        return None
    lacking = [f"--{role}" for role in ("treatment", "outcome") if getattr(arguments, role) is None]
    if lacking:
        raise ArgumentError(f"{arguments.table} needs {' and '.join(lacking)}, each followed by a column.")
    lists = {role: _names(getattr(arguments, role), role) for role in _LISTS}
    missing = arguments.missing or "drop"
    return {"treatment": arguments.treatment, "outcome": arguments.outcome, **lists, "missing": missing}


def _names(texts: Sequence[str] | None, role: str) -> tuple[str, ...]:
    """Names between commas, as in a line of csv: a name with a comma stands in double quotes."""
    try:
        rows = [row for text in texts or () for row in csv.reader([text], skipinitialspace=True)]
    except csv.Error as error:
        raise ArgumentError(f"--{role} is not a list of names separated by commas: {error}.") from error
    return tuple(name for row in rows for name in row if name)


def _write(findings: Any, destinations: dict[str, str]) -> None:
    from ebm_causal.report import write_file

    if "html" in destinations:
        findings.to_html(destinations["html"])
    if "json" in destinations:
        findings.to_json(destinations["json"])
    if "markdown" in destinations:
        write_file(destinations["markdown"], findings.to_markdown())


def _print(findings: Any) -> None:
    from rich.console import Console

    from ebm_causal.report import to_text

    if hasattr(sys.stdout, "reconfigure"):  # a terminal without R² and Λ shows a question mark instead
        sys.stdout.reconfigure(errors="replace")
    to_text(findings.mapping(), Console(highlight=False))
    print()


def _where(destinations: dict[str, str]) -> str:
    if not destinations:
        return "No file was written; --html report.html keeps this report with its pictures."
    return f"Wrote {', '.join(destinations.values())}"


def _datasets(_arguments: argparse.Namespace) -> None:
    from ebm_causal.data import dataset_names

    for name in dataset_names():
        table = ec.load_dataset(name)
        print(f"{name}: {table.rows:,} rows, {table.treatment} -> {table.outcome}")
        print(f"    covariates: {', '.join(table.covariates)}")
        print(f"    source: {table.source}")


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    """A bar on a terminal; elsewhere a line now and then, on stderr both."""
    if quiet:
        yield lambda fraction, what: None
    elif sys.stderr.isatty():
        with _bar() as progress:
            yield progress
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    words = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TimeElapsedColumn(), words)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda fraction, what: bar.update(task, completed=fraction, description=what)


def _lines(clock: Callable[[], float] = time.monotonic) -> Progress:
    start = clock()
    due = start + _PATIENCE

    def progress(fraction: float, what: str) -> None:
        nonlocal due
        now = clock()
        if now >= due:
            due = now + _EVERY
            print(
                f"{now - start:4.0f} s {100 * fraction:4.0f}%  {what}",
                file=sys.stderr,
                flush=True,
            )

    return progress
