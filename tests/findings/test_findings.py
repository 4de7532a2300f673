"""Findings as a value: what they write, read back, and refuse."""

import json

import numpy as np
import pytest

from ebm_causal.errors import ArgumentError
from ebm_causal.findings import Findings, as_plain
from tests.report.sample import sample


@pytest.fixture
def findings():
    return Findings(**sample())


def test_json_goes_out_and_comes_back(findings, tmp_path):
    path = tmp_path / "deep" / "report.json"
    text = findings.to_json(path)
    assert path.read_text(encoding="utf-8") == text
    assert Findings.from_json(path).mapping() == findings.mapping()


def test_html_and_markdown_tell_the_same_verdict(findings, tmp_path):
    page = findings.to_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert "Fragile" in page
    assert "Fragile" in findings.to_markdown()
    assert "Fragile" in findings._repr_html_()


def test_summary_has_a_row_for_each_method(findings):
    assert list(findings.summary().index) == [effect["method"] for effect in findings.effects]
    assert repr(findings).startswith("Findings(")


def test_the_picture_shows_every_estimate(findings):
    from matplotlib.figure import Figure

    axes = findings.plot(Figure().subplots())
    assert len(axes.get_yticklabels()) == len(findings.effects)


def test_what_is_not_finite_becomes_none():
    found = as_plain(
        {"a": np.array([1.0, np.nan]), "b": (np.float64(np.inf), np.int64(3)), "c": {"d": np.bool_(True)}}
    )
    assert found == {"a": [1.0, None], "b": [None, 3], "c": {"d": True}}
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not a report's JSON"), ('{"question": {}}', "it lacks"), ("[1]", "it lacks")],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(ArgumentError, match=message):
        Findings.from_json(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="cannot read"):
        Findings.from_json(tmp_path / "none.json")
