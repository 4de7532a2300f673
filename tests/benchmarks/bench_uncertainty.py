"""Variance and information: propagation, derivatives of a minimum, products and diagonals without a matrix."""

import json
import os
import subprocess
from pathlib import Path

import torch
from side_by_side import Row, interleaved, publish, skipped, table, where

import ebm_causal as ec
from ebm_causal.calculus import minimum_slopes
from ebm_causal.uncertainty import fisher_operator

F64 = torch.float64
ROWS, LOOPED = 10_000, 50
WIDE, SAMPLES = 200, 1000
UNROLLED, DIAGONAL = "the same unrolled and differentiated", "the diagonal over two draws per row"
PEER = Path(__file__).parent / "peer_uncertainty.py"


def inputs():
    """Ten inputs, three outputs through a small tanh net, and a covariance."""
    draws = torch.Generator().manual_seed(0)
    first = torch.randn(10, 8, generator=draws, dtype=F64) / 3
    second = torch.randn(8, 3, generator=draws, dtype=F64)
    root = torch.randn(10, 10, generator=draws, dtype=F64) / 10
    mean = torch.randn(ROWS, 10, generator=draws, dtype=F64)
    return lambda u: torch.tanh(u @ first) @ second, mean, root @ root.mT, (first, second)


def reference(function, mean, sigma):
    """K backward passes and two products: the least that the first order takes."""
    u = mean.clone().requires_grad_()
    value = function(u)
    slopes = [torch.autograd.grad(value[:, k].sum(), u, retain_graph=True)[0] for k in range(3)]
    jacobian = torch.stack(slopes, -2)
    return jacobian @ sigma @ jacobian.mT


def looped(function, mean, sigma):
    """Row by row, as a loop over autograd's Jacobians does it."""
    found = []
    for row in mean:
        jacobian = torch.autograd.functional.jacobian(function, row)
        found.append(jacobian @ sigma @ jacobian.T)
    return torch.stack(found)


def minimum_problem(rows=1000):
    """y of three dimensions, held by a quartic, from four inputs."""
    draws = torch.Generator().manual_seed(1)
    weight = torch.randn(4, 3, generator=draws, dtype=F64)

    def energy(y, u):
        return (y**4).sum(-1) / 4 + ((y - torch.tanh(u @ weight)) ** 2).sum(-1) + 0.2 * (y.sum(-1) ** 2)

    return energy, torch.randn(rows, 4, generator=draws, dtype=F64)


def newton(energy, u, steps=8, *, graph=False):
    """So many steps from zero; with a graph through all of them where it is to be unrolled."""
    y = torch.zeros(len(u), 3, dtype=F64).requires_grad_()
    for _ in range(steps):
        y = y if graph else y.detach().requires_grad_()
        (g,) = torch.autograd.grad(energy(y, u).sum(), y, create_graph=True)
        rows = [
            torch.autograd.grad(c.sum(), y, create_graph=graph, retain_graph=True)[0] for c in g.unbind(-1)
        ]
        step = torch.linalg.solve(torch.stack(rows, -2), g[..., None]).squeeze(-1)
        y = y - (step if graph else step.detach())
    return y


def unrolled(energy, u):
    u = u.clone().requires_grad_()
    y = newton(energy, u, graph=True)
    return torch.stack([torch.autograd.grad(c.sum(), u, retain_graph=True)[0] for c in y.unbind(-1)], -2)


