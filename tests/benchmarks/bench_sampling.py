"""Posteriors of latents, row by row: lattices and batched chains against samplers of all rows jointly."""

import math

import numpy as np
import torch
from bench_lattice import NOISE, ROWS, network, problem
from contenders_sampling import CONTENDERS
from peers import interleaved_cold
from side_by_side import Row, interleaved, publish, table, where

import ebm_causal as ec
from ebm_causal.gibbs import restrict
from ebm_causal.gibbs.quadrature import lattice_moments
from ebm_causal.sampling import mixing

REPETITIONS = 1
GATE = (0.9, 1.25)  # rms of z-scores of means against quadrature
WIDE = 500
BEND = 6.0
PEERS = ("NumPyro", "BlackJAX")


def plane(bend=1.0):
    """1000 rows of torch's own 2-32-3 tanh network, its first weights times a bend, and the moments of quadrature.

    At a bend of 6 a fifth of the posteriors have a second mode within e^-4 of the first.
    """
    layers = network()
    with torch.no_grad():
        layers[0].weight.mul_(bend)
    torch.manual_seed(1)
    z = torch.randn(ROWS, 2, dtype=torch.float64)
    y = layers(z).detach() + NOISE * torch.randn(ROWS, 3, dtype=torch.float64)
    energy = ec.Mechanism("y", "z", lambda z: layers(z), ec.SquaredError(NOISE), dim=3)
    with torch.no_grad():
        found = restrict(energy + ec.GaussianRegularizer(2), "z", {"y": y}, 1.0)
        moments = lattice_moments(found)
    return {"y": y.numpy(), **weights(layers)}, moments.mean, moments.covariance


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
        return (low / seconds, math.nan), f"{note}; {int(outcomes[0].arrays['failed'])} rows failed"
    spread = covariance.diagonal(dim1=-2, dim2=-1).sqrt()
    error = (z.mean((0, 1)) - mean) / spread
    rms = math.sqrt(float((error**2 * size[:, None]).mean()))
    by_error = 1 / float((error**2).mean()) / seconds
    note += f", by error {by_error:.0f}; z-score rms {rms:.2f}, largest error "
    return (
        (low / seconds, by_error),
        note + f"{float(error.abs().max()):.2f} sd; {int(outcomes[0].arrays['failed'])} rows failed",
    )


def compared(data, names, mean=None, covariance=None):
    outcomes, rows = interleaved_cold(
        "contenders_sampling.py", {name: name.startswith(PEERS) for name in names}, data,
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


def ratios(rates, own, which=0):
    """How many times each peer's effective draws a second: the least of all rows, or by error."""
    peers = {name.partition(",")[0]: rate for name, rate in rates.items() if not name.startswith("ec.")}
    told = [f"{rates[own][which] / rate[which]:.3g} times {name}'s" for name, rate in peers.items()]
    return ", ".join(told) or "no peer was run"


def overhead():
    """The seconds of HMC and of lattices over those of the bare energies and gradients that they ask for."""
    energy, decoder, y = problem(ROWS)
    found = {}
    for method, options in (("hmc", {"draws": 100}), ("lattice", {"draws": 250})):
        calls = asked(energy, y, method, options)
        rows = interleaved(
            {
                "whole": lambda method=method, options=options: ec.sample(
                    energy, given={"y": y}, method=method, seed=0, **options
                ),
                "bare": lambda calls=calls: [bare(decoder, y, *call) for call in calls],
            },
            repetitions=3,
        )
        whole, alone = (min(row.seconds) for row in rows)
        found[method] = whole / alone
    return found


def asked(energy, y, method, options):
    """The shapes of points at which energies are asked for, and whether with gradients."""
    calls, factor = [], energy.factors["y"]
    plain = factor.cost.forward

    def noted(prediction, value):
        calls.append((tuple(torch.broadcast_shapes(prediction.shape, value.shape)), prediction.requires_grad))
        return plain(prediction, value)

    factor.cost.forward = noted
    try:
        ec.sample(energy, given={"y": y}, method=method, seed=0, **options)
    finally:
        factor.cost.forward = plain
    return calls


def bare(decoder, y, shape, sloped):
    """The energies at as many points, written down by hand, and their gradients where these were asked for."""
    z = torch.randn(*shape[:-1], 2, dtype=y.dtype, requires_grad=sloped)
    value = y[: shape[-2]] if len(shape) > 2 and shape[-2] <= len(y) else y[:1]
    total = 0.5 * (((value - decoder(z)) / NOISE) ** 2).sum(-1) + 0.5 * (z**2).sum(-1)
    if sloped:
        torch.autograd.grad(total.sum(), z)


def main():
    torch.set_num_threads(1)
    lattices, chains, auto, *peers = CONTENDERS
    first, rates, versions = compared(*together(plane(), [lattices, chains, *peers]))
    second, bent_rates, _ = compared(*together(plane(BEND), [lattices, auto, *peers[:2]]))
    third, wide_rates, _ = compared(eight(), [auto, chains, peers[0]])
    over = overhead()
    publish(
        "sampling",
        "## Posteriors of latents\n\n"
        f"A tanh decoder 2 -> 32 -> 3, noise {NOISE}, {ROWS} rows, single precision; each run in its own process,\n"
        "warm-up and compilation included. Peers sample all rows jointly: NumPyro 4 chains of 300 warm-up steps and\n"
        "draws, MCLMC 2,000 steps of tuning and 20,000 more, Pyro one chain of 300 and 300. "
        "Gate: z-scores of means against quadrature, "
        f"rms in {list(GATE)} (lattice draws are stratified, so theirs is smaller).\n"
        f"Least effective draws a second: lattices {ratios(rates, lattices)} (goals 500, 500, 3000),\n"
        "each draw counted as one; "
        f"by the error of their means, as they are stratified, {ratios(rates, lattices, 1)}. HMC "
        f"{ratios(rates, chains)} (goals 20 and, beside Pyro, 200).\n"
        "Time over that of the bare energies and gradients: "
        f"HMC {over['hmc']:.2f} (goal 1.4), lattices {over['lattice']:.2f} (goal 1.15). "
        "Half of HMC's time is spent on\n"
        "diagnostics, arithmetic of many small tensors, and rounds for the few rows that need more.\n\n"
        f"{table(first, against=lattices, unit='s')}\n\n"
        f"The same with first weights {BEND:.0f} times as large, where a fifth of the posteriors have a second mode\n"
        f"within e^-4 of the first: lattices {ratios(bent_rates, lattices)}, by error "
        f"{ratios(bent_rates, lattices, 1)}.\n\n{table(second, against=lattices, unit='s')}\n\n"
        f"z in R^8, a network 8 -> 32 -> 12, {WIDE} rows: HMC {ratios(wide_rates, chains)}, auto "
        f"{ratios(wide_rates, auto)} (goal 10 times).\n\n"
        f"{table(third, against=auto, unit='s')}\n\n{where('ebm-causal', 'torch')} {versions}.",
    )


def together(problem, names):
    """The arguments of a comparison with its truth."""
    data, mean, covariance = problem
    return data, names, mean, covariance


if __name__ == "__main__":
    main()
