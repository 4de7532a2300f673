"""The loop of training against a bare torch loop of the same loss; what a buffer and parquet add; memory over steps."""

import itertools
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from side_by_side import Row, publish, table, where
from torch import nn

import ebm_causal as ec
from ebm_causal.learning import (
    ContrastiveDivergence,
    DenoisingScoreMatching,
    Loop,
    ParquetRows,
    PersistentContrastiveDivergence,
)

ROWS, STEPS, BATCH, SIGMA, WIDTH = 5000, 100, 128, 0.3, 128
ROUNDS = 5
LOOP = Loop(batch=BATCH, held_out=0, decay=1.0)


class Net(nn.Module):
    """An energy of ten numbers."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(10, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, 1)
        )

    def forward(self, y):
        return self.layers(y).squeeze(-1)


def energy():
    torch.manual_seed(0)
    return ec.energy(Net(), y=10)


def bare(y, steps, told=lambda: None, **options):
    """Denoising score matching as one would write it on a page."""
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, **options)
    for step in range(steps):
        if step % (ROWS // BATCH) == 0:
            order = torch.randperm(ROWS)
        start = step % (ROWS // BATCH) * BATCH
        clean = y[order[start : start + BATCH]]
        noise = torch.randn_like(clean)
        noisy = (clean + SIGMA * noise).requires_grad_()
        (slope,) = torch.autograd.grad(net(noisy).sum(), noisy, create_graph=True)
        loss = 0.5 * ((noise - SIGMA * slope) ** 2).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told()
    return net


def ours(data, loss=None, steps=STEPS, told=None):
    """The loop, which tells its progress at every step where there are a hundred."""
    loss = loss or DenoisingScoreMatching(SIGMA)
    return ec.learning.train(energy(), data, loss, steps=steps, learning_rate=1e-3, loop=LOOP, progress=told)


def each_step(runs):
    """CPU seconds of single steps, contenders in turn, and the ratio of their medians to the first one's."""
    seconds = {name: [] for name in runs}
    for repetition in range(ROUNDS + 1):
        for name, run in runs.items():
            stamps = []
            run(lambda *_, stamps=stamps: stamps.append(time.process_time()))
            if repetition:
                seconds[name] += [later - former for former, later in itertools.pairwise(stamps)]
    rows = [Row(name=name, seconds=tuple(taken)) for name, taken in seconds.items()]
    middle = [statistics.median(row.seconds) for row in rows]
    return rows, [took / middle[0] for took in middle[1:]]


def same(y):
    """Both loops learn the same: the loss of either, on the same noise."""
    clean, noise = y, torch.randn(y.shape, generator=torch.Generator().manual_seed(7))
    losses = []
    for force in (bare(y, 300), lambda points: ours({"y": y}, steps=300).energy(y=points)):
        noisy = (clean + SIGMA * noise).requires_grad_()
        (slope,) = torch.autograd.grad(force(noisy).sum(), noisy)
        losses.append(float(0.5 * ((noise - SIGMA * slope) ** 2).sum(-1).mean()))
    assert abs(losses[1] / losses[0] - 1) < 0.02, losses


def growth(data):
    """Megabytes that four times as many steps add to the peak."""
    ours(data, steps=100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours(data, steps=400)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def judged(goal, found, most):
    """A goal in words, and whether it is met."""
    verdict = "met" if found <= most else f"missed, by {found - most:.2f}"
    return f"- {goal}: {verdict} ({found:.2f})."


def main():
    torch.set_num_threads(1)
    y = torch.randn(ROWS, 10, generator=torch.Generator().manual_seed(0))
    same(y)
    contenders = {
        "a bare torch loop": lambda told: bare(y, STEPS, told),
        "the loop of ec.fit": lambda told: ours({"y": y}, told=told),
        "a bare loop, Adam in one pass": lambda told: bare(y, STEPS, told, fused=True),
    }
    loops, (loop, fused) = each_step(contenders)
    fresh = ContrastiveDivergence(steps=10, step_size=0.01, sampler="ula")
    kept = PersistentContrastiveDivergence(steps=10, step_size=0.01, sampler="ula", size=10_000)
    chains = {
        "chains from the data": lambda told: ours({"y": y}, fresh, told=told),
        "a buffer of 10,000": lambda told: ours({"y": y}, kept, told=told),
    }
    buffers, (buffer,) = each_step(chains)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "y.parquet"
        frame = pd.DataFrame({f"y[{i}]": np.asarray(y[:, i]) for i in range(10)})
        frame.to_parquet(path, row_group_size=1024)
        places = {
            "rows in memory": lambda told: ours({"y": y}, told=told),
            "rows from parquet": lambda told: ours(ParquetRows(path), told=told),
        }
        files, (parquet,) = each_step(places)
    more = growth({"y": y})
    goals = "\n".join([
        judged("The loop within 1.1 of a bare torch loop", loop, 1.1),
        judged("A buffer of 10,000 adds at most 5 %", buffer, 1.05),
        judged("Parquet does not slow a step, by more than 5 %", parquet, 1.05),
        judged("Memory flat in the steps: less than 5 MB more", more, 5.0),
    ])  # fmt: skip
    rows: list[Row] = [*loops, *buffers, *files]
    publish(
        "learning",
        "## Training\n\n"
        f"An energy of ten numbers by a network of two layers of {WIDTH}, {ROWS} rows, batches of {BATCH}; denoising\n"
        f"score matching, and chains of ten Langevin steps. Single steps are timed, set-up and health checks apart:\n"
        f"the loop takes {loop:.2f} times a bare one ({loop / fused:.2f} times one whose Adam runs in one pass, as\n"
        f"ours does); a buffer of 10,000 chains {buffer:.2f} times chains from the data; parquet {parquet:.2f} times\n"
        f"memory. 300 more steps add {more:.1f} MB.\n\n"
        f"{goals}\n\n"
        f"{table(rows)}\n\n{where('ebm-causal', 'torch', 'pyarrow')}",
    )  # fmt: skip


if __name__ == "__main__":
    main()
