"""The shape of the code base: sizes, layers, names, doors, and what an import costs."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ebm_causal

ROOT = Path(__file__).parent.parent
PACKAGE = sorted((ROOT / "ebm_causal").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match, ast.AsyncFor, ast.AsyncWith)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(paths):
    """Pairs of where a function stands and the function."""
    for path in paths:
        for node in ast.walk(tree(path)):
            if isinstance(node, FUNCTIONS):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def imports(path):
    """Everything that a file imports, also within functions, but not for type checking only."""
    for node in ast.walk(without_type_checking(tree(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def without_type_checking(module):
    module.body = [
        n for n in module.body if not (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test))
    ]
    return module


def test_files_have_up_to_300_lines():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in PACKAGE + TESTS}
    assert {path: length for path, length in lengths.items() if length > 300} == {}


def test_functions_have_up_to_40_lines_of_code():
    def length(node):
        body = node.body[1:] if ast.get_docstring(node) else node.body
        return body[-1].end_lineno - body[0].lineno + 1 if body else 0

    lengths = {where: length(node) for where, node in functions(PACKAGE)}
    assert {where: count for where, count in lengths.items() if count > 40} == {}


def test_functions_take_up_to_5_positional_arguments():
    def count(node):
        names = [argument.arg for argument in node.args.posonlyargs + node.args.args]
        return len(names[1:] if names[:1] in (["self"], ["cls"]) else names)

    counts = {where: count(node) for where, node in functions(PACKAGE)}
    assert {where: number for where, number in counts.items() if number > 5} == {}


def test_blocks_are_nested_up_to_3_deep():
    def depth(node):
        return max((depth_of(child, node) for child in ast.iter_child_nodes(node)), default=0)

    def depth_of(child, parent):
        if isinstance(child, FUNCTIONS):
            return 0
        is_elif = isinstance(parent, ast.If) and isinstance(child, ast.If) and parent.orelse == [child]
        return depth(child) + (isinstance(child, BLOCKS) and not is_elif)

    depths = {where: depth(node) for where, node in functions(PACKAGE)}
    assert {where: levels for where, levels in depths.items() if levels > 3} == {}


def test_imports_go_down_and_each_library_has_one_door():
    command = [
        sys.executable,
        "-c",
        "import sys; from importlinter.cli import lint_imports_command as c; c()",
    ]
    run = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_nobody_imports_from_a_file_of_another_folder():
    reached = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in PACKAGE
        for name in imports(path)
        if name.startswith("ebm_causal.") and name.count(".") > 1 and name.split(".")[1] not in path.parts
    ]
    assert reached == []


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    imported = {name.split(".")[0] for path in PACKAGE for name in imports(path)}
    imported -= set(sys.stdlib_module_names) | {"ebm_causal"}
    declared = {re.split(r"[<>=\[ ]", entry)[0] for entry in PROJECT["dependencies"]}
    extras = [
        entry for extra in ("parquet", "kronecker") for entry in PROJECT["optional-dependencies"][extra]
    ]
    optional = {re.split(r"[<>=\[ ]", entry)[0] for entry in extras}
    packages = {"pyro": "pyro-ppl", "curvlinops": "curvlinops-for-pytorch"}
    assert {packages.get(name, name) for name in imported} - optional == declared


def test_no_file_is_called_by_an_empty_word():
    empty = {"utils", "util", "helpers", "helper", "misc", "base", "common", "tools", "core"}
    assert [str(path) for path in PACKAGE + TESTS if {path.stem, path.parent.name} & empty] == []


def test_no_file_bears_the_name_of_a_public_function():
    exported = set(ebm_causal.__all__)
    for path in PACKAGE:
        if path.name == "__init__.py":
            exported |= {
                alias.asname or alias.name
                for node in ast.walk(tree(path))
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
    modules = {path.parent.name if path.name == "__init__.py" else path.stem for path in PACKAGE}
    assert exported & modules == set()


def test_the_public_names_are_few_and_listed_the_same_way_three_times():
    source = tree(ROOT / "ebm_causal" / "__init__.py")
    block = next(node for node in source.body if isinstance(node, ast.If))
    typed = {alias.name: node.module for node in block.body for alias in node.names}
    assert len(ebm_causal.__all__) == len(set(ebm_causal.__all__)) <= 60
    assert list(ebm_causal._HOMES) == ebm_causal.__all__
    assert {name: f"ebm_causal.{home}" for name, home in ebm_causal._HOMES.items()} == typed


@pytest.mark.parametrize("name", ebm_causal.__all__)
def test_public_names_are_there_with_a_docstring(name):
    value = getattr(ebm_causal, name)
    assert value is getattr(importlib.import_module(f"ebm_causal.{ebm_causal._HOMES[name]}"), name)
    assert value.__doc__
    assert name in dir(ebm_causal)


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="module 'ebm_causal' has no attribute 'nothing'"):
        ebm_causal.nothing  # noqa: B018


def test_the_version_is_that_of_the_project():
    assert ebm_causal.__version__ == PROJECT["version"]


def test_every_public_name_is_in_the_reference():
    reference = (ROOT / "docs" / "api.md").read_text()
    listed = re.findall(r"^\.\. auto\w+:: ebm_causal\.(\w+)$", reference, re.MULTILINE)
    assert sorted(listed) == sorted(ebm_causal.__all__)


def test_importing_the_package_loads_nothing_heavy():
    heavy = (
        "{'torch', 'dowhy', 'pandas', 'numpy', 'pyro', 'arviz', 'matplotlib', 'scipy', 'networkx', 'jinja2'}"
    )
    code = (
        f"import sys, ebm_causal; ebm_causal.__version__, dir(ebm_causal); print({heavy} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


def test_a_free_energy_loads_no_algebra():
    """torch.broadcast_shapes loads sympy: half a second of each process that integrates or samples."""
    code = (
        "import sys, ebm_causal as ec\n"
        "ec.sample(ec.LinearGaussianEnergy([[1.0]]), given={'y': [[1.0]]}, draws=10)\n"
        "print('sympy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_no_package_index_is_named_in_the_repository():
    hosts = [
        ".".join(parts)
        for parts in (("pypi", "org"), ("pythonhosted", "org"), ("download", "pytorch", "org"))
    ]
    left_out = {".git", ".venv", "build", "dist", "__pycache__"}
    named = [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if path.suffix in {".py", ".toml", ".txt", ".md", ".cfg", ".ini", ".yml", ".yaml", ".j2", ""}
        and path.is_file()
        and not left_out & set(path.relative_to(ROOT).parts)
        and any(host in path.read_text(encoding="utf-8", errors="ignore") for host in [*hosts, "--index-url"])
        and path != Path(__file__)
    ]
    assert named == []
