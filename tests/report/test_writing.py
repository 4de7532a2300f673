"""Files that are there whole or not at all."""

import os
import re

import pytest

from ebm_causal.errors import ArgumentError
from ebm_causal.report import check_destination, write_file
from ebm_causal.report import writing as module


def test_a_file_holds_the_text_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "report.html"
    write_file(path, "R² 中文\n")
    assert path.read_bytes() == "R² 中文\n".encode()
    assert os.listdir(tmp_path) == ["report.html"]


def test_missing_folders_are_made(tmp_path):
    assert write_file(tmp_path / "a" / "b" / "report.html", "x").read_text() == "x"


def test_checking_makes_nothing(tmp_path):
    check_destination(tmp_path / "a" / "b" / "report.html")
    assert os.listdir(tmp_path) == []


def test_a_failure_leaves_the_old_file_and_no_half(tmp_path, monkeypatch):
    path = write_file(tmp_path / "report.html", "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", fail)
    with pytest.raises(ArgumentError, match="report.html could not be written: No space left on device"):
        write_file(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_an_interruption_leaves_no_half(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "report.html", "new")
    assert os.listdir(tmp_path) == []


def test_a_link_stays_a_link(tmp_path):
    target = tmp_path / "real.html"
    link = tmp_path / "link.html"
    link.symlink_to(target)
    write_file(link, "x")
    assert link.is_symlink()
    assert target.read_text() == "x"


def test_a_new_file_has_the_usual_mode(tmp_path):
    (tmp_path / "plain").write_text("")
    usual = (tmp_path / "plain").stat().st_mode
    assert write_file(tmp_path / "report.html", "x").stat().st_mode == usual


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match=re.escape(f"{tmp_path} is a folder; give the name of a file")):
        write_file(tmp_path, "x")


def test_an_empty_name_is_refused():
    with pytest.raises(ArgumentError, match="name of the file to write is empty"):
        check_destination("")


def test_a_device_is_refused():
    with pytest.raises(ArgumentError, match="/dev/null is not a regular file"):
        check_destination("/dev/null")


def test_a_path_through_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="file is a file, not a folder"):
        check_destination(tmp_path / "file" / "report.html")


def test_a_place_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    with pytest.raises(ArgumentError, match="report.html cannot be written: no permission"):
        check_destination(tmp_path / "report.html")
