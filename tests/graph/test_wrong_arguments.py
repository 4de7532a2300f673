"""What is no graph, no name, no text or no table is refused by name."""

import numpy as np
import pandas as pd
import pytest

import ebm_causal as ec
from ebm_causal.errors import ArgumentError, GraphError, IdentificationError, TableError
from ebm_causal.graph import check_implications, is_back_door_set, refute
from ebm_causal.graph import testable_implications as implications_of

pytestmark = pytest.mark.usefixtures("unchecked")
GRAPH = ec.CausalGraph(["x <- w -> y", "x -> y"])
FRAME = pd.DataFrame({"x": [0.0, 1.0, 0.0], "y": [1.0, 2.0, 0.5], "w": [0.0, 1.0, 1.0]})


@pytest.mark.parametrize("ask", [implications_of, lambda graph: ec.identify(graph, "x", "y"),
                                 lambda graph: check_implications(graph, FRAME)])  # fmt: skip
def test_what_is_no_graph(ask):
    with pytest.raises(GraphError, match="a causal graph is needed; got int"):
        ask(3)


def test_what_is_no_name():
    for ask in (
        lambda: ec.CausalGraph(["x -> y"], latents=3),
        lambda: GRAPH.d_separated(None, "y"),
        lambda: GRAPH.d_separated("x", "y", given=3),
    ):
        with pytest.raises(GraphError, match="the variables of a causal graph are given by name; got"):
            ask()
    for adjustment in (3, "w"):
        with pytest.raises(GraphError, match="an adjustment set is a list of names; got"):
            is_back_door_set(GRAPH, "x", "y", adjustment)
    with pytest.raises(IdentificationError, match="costs are given by name"):
        ec.identify(GRAPH, "x", "y", costs=3)


def test_what_is_no_text():
    with pytest.raises(GraphError, match="DOT is text; got int"):
        ec.CausalGraph.from_dot(3)
    with pytest.raises(GraphError, match="this is not GML"):
        ec.CausalGraph.from_gml(3)


def test_what_is_no_table_and_no_joint():
    expression = ec.identify(GRAPH, "x", "y").expression
    for ask in (
        lambda: expression.estimate(3),
        lambda: check_implications(ec.CausalGraph(["x -> w -> y"]), 3),
        lambda: refute(3, "x", "y", ["w"]),
    ):
        with pytest.raises(TableError, match="the data must be a DataFrame; got int"):
            ask()
    with pytest.raises(ArgumentError, match="a joint distribution is an array; got int"):
        expression.evaluate(3, ["x", "y", "w"])
    with pytest.raises(ArgumentError, match="sums to 0"):
        expression.evaluate(np.zeros((2, 2, 2)), ["x", "y", "w"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"simulations": "a"}, "simulations must be 39 or more, .* got 'a'"),
        ({"simulations": 40.5}, "simulations must be 39 or more, .* got 40.5"),
        ({"seed": "a"}, "seed must be a whole number from 0"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"tests": 3}, "tests must be a list of 'placebo treatment'"),
        ({"tests": ()}, "tests must be a list of 'placebo treatment'"),
        ({"tests": ("guess",)}, "tests must be a list of 'placebo treatment'"),
    ],
)
def test_refuters_asked_amiss(options, message):
    with pytest.raises(ArgumentError, match=message):
        refute(FRAME, "x", "y", ["w"], **options)
    with pytest.raises(ArgumentError, match="adjustment must be a list of columns"):
        refute(FRAME, "x", "y", 3)


@pytest.mark.parametrize("edge", ["x --> y", "x <-- y", "x ->> y", "x <<- y", "x ->", "x -- y"])
def test_arrows_that_are_none(edge):
    with pytest.raises(GraphError, match='an edge is a pair of names or a string such as "z -> x"; got'):
        ec.CausalGraph([edge])
    assert ec.CausalGraph(["re-employed <b> -> y"]).nodes == ("re-employed <b>", "y")


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_refuters_need_more_rows_than_columns(rows):
    with pytest.raises(TableError, match=f"{rows} rows are too few for an effect with 1 covariates"):
        refute(FRAME.head(rows), "x", "y", ["w"])


@pytest.mark.parametrize("treatment", [1.0, FRAME["w"] * 2 + 1])
def test_refuters_need_a_treatment_that_varies(treatment):
    frame = pd.concat([FRAME.assign(x=treatment), FRAME.assign(x=treatment, y=0.0)])
    with pytest.raises(TableError, match="the treatment 'x' is constant, or a combination of the covariates"):
        refute(frame, "x", "y", ["w"])


def test_implications_of_infinite_values():
    with pytest.raises(TableError, match="the column 'x' has infinite values"):
        check_implications(ec.CausalGraph(["x -> w -> y"]), FRAME.assign(x=[0.0, np.inf, 1.0]))
