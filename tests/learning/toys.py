"""Small energies and data for the tests of training: their answers are known in closed form."""

import torch
from torch import nn

import ebm_causal as ec

F64 = torch.float64


class Precision(nn.Module):
    """E = l x^2 / 2."""

    def __init__(self, start=0.5, dtype=F64):
        super().__init__()
        self.l = nn.Parameter(torch.tensor(start, dtype=dtype))

    def forward(self, x):
        return 0.5 * self.l * (x**2).sum(-1)


class Slope(nn.Module):
    """A line through the origin, w x."""

    def __init__(self, start=0.0):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start, dtype=F64))

    def forward(self, x):
        return self.w * x


def precision(start=0.5, dtype=F64):
    return ec.energy(Precision(start, dtype), x=1)


def normal(rows=1000, seed=0, dim=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dim, generator=generator, dtype=F64)


def standardized(rows=1000, seed=0):
    x = normal(rows, seed)
    return (x - x.mean()) / x.std(unbiased=False)


def paired(rows=400, slope=2.0, noise=0.1, seed=0):
    x, e = normal(rows, seed), normal(rows, seed + 1)
    return {"x": x, "y": slope * x + noise * e}


def line(start=0.0):
    """(y - w x)^2 / 2 as a joint embedding, so that F is an energy of pairs and nothing is latent."""
    return ec.energy(Pair(start), x=1, y=1)


class Pair(nn.Module):
    def __init__(self, start=0.0):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(start, dtype=F64))

    def forward(self, x, y):
        return 0.5 * ((y - self.w * x) ** 2).sum(-1)


def network(dims=("x", "y"), width=16, seed=0):
    """A smooth network of all variables."""
    torch.manual_seed(seed)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(len(dims), width, dtype=F64), nn.Tanh(), nn.Linear(width, 1, dtype=F64)
            )

        def forward(self, **values):
            return self.layers(torch.cat([values[name] for name in dims], -1)).squeeze(-1)

    return ec.energy(Net(), **dict.fromkeys(dims, 1))


def over_all_pairs(data, pull, slope):
    """A contrastive loss of the line, pull(F(x_i, y_i), F(x_i, y_j)), over all i that are not j."""
    energies = 0.5 * (data["y"].T - slope * data["x"]) ** 2
    each = pull(energies.diagonal()[:, None].expand_as(energies), energies)
    rows = len(energies)
    return float((each.sum() - each.diagonal().sum()) / (rows * (rows - 1)))


def least_over_all_pairs(data, pull):
    """Its least value over slopes."""
    return min(over_all_pairs(data, pull, slope) for slope in torch.linspace(2, 3, 51, dtype=F64))
