"""CPU seconds of identification on large graphs, and of DoWhy's refuters on 16,177 rows."""

import time

import numpy as np
import pandas as pd

import ebm_causal as ec
from ebm_causal.graph import check_identification, refute


def measure(what, function):
    start = time.process_time()
    answer = function()
    print(f"{what:60} {time.process_time() - start:8.2f} s")
    return answer


def main():
    edges = [(f"w{i}", name) for i in range(500) for name in "xy"]
    open_graph = ec.CausalGraph([*edges, "x -> y"])
    bow = ec.CausalGraph([*edges, "x -> y", "x <-> y"])
    measure("identify, 500 covariates", lambda: ec.identify(open_graph, "x", "y"))
    measure("identify, 500 covariates and a hidden cause", lambda: ec.identify(bow, "x", "y"))
    ladder = [f"x <- a{i} -> b{i} -> y" for i in range(9)]
    found = measure(
        "identify, all of 512 minimal sets",
        lambda: ec.identify(ec.CausalGraph([*ladder, "x -> y"]), "x", "y"),
    )
    assert len(found.adjustment_sets) == 512
    measure("import DoWhy and check 500 covariates", lambda: check_identification(open_graph, "x", "y"))

    rng = np.random.default_rng(0)
    columns = [f"w{i}" for i in range(8)]
    frame = pd.DataFrame(rng.normal(size=(16177, 8)), columns=columns)
    frame["t"] = rng.random(16177) < 0.1
    frame["y"] = frame["t"] + frame["w0"] + rng.normal(size=16177)
    measure(
        "refute, 16,177 rows and 10 columns, 40 simulations each", lambda: refute(frame, "t", "y", columns)
    )


if __name__ == "__main__":
    main()
