import gzip
import sys
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from ebm_causal.data import CausalTable, dataset_names, load_dataset, read_table
from ebm_causal.errors import TableError

CSV = "t,y,w\n0,1.5,a\n1,2.5,b\n0,0.1,b\n1,,a\n1,3.0,b\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(CSV)
    return path


def test_without_roles_the_columns_come_as_they_are(file):
    assert read_table(file).columns.tolist() == ["t", "y", "w"]


def test_with_roles_a_table_comes_that_bears_the_file_name(file):
    table = read_table(str(file), "t", "y", ["w"], experiment=(1.0, 0.5))
    assert isinstance(table, CausalTable)
    assert (table.name, table.rows, table.rows_read, table.experiment.estimate) == ("data.csv", 4, 5, 1.0)


def test_packed_and_tabbed_files_are_read(tmp_path):
    with gzip.open(tmp_path / "data.csv.gz", "wt") as packed:
        packed.write(CSV)
    (tmp_path / "data.tsv").write_text(CSV.replace(",", "\t"))
    for name in ("data.csv.gz", "data.tsv"):
        assert read_table(tmp_path / name).shape == (5, 3)


def test_csv_numbers_are_read_to_the_last_digit(tmp_path):
    numbers = np.random.default_rng(0).standard_normal(1000) * 10.0 ** np.arange(-500, 500).clip(-200, 200)
    path = tmp_path / "numbers.csv"
    path.write_text("x\n" + "\n".join(map(repr, numbers.tolist())))
    np.testing.assert_array_equal(read_table(path)["x"], numbers)


def test_parquet_is_read_as_csv_is(tmp_path, file):
    pytest.importorskip("pyarrow")
    read_table(file).to_parquet(tmp_path / "data.parquet")
    plain, packed = read_table(file, "t", "y", ["w"]), read_table(tmp_path / "data.parquet", "t", "y", ["w"])
    assert plain.sha256 == packed.sha256


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "data.parquet").write_text("x")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TableError, match=r'pip install "ebm-causal\[parquet\]"'):
        read_table(tmp_path / "data.parquet")


def test_a_file_that_is_not_parquet_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "data.parquet").write_text("no parquet")
    with pytest.raises(TableError, match="cannot be read as parquet"):
        read_table(tmp_path / "data.parquet")


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(TableError, match="There is no file '.*missing.csv'"):
        read_table(tmp_path / "missing.csv")
    with pytest.raises(TableError, match="is a folder; give a csv or parquet file"):
        read_table(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(TableError, match="The file '.*empty.csv' is empty"):
        read_table(tmp_path / "empty.csv")


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe\x9c", b"a,b\n1,2\n1,2,3,4\n", b"\n\n\n", b"\x1f\x8b\x00"],
    ids=["picture", "ragged", "blank", "binary"],
)
def test_files_that_are_not_csv_are_refused(tmp_path, content):
    (tmp_path / "data.csv").write_bytes(content)
    with pytest.raises(TableError, match="'.*data.csv' cannot be read as csv: "):
        read_table(tmp_path / "data.csv")


def test_a_packed_file_that_is_not_packed_is_refused(tmp_path):
    (tmp_path / "data.csv.gz").write_text(CSV)
    with pytest.raises(TableError, match="cannot be read as csv"):
        read_table(tmp_path / "data.csv.gz")


def test_two_columns_with_one_name_in_a_file_are_refused(tmp_path):
    (tmp_path / "data.csv").write_text("t,y,y\n0,1,2\n1,2,3\n")
    with pytest.raises(TableError, match="Column names must differ; .*data.csv' has 'y' more than once"):
        read_table(tmp_path / "data.csv", "t", "y")


def test_a_file_with_a_header_alone_has_no_rows(tmp_path):
    (tmp_path / "data.csv").write_text("t,y\n")
    with pytest.raises(TableError, match="The table has no rows"):
        read_table(tmp_path / "data.csv", "t", "y")


def test_one_role_without_the_other_is_refused(file):
    with pytest.raises(TableError, match="Give both roles or none; got treatment 't' and outcome None"):
        read_table(file, "t")


KNOWN = {
    "lalonde-nsw": (445, 8, ("treat", "re78"), "lalonde_nsw"),
    "lalonde-cps": (16177, 8, ("treat", "re78"), "lalonde_cps"),
    "nhefs": (1566, 18, ("qsmk", "wt82_71"), "nhefs"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_bundled_tables_have_their_rows_and_columns(name):
    rows, columns, roles, _ = KNOWN[name]
    table = load_dataset(name)
    assert (table.rows, table.rows_read, table.design.columns) == (rows, rows, columns)
    assert ((table.treatment, table.outcome), table.name) == (roles, name)
    assert table.treatment_kind == "binary"
    assert table.source
    assert not table.dropped


def test_every_bundled_table_has_a_note_on_its_source():
    assert dataset_names() == ("lalonde-cps", "lalonde-nsw", "nhefs")
    for name in dataset_names():
        note = files("ebm_causal.data") / "bundled" / f"{KNOWN[name][3]}.md"
        assert "Source: " in note.read_text()


def test_the_observational_table_carries_the_experiments_answer():
    table = load_dataset("lalonde-nsw")
    treated = table.treatment_values == 1
    y1, y0 = table.outcome_values[treated], table.outcome_values[~treated]
    known = load_dataset("lalonde-cps").experiment
    np.testing.assert_allclose(known.estimate, y1.mean() - y0.mean(), rtol=1e-14)
    variance = (((y1 - y1.mean()) ** 2).sum() + ((y0 - y0.mean()) ** 2).sum()) / 443
    np.testing.assert_allclose(known.standard_error, np.sqrt(variance / 185 + variance / 260), rtol=1e-14)
    assert table.experiment is None


def test_nhefs_keeps_death_and_has_the_published_columns():
    table = load_dataset("nhefs")
    assert table.categorical == ("sex", "race", "education", "exercise", "active")
    assert [name for name in table.design.names if name.endswith("^2")] == [
        "age^2",
        "smokeintensity^2",
        "smokeyrs^2",
        "wt71^2",
    ]
    assert table.frame["death"].sum() == 291
    other = CausalTable(table.frame, "qsmk", "death", table.covariates, categorical=table.categorical)
    assert other.outcome_kind == "binary"


def test_an_unknown_table_is_refused_with_those_that_are_known():
    with pytest.raises(
        TableError, match="no bundled table 'lalonde'; there are 'lalonde-cps', 'lalonde-nsw', 'nhefs'"
    ):
        load_dataset("lalonde")


def test_a_frame_is_what_pandas_reads(file):
    pd.testing.assert_frame_equal(read_table(file), pd.read_csv(file))
