"""Variational fits of 200 rows under a 2-16-3 network: a step, and 2000 cold ones."""

import statistics

import numpy as np
import torch
from contenders_svi import CONTENDERS, NOISE, STEPS, torch_net
from peers import interleaved_cold
from side_by_side import Row, publish, table, where

REPETITIONS = 3
GOALS = {"step": 8.0, "cold": 20.0}
AGREE = 0.02  # of the bound: both are ascents of one objective from the same weights, with other noise


def rows():
    net = torch_net()
    torch.manual_seed(1)
    with torch.no_grad():
        y = net(torch.randn(200, 2, dtype=torch.float64)) + NOISE * torch.randn(200, 3, dtype=torch.float64)
    parts = dict(zip(("w1", "b1", "w2", "b2"), (p.detach().numpy() for p in net.parameters()), strict=True))
    return {"y": y.numpy(), **parts}


def ratio(rows, slow, fast, goal):
    found = {row.name: row.seconds for row in rows if row.seconds}
    if slow not in found or fast not in found:
        return f"{fast}: no peer to compare with."
    times = statistics.median(found[slow]) / statistics.median(found[fast])
    said = "met" if times >= goal else f"MISSED by a factor of {goal / times:.2g}"
    return f"{slow} takes {times:.3g} times as long as {fast} (goal {goal:.0f}: {said})."


def main():
    torch.set_num_threads(1)
    contenders = {name: name.startswith("NumPyro") for name in CONTENDERS}
    outcomes, cold = interleaved_cold("contenders_svi.py", contenders, rows(), repetitions=REPETITIONS)
    bounds = {name: [float(o.arrays["elbo"][-200:].mean()) for o in found if "elbo" in o.arrays]
              for name, found in outcomes.items()}  # fmt: skip
    ends = {name: statistics.median(found) for name, found in bounds.items() if found}
    spread = np.ptp(list(ends.values())) / abs(statistics.median(ends.values()))
    gate = "pass" if spread < AGREE else "DO NOT PASS"
    steps = [
        Row(name=name, seconds=tuple(float(o.arrays["step"]) for o in found), note="" if found else "skipped")
        for name, found in outcomes.items()
        if name.endswith("one step")
    ]
    cold = [row for row in cold if not row.name.endswith("one step")]
    said = " ".join([
        ratio(steps, "Pyro's default, one step", "ec, one step", GOALS["step"]),
        ratio(cold, "NumPyro SVI, 2000 cold steps", "ec, 2000 cold steps", GOALS["cold"]),
    ])  # fmt: skip
    seen = {o.versions for found in outcomes.values() for o in found}
    publish(
        "svi",
        "## Variational fits\n\n200 rows, latents of two dimensions, a network 2-16-3, a normal guide for each row, "
        f"one draw a step.\nFresh processes; tracing and compilation count, imports do not. The bounds after {STEPS} "
        f"steps {gate} the gate\n(within {AGREE:.0%}): "
        + ", ".join(f"{name.split(',')[0]} {value:.1f}" for name, value in ends.items())
        + f".\n{said}\n\n{table(steps)}\n\n{table(cold, unit='s')}\n\n{'; '.join(sorted(seen))}.\n\n"
        + where("ebm-causal"),
    )


if __name__ == "__main__":
    main()
