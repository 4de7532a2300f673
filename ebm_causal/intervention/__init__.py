"""Doing: graph surgery on energies, and effects from tables by adjustment."""

from ebm_causal.intervention.adjustment import adjust
from ebm_causal.intervention.causation import Causation, probabilities_of_causation
from ebm_causal.intervention.counterfactuals import counterfactual
from ebm_causal.intervention.draws import Draws
from ebm_causal.intervention.effects import Effect
from ebm_causal.intervention.linking import is_confounded
from ebm_causal.intervention.propensities import Propensity, propensity
from ebm_causal.intervention.queries import confounding_gap, interventional, observational
from ebm_causal.intervention.regressions import ResidualRegression, regress
from ebm_causal.intervention.surgery import do

__all__ = [
    "Causation",
    "Draws",
    "Effect",
    "Propensity",
    "ResidualRegression",
    "adjust",
    "confounding_gap",
    "counterfactual",
    "do",
    "interventional",
    "is_confounded",
    "observational",
    "probabilities_of_causation",
    "propensity",
    "regress",
]
