"""The command: what it hands on, what it writes, and how it refuses."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from report.sample import sample

import ebm_causal as ec
from ebm_causal import cli
from ebm_causal.report import to_html, to_markdown, write_file

ROLES = ["--treatment", "t", "--outcome", "y"]


@pytest.fixture
def calls(monkeypatch):
    """The arguments that a stand-in for the analysis was called with."""
    seen = SimpleNamespace(table=None, options=None, roles=None, path=None, fail=None)
    findings = SimpleNamespace(
        mapping=sample,
        to_html=lambda path: write_file(path, to_html(sample())),
        to_json=lambda path: write_file(path, json.dumps(sample())),
        to_markdown=lambda: to_markdown(sample()),
    )

    def read_table(path, **roles):
        seen.path, seen.roles = path, roles
        return "a table"

    def analyze(table, **options):
        seen.table, seen.options = table, options
        if seen.fail is not None:
            raise seen.fail
        options["progress"](0.5, "fitting")
        return findings

    stand_ins = {
        "read_table": read_table,
        "load_dataset": lambda name: f"the table {name}",
        "analyze": analyze,
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setitem(vars(ec), name, stand_in)  # no lookup: that would load what stands there
    return seen


def last_line(capsys):
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from ebm_causal.cli import main\n"
        "try: main(['report', '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'pyro', 'pandas', 'numpy', 'matplotlib', 'dowhy', 'arviz', 'jinja2', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_the_module_is_the_command():
    run = subprocess.run([sys.executable, "-m", "ebm_causal", "--version"], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, f"ebm-causal {ec.__version__}\n")


def test_a_bundled_table_goes_to_the_analysis(calls, capsys):
    assert (
        cli.main(["report", "--dataset", "nhefs", "--latent-dim", "2", "--method", "mcmc", "--seed", "7"])
        == 0
    )
    assert calls.table == "the table nhefs"
    progress = calls.options.pop("progress")
    assert callable(progress)
    assert calls.options == {
        "latent_dim": 2,
        "method": "mcmc",
        "seed": 7,
        "command": "ebm-causal report --dataset nhefs --latent-dim 2 --method mcmc --seed 7",
    }


def test_the_roles_of_a_file_go_to_the_reader(calls, capsys):
    lists = ["--covariates", 'a, b,"weight, kg"', "--covariates", "c", "--categorical", "a", "--squares", "b"]
    assert cli.main(["report", "my table.csv", *ROLES, *lists, "--missing", "refuse"]) == 0
    assert calls.path == "my table.csv"
    assert calls.roles == {
        "treatment": "t",
        "outcome": "y",
        "covariates": ("a", "b", "weight, kg", "c"),
        "categorical": ("a",),
        "squares": ("b",),
        "missing": "refuse",
    }
    assert calls.options["command"].startswith("ebm-causal report 'my table.csv' --treatment t")


def test_rows_with_missing_values_are_dropped_unless_told_otherwise(calls, capsys):
    cli.main(["report", "table.csv", *ROLES])
    assert (calls.roles["missing"], calls.roles["covariates"]) == ("drop", ())


def test_without_files_the_report_goes_to_the_terminal(calls, capsys):
    assert cli.main(["report", "--dataset", "nhefs"]) == 0
    printed = capsys.readouterr()
    assert "The verdict" in printed.out
    assert printed.out.splitlines()[-1].startswith("No file was written")
    assert printed.err == ""


def test_the_last_line_says_where_the_files_are(calls, capsys, tmp_path):
    paths = {kind: str(tmp_path / "new" / f"report.{kind}") for kind in ("html", "json", "markdown")}
    flags = [word for kind, path in paths.items() for word in (f"--{kind}", path)]
    assert cli.main(["report", "--dataset", "nhefs", *flags]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Wrote {', '.join(paths.values())}"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "report.html",
        "report.json",
        "report.markdown",
    ]


def test_quiet_leaves_only_the_last_line(calls, capsys, tmp_path):
    path = str(tmp_path / "report.json")
    assert cli.main(["report", "--dataset", "nhefs", "--json", path, "--quiet"]) == 0
    assert capsys.readouterr() == (f"Wrote {path}\n", "")


REFUSALS = {
    "no table": (["report"], "either a TABLE or --dataset"),
    "two tables": (["report", "a.csv", "--dataset", "nhefs"], "either a TABLE or --dataset"),
    "roles of a bundled table": (
        ["report", "--dataset", "nhefs", "--treatment", "t", "--squares", "a"],
        "own roles; leave out --treatment, --squares",
    ),
    "no outcome": (["report", "a.csv", "--treatment", "t"], "a.csv needs --outcome"),
    "no roles": (["report", "a.csv"], "a.csv needs --treatment and --outcome"),
    "quiet without files": (["report", "--dataset", "nhefs", "--quiet"], "--quiet leaves nothing to do"),
    "line break in a list": (
        ["report", "a.csv", *ROLES, "--covariates", "a\rb"],
        "--covariates is not a list",
    ),
    "html into a folder": (["report", "--dataset", "nhefs", "--html", "."], ". is a folder"),
    "two files in one": (
        ["report", "--dataset", "nhefs", "--html", "r", "--json", "./r"],
        "--json ./r would overwrite what --html writes",
    ),
    "report onto the table": (
        ["report", "a.csv", *ROLES, "--json", "a.csv"],
        "--json a.csv would overwrite the table",
    ),
}


@pytest.mark.parametrize(("argv", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_names_the_culprit_before_any_work(calls, capsys, argv, message):
    assert cli.main(argv) == 2
    assert message in last_line(capsys)
    assert calls.table is None


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (
            ["report", "--dataset", "nhefs", "--seed", "-1"],
            "--seed: expected a whole number from 0 on, got '-1'",
        ),
        (["report", "--dataset", "nhefs", "--latent-dim", "x"], "--latent-dim: expected a whole number"),
        (["report", "--dataset", "nhefs", "--method", "magic"], "--method: invalid choice: 'magic'"),
        (["report", "--data", "nhefs"], "unrecognized arguments: --data"),
        ([], "required: COMMAND"),
    ],
)
def test_a_flag_that_cannot_be_read_exits_with_status_2(calls, capsys, argv, message):
    with pytest.raises(SystemExit) as end:
        cli.main(argv)
    assert end.value.code == 2
    assert message in last_line(capsys)


ERRORS = {
    "a line that names the column": (ec.errors.TableError("No column 'x'."), "No column 'x'."),
    "more than one line": (ValueError("first\n  second"), "first second"),
    "a file that is missing": (
        FileNotFoundError(2, "No such file or directory", "a.csv"),
        "a.csv: No such file",
    ),
    "a package that is missing": (ImportError("parquet needs pyarrow"), "parquet needs pyarrow"),
    "no words": (MemoryError(), "MemoryError"),
    "marks that a terminal obeys": (ValueError("column '\x1b[31mred'"), "column ' [31mred'"),
}


@pytest.mark.parametrize(("error", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_is_one_line_and_leaves_old_reports_alone(calls, capsys, tmp_path, error, message):
    path = tmp_path / "report.html"
    path.write_text("old")
    calls.fail = error
    assert cli.main(["report", "--dataset", "nhefs", "--html", str(path)]) == 2
    line = last_line(capsys)
    assert line.startswith(f"ebm-causal: error: {message}")
    assert [found.name for found in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "old"


def test_a_fault_of_the_program_is_not_hidden(calls):
    calls.fail = TypeError("a fault")
    with pytest.raises(TypeError, match="a fault"):
        cli.main(["report", "--dataset", "nhefs"])


def test_an_interruption_exits_with_status_130(calls, capsys):
    calls.fail = KeyboardInterrupt()
    assert cli.main(["report", "--dataset", "nhefs"]) == 130
    assert last_line(capsys) == "ebm-causal: error: interrupted"


def test_a_closed_pipe_ends_quietly():
    command = f"{sys.executable} -m ebm_causal datasets | true"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert run.stderr == ""


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys):
    times = iter([0.0, 1.0, 2.5, 4.0, 8.0])
    progress = cli._lines(lambda: next(times))
    for fraction, what in ((0.1, "reading"), (0.2, "fitting"), (0.3, "too soon"), (0.9, "drawing")):
        progress(fraction, what)
    assert re.findall(r"(\d+) s +(\d+)%  (\w+)", capsys.readouterr().err) == [
        ("2", "20", "fitting"),
        ("8", "90", "drawing"),
    ]


def test_progress_on_a_terminal_is_a_bar(calls, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main(["report", "--dataset", "nhefs"]) == 0
    assert "The verdict" in capsys.readouterr().out


def test_warnings_of_libraries_do_not_reach_the_terminal(calls, capsys, monkeypatch):
    import warnings

    monkeypatch.setattr(sys, "warnoptions", [])
    monkeypatch.setitem(vars(ec), "load_dataset", lambda name: warnings.warn("noise", stacklevel=1))
    assert cli.main(["report", "--dataset", "nhefs"]) == 0
    assert capsys.readouterr().err == ""


def test_datasets_lists_what_is_bundled(capsys):
    assert cli.main(["datasets"]) == 0
    printed = capsys.readouterr().out
    assert "lalonde-cps: 16,177 rows, treat -> re78" in printed
    assert "covariates: age, educ, black, hisp, marr, nodegree, re74, re75" in printed
    assert printed.count("source: ") == 3
