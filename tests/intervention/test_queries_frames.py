"""Rows of a pandas frame serve where rows of a mapping do."""

import pandas as pd
import pytest
import torch

import ebm_causal as ec
from ebm_causal.errors import EnergyError

F64 = torch.float64


def covariate_world():
    """x = w_0 + w_1 + z + e_x, y = 3 (w_0 + w_1) + x + 2 z + e_y, and w has two columns and no law."""
    x = ec.Mechanism("x", ("w", "z"), lambda w, z: w.sum(-1, keepdim=True) + z, ec.SquaredError())
    y = ec.Mechanism(
        "y", ("w", "x", "z"), lambda w, x, z: 3 * w.sum(-1, keepdim=True) + x + 2 * z, ec.SquaredError()
    )
    return x + y + ec.GaussianRegularizer(1)


def drawn_rows():
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(300, 2, generator=generator, dtype=F64)
    z, e, f = torch.randn(3, 300, 1, generator=generator, dtype=F64)
    x = w.sum(-1, keepdim=True) + z + e
    return {"w": w, "x": x, "y": 3 * w.sum(-1, keepdim=True) + x + 2 * z + f}


def frame_of(rows):
    w, x, y = (rows[name].numpy() for name in ("w", "x", "y"))
    columns = {"w[0]": w[:, 0], "w[1]": w[:, 1], "x": x[:, 0], "y": y[:, 0], "other": "text"}
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    "ask",
    [
        lambda data: ec.interventional(covariate_world(), do={"x": 1.0}, data=data, draws=500),
        lambda data: ec.observational(covariate_world(), given={"x": 1.0}, data=data, draws=500),
        lambda data: ec.confounding_gap(covariate_world(), x=1.0, data=data, draws=500),
    ],
)
def test_a_frame_gives_what_its_columns_give(ask):
    rows = drawn_rows()
    assert torch.equal(ask(frame_of(rows)).mean, ask(rows).mean)


def test_columns_with_a_gap():
    frame = frame_of(drawn_rows()).rename(columns={"w[1]": "w[2]"})
    with pytest.raises(EnergyError, match=r"the columns of 'w' must be \['w\[0\]', 'w\[1\]'\]; got"):
        ec.interventional(covariate_world(), do={"x": 1.0}, data=frame)


def test_a_frame_without_a_column():
    with pytest.raises(EnergyError, match="'y' is neither in over nor in given"):
        ec.interventional(covariate_world(), do={"x": 1.0}, data=frame_of(drawn_rows()).drop(columns="y"))
