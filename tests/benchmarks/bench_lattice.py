"""Free energies and moments of 1000 rows on adaptive lattices, against scipy's quadrature row by row."""

import math

import numpy as np
import torch
from scipy.integrate import quad
from side_by_side import interleaved, publish, table, where

import ebm_causal as ec

ROWS, LOOPED, NOISE = 1000, 50, 0.3


def decode(z):
    """A bent line in three dimensions."""
    return torch.cat([torch.tanh(2 * z), z + 0.3 * z**2, torch.sin(2 * z)], -1)


def decode_one(z):
    return np.array([math.tanh(2 * z), z + 0.3 * z**2, math.sin(2 * z)])


def by_quadrature(y):
    """The free energy and the posterior mean of z of one row, by scipy."""

    def energy(z):
        return ((y - decode_one(z)) ** 2).sum() / (2 * NOISE**2) + 0.5 * z**2

    grid = np.linspace(-5, 5, 201)
    at = grid[np.argmin([energy(z) for z in grid])]
    low = energy(at)
    settings = {"points": sorted({-1.0, 0.0, 1.0, float(at)}), "epsabs": 1e-12, "epsrel": 1e-10, "limit": 200}
    mass = quad(lambda z: math.exp(low - energy(z)), -6, 6, **settings)[0]
    first = quad(lambda z: z * math.exp(low - energy(z)), -6, 6, **settings)[0]
    return low - math.log(mass), first / mass


def main():
    torch.set_num_threads(1)
    draws = torch.Generator().manual_seed(0)
    latent = torch.randn(ROWS, 1, generator=draws, dtype=torch.float64)
    y = decode(latent) + NOISE * torch.randn(ROWS, 3, generator=draws, dtype=torch.float64)
    energy = ec.Mechanism("y", "z", decode, ec.SquaredError(NOISE), dim=3) + ec.GaussianRegularizer(1)
    points = torch.linspace(-5, 5, 100, dtype=torch.float64)[:, None, None]

    looped = np.array([by_quadrature(row) for row in y[:LOOPED].numpy()])
    found = ec.free_energy(energy, over="z", given={"y": y})
    worst = np.abs(found.value[:LOOPED].numpy() - looped[:, 0]).max()
    assert worst < 1e-8, worst
    posterior = ec.sample(energy, over="z", given={"y": y}, draws=1000, chains=1, seed=0)
    means = posterior.values["z"].mean((0, 1))[:LOOPED, 0].numpy()
    sds = posterior.values["z"].std((0, 1))[:LOOPED, 0].numpy()
    distance = np.abs(means - looped[:, 1]) / sds
    assert distance.max() < 0.2, distance.max()  # six standard errors of 1000 plain draws

    rows = interleaved(
        {
            f"ec.free_energy, {ROWS} rows": lambda: ec.free_energy(energy, over="z", given={"y": y}),
            f"ec.sample, {ROWS} rows x 1000 draws": lambda: ec.sample(
                energy, over="z", given={"y": y}, draws=1000, chains=1
            ),
            f"bare energy, {ROWS} rows x 100 points": lambda: energy(y=y, z=points),
            f"scipy quad in a loop, {LOOPED} rows": lambda: [
                by_quadrature(row) for row in y[:LOOPED].numpy()
            ],
        },
        repetitions=3,
    )
    publish(
        "lattice",
        "## Integrating the latent out\n\n"
        f"A bent decoder from one latent dimension to three, noise {NOISE}. Free energies agree with\n"
        f"quadrature to {worst:.0e}, posterior means of 1000 draws to {distance.max():.2f} posterior sd in\n"
        f"the worst of {LOOPED} rows; the loop of scipy runs over those {LOOPED} rows alone.\n\n"
        f"{table(rows)}\n\n{where('ebm-causal', 'torch', 'scipy')}",
    )


if __name__ == "__main__":
    main()
