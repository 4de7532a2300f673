"""Every block of code in the documentation runs, and shows what it prints."""

import doctest
import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
FENCE = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.fixture(autouse=True)
def _default_dtype():
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_code_in_the_documentation_runs_and_shows_what_it_prints(page):
    text, names = page.read_text(), {}
    for block in FENCE.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        if block[1] == "python":
            exec(compile(block[2], f"{page.name}:{line}", "exec"), names)
            continue
        test = doctest.DocTestParser().get_doctest(block[2], names, page.name, str(page), line)
        failures = []
        doctest.DocTestRunner(optionflags=FLAGS).run(test, out=failures.append, clear_globs=False)
        names = test.globs
        assert not failures, "".join(failures)


def test_every_page_is_in_the_contents():
    contents = re.findall(r"^(?:examples/)?(\w+)$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE)
    examples = (ROOT / "examples").glob("*.py")
    assert set(contents) >= {path.stem for path in [*PAGES, *examples]} - {"index"}
