"""How many evaluations of energies fixed problems take: counts do not depend on the machine's mood."""

import torch

import ebm_causal as ec
from ebm_causal.gibbs import restrict
from ebm_causal.gibbs.quadrature import lattice_moments

F64 = torch.float64


class Counted(torch.nn.Module):
    """A decoder that counts its calls and the points that it is asked for."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder, self.calls, self.points = decoder, 0, 0

    def forward(self, z):
        self.calls += 1
        self.points += z[..., 0].numel()
        return self.decoder(z)


def bent(z):
    return torch.cat([torch.tanh(2 * z), z + 0.3 * z**2], -1)


def rows(count):
    draws = torch.Generator().manual_seed(0)
    z = torch.randn(count, 1, generator=draws, dtype=F64)
    return bent(z) + 0.3 * torch.randn(count, 2, generator=draws, dtype=F64)


def bent_energy():
    counted = Counted(bent)
    return counted, ec.Mechanism("y", "z", counted, ec.SquaredError(0.3), dim=2) + ec.GaussianRegularizer(1)


def lattice():
    """Points of all rows' lattices for free energies and moments of 50 rows."""
    counted, energy = bent_energy()
    lattice_moments(restrict(energy, "z", {"y": rows(50)}, 1.0))
    return counted.points


def sample():
    """Points for 100 draws of each of 50 rows."""
    counted, energy = bent_energy()
    ec.sample(energy, given={"y": rows(50)}, draws=25, chains=4)
    return counted.points


def minimize():
    """Points for minima of 20 rows from 8 starts."""
    counted, energy = bent_energy()
    ec.minimize(energy, over="z", given={"y": rows(20)})
    return counted.points


def linear():
    draws = torch.Generator().manual_seed(0)
    z, e = torch.randn(60, 1, generator=draws, dtype=F64), torch.randn(60, 2, generator=draws, dtype=F64)
    energy = ec.LinearGaussianEnergy(torch.ones(2, 1, dtype=F64), offset=torch.zeros(2, dtype=F64), scale=0.5)
    return energy, {"y": z @ torch.tensor([[1.0, 0.5]], dtype=F64) + 0.5 * e}


def fit_map():
    """Values and gradients of the log likelihood until the maximum."""
    energy, data = linear()
    return ec.fit(energy, data, method="map").diagnostics.evaluations


def fit_mcmc():
    """Values and gradients of the log likelihood for four chains of 30 draws."""
    energy, data = linear()
    fit = ec.fit(energy, data, method="mcmc", fixed=("y.cost.scale",), chains=4, warmup=30, draws=30)
    return fit.diagnostics.evaluations


PROBLEMS = {
    "lattice": lattice,
    "sample": sample,
    "minimize": minimize,
    "fit map": fit_map,
    "fit mcmc": fit_mcmc,
}

if __name__ == "__main__":
    for name, problem in PROBLEMS.items():
        print(f'    "{name}": {problem()},')
