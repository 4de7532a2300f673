"""The loop: seeds, batches, early stopping, clipping, progress, interrupts, and refusal to go on with no numbers."""

import math
from functools import partial

import pandas as pd
import pytest
import torch
from learning.toys import F64, Precision, line, network, normal, paired, precision
from torch import nn
from torch.utils.data import Dataset

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, EnergyError, TrainingDiverged
from ebm_causal.learning import (
    ContrastiveHinge,
    DenoisingScoreMatching,
    Loop,
    ScoreMatching,
)

SHORT = {"loss": ScoreMatching(), "steps": 40}


def trained(loop=None, x=None, **options):
    return ec.fit(precision(), {"x": normal(300) if x is None else x}, **{**SHORT, **options}, loop=loop)


def test_the_same_seed_gives_the_same_numbers():
    options = {"loss": DenoisingScoreMatching(0.5), "loop": Loop(batch=32)}
    first, second, other = (trained(seed=seed, **options) for seed in (1, 1, 2))
    assert torch.equal(first.mean, second.mean)
    assert not torch.equal(first.mean, other.mean)


def test_the_caller_s_energy_is_not_changed_and_what_is_fixed_stays():
    energy = network(("x",))
    before = {name: value.clone() for name, value in energy.state_dict().items()}
    fit = ec.fit(energy, {"x": normal(100)}, **SHORT, fixed=("layers.0.bias",))
    assert all(torch.equal(before[name], value) for name, value in energy.state_dict().items())
    found = dict(fit.energy.named_parameters())
    still = [name for name, value in found.items() if torch.equal(value, before[name])]
    assert any(name.endswith("layers.0.bias") for name in still)
    assert not any(name.endswith("weight") for name in still)
    assert all(value.requires_grad and value.grad is None for value in found.values())


def test_rows_come_as_tensors_frames_and_datasets():
    x = normal(300)

    class Rows(Dataset):
        def __len__(self):
            return 300

        def __getitem__(self, i):
            return {"x": x[i], "other": 1.0}

    by_tensor = trained(Loop(batch=32))
    by_frame = ec.fit(precision(), pd.DataFrame({"x": x[:, 0].numpy()}), **SHORT, loop=Loop(batch=32))
    by_dataset = ec.fit(precision(), Rows(), **SHORT, loop=Loop(batch=32))
    assert torch.equal(by_tensor.mean, by_frame.mean)
    assert torch.equal(by_tensor.mean, by_dataset.mean)


def test_every_row_is_met_once_in_a_pass():
    from ebm_causal.learning.sources import MemoryRows, ShuffledSource

    source = ShuffledSource(MemoryRows({"x": normal(100)}), 30, 0.1, 0, (0, 1))
    for start in (0, 3):
        met = torch.cat([source.batch(step).index for step in range(start, start + 3)])
        assert len(set(met.tolist())) == 90
    assert not torch.equal(source.batch(0).index, source.batch(3).index)
    assert torch.equal(source.batch(1).index, source.batch(1).index)
    assert len(source.held_out["x"]) == 10


def test_progress_has_loss_gap_and_learning_rate():
    seen = []
    ec.fit(
        line(),
        paired(100),
        loss=ContrastiveHinge(),
        steps=20,
        progress=lambda share, text: seen.append((share, text)),
    )
    assert [share for share, _ in seen] == [(i + 1) / 20 for i in range(20)]
    assert all(text.startswith("loss ") and ", energy gap " in text for _, text in seen)
    rates = [float(text.rsplit(" ", 1)[1]) for _, text in seen]
    assert rates[0] == 0.01
    assert rates == sorted(rates, reverse=True)


def test_early_stopping_takes_the_best_on_rows_held_out():
    x = normal(60)
    x[:54] *= 3
    kept = Loop(patience=3, held_out=0.5)
    fit = trained(kept, x, steps=400, learning_rate=0.3)
    record = fit.training
    best = min(record.scores, key=lambda pair: pair[1])
    assert record.stopped == "patience"
    assert record.steps < 400
    assert record.best_step == best[0]
    assert record.scores[-1][1] > best[1]
    assert "50% of the rows were held out" in record.notes


def test_a_score_of_one_s_own_is_watched():
    seen = []

    def score(energy, rows):
        seen.append(rows["x"].shape[0])
        return float(len(seen))

    fit = trained(Loop(patience=2, score=score))
    assert fit.training.stopped == "patience"
    assert fit.training.scores == ((2, 1.0), (4, 2.0), (6, 3.0))
    assert seen == [30, 30, 30]


def test_gradients_are_clipped_only_when_asked():
    sgd = partial(torch.optim.SGD)
    start = precision().factors
    assert len(start) == 1
    steep = {"x": 30 * normal(300), "steps": 1, "learning_rate": 1e-3}
    free = trained(Loop(optimizer=sgd, held_out=0), **steep).mean.item()
    held = trained(Loop(optimizer=sgd, held_out=0, clip=0.1), **steep).mean.item()
    assert abs(free - 0.5) > 0.01
    assert abs(held - 0.5) == pytest.approx(1e-4, rel=1e-5)


