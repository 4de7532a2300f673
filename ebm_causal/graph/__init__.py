"""Causal graphs: what causes what, which of it is hidden, and whether the data can answer a question."""

from ebm_causal.graph.checks import Check, Refutation
from ebm_causal.graph.dowhy import check_identification, refute
from ebm_causal.graph.dowhy_graphs import from_dowhy, to_dowhy
from ebm_causal.graph.estimands import Estimand, Expression
from ebm_causal.graph.graphs import CausalGraph
from ebm_causal.graph.identification import identify, is_back_door_set
from ebm_causal.graph.implications import Independence, testable_implications
from ebm_causal.graph.independence_tests import ImplicationTests, check_implications

__all__ = [
    "CausalGraph",
    "Check",
    "Estimand",
    "Expression",
    "ImplicationTests",
    "Independence",
    "Refutation",
    "check_identification",
    "check_implications",
    "from_dowhy",
    "identify",
    "is_back_door_set",
    "refute",
    "testable_implications",
    "to_dowhy",
]
