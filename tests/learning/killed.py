"""A fit in a process of its own, which a test kills: python killed.py KIND FOLDER RESULT [STEP]."""

import os
import signal
import sys

import torch
from learning.toys import F64, line, normal, paired, precision

import ebm_causal as ec
from ebm_causal.learning import ContrastiveHinge, Loop, NoiseContrastive, PersistentContrastiveDivergence


def fit(kind, checkpoint, progress=None):
    """A fit of a kind, always the same."""
    options = {"checkpoint": checkpoint, "progress": progress, "seed": 3}
    if kind == "chains":
        loss = PersistentContrastiveDivergence(steps=2, size=300)
        return ec.fit(precision(), {"x": normal(200)}, loss=loss, steps=60, loop=Loop(batch=64), **options)
    if kind == "noise":
        return ec.fit(precision(), {"x": normal(200)}, loss=NoiseContrastive(), steps=60, **options)
    if kind == "hinge":
        loop = Loop(batch=64, optimizer=torch.optim.AdamW, patience=20)
        return ec.fit(line(), paired(200), loss=ContrastiveHinge(), steps=60, loop=loop, **options)
    y = normal(80, dim=2) @ torch.tensor([[1.0, 0.5], [0.0, 0.7]], dtype=F64)
    energy = ec.LinearGaussianEnergy(torch.ones(2, 1, dtype=F64), offset=torch.zeros(2, dtype=F64))
    if kind == "svi":
        return ec.fit(energy, {"y": y}, guide="amortized", steps=100, **options)
    few = {"chains": 2, "draws": 30, "warmup": 20} if kind == "mcmc" else {}
    return ec.fit(energy, {"y": y}, method=kind, steps=100, **few, **options)


def main():
    kind, folder, result, *stop = sys.argv[1:]
    calls = 0

    def progress(share, text):
        nonlocal calls
        calls += 1
        if stop and calls == int(stop[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    found = fit(kind, folder or None, progress)
    found.save(result)
    print(found.resumed_from, calls)


if __name__ == "__main__":
    main()
