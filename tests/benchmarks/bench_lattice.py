"""Free energies and moments on adaptive lattices: rows by the thousand, memory, and the bare energy beside them."""

import math
import os
import subprocess
import sys

import numpy as np
import torch
from scipy.integrate import quad
from side_by_side import interleaved, publish, table, where

import ebm_causal as ec
from ebm_causal.gibbs import restrict
from ebm_causal.gibbs.quadrature import DROP, STEPS, lattice_log_integral, lattice_moments

F64 = torch.float64
ROWS, LOOPED, NOISE = 1000, 50, 0.3
LARGE = (1_000, 10_000, 100_000)
GOAL = {"moments": 0.12, "large": 8.0, "memory": 100.0, "ratio": 1.15}


def network(seed=0):
    """torch's own 2 -> 32 -> 3 tanh network, in double precision."""
    torch.manual_seed(seed)
    layers = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.Tanh(), torch.nn.Linear(32, 3))
    return layers.double()


def problem(rows, dtype=F64):
    """The posterior of a tanh decoder with noise .3, and rows drawn from it."""
    decoder = network().to(dtype).requires_grad_(False)
    z = torch.randn(rows, 2, dtype=dtype)
    y = decoder(z) + NOISE * torch.randn(rows, 3, dtype=dtype)
    energy = ec.Mechanism("y", "z", lambda z: decoder(z), ec.SquaredError(NOISE), dim=3)
    return energy + ec.GaussianRegularizer(2), decoder, y


def moments(energy, y):
    return lattice_moments(restrict(energy, "z", {"y": y}, 1.0))


class Recorded:
    """The energy, remembering what it was asked for."""

    def __init__(self, energy):
        self.energy, self.calls = energy, []

    def points_and_rows(self, y):
        factor = self.energy.factors["y"]
        plain, self.calls = factor.cost.forward, []
        factor.cost.forward = lambda prediction, value: self._noted(plain, prediction, value)
        try:
            moments(self.energy, y)
        finally:
            factor.cost.forward = plain
        return self.calls

    def _noted(self, plain, prediction, value):
        self.calls.append((prediction, value))
        return plain(prediction, value)


def bare(energy, decoder, calls):
    """The same costs once more: every prediction against every value that the lattices asked for, and the decoder."""
    cost, prior = energy.factors["y"].cost, 0.5
    for prediction, value in calls:
        found = cost(prediction, value)
        found + prior * found  # the regularizer's share is added to each
    decoder(torch.zeros(sum(p[..., 0].numel() for p, _ in calls if p.shape[1] == 1), 2, dtype=F64))


