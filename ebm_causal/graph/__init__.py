"""Causal graphs: what causes what, which of it is hidden, and whether the data can answer a question."""

from ebm_causal.graph.checks import Check, Refutation
from ebm_causal.graph.dowhy import check_identification, refute
from ebm_causal.graph.graphs import CausalGraph
from ebm_causal.graph.identification import Estimand, identify

__all__ = ["CausalGraph", "Check", "Estimand", "Refutation", "check_identification", "identify", "refute"]