class Net(torch.nn.Module):
    """Two hidden layers of about 48,000 parameters together."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(30, WIDE), torch.nn.Tanh(), torch.nn.Linear(WIDE, WIDE), torch.nn.Tanh(),
            torch.nn.Linear(WIDE, 5),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x)


def gradient(energy, net, x, y):
    loss = energy(x=x, y=y).sum()
    return torch.autograd.grad(loss, list(net.parameters()))


def propagating():
    function, mean, sigma, _ = inputs()
    assert torch.allclose(
        ec.propagate_variance(function, mean, sigma).covariance, reference(function, mean, sigma)
    )
    return interleaved(
        {
            f"first order, {ROWS} rows": lambda: ec.propagate_variance(function, mean, sigma),
            "K backward passes": lambda: reference(function, mean, sigma),
            f"a loop over {LOOPED} rows": lambda: looped(function, mean[:LOOPED], sigma),
        },
        repetitions=9,
    )


def minimizing():
    energy, u = minimum_problem()
    y = newton(energy, u, 30).detach()
    implicit = minimum_slopes(energy, y, u).jacobian()
    assert torch.allclose(implicit, unrolled(energy, u), atol=1e-4)
    return interleaved(
        {
            "eight Newton steps": lambda: newton(
                energy, u
            ),  # the derivative follows a solution, as it does in use
            "implicit derivative, 1000 rows": lambda: minimum_slopes(energy, y, u).jacobian(),
            UNROLLED: lambda: unrolled(energy, u),
        },
        repetitions=9,
    )


def products():
    net = Net()
    energy = ec.Energy([ec.Mechanism("y", "x", net, ec.SquaredError(1.0), dim=5)])
    x, y = torch.randn(SAMPLES, 30), torch.randn(SAMPLES, 5)
    energy(x=x, y=y)
    held = fisher_operator(energy, given={"x": x}, kind="ggn", data={"y": y})
    fresh = fisher_operator(energy, given={"x": x}, kind="ggn", data={"y": y}, cached=False)
    drawn = fisher_operator(energy, given={"x": x}, draws=2)
    v = torch.randn(len(held))
    held.product(v)
    drawn.product(v)
    return interleaved(
        {
            f"one gradient, {len(held)} parameters, {SAMPLES} rows": lambda: gradient(energy, net, x, y),
            "a Gauss-Newton product, the graph kept": lambda: held.product(v),
            "a Gauss-Newton product, anew": lambda: fresh.product(v),
            "a product over two draws per row, the graph kept": lambda: drawn.product(v),
            DIAGONAL: drawn.diagonal,
        },
        repetitions=9,
    )


def peers():
    """What the peers took, in their own environment; or why they did not run."""
    python = os.environ.get("EBM_CAUSAL_PEERS")
    if not python:
        return {name: skipped(name) for name in ("uncertainties", "curvlinops")}
    run = subprocess.run([python, str(PEER)], capture_output=True, text=True, check=False)
    if run.returncode:
        reason = run.stderr.strip().splitlines()[-1] if run.stderr else "no output"
        return {name: Row(name=name, note=f"skipped: {reason}") for name in ("uncertainties", "curvlinops")}
    found = json.loads(run.stdout)
    return {
        name: Row(name=entry["name"], seconds=tuple(entry["seconds"]), note=entry["note"])
        for name, entry in found.items()
    }


def claims(best, others):
    """What the times say, each beside its goal."""
    ours, implicit = best[f"first order, {ROWS} rows"], best["implicit derivative, 1000 rows"]
    loop = best[f"a loop over {LOOPED} rows"] / LOOPED * ROWS
    base = next(value for name, value in best.items() if name.startswith("one gradient"))
    anew = best["a Gauss-Newton product, anew"]
    told = [
        ("first order, in K backward passes", ours / best["K backward passes"], "at most 2"),
        ("a loop over rows, in first orders", loop / ours, "at least 200"),
        ("implicit derivative, in eight Newton steps", implicit / best["eight Newton steps"], "at most .5"),
        ("unrolling, in implicit derivatives", best[UNROLLED] / implicit, "at least 15"),
        ("a Gauss-Newton product, in gradients", anew / base, "at most 3"),
        (
            "the same with the graph kept",
            best["a Gauss-Newton product, the graph kept"] / base,
            "at most 1.8",
        ),
        ("the diagonal per draw, in gradients", best[DIAGONAL] / 2 / base, "at most 2.5"),
    ]
    if others["uncertainties"].seconds:
        per_row = min(others["uncertainties"].seconds) / LOOPED * ROWS
        told.append(("`uncertainties`, in first orders", per_row / ours, "at least 1000"))
    if others["curvlinops"].seconds:
        told.append(
            ("curvlinops' product, in ours anew", min(others["curvlinops"].seconds) / anew, "at least 1")
        )
    lines = [f"| {what} | {ratio:.3g} | {goal} |" for what, ratio, goal in told]
    return "\n".join(["| least times of nine | ratio | goal |", "|---|---|---|", *lines])


def main():
    torch.set_num_threads(1)
    others = peers()
    first, second, third = propagating(), minimizing(), products()
    best = {row.name: min(row.seconds) for row in (*first, *second, *third)}
    tables = [
        table([*first, others["uncertainties"]]),
        table(second),
        table([*third, others["curvlinops"]]),
        where("ebm-causal", "torch"),
    ]
    publish(
        "uncertainty",
        "## Variance and information\n\nFirst order: 10 inputs, 3 outputs. Products: a net 30-200-200-5 "
        "in single precision.\n\n" + "\n\n".join([claims(best, others), *tables]),
    )


if __name__ == "__main__":
    main()