def unshared(energy, y, points):
    """The energy at as many points of each row's own, a few rows at a time, so that they stay in cache."""
    z = torch.randn(points, 1, 2, dtype=F64)
    for some in y.split(max(1, 65_536 // points)):
        energy.reduced({"y": some, "z": z.expand(-1, len(some), -1).contiguous()})


def points_per_row(energy, y):
    """How many points the lattices have that the moments come from, on average."""
    counted = [
        lattice.energies.isfinite().sum().item()
        for _, lattice in restrict(energy, "z", {"y": y}, 1.0).lattices(
            step=STEPS[2][0], fine=STEPS[2][1], drop=DROP
        )
    ]
    return round(sum(counted) / len(y))


def memory(rows):
    """Peak megabytes of a fresh process above what it held before, beside the results."""
    code = (
        "import bench_lattice as b\n"
        "def peak():\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    return int(next(line.split()[1] for line in lines if line.startswith('VmHWM')))\n"
        f"energy, _, y = b.problem({rows})\n"
        "b.moments(energy, y[:5])\n"
        "before = peak()\n"
        "b.moments(energy, y)\n"
        "print((peak() - before) / 1024)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=os.path.dirname(os.path.abspath(__file__)),
    )  # fmt: skip
    return float(run.stdout)


def on_a_grid(energy, y, step=0.05, reach=7.0):
    """Free energies by a fine grid that all rows share."""
    axis = torch.arange(-reach, reach + step / 2, step, dtype=F64)
    points = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        rows = [torch.logsumexp(-energy(y=row[None], z=points), 0) for row in y]
    return -torch.stack(rows) - 2 * math.log(step)


def bent(z):
    """A bent line in three dimensions."""
    return torch.cat([torch.tanh(2 * z), z + 0.3 * z**2, torch.sin(2 * z)], -1)


def by_quadrature(y):
    """The free energy of one row of the bent line, by scipy."""

    def energy(z):
        guess = np.array([math.tanh(2 * z), z + 0.3 * z**2, math.sin(2 * z)])
        return ((y - guess) ** 2).sum() / (2 * NOISE**2) + 0.5 * z**2

    grid = np.linspace(-5, 5, 201)
    at = grid[np.argmin([energy(z) for z in grid])]
    low = energy(at)
    settings = {"points": sorted({-1.0, 0.0, 1.0, float(at)}), "epsabs": 1e-12, "epsrel": 1e-10, "limit": 200}
    return low - math.log(quad(lambda z: math.exp(low - energy(z)), -6, 6, **settings)[0])


def gradient(energy, y, weight):
    """Free energies and their gradient in the decoder's parameters."""
    lattice_log_integral(restrict(energy, "z", {"y": y}, 1.0)).value.sum().backward()
    weight.grad = None


def line():
    """Rows of the bent line and their energy."""
    draws = torch.Generator().manual_seed(0)
    latent = torch.randn(ROWS, 1, generator=draws, dtype=F64)
    y = bent(latent) + NOISE * torch.randn(ROWS, 3, generator=draws, dtype=F64)
    return ec.Mechanism("y", "z", bent, ec.SquaredError(NOISE), dim=3) + ec.GaussianRegularizer(1), y


def contenders(curve, y_line, energy, decoder, y):
    learned = network()
    trained = ec.Mechanism("y", "z", lambda z: learned(z), ec.SquaredError(NOISE), dim=3)
    trained = trained + ec.GaussianRegularizer(2)
    single, _, y_single = problem(ROWS, torch.float32)
    calls, points = Recorded(energy).points_and_rows(y), points_per_row(energy, y)
    found = {
        f"F alone, {ROWS} rows": lambda: ec.free_energy(energy, given={"y": y}),
        f"F, mean and covariance, {ROWS} rows": lambda: moments(energy, y),
        "the same in single precision": lambda: moments(single, y_single),
        "the bare energies that these need": lambda: bare(energy, decoder, calls),
        "bare energies at as many points of each row's own": lambda: unshared(energy, y, points),
        f"F and its gradient, {ROWS} rows": lambda: gradient(trained, y, learned[0].weight),
    }
    for rows in LARGE[1:]:
        many = problem(rows)
        found[f"F, mean and covariance, {rows} rows"] = lambda many=many: moments(many[0], many[2])
    found[f"a bent line, F of {ROWS} rows"] = lambda: ec.free_energy(curve, given={"y": y_line})
    found[f"the same by scipy's quad, {LOOPED} rows"] = lambda: [
        by_quadrature(row) for row in y_line[:LOOPED].numpy()
    ]
    return found


def main():
    torch.set_num_threads(1)
    (curve, y_line), (energy, decoder, y) = line(), problem(ROWS)
    known = np.array([by_quadrature(row) for row in y_line[:LOOPED].numpy()])
    on_line = np.abs(ec.free_energy(curve, given={"y": y_line}).value[:LOOPED].numpy() - known).max()
    assert on_line < 1e-8, on_line
    in_plane = (
        (ec.free_energy(energy, given={"y": y}).value[:LOOPED] - on_a_grid(energy, y[:LOOPED]))
        .abs()
        .max()
        .item()
    )
    assert in_plane < 1e-7, in_plane
    rows = interleaved(contenders(curve, y_line, energy, decoder, y), repetitions=3)
    best = {row.name: min(row.seconds) for row in rows}
    whole = best[f"F, mean and covariance, {ROWS} rows"]
    ratio = whole / best["the bare energies that these need"]
    own = whole / best["bare energies at as many points of each row's own"]
    megabytes = {count: memory(count) for count in LARGE}
    publish(
        "lattice",
        "## Integrating the latent out\n\n"
        f"A tanh decoder 2 -> 32 -> 3 with torch's own first weights, noise {NOISE}, lattices that begin at steps\n"
        f"{STEPS[2]} of a local sd and leave out weights below e^-{DROP:.0f}. Free energies agree with a fine grid to "
        f"{in_plane:.0e}\nin {LOOPED} rows, those of a bent line in one dimension with scipy's quadrature to "
        f"{on_line:.0e}.\n"
        f"Least time over that of bare energies at as many points of each row's own: {own:.2f} "
        f"(goal {GOAL['ratio']});\n"
        f"over that of the bare energies as they are asked for, predictions shared by rows: {ratio:.2f}.\n"
        "Memory above that of the data and a small call, in megabytes: "
        + ", ".join(f"{count} rows {used:.0f}" for count, used in megabytes.items())
        + f" (goal {GOAL['memory']:.0f}).\n"
        f"Goals: {ROWS} rows in {GOAL['moments']} s, {LARGE[-1]} rows in {GOAL['large']:.0f} s.\n\n"
        f"{table(rows, against=f'F, mean and covariance, {ROWS} rows')}\n\n{where('ebm-causal', 'torch', 'scipy')}",
    )


if __name__ == "__main__":
    main()
