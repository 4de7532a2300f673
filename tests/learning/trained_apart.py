"""A training under torchrun: python trained_apart.py RESULT; the first process saves the fit."""

import os
import sys

import torch
from learning.toys import network, paired

import ebm_causal as ec
from ebm_causal.learning import Loop, ScoreMatching


def fit():
    """A fit whose loss draws nothing, so that several processes see what one does."""
    torch.set_num_threads(1)
    loop = Loop(batch=40, held_out=0)
    return ec.fit(network(), paired(120), loss=ScoreMatching(), steps=10, loop=loop)


if __name__ == "__main__":
    found = fit()
    found.save(f"{sys.argv[1]}/{os.environ['RANK']}")
