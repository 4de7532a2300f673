"""Energies whose information is known in closed form: the latent line, two spins, a mixture of two normals."""

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


class Ising(nn.Module):
    def __init__(self, coupling, field):
        super().__init__()
        self.J, self.h = number(coupling), number(field)

    def forward(self, a, b):
        return (-self.J * a * b - self.h * (a + b)).sum(-1)


class Mixture(nn.Module):
    """Two normals of weight 1/2 and standard deviation 1, means 0 and 2."""

    def __init__(self):
        super().__init__()
        self.mu = number([0.0, 2.0])

    def forward(self, y, k):
        return 0.5 * ((y - self.mu[k.long()]) ** 2).sum(-1)


def mixture():
    return ec.energy(Mixture(), y=1, k=ec.Variable(1, ec.finite([0, 1])))
