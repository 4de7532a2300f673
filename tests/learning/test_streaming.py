"""Rows from parquet, by row groups: the same fits, flat memory, and refusals that name the row."""

import math

import pandas as pd
import pytest
import torch
from learning.toys import least_over_all_pairs, line, normal, over_all_pairs, paired, precision

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError
from ebm_causal.learning import ContrastiveHinge, Loop, ParquetRows, ScoreMatching
from ebm_causal.learning.sources import MemoryRows
from ebm_causal.learning.streaming import ParquetSource


def written(path, data, group=50):
    frame = pd.DataFrame({name: value[:, 0].numpy() for name, value in data.items()})
    frame.to_parquet(path, row_group_size=group)
    return path


def source(path, batch=20, held_out=0.2, part=(0, 1)):
    return ParquetSource(ParquetRows(path), precision(), (), (batch, held_out, 0), part)


def test_one_row_group_is_the_same_fit_as_in_memory(tmp_path):
    x = normal(200)
    path = written(tmp_path / "x.parquet", {"x": x}, 200)
    options = {
        "loss": ScoreMatching(),
        "steps": 60,
        "learning_rate": 0.05,
        "loop": Loop(batch=500, held_out=0),
    }
    by_file = ec.fit(precision(), ParquetRows(path), **options)
    in_memory = ec.fit(precision(), {"x": x}, **options)
    assert by_file.mean.item() == pytest.approx(in_memory.mean.item(), rel=1e-12)


def test_batches_visit_every_group_and_are_the_same_at_the_same_step(tmp_path):
    x = normal(500)
    found = source(written(tmp_path / "x.parquet", {"x": x}))
    assert found.count == 400
    batches = [found.batch(step) for step in range(16)]
    rows = torch.cat([batch.index for batch in batches])
    assert len(set(rows.tolist())) == 320
    assert {int(i) // 50 for i in rows} == {int(i) for i in found.train}
    assert all(torch.equal(batch.rows["x"], x[batch.index]) for batch in batches)
    assert torch.equal(source(tmp_path / "x.parquet").batch(7).index, batches[7].index)
    assert not torch.equal(found.batch(16).index, batches[0].index)


def test_rows_held_out_are_groups_that_no_batch_holds(tmp_path):
    x = normal(500)
    found = source(written(tmp_path / "x.parquet", {"x": x}))
    met = {float(v) for step in range(40) for v in found.batch(step).rows["x"].flatten()}
    assert met.isdisjoint(found.held_out["x"].flatten().tolist())


def test_only_one_group_is_read_at_a_time(tmp_path, monkeypatch):
    found = source(written(tmp_path / "x.parquet", {"x": normal(1000)}, 100), batch=25)
    read = []
    monkeypatch.setattr(
        "ebm_causal.learning.streaming._frame",
        lambda path, group, names: (read.append(group), pd.DataFrame({"x": torch.zeros(100).numpy()}))[1],
    )
    for step in range(32):
        found.batch(step)
    assert len(read) == 8
    assert len(found._cached[1]["x"]) == 100


def test_a_fit_from_several_files_goes_on_where_it_was(tmp_path):
    data = paired(400)
    halves = [{k: v[i : i + 200] for k, v in data.items()} for i in (0, 200)]
    paths = [written(tmp_path / f"{i}.parquet", half) for i, half in enumerate(halves)]
    options = {"loss": ContrastiveHinge(), "steps": 60, "learning_rate": 0.2, "loop": Loop(batch=25)}
    whole = ec.fit(line(), ParquetRows(paths), **options)

    class StopHereError(Exception):
        pass

    def progress(share, text):
        if share > 0.5:
            raise StopHereError

    with pytest.raises(StopHereError):
        ec.fit(line(), ParquetRows(paths), **options, checkpoint=tmp_path / "kept", progress=progress)
    resumed = ec.fit(line(), ParquetRows(paths), **options, checkpoint=tmp_path / "kept")
    assert resumed.resumed_from == 30
    assert torch.equal(resumed.mean, whole.mean)
    assert over_all_pairs(data, hinge, whole.mean[0]) < 1.01 * least_over_all_pairs(data, hinge)


def hinge(low, high):
    return (low - high + 1).relu()


def test_rows_that_are_not_finite_are_named_with_their_group(tmp_path):
    x = normal(200)
    x[120] = math.inf
    path = written(tmp_path / "x.parquet", {"x": x})
    with pytest.raises(
        EnergyError, match=r"in row group 2 of .*, whose first row is row 100: 'x' is not finite in 1"
    ):
        ec.fit(precision(), ParquetRows(path), loss=ScoreMatching(), steps=60)


def test_files_that_are_none(tmp_path):
    with pytest.raises(ArgumentError, match="there is no file"):
        ParquetRows(tmp_path / "x.parquet")
    (tmp_path / "a.csv").write_text("x\n1\n")
    with pytest.raises(ArgumentError, match="is no parquet file"):
        ParquetRows(tmp_path / "a.csv")
    path = written(tmp_path / "e.parquet", {"x": normal(5)[:0]})
    with pytest.raises(EnergyError, match="have no rows"):
        ec.fit(precision(), ParquetRows(path), loss=ScoreMatching())
    path = written(tmp_path / "w.parquet", {"w": normal(5)})
    with pytest.raises(EnergyError, match="data lack 'x'"):
        ec.fit(precision(), ParquetRows(path), loss=ScoreMatching())
    with pytest.raises(ArgumentError, match="loop= and streamed data are for loss="):
        ec.fit(precision(), ParquetRows(path))


def test_a_single_row_goes_with_many():
    rows = MemoryRows({"x": normal(1), "y": normal(5)}).fetch(torch.tensor([0, 3]))
    assert rows["x"].shape == (2, 1)
