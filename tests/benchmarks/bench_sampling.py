"""Posteriors of latents, row by row: lattices and batched chains against NumPyro's NUTS on all rows jointly."""

import math

import numpy as np
import torch
from bench_lattice import NOISE, ROWS, network, problem
from contenders_sampling import CONTENDERS
from peers import interleaved_cold
from side_by_side import Row, publish, table, where

from ebm_causal.gibbs import restrict
from ebm_causal.gibbs.quadrature import lattice_moments
from ebm_causal.sampling import mixing

REPETITIONS = 1
GATE = (0.9, 1.25)  # rms of z-scores of means against quadrature
WIDE = 500


def plane():
    """1000 rows of torch's own 2-32-3 tanh network, and the moments of quadrature."""
    energy, _, y = problem(ROWS)
    moments = lattice_moments(restrict(energy, "z", {"y": y}, 1.0))
    return {"y": y.numpy(), **weights(network())}, moments.mean, moments.covariance


def weights(layers):
    first, _, last = layers
    parts = (first.weight, first.bias, last.weight, last.bias)
    return {name: part.detach().numpy() for name, part in zip("abcd", parts, strict=True)}


def eight():
    """500 rows of a network 8 -> 32 -> 12; the truth is that of importance sampling around the modes."""
    torch.manual_seed(1)
    layers = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Tanh(), torch.nn.Linear(32, 12)).double()
    z = torch.randn(WIDE, 8, dtype=torch.float64)
    y = layers(z).detach() + NOISE * torch.randn(WIDE, 12, dtype=torch.float64)
    return {"y": y.numpy(), **weights(layers)}


def judged(name, outcomes, mean, covariance):
    """A note on one contender: z-scores, effective draws a second (least, 1 % quantile, by error), rows failed."""
    z = torch.cat([torch.tensor(o.arrays["draws"], dtype=torch.float64) for o in outcomes[:1]])
    seconds = float(np.median([o.seconds for o in outcomes]))
    independent = np.isfinite(outcomes[0].arrays.get("ess", np.nan)).all() and "lattices" in name
    size = (
        torch.full((z.shape[2],), float(z.shape[0] * z.shape[1]))
        if independent
        else mixing(z).ess_bulk.amin(-1)
    )
    low, one = float(size.min()), float(size.double().quantile(0.01))
    note = f"min ESS/s {low / seconds:.0f}, its 1 % quantile {one / seconds:.0f}"
    if mean is None:
        return low / seconds, f"{note}; {int(outcomes[0].arrays['failed'])} rows failed"
    spread = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    error = (z.mean((0, 1)) - mean) / spread
    rms = math.sqrt(float((error**2 * size[:, None]).mean()))
    note += f", by error {1 / float((error**2).mean()) / seconds:.0f}; z-score rms {rms:.2f}, largest error "
    return (
        low / seconds,
        note + f"{float(error.abs().max()):.2f} sd; {int(outcomes[0].arrays['failed'])} rows failed",
    )


def compared(data, names, mean=None, covariance=None):
    outcomes, rows = interleaved_cold(
        "contenders_sampling.py", {name: name.startswith("NumPyro") for name in names}, data,
        repetitions=REPETITIONS,
    )  # fmt: skip
    told, rates = [], {}
    for row in rows:
        if not row.seconds:
            told.append(row)
            continue
        rates[row.name], note = judged(row.name, outcomes[row.name], mean, covariance)
        told.append(Row(name=row.name, seconds=row.seconds, note=note))
    versions = {o.versions for found in outcomes.values() for o in found}
    return told, rates, "; ".join(sorted(versions))


def ratios(rates, own):
    """How many times the peer's least effective draws a second."""
    peer = next((rate for name, rate in rates.items() if not name.startswith("ec.")), None)
    return "not run" if peer is None else f"{rates[own] / peer:.0f} times NumPyro's"


def main():
    torch.set_num_threads(1)
    names = list(CONTENDERS)
    data, mean, covariance = plane()
    first, rates, versions = compared(data, [names[0], names[1], names[3]], mean, covariance)
    second, wide_rates, _ = compared(eight(), [names[2], names[1], names[3]])
    publish(
        "sampling",
        "## Posteriors of latents\n\n"
        f"A tanh decoder 2 -> 32 -> 3, noise {NOISE}, {ROWS} rows, single precision; each run in its own process,\n"
        "warm-up and compilation included. NumPyro samples all rows jointly, with 300 warm-up steps and draws of 4\n"
        f"chains. Gate: z-scores of means against quadrature, rms in {list(GATE)} (lattice draws are stratified, so "
        "theirs\nis smaller).\n"
        f"Least effective draws a second: lattices {ratios(rates, names[0])} (goal 500 times), HMC "
        f"{ratios(rates, names[1])} (goal 20 times).\n\n"
        f"{table(first, against=names[0], unit='s')}\n\n"
        f"z in R^8, a network 8 -> 32 -> 12, {WIDE} rows: HMC {ratios(wide_rates, names[1])}, auto "
        f"{ratios(wide_rates, names[2])} (goal 10 times).\n\n"
        f"{table(second, against=names[2], unit='s')}\n\n{where('ebm-causal', 'torch')} {versions}.",
    )


if __name__ == "__main__":
    main()
