"""The latent line whose information is known in closed form, shared by the tests of information."""

import torch
from torch import nn

import ebm_causal as ec

F64 = torch.float64


def number(value):
    return nn.Parameter(torch.tensor(value, dtype=F64))


class Linear(nn.Module):
    """E = s (y - w x - v z)^2 / 2 + tau z^2 / 2 at w = 2, v = .5, s = 2, tau = 1; beta = 1.5, so S = .5."""

    def __init__(self):
        super().__init__()
        self.w, self.v, self.s, self.tau = number(2.0), number(0.5), number(2.0), number(1.0)

    def forward(self, x, y, z):
        error = y - self.w * x - self.v * z
        return (0.5 * self.s * error**2 + 0.5 * self.tau * z**2).sum(-1)


def linear(wrt, over="y", given=None, **options):
    energy = ec.energy(Linear(), x=1, y=1, z=1)
    return ec.fisher_information(energy, wrt, over, given or {"x": [[3.0]]}, beta=1.5, **options)


def mechanism():
    weight, slope = torch.full((1, 1), 0.5, dtype=F64), torch.full((1, 1), 2.0, dtype=F64)
    return ec.LinearGaussianEnergy(weight, slope, scale=2**-0.5, regularizer_weight=1.0)
