"""Causal graphs: what causes what, which of it is hidden, and whether the data can answer a question."""

from ebm_causal.graph.checks import Check, Refutation
from ebm_causal.graph.dowhy import check_identification, refute
from ebm_causal.graph.estimands import Estimand, Expression
from ebm_causal.graph.graphs import CausalGraph
from ebm_causal.graph.identification import identify, is_back_door_set

__all__ = [
    "CausalGraph",
    "Check",
    "Estimand",
    "Expression",
    "Refutation",
    "check_identification",
    "identify",
    "is_back_door_set",
    "refute",
]
