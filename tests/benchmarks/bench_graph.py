"""CPU seconds of identification on large graphs, and of DoWhy's refuters on 16,177 rows."""

import time
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from side_by_side import publish, where

import ebm_causal as ec
from ebm_causal.graph import check_identification, refute, testable_implications
from ebm_causal.graph.checks import CLAIMS

GOAL = 0.2


def seconds(function):
    start = time.process_time()
    answer = function()
    return time.process_time() - start, answer


def random_graph(rng, density):
    """Thirty nodes: 22 observed ones in causal order, and eight hidden causes of two of them."""
    names = [f"v{i}" for i in range(22)]
    edges = [pair for pair in combinations(names, 2) if rng.random() < density]
    for i in range(8):
        edges += [(f"u{i}", names[j]) for j in rng.choice(22, size=2, replace=False)]
    return ec.CausalGraph(edges, [f"u{i}" for i in range(8)], nodes=names)


def thirty_nodes():
    """The longest of 100 random graphs, by kind of answer, and that of the worst graph known."""
    rng, longest = np.random.default_rng(0), {}
    for density in (0.08, 0.12, 0.2, 0.4):
        for _ in range(25):
            graph = random_graph(rng, density)
            taken, found = seconds(partial(ec.identify, graph, "v15", "v21"))
            longest.setdefault(found.kind, []).append(taken)
    ladder = ec.CausalGraph([*(f"x <- a{i} -> b{i} -> y" for i in range(14)), "x -> y"])
    taken, found = seconds(lambda: ec.identify(ladder, "x", "y"))
    assert len(found.adjustment_sets) == 1000
    rows = [(f"identify, 30 nodes, {kind} ({len(each)} graphs)", max(each)) for kind, each in longest.items()]
    return [*rows, ("identify, 30 nodes with 16,384 minimal sets, of which 1000 are listed", taken)]


def large_graphs():
    edges = [(f"w{i}", name) for i in range(500) for name in "xy"]
    whole = ec.CausalGraph([*edges, "x -> y"])
    bow = ec.CausalGraph([*edges, "x -> y", "x <-> y"])
    implied = random_graph(np.random.default_rng(1), 0.12)
    work = {
        "identify, 500 covariates": lambda: ec.identify(whole, "x", "y"),
        "identify, 500 covariates and a hidden cause": lambda: ec.identify(bow, "x", "y"),
        "testable implications, 30 nodes": lambda: testable_implications(implied),
        "import DoWhy and check 500 covariates": lambda: check_identification(whole, "x", "y"),
    }
    return [(name, seconds(function)[0]) for name, function in work.items()]


def refuters():
    rng = np.random.default_rng(0)
    columns = [f"w{i}" for i in range(8)]
    frame = pd.DataFrame(rng.normal(size=(16177, 8)), columns=columns)
    frame["t"] = rng.random(16177) < 0.1
    frame["y"] = frame["t"] + frame["w0"] + rng.normal(size=16177)
    names = tuple(claim.name for claim in CLAIMS)
    taken, _ = seconds(lambda: refute(frame, "t", "y", columns, tests=names))
    return [("refute by all five, 16,177 rows and 10 columns, 40 simulations each", taken)]


def main():
    thirty = thirty_nodes()
    rows = [*thirty, *large_graphs(), *refuters()]
    verdict = "met" if max(taken for _, taken in thirty) <= GOAL else "MISSED"
    lines = ["| | CPU s |", "|---|---|", *(f"| {name} | {taken:.3f} |" for name, taken in rows)]
    publish(
        "graph",
        f"## Graphs\n\nThe longest of each. Goal: {GOAL} s for 30 nodes, {verdict}.\n\n"
        + "\n".join(lines)
        + f"\n\n{where('ebm-causal', 'networkx', 'dowhy')}",
    )


if __name__ == "__main__":
    main()
