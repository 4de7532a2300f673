"""The package's chains beside Pyro's NUTS on the same potential, latents integrated out."""

import numpy as np
import torch
from side_by_side import interleaved, publish, table, where
from torch.distributions import Normal

import ebm_causal as ec
from ebm_causal.sampling import mixing

F64 = torch.float64
PRIORS = {"input_weight": Normal(0.0, 3.0), "offset": Normal(0.0, 3.0)}
HELD = ("latent_weight", "y.cost.scale")


def problem(rows=60):
    """y = 0.5 + 1.5 x + z + noise, z hidden; the posterior of slope and offset is normal."""
    generator = torch.Generator().manual_seed(0)
    x, z, e = torch.randn(3, rows, 1, generator=generator, dtype=F64)
    one, none = torch.ones(1, 1, dtype=F64), torch.zeros(1, 1, dtype=F64)
    energy = ec.LinearGaussianEnergy(one, none, none[0], scale=0.5)
    return energy, {"x": x, "y": 0.5 + 1.5 * x + z + 0.5 * e}


def exact(data):
    design = torch.cat([data["x"], torch.ones_like(data["x"])], -1)
    covariance = torch.linalg.inv(design.mT @ design / 1.25 + torch.eye(2, dtype=F64) / 9)
    return covariance @ design.mT @ data["y"][:, 0] / 1.25, covariance.diagonal().sqrt()


def main():
    torch.set_num_threads(1)
    energy, data = problem()
    (mean, sd), fits = exact(data), {}

    def run(name, **options):
        fits[name] = ec.fit(energy, data, method="mcmc", priors=PRIORS, fixed=HELD, **options)

    rows = interleaved(
        {
            "ec.fit, 16 chains": lambda: run("ec.fit, 16 chains", chains=16, warmup=100, draws=250),
            "kernel='pyro-nuts', 1 chain": lambda: run(
                "kernel='pyro-nuts', 1 chain", kernel="pyro-nuts", chains=1, warmup=100, draws=250
            ),
        },
        repetitions=2,
    )
    lines = ["| | z-score rms | min ESS/s |", "|---|---|---|"]
    for row in rows:
        draws = fits[row.name].draws
        ess = mixing(draws).ess_bulk
        rms = float((((draws.mean((0, 1)) - mean) / sd) ** 2 * ess).mean().sqrt())
        lines.append(f"| {row.name} | {rms:.2f} | {float(ess.min()) / float(np.median(row.seconds)):.4g} |")
    publish(
        "pyro",
        "## Beside Pyro's NUTS\n\nA regression with a hidden latent, 60 rows, two parameters; both on the package's "
        "potential.\n\n"
        + table(rows, unit="s") + "\n\n" + "\n".join(lines) + f"\n\n{where('ebm-causal', 'pyro-ppl', 'torch')}",
    )  # fmt: skip


if __name__ == "__main__":
    main()
