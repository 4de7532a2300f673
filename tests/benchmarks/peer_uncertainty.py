"""The peers of bench_uncertainty.py, run by their own interpreter: prints CPU seconds as JSON."""

import json
import time
from importlib.metadata import version

import numpy as np
import torch

LOOPED, REPETITIONS, WIDE, SAMPLES = 50, 9, 200, 1000


def timed(run):
    seconds = []
    for repetition in range(REPETITIONS + 1):
        start = time.process_time()
        run()
        if repetition:
            seconds.append(time.process_time() - start)
    return seconds


def propagated():
    """First order by `uncertainties`, row by row: ten correlated inputs, three outputs of the same tanh net."""
    import uncertainties
    from uncertainties import umath

    draws = np.random.default_rng(0)
    first, second = draws.normal(size=(10, 8)) / 3, draws.normal(size=(8, 3))
    root = draws.normal(size=(10, 10)) / 10
    sigma, mean = root @ root.T, draws.normal(size=(LOOPED, 10))

    def run():
        for row in mean:
            u = uncertainties.correlated_values(row, sigma)
            hidden = [umath.tanh(sum(u[i] * first[i, j] for i in range(10))) for j in range(8)]
            out = [sum(hidden[j] * second[j, k] for j in range(8)) for k in range(3)]
            uncertainties.covariance_matrix(out)

    name = f"uncertainties {version('uncertainties')}, {LOOPED} rows"
    return {"name": name, "seconds": timed(run), "note": "its own inputs of the same kind"}


def product():
    """A Gauss-Newton product by curvlinops: the same net, squared error summed."""
    from curvlinops import GGNLinearOperator

    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(30, WIDE), torch.nn.Tanh(), torch.nn.Linear(WIDE, WIDE), torch.nn.Tanh(),
        torch.nn.Linear(WIDE, 5),
    )  # fmt: skip
    data = [(torch.randn(SAMPLES, 30), torch.randn(SAMPLES, 5))]
    loss = torch.nn.MSELoss(reduction="sum")
    params = dict(net.named_parameters())
    try:
        operator = GGNLinearOperator(net, loss, params, data, check_deterministic=False)
    except (TypeError, AttributeError, ValueError):
        operator = GGNLinearOperator(net, loss, list(params.values()), data, check_deterministic=False)
    v = torch.randn(sum(p.numel() for p in params.values()))
    return {
        "name": f"curvlinops {version('curvlinops-for-pytorch')}",
        "seconds": timed(lambda: operator @ v),
        "note": "",
    }


if __name__ == "__main__":
    print(json.dumps({"uncertainties": propagated(), "curvlinops": product()}))
