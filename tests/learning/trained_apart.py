"""Trainings under torchrun: python trained_apart.py RESULT; every process saves what it has learned."""

import os
import sys
from pathlib import Path

import torch
from learning.toys import network, normal, paired, precision

import ebm_causal as ec
from ebm_causal.learning import Loop, PersistentContrastiveDivergence, ScoreMatching


class StopHereError(Exception):
    """What ends a training half way."""


def fit():
    """A fit whose loss draws nothing, so that several processes see what one does; 41 rows do not halve."""
    torch.set_num_threads(1)
    loop = Loop(batch=41, held_out=0)
    return ec.fit(network(), paired(120), loss=ScoreMatching(), steps=10, loop=loop)


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
    chains().save(own / "whole")
    try:
        chains(place / "kept", stop=True)
    except StopHereError:
        chains(place / "kept").save(own / "resumed")


if __name__ == "__main__":
    main()
