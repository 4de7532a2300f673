"""Trainings under torchrun: python trained_apart.py RESULT; every process saves what it has learned."""

import os
import sys
from pathlib import Path

import torch
from learning.toys import F64, network, normal, paired, precision

import ebm_causal as ec
from ebm_causal.learning import EvidenceLowerBound, Loop, PersistentContrastiveDivergence, ScoreMatching


class StopHereError(Exception):
    """What ends a training half way."""


def fit():
    """A fit whose loss draws nothing, so that several processes see what one does; 41 rows do not halve."""
    torch.set_num_threads(1)
    loop = Loop(batch=41, held_out=0)
    return ec.fit(network(), paired(120), loss=ScoreMatching(), steps=10, loop=loop)


def factors():
    """One factor of two numbers."""
    return ec.LinearGaussianEnergy(torch.full((2, 1), 0.5, dtype=F64), scale=1.0)


def bounded():
    """A fit of parameters and guide, whose noise the processes share as they share the rows."""
    rows = normal(100, dim=2) @ torch.tensor([[1.0, 0.7], [0.0, 0.5]], dtype=F64)
    loop = Loop(batch=41, held_out=0)
    return ec.fit(factors(), {"y": rows}, loss=EvidenceLowerBound(draws=2), steps=12, loop=loop)


def chains(checkpoint=None, *, stop=False):
    """A fit with chains and draws, which are others in each process."""

    def progress(share, text):
        if stop and share > 0.5:
            raise StopHereError

    loss = PersistentContrastiveDivergence(steps=2, size=50)
    return ec.fit(
        precision(), {"x": normal(200)}, loss=loss, steps=40, loop=Loop(batch=64), checkpoint=checkpoint,
        progress=progress,
    )  # fmt: skip


def main():
    place = Path(sys.argv[1])
    own = place / os.environ["RANK"]
    fit().save(own / "plain")
    bounded().save(own / "bounded")
    chains().save(own / "whole")
    try:
        chains(place / "kept", stop=True)
    except StopHereError:
        chains(place / "kept").save(own / "resumed")


if __name__ == "__main__":
    main()