def test_layers_stay_within_a_spectral_bound():
    fit = ec.fit(
        network(),
        paired(100),
        loss=ContrastiveHinge(),
        steps=60,
        learning_rate=0.1,
        loop=Loop(spectral_bound=0.7),
    )
    layers = [m for m in fit.energy.modules() if isinstance(m, nn.Linear)]
    norms = [torch.linalg.matrix_norm(layer.weight, 2).item() for layer in layers]
    assert max(norms) == pytest.approx(0.7, rel=1e-6)


def test_an_interrupt_returns_the_best_so_far():
    def progress(share, text):
        if share >= 0.5:
            raise KeyboardInterrupt

    fit = trained(progress=progress, steps=100)
    assert fit.training.stopped == "interrupted"
    assert fit.training.steps == 50
    assert fit.training.best_step == min(fit.training.scores, key=lambda pair: pair[1])[0]
    assert fit.diagnostics.warnings[0].startswith("interrupted at step 50")


def test_float64_rows_are_cast_with_a_word():
    fit = ec.fit(network(("x",)).float(), {"x": normal(100)}, **SHORT)
    assert fit.data["x"].dtype == torch.float32
    assert "'x' was cast from torch.float64 to torch.float32, the parameters' dtype" in fit.training.notes


def test_parameters_of_two_dtypes_are_refused():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1, dtype=F64))

        def forward(self, x):
            return (self.a * self.b * x**2).sum(-1)

    with pytest.raises(
        EnergyError, match=r"several dtypes, as 'a' torch.float32, 'b' torch.float64: make them one"
    ):
        ec.fit(ec.energy(Two(), x=1), {"x": normal(20)}, **SHORT)


class Breaks(Precision):
    """Gives infinity from the tenth call with a graph on."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += x.requires_grad
        return super().forward(x) * (math.inf if self.calls > 10 else 1.0)


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    with pytest.raises(
        TrainingDiverged, match="training diverged at step .*: the loss is inf, first in"
    ) as caught:
        ec.fit(
            ec.energy(Breaks(), x=1),
            {"x": normal(50)},
            loss=DenoisingScoreMatching(),
            steps=40,
            checkpoint=tmp_path,
        )
    assert 5 <= caught.value.step <= 10
    assert caught.value.parameter == "l"
    assert caught.value.checkpoint == str(tmp_path)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(TrainingDiverged, match="no state was kept: give checkpoint="):
        ec.fit(ec.energy(Breaks(), x=1), {"x": normal(50)}, loss=DenoisingScoreMatching(), steps=40)


def test_energies_that_run_away_end_the_training():
    """Square-square with a negative weight on nothing: the energy falls without end under a plain mean of energies."""
    from ebm_causal.learning import ModelDraws

    class Free(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.zeros((), dtype=F64))

        def forward(self, x, y):
            return self.scale * y.squeeze(-1) + 0 * x.squeeze(-1)

    def lower(problem, batch, generator):
        return {"y": (batch.rows["y"] - 1)[None]}

    hinge = ContrastiveHinge(1e9, ModelDraws(lower))
    with pytest.raises(TrainingDiverged, match=r"the energy scale ran away: 1e\+06 times the first, it is"):
        ec.fit(
            ec.energy(Free(), x=1, y=1), paired(50), loss=hinge, steps=100, learning_rate=1e5,
            loop=Loop(optimizer=torch.optim.SGD),
        )  # fmt: skip


@pytest.mark.parametrize(("options", "match"), [
    ({"batch": 0}, "batch must be at least 1; got 0"),
    ({"decay": 0.0}, "decay is the share"),
    ({"held_out": 1.0}, "held_out is a share"),
    ({"patience": 0}, "early stopping needs patience of at least 1"),
    ({"patience": 3, "held_out": 0}, "early stopping needs patience of at least 1 and rows held out"),
    ({"clip": -1.0}, "clip must be positive"),
    ({"spectral_bound": math.inf}, "spectral_bound must be positive and finite"),
])  # fmt: skip
def test_loops_that_make_no_sense(options, match):
    with pytest.raises(ArgumentError, match=match):
        Loop(**options)


@pytest.mark.parametrize(("options", "match"), [
    ({"steps": 0}, "steps must be positive; got 0"),
    ({"learning_rate": -1.0}, "learning_rate must be positive"),
    ({"priors": {"l": torch.distributions.Normal(0.0, 1.0)}}, "a loss takes no priors"),
    ({"beta": [1.0, 2.0]}, "a loss is trained at one beta; got 2"),
    ({"loop": Loop(optimizer=torch.optim.LBFGS)}, "optimizer must give a torch optimizer that steps by gradients"),
    ({"loss": None, "loop": Loop()}, "loop= and streamed data are for loss="),
    ({"fixed": ("l",)}, "the energy has no parameter to learn"),
])  # fmt: skip
def test_settings_that_do_not_serve(options, match):
    with pytest.raises(ArgumentError, match=match):
        ec.fit(precision(), {"x": normal(20)}, **{**SHORT, **options})


def test_rows_that_are_not_finite_are_named():
    x = normal(100)
    x[17] = math.nan
    with pytest.raises(EnergyError, match=r"'x' is not finite in 1 rows, the first of them \[17\]"):
        trained(x=x)

    class Rows(Dataset):
        def __len__(self):
            return 100

        def __getitem__(self, i):
            return {"x": x[i]}

    with pytest.raises(EnergyError, match="'x' is not finite in row 17"):
        ec.fit(precision(), Rows(), **SHORT)
