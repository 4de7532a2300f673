"""Doing: graph surgery on energies, and effects from tables by adjustment."""

from ebm_causal.intervention.adjustment import adjust
from ebm_causal.intervention.balances import Balance, covariate_balance
from ebm_causal.intervention.causation import Causation, probabilities_of_causation
from ebm_causal.intervention.counterfactuals import counterfactual
from ebm_causal.intervention.draws import Draws
from ebm_causal.intervention.effects import Effect
from ebm_causal.intervention.heterogeneity import GroupEffects, effects_by
from ebm_causal.intervention.linking import is_confounded
from ebm_causal.intervention.options import Bootstrap
from ebm_causal.intervention.propensities import Propensity, fit_logit, propensity, scaled_columns
from ebm_causal.intervention.queries import confounding_gap, interventional, observational
from ebm_causal.intervention.regressions import ResidualRegression, regress
from ebm_causal.intervention.surgery import do, held_rows

__all__ = [
    "Balance",
    "Bootstrap",
    "Causation",
    "Draws",
    "Effect",
    "GroupEffects",
    "Propensity",
    "ResidualRegression",
    "adjust",
    "confounding_gap",
    "counterfactual",
    "covariate_balance",
    "do",
    "effects_by",
    "fit_logit",
    "held_rows",
    "interventional",
    "is_confounded",
    "observational",
    "probabilities_of_causation",
    "propensity",
    "regress",
    "scaled_columns",
]
