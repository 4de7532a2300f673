"""Doing: graph surgery on energies, and effects from tables by adjustment."""

from ebm_causal.intervention.adjustment import adjust
from ebm_causal.intervention.effects import Effect
from ebm_causal.intervention.propensities import Propensity, propensity
from ebm_causal.intervention.regressions import ResidualRegression, regress

__all__ = [
    "Effect",
    "Propensity",
    "ResidualRegression",
    "adjust",
    "propensity",
    "regress",
]
